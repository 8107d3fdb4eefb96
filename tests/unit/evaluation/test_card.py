"""The evaluation card as a file, as text, and as the command line makes it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from places import REFERENCES
from sliding_game import NoisyOracle, Oracle, judge
from torch import nn

from wmlearn.cli import main
from wmlearn.evaluation import EvaluationCard
from wmlearn.files import assets_dir
from wmlearn.metrics import (
    Estimate,
)
from wmlearn.world import WorldModel


@pytest.fixture(scope="module")
def card(store) -> EvaluationCard:
    return judge(NoisyOracle(), store, probe_steps=2, cost=True, name="noisy <oracle>")


def test_card_survives_json(card, tmp_path):
    path = card.save(tmp_path / "new folder" / "evaluation.json")
    assert EvaluationCard.load(path) == card
    assert not list(path.parent.glob("*.part"))
    assert json.loads(path.read_text())["format"] == "wmlearn.evaluation"


def test_card_refuses_foreign_files(card, tmp_path):
    def load(change):
        document = json.loads(card.to_json())
        change(document)
        path = tmp_path / "card.json"
        path.write_text(json.dumps(document))
        return EvaluationCard.load(path)

    bad = {
        "not an evaluation card": lambda d: d.update(format="other"),
        "version 3, this wmlearn reads versions 1 and 2": lambda d: d.update(version=3),
        r"card.json: card.seeds is missing": lambda d: d.pop("seeds"),
        "card.extra is not known": lambda d: d.update(extra=1),
        r"card.fidelity.at\[0\].score.value must be float": lambda d: d["fidelity"]["at"][0][
            "score"
        ].update(value="high"),
        "card.name must be str": lambda d: d.update(name=None),
        "card.held_out must be int": lambda d: d.update(held_out=True),
        "card.fidelity.curve must be an object": lambda d: d["fidelity"].update(curve=[]),
        "version 1 is not whole": lambda d: d.update(version=1),
    }
    for message, change in bad.items():
        with pytest.raises(ValueError, match=message):
            load(change)
    (tmp_path / "cut.json").write_text(card.to_json()[:-40])
    with pytest.raises(ValueError, match="cut.json: .*not valid JSON"):
        EvaluationCard.load(tmp_path / "cut.json")
    with pytest.raises(ValueError, match="NaN"):
        EvaluationCard.from_json(card.to_json().replace('"clips": 12', '"clips": NaN'))


def test_card_prints_what_is_missing_as_not_measured(card):
    text = str(card)
    assert text.startswith("noisy <oracle> on my/game")
    assert "10 held-out episodes (random policy), 2 context frames, 2 seeds" in text
    assert "12 (" in text and "copy last frame" in text and "majority class" in text
    utility = text[text.index("\nUtility") : text.index("\nCost")]
    assert "not measured" in utility and "0" not in utility
    bare = str(replace(card, controllability=None, cost=None))
    assert bare.count("not measured") >= 3
    html = card._repr_html_()
    assert "noisy &lt;oracle&gt;" in html and "<oracle>" not in html
    assert html.count("<caption") == html.count("<table>") >= 5
    assert '<th scope="col"' in html and '<th scope="row"' in html


CARDS = sorted([*assets_dir().glob("evaluations/*.json"), *assets_dir().rglob("evaluation.json")])


@pytest.mark.parametrize("path", CARDS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_shipped_card_loads_and_survives(path):
    card = EvaluationCard.load(path)
    assert EvaluationCard.from_json(card.to_json()) == card
    assert str(card).startswith(card.name) and "<table>" in card._repr_html_()


def test_a_card_of_version_1_keeps_its_figures():
    """By name: a number that moved to another place would be read as something else."""
    path = REFERENCES / "evaluation_v1.json"
    old, card = json.loads(path.read_text()), EvaluationCard.load(path)

    def same(new: Estimate, was: dict) -> bool:
        return (new.value, new.low, new.high) == (was["value"], was["low"], was["high"])

    for row, was in zip(card.fidelity.at, old["fidelity"]["at"], strict=True):
        assert [row.horizon, row.clips, row.episodes] == [
            was[k] for k in ("horizon", "clips", "episodes")
        ]
        assert same(row.score, was["psnr"]) and same(row.baseline, was["psnr_copy"])
        assert same(row.gain, was["psnr_gain"]) and row.gain.seeds == (0, 1, 2)
        for name, key in (("SSIM", "ssim"), ("Feature distance", "feature_distance")):
            assert same(row.measure(name).score, was[key])
            assert same(row.measure(name).baseline, was[f"{key}_copy"])
        assert same(row.measure("Feature distance").reference, was["feature_distance_real"])
    for row, was in zip(card.controllability.at, old["controllability"]["at"], strict=True):
        assert same(row.other, was["psnr_other"]) and same(row.delta, was["delta"])
    for name, was in old["controllability"]["probe"].items():
        if isinstance(was, dict):
            assert same(getattr(card.controllability.probe, name), was)
    curve, was = card.fidelity.curve, old["fidelity"]["curve"]
    for new, key in ((curve.score, "dream"), (curve.baseline, "copy")):
        assert all(same(*pair) for pair in zip(new, was[key], strict=True))
    assert card.cost.frames_per_second.value == old["cost"]["frames_per_second"]
    latent, was = card.section("latent actions"), old["latent_actions"]
    assert same(latent.value("recall"), was["recall"])
    assert same(latent.value("accuracy, no name twice"), was["one_to_one"])
    assert latent.row("what each code stands for").text.startswith("0 left, 1 right")


def wmlearn_evaluate(text: str) -> int:
    return main(["evaluate", *text.split()])


def test_command_line_on_a_world(monkeypatch, store, tmp_path, capsys):
    class Known(nn.Module, WorldModel):
        card = {"minutes": 4.5, "system": "known"}

        def world(self, sampler=None):
            return Oracle()

    monkeypatch.setattr("wmlearn.hub.load", lambda name: Known())
    monkeypatch.setattr("wmlearn.hub.find", Path)
    out, figure = tmp_path / "new" / "card.json", tmp_path / "other" / "card.png"
    common = f"name --data {store.path} --clips 6 --seeds 0 --holdout 0.25"
    assert wmlearn_evaluate(
        f"{common} --out {out} --figure {figure} --horizons 1 4 --probe_steps 0"
    ) == 0  # fmt: skip
    card = EvaluationCard.load(out)
    assert card.name == "name" and card.cost.training_minutes == 4.5 and card.utility is None
    assert card.seeds == (0,) and [row.horizon for row in card.fidelity.at] == [1, 4]
    assert figure.stat().st_size > 1000 and "58.9" in capsys.readouterr().out
    for option, says in (
        ("--episodes 3", "Leave out episodes: no policy is given"),
        ("--judge goals=3", "has no option 'goals'"),
        ("--judge goals", "NAME=VALUE"),
        ("--policy name", "not a policy"),
        ("--figure card.gif", "ends in .png, .webp, .svg, .pdf"),
    ):
        assert wmlearn_evaluate(f"{common} --horizons 1 --probe_steps 0 {option}") == 2
        assert says in capsys.readouterr().err
