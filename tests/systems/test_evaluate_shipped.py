"""Every shipped system gets an EvaluationCard from the command line, and no option is dropped."""

from __future__ import annotations

import math
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from wmlearn import hub
from wmlearn.cli import main
from wmlearn.data.episodes import Episode, EpisodeWriter
from wmlearn.data.shipped import unpack_clips
from wmlearn.evaluation import EvaluationCard


def wmlearn_evaluate(text: str) -> int:
    return main(["evaluate", *text.split()])


SHIPPED = {
    "diamond-doom-basic-32": ("doom", "--horizons 1 2 --probe-steps 2", None),
    "genie-coinrun": ("coinrun", "--horizons 1 2 --probe-steps 2", "latent actions"),
    "vjepa-metaworld": ("metaworld", "--judge labels=1 --judge epochs=1", "probe"),
    "vjepa2-ac-fetch": ("fetch", "--horizons 1 2", "landscape"),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """name -> a few episodes that suit a shipped checkpoint."""
    root = tmp_path_factory.mktemp("recorded")

    def get(name: str) -> Path:
        path = root / name
        if path.exists():
            return path
        if name in ("metaworld", "fetch"):
            whole = unpack_clips(f"clips/{name}", root / f"{name}-whole", progress=False)
            count = 48 if name == "metaworld" else 6
            writer = EpisodeWriter(path, whole.action_space, whole.frame_shape, **{
                key: whole.info[key] for key in ("env", "policy", "classes", "state_names")
                if key in whole.info})  # fmt: skip
            for episode in range(count):
                writer.write(whole[episode])
            return path
        checkpoint, actions = {
            "doom": ("diamond-doom-basic-32", 4), "coinrun": ("genie-coinrun", 6)}[name]  # fmt: skip
        starts = hub.load_starts(checkpoint).frames.numpy()
        space, shape = gymnasium.spaces.Discrete(actions), starts.shape[2:]
        writer = EpisodeWriter(path, space, shape, env="my/game", policy="random")
        rng = np.random.default_rng(0)
        for clip in starts:
            frames = np.concatenate([clip] * 8)[:8]
            over = np.arange(7) == 6
            pressed = rng.integers(0, actions, 7)
            rewards = np.zeros(7, np.float32)
            writer.write(Episode(frames, pressed, rewards, over, np.zeros_like(over)))
        return path

    return get


def test_every_system_is_judged_somewhere():
    judged = {hub.read_card(name)["system"] for name in SHIPPED}
    shipped = {hub.read_card(name)["system"] for name in hub.list_checkpoints()}
    assert shipped - judged == {"actor-critic"}  # a policy, which is played in reality instead


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_system_gets_a_card(name, recorded, tmp_path, capsys):
    data, options, section = SHIPPED[name]
    common = f"{name} --data {recorded(data)} --clips 4 --seeds 0 --holdout 0.34"
    out, figure = tmp_path / "card.json", tmp_path / "card.png"
    assert wmlearn_evaluate(f"{common} {options} --out {out} --figure {figure}") == 0
    card = EvaluationCard.load(out)
    assert card.name == name and figure.stat().st_size > 1000
    assert [s.name for s in card.sections] == ([section] if section else [])
    at = card.fidelity.at[0]
    for figured in (at.score, at.baseline, at.gain):
        assert math.isfinite(figured.value) and figured.n == at.clips
    assert at.gain.seeds == (0,) and card.cost.frames_per_second.n == 5
    if name.startswith("vjepa"):  # trained encoders: better than standing still
        assert at.gain.value > 0 and not card.fidelity.higher_is_better
    capsys.readouterr()
    assert wmlearn_evaluate(f"{common} --policy no-such-policy") == 2
    assert "no checkpoint 'no-such-policy'" in capsys.readouterr().err
    assert wmlearn_evaluate(f"{common} --policy {name}") == 2
    assert "not a policy" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("vjepa-metaworld", "--horizons 1", "Leave out horizons: the system has no world"),
        ("vjepa-metaworld", "--policy actor-critic-doom-basic", "needs a world"),
        ("vjepa-metaworld", "--judge labels=many", "does not take this option"),
        ("vjepa2-ac-fetch", "--probe-steps 9", "Leave out probe-steps: the world shows features"),
        ("vjepa2-ac-fetch", "--policy actor-critic-doom-basic", "needs Discrete actions"),
        ("genie-coinrun", "--policy actor-critic-doom-basic", "needs rewards"),
        ("actor-critic-doom-basic", "", "has no world, and no judge"),
    ],
)
def test_no_option_is_dropped_in_silence(name, options, says, recorded, capsys):
    data = SHIPPED.get(name, ("doom",))[0]
    assert wmlearn_evaluate(f"{name} --data {recorded(data)} {options}") == 2
    assert says in capsys.readouterr().err
