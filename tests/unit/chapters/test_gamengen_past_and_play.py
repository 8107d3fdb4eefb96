"""Chapter 5's twins with pasts of several lengths, and of two kinds of play."""

import json

import pytest
import torch
from doom_latents import latents
from safetensors.torch import save_file

from wmlearn.chapters.ch05_gamengen.ablations import Twin, train_twin
from wmlearn.chapters.ch05_gamengen.past_and_play import (
    AT,
    CONTEXTS,
    GIVEN,
    asked,
    exam,
    plan,
    read,
    summary,
)
from wmlearn.data.clip import Clip
from wmlearn.metrics import psnr
from wmlearn.systems.gamengen.recipe import SMOKE
from wmlearn.systems.gamengen.system import GameNGen

EPISODES = torch.tensor([0, 0, 1, 1, 2, 2])


def test_a_seed_is_finished_before_the_next_one_begins():
    twins = plan(2)
    assert [t.seed for t in twins] == 6 * [0] + 6 * [1]
    for seed in (0, 1):
        kinds = {(t.context, t.play) for t in twins if t.seed == seed}
        assert kinds == {(k, "agent") for k in CONTEXTS} | {(4, "random")}
    assert {t.noise for t in twins} == {Twin().noise}


def test_an_exam_gives_the_real_past_and_asks_for_what_came_after():
    torch.manual_seed(0)
    system, size = GameNGen(SMOKE).eval(), SMOKE.image_size
    at, length = (1, 3), GIVEN + 3
    frames = torch.randint(0, 256, (2, length, 3, size, size), dtype=torch.uint8)
    clip = Clip(frames, torch.zeros(2, length - 1).long())
    one = exam(system, clip, torch.tensor([0, 1]), at)
    assert torch.equal(one.real, frames[:, [GIVEN, GIVEN + 2]])
    with torch.inference_mode():
        assert torch.allclose(one.past[:, -1], system.encode(frames[:, GIVEN - 1]), atol=1e-5)
    assert torch.equal(one.copied[:, 1], psnr(frames[:, GIVEN - 1], frames[:, GIVEN + 2]))
    twin = train_twin(SMOKE.denoiser, latents(), 0, steps=1, batch=4)
    assert asked(system, twin, one, at).shape == (2, 2)


def runs(seeds):
    """Clips differ much; a longer past is better by its length's share of a decibel, the agent's
    play by half a decibel, and seed 1 by two."""
    made, clips = [], torch.arange(6.0)[:, None]
    for twin in plan(seeds):
        lead = 30 + twin.context / 16 - (twin.play == "random") / 2 + 2 * twin.seed
        names = ["agent next", "agent"] + (twin.context == 4) * ["random next", "random"]
        scores = {n: (clips + lead).expand(6, 1 if n.endswith("next") else len(AT)) for n in names}
        made.append((vars(twin), scores))
    return made


def exams():
    names = {"agent next": 1, "agent": len(AT), "random next": 1, "random": len(AT)}
    return {n: {"copied": torch.ones(6, k), "episodes": EPISODES.clone()} for n, k in names.items()}


def test_gains_are_taken_clip_by_clip_and_seed_by_seed():
    found = summary(runs(2), exams())
    gain = found["contexts"]["16"]["gain next"]
    assert gain["mean"].value == pytest.approx(15 / 16)
    assert gain["mean"].high - gain["mean"].low == pytest.approx(0)
    assert gain["by seed"] == pytest.approx([15 / 16] * 2, abs=1e-3)
    assert found["contexts"]["1"]["gain 52"]["mean"].value == 0
    level = found["contexts"]["4"]["8"]
    assert level["by seed"] == pytest.approx([32.75, 34.75])
    assert level["mean"].high > level["mean"].value > level["mean"].low
    ahead = found["play"]["random"]["52"]["ahead"]
    assert (ahead["mean"].value, ahead["mean"].seeds) == (0.5, (0, 1))
    assert found["copy"]["agent"]["next"].value == 1
    assert found["exams"]["random"] == {"clips": 6, "episodes": 3}


def test_a_seed_that_is_not_finished_is_left_out():
    some = runs(2)[:-2]  # of seed 1 the two longest pasts are missing, but not random play
    found = summary(some, exams())
    assert found["seeds"] == 1
    assert found["contexts"]["2"]["next"]["by seed"] == pytest.approx([32.625])
    assert found["play"]["agent"]["next"]["ahead"]["mean"].seeds == (0, 1)
    earlier = summary(runs(2)[:-5], exams())  # now it is
    assert earlier["play"]["agent"]["next"]["ahead"]["mean"].seeds == (0,)


def test_a_folder_of_runs_is_read_as_it_was_written(tmp_path):
    content = {f"{n}/{part}": x for n, e in exams().items() for part, x in e.items()}
    content["keys/agent"] = torch.tensor([0.25, 0.75])
    save_file(content, tmp_path / "exams.safetensors")
    for i, (facts, scores) in enumerate(runs(1)):
        facts = facts | {"steps": 5, "batch": 2, "frames": 9, "seconds": float(i)}
        tensors = {f"psnr/{n}": x.contiguous() for n, x in scores.items()}
        save_file(
            tensors, tmp_path / f"twin-{i}.safetensors",
            {"facts": json.dumps(facts | {"exams": list(scores)})},
        )  # fmt: skip
    found = read(tmp_path)
    assert (found["steps"], found["batch"], found["frames"], found["seconds"]) == (5, 2, 9, 3.0)
    assert found["keys"] == {"agent": [0.25, 0.75]}
    assert found["contexts"] == summary(runs(1), exams())["contexts"]
