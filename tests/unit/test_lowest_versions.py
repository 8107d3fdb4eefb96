"""Lower bounds are those that are tested: what the tool that tests them says of a bound too low."""

from __future__ import annotations

import importlib.util
import tomllib

from places import ROOT

_spec = importlib.util.spec_from_file_location("lowest", ROOT / "tools/lowest_versions.py")
lowest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(lowest)


def test_a_bound_that_nobody_tested_is_named():
    bounds = {"gymnasium": {"1.0", "1.2.3"}, "numpy": {"1.26"}, "elsewhere": {"1"}}
    pins = lowest.pinned("gymnasium==1.2.3\n    # via x\nnumpy==1.26.0\ntorch==2.8.0+cpu ; x\n")
    assert pins["torch"] == "2.8.0"
    (told,) = lowest.untested(bounds, pins)
    assert told.startswith("gymnasium>=1.0 is not what is tested: 1.2.3")


def test_every_package_has_a_lower_bound():
    """Without one, the lowest version is one of years ago, which nobody meant."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    bare = [line for line in lines if ">=" not in line and not line.startswith("wmlearn[")]
    assert bare == []
    assert {"torch", "gymnasium", "numpy", "pillow"} <= set(lowest.declared(project))


def test_one_package_has_one_lower_bound_but_where_it_is_said():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    several = {name for name, lows in lowest.declared(project).items() if len(lows) > 1}
    assert several == set(lowest.LOWER_ALONE)
