"""Tests the project with the lowest versions that pyproject.toml allows.

    python tools/lowest_versions.py [--folder FOLDER] [--torch INDEX] [tests ...]

Makes a virtual environment with the lowest version of each direct dependency (their own
dependencies are the newest that fit), refuses a bound that is lower than what was installed, since
nobody tested that, and runs the tests: by default units, environments, training and the command
line. Needs uv. Run once before a release, and weekly (.github/workflows/lowest.yml).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ("tests/unit", "tests/cli", "tests/envs", "tests/systems/test_fit.py")
LOWER_ALONE = {"ipywidgets": "notebook"}
"""Bounds that another extra raises: tested in an environment of this extra only."""


def declared(project: dict) -> dict[str, set[str]]:
    """Package -> its lower bounds, over all extras."""
    bounds: dict[str, set[str]] = {}
    lines = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    for line in lines:
        found = re.match(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?\s*(?:>=([0-9][\w.]*))?", line)
        name, low = found.groups()
        if low:
            bounds.setdefault(plain(name), set()).add(low)
    return bounds


def plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def pinned(text: str) -> dict[str, str]:
    """Package -> version of a file of requirements."""
    found = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", text, flags=re.MULTILINE)
    return {plain(name): version.partition("+")[0] for name, version in found}


def untested(bounds: dict[str, set[str]], versions: dict[str, str]) -> list[str]:
    """A sentence for each bound that is lower than the version that stands for it."""
    wrong = []
    for name, lows in sorted(bounds.items()):
        version = versions.get(name)
        if version is None or name in LOWER_ALONE:
            continue
        if low := next((low for low in lows if numbers(low) != numbers(version)), None):
            wrong.append(
                f"{name}>={low} is not what is tested: {version} is the lowest that can be had."
            )
    return wrong


def numbers(version: str) -> tuple[int, ...]:
    """``1.2.0`` and ``1.2`` are one version."""
    parts = [int(part) for part in re.findall(r"\d+", version)]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def uv(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", *words], cwd=ROOT, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("tests", nargs="*", default=TESTS, help="passed to pytest")
    parser.add_argument("--extra", default="test", help="of pyproject.toml; default: %(default)s")
    parser.add_argument("--folder", type=Path, help="of the environment; default: a temporary one")
    parser.add_argument("--torch", help="an index with smaller builds of torch")
    args = parser.parse_args()
    if find_spec("uv") is None:
        raise SystemExit("This needs uv: pip install uv")
    folder = args.folder or Path(tempfile.mkdtemp(prefix="lowest-"))
    pins, python = folder / "lowest.txt", folder / "bin/python"
    uv("venv", "--quiet", "--python", sys.executable, str(folder))
    index = ["--index", args.torch, "--index-strategy", "unsafe-best-match"] if args.torch else []
    where = ["--python", str(python)]
    uv("pip", "compile", "--quiet", "--resolution", "lowest-direct", "--extra", args.extra,
       "pyproject.toml", "--output-file", str(pins), *where, *index)  # fmt: skip
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if args.extra == "test" and (wrong := untested(declared(project), pinned(pins.read_text()))):
        raise SystemExit("\n".join(wrong))
    uv("pip", "install", "--quiet", "--requirements", str(pins), *where, *index)
    uv("pip", "install", "--quiet", "--no-deps", "--editable", ".", *where)
    environment = {**os.environ, "WMLEARN_TIER": "smoke", "PYTHONPATH": str(ROOT)}
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *args.tests]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
