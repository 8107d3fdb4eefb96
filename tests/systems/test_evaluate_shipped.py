"""Every shipped system gets an EvaluationCard from the command line, and no option is dropped."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from wmlearn import hub
from wmlearn.cli import main
from wmlearn.data.episodes import Episode, EpisodeWriter, space_from_json
from wmlearn.data.shipped import unpack
from wmlearn.evaluation import EvaluationCard, evaluate
from wmlearn.systems import AGENTS, SYSTEMS


def wmlearn_evaluate(text: str) -> int:
    return main(["evaluate", *text.split()])


def smallest_checkpoints() -> dict[str, str]:
    """System -> the shipped checkpoint of it with the fewest weights."""
    found: dict[str, str] = {}
    for name in hub.list_checkpoints():
        system, size = hub.read_card(name)["system"], weights(name)
        if system not in found or size < weights(found[system]):
            found[system] = name
    return found


def weights(name: str) -> int:
    return (hub.find(name) / "model.safetensors").stat().st_size


SHIPPED = smallest_checkpoints()
SYSTEM_NAMES = [entry.name for entry in SYSTEMS if entry.name in SHIPPED]
PIXELS = "--horizons 1 2 --probe_steps 2 --no_cost"
OPTIONS = {
    "cosmos": "--horizons 1 4 --no_cost",
    "cosmos-ar": "--horizons 1 4 --no_cost",
    "genie": f"{PIXELS} --judge clips=8",
    "sora": "--horizons 1 2 --no_cost --judge prompts=2 --judge videos=0",
    "vjepa": "--judge labels=1 --judge epochs=1",
    "vjepa2-ac": "--horizons 1 2",
}
SECTIONS = {
    "vjepa": ["probe"],
    "genie": ["latent actions"],
    "vjepa2-ac": ["landscape"],
    "sora": ["captions"],
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """System -> a few episodes that suit its checkpoint."""
    root = tmp_path_factory.mktemp("recorded")

    def get(system: str) -> Path:
        path = root / system
        if not path.exists():
            clips_with_names(path) if system == "vjepa" else from_starts(SHIPPED[system], path)
        return path

    return get


def clips_with_names(path: Path) -> None:
    whole = unpack("clips/metaworld", path.with_name("whole"), progress=False)
    known = {key: whole.info[key] for key in ("env", "policy", "classes")}
    writer = EpisodeWriter(path, whole.action_space, whole.frame_shape, **known)
    for episode in range(48):
        writer.write(whole[episode])


def from_starts(name: str, path: Path, length: int = 12) -> None:
    """The checkpoint's own clips, run through again and again, with random actions if any."""
    info, starts = hub.read_card(name)["data"], hub.load_starts(name)
    space = space_from_json(path, info["action_space"])
    facts = {"env": info["env"], "policy": "random", "state_names": info.get("state_names")}
    if space is None:
        writer = EpisodeWriter(
            path, None, tuple(starts.frames.shape[2:]), captions=starts.text, **facts
        )
        for frames, state in zip(starts.frames.numpy(), starts.state.numpy(), strict=True):
            writer.write(Episode(frames, state=state))
        return
    writer = EpisodeWriter(path, space, tuple(starts.frames.shape[2:]), **facts)
    space.seed(0)
    length = max(length, starts.length + 4)  # a long context leaves frames to predict
    again = np.arange(length) % starts.length
    over = np.arange(length - 1) == length - 2
    for row in range(len(starts)):
        actions = np.array([space.sample() for _ in over])
        state = None if starts.state is None else starts.state[row].numpy()[again]
        writer.write(
            Episode(
                starts.frames[row].numpy()[again],
                actions,
                np.zeros(len(over), np.float32),
                over,
                np.zeros_like(over),
                state,
            )
        )


def test_every_system_that_ships_is_in_the_registry():
    policies = {entry.name for entry in AGENTS}
    assert set(SHIPPED) - policies == set(SYSTEM_NAMES) and len(SYSTEM_NAMES) >= 4


@pytest.mark.parametrize("system", SYSTEM_NAMES)
def test_every_shipped_system_gets_a_card(system, recorded, tmp_path, capsys):
    name, options = SHIPPED[system], OPTIONS.get(system, PIXELS)
    common = f"{name} --data {recorded(system)} --clips 4 --seeds 0 --holdout 0.34"
    out, figure = tmp_path / "card.json", tmp_path / "card.png"
    assert wmlearn_evaluate(f"{common} {options} --out {out} --figure {figure}") == 0
    card = EvaluationCard.load(out)
    assert card.name == name and figure.stat().st_size > 1000
    assert [section.name for section in card.sections][: len(SECTIONS.get(system, []))] == (
        SECTIONS.get(system, [])
    )
    at = card.fidelity.at[0]
    for figured in (at.score, at.baseline, at.gain):
        assert math.isfinite(figured.value) and figured.n == at.clips
    assert at.gain.seeds == (0,) and (card.cost is None) == ("--no_cost" in options)
    capsys.readouterr()
    assert wmlearn_evaluate(f"{common} --policy no-such-policy") == 2
    assert "no checkpoint 'no-such-policy'" in capsys.readouterr().err
    assert wmlearn_evaluate(f"{common} --policy {name}") == 2
    assert "not a policy" in capsys.readouterr().err


def test_a_trained_encoder_fills_in_better_than_the_mean_of_what_is_visible(recorded):
    card = evaluate(SHIPPED["vjepa"], recorded("vjepa"), clips=16, cost=False,
                    judge={"probe": False})  # fmt: skip
    assert card.fidelity.at[0].gain.low > 0 and not card.fidelity.higher_is_better
    assert card.fidelity.unit == "L1 of features" and card.sections == ()


@pytest.mark.parametrize(
    ("system", "options", "says"),
    [
        ("vjepa", "--horizons 1", "Leave out horizons: the system has no world"),
        ("vjepa", "--policy actor-critic-doom-basic", "needs a world"),
        ("vjepa", "--judge labels=many", "does not take this option"),
        ("vjepa2-ac", "--probe_steps 9", "Leave out probe_steps: the world shows features"),
        ("vjepa2-ac", "--policy actor-critic-doom-basic", "needs Discrete actions"),
        ("genie", "--policy actor-critic-doom-basic", "needs rewards"),
    ],
)
def test_no_option_is_dropped_in_silence(system, options, says, recorded, capsys):
    assert wmlearn_evaluate(f"{SHIPPED[system]} --data {recorded(system)} {options}") == 2
    assert says in capsys.readouterr().err


def test_a_policy_alone_is_not_evaluated(recorded, capsys):
    assert wmlearn_evaluate(f"actor-critic-doom-basic --data {recorded('diamond')}") == 2
    assert "has no world, and no judge" in capsys.readouterr().err
