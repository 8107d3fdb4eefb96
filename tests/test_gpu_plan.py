"""``tools/gpu_plan.py`` at smoke size, on the CPU: a table, a checkpoint, and a second call."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import wmlearn as wm

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import gpu_plan

PLAN = """
[measure]
systems = ["sora", "vjepa", "vjepa2-ac", "searched-policy"]
tiers = ["smoke"]
share = 0.25

[[train]]
name = "small"
system = "genie"
data = "{data}"
share = 0.75
options = {{ tier = "smoke", max_steps = 4 }}
"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    from gymnasium.spaces import Discrete

    from wmlearn.systems import TRAINABLE

    run, _ = TRAINABLE["genie"].load("recipe").preset("smoke")
    folder = tmp_path_factory.mktemp("plan") / "play"
    gpu_plan._random_episodes(folder, Discrete(4), None, run)
    return folder


def test_a_plan_measures_trains_and_goes_on(recording, tmp_path, capsys):
    archive = gpu_plan.pack(recording)
    moved = tmp_path / "away" / archive.name
    moved.parent.mkdir()
    archive.rename(moved)
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN.format(data=moved.parent / "play"))
    out = tmp_path / "out"
    command = [str(plan), "--minutes", "1", "--out", str(out)]
    assert gpu_plan.main(command) == 0
    rows = (out / "throughput.md").read_text().splitlines()
    cells = {row.split(" | ")[0].strip("| "): row.split(" | ") for row in rows[2:]}
    assert cells.keys() == {"vjepa", "vjepa2-ac", "searched-policy", "sora"}
    assert float(cells["vjepa"][3]) > 0 and float(cells["vjepa2-ac"][3]) > 0
    assert float(cells["sora"][3]) > 0  # which wants captions
    assert "by itself" in cells["searched-policy"][-1]  # its sentence, not a crash
    small = wm.load(out / "small")
    assert json.loads((out / "small/card.json").read_text())["steps"] == 4
    capsys.readouterr()
    assert gpu_plan.main(command) == 0  # a finished run again changes nothing
    again = wm.load(out / "small")
    assert all((a == b).all() for a, b in zip(small.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize(
    "text, sentence",
    [
        ('[measure]\nsystems = ["genei"]', "no system 'genei'"),
        ('[[train]]\nname = "a"\nsystem = "genie"\ndata = "nowhere"\nshare = 1', "no recording"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_at_once(text, sentence, tmp_path):
    (tmp_path / "plan.toml").write_text(text)
    with pytest.raises(SystemExit, match=sentence):
        gpu_plan.main([str(tmp_path / "plan.toml"), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_what_is_no_recording_is_not_packed(tmp_path):
    with pytest.raises(SystemExit, match="no recording"):
        gpu_plan.pack(tmp_path)


def test_the_first_plan_names_what_exists():
    import tomllib

    from wmlearn.systems import TRAINABLE

    plans = sorted((Path(gpu_plan.__file__).parent / "plans").glob("*.toml"))
    assert plans
    for path in plans:
        for part in tomllib.loads(path.read_text()).get("train", ()):
            assert part["system"] in TRAINABLE
            recipe = TRAINABLE[part["system"]].load("recipe")
            run, _ = recipe.preset(part["options"]["tier"])
            assert part["options"].keys() <= vars(run).keys()
