"""What is measured says of true videos that all is well, and of wrong ones what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from wmlearn import hub
from wmlearn.chapters.ch06_sora import ablations, figures, measure, motion, ship, vjepa_judge
from wmlearn.envs.scenes import draw
from wmlearn.envs.scenes.violations import pass_through, recolor, vanish
from wmlearn.systems.sora.recipe import SMOKE
from wmlearn.systems.sora.system import Sora
from wmlearn.systems.vjepa.config import PredictorConfig

needs_muon = pytest.mark.skipif(
    not hasattr(torch.optim, "Muon"), reason="the shipped run needs PyTorch 2.9 or newer"
)
CONFIG = replace(SMOKE, frames=8, image_size=(64, 64), given_most=3, frame_features=0)


@pytest.fixture(scope="module")
def system() -> Sora:
    return Sora(CONFIG).eval()


def drawn(state) -> torch.Tensor:
    return draw(torch.as_tensor(state))


def test_true_videos_are_at_the_floor_and_a_still_one_is_not():
    real = measure.scene("one", 6)
    found = measure.motion(real, real.frames)
    assert found.floors == 1 and found.present.value == 1 and found.velocity.value < 0.1
    still = real.frames[:, 2:3].expand_as(real.frames)
    stood = measure.motion(real, still)
    assert stood.position == stood.copied and stood.floors > 10
    true, got = measure.speeds(real, real.frames)
    assert len(true) and torch.allclose(true, got, atol=0.05)


def test_what_comes_out_from_behind_the_bar():
    real = measure.scene("bar", 90)
    whole = measure.permanence(real, real.frames)
    assert whole and all(share.value == 1 for share in whole.values())
    gone = measure.permanence(real, drawn(vanish(real.state.numpy(), 6)))
    other = measure.permanence(real, drawn(recolor(real.state.numpy(), 6)))
    assert gone.keys() == whole.keys()
    assert max(share.value for share in (*gone.values(), *other.values())) < 0.2


def test_collisions_of_true_videos_and_of_bodies_that_pass_through():
    real = measure.scene("hit", 60)
    found = measure.collisions(real, real.frames)
    assert found.count > 5 and found.after.value < 0.15 < 0.5 < found.straight.value
    assert found.overlap.value < 0.2 and found.momentum.value < 0.1
    through = measure.collisions(real, drawn(pass_through(real.state.numpy(), 0)))
    assert through.after.value == pytest.approx(found.straight.value, rel=0.4)
    assert through.overlap.value > 1
    none = measure.collisions(measure.scene("one", 2), measure.scene("one", 2).frames)
    assert none.count == 0 and none.after.n == 0


def test_pairs_that_are_alike_are_left_out_and_the_same_noise_meets_both(system):
    real = measure.scene("one", 3, frames=8)
    share, gap = measure.preference(system, real, vanish, at=4, draws=1)
    assert share.n == len(gap) == 3 and torch.isfinite(gap).all()
    again = measure.surprise(system, real.frames, draws=1)
    assert torch.equal(again, measure.surprise(system, real.frames, draws=1))
    nothing = measure.scene("one", 2, frames=8)
    with pytest.raises(ValueError, match="none of these scenes"):  # alone, one passes nobody
        measure.preference(system, nothing, pass_through, draws=1)


def test_a_video_is_as_surprising_as_its_windows(system):
    real = measure.scene("one", 2, frames=8)
    options = dict(levels=(0.9,), draws=1)
    parts = [measure.surprise(system, real.frames[:, k : k + 4], **options) for k in (0, 2, 4)]
    found = measure.surprise(system, real.frames, **options, window=4, stride=2)
    assert torch.allclose(found, torch.stack(parts).mean(0), rtol=1e-4)


@needs_muon
def test_going_on_is_learned_from_windows_that_begin_with_given_frames():
    system = Sora(replace(CONFIG, frame_features=8))
    states = measure.scene("one", 3).state
    errors, given, level = motion.errors(system, states[:, : motion.WINDOW])
    assert errors.shape == (3,) and given.tolist() == [3] * 3 and (level > 0).all()
    given, level = motion.beginnings(4000)
    assert set(given.tolist()) == {3, 4, 5} and level[:3000].median() > 0.96 > level[3000:].median()
    x = torch.zeros(400, 8, 1, 1, 1)
    off = motion.blurred(x, given[:400]).flatten(1).abs() > 0
    assert (off.sum(1) == given[:400] * (given[:400] > 3)).all() and not off[:, 5:].any()
    before, saved = system.transformer.embed.weight.detach().clone(), []
    average, steps = motion.train(system, states, 1.0, 2, 1e-3, lambda _, step: saved.append(step))
    assert steps >= 1 and saved[0] == 1 and not torch.equal(before, system.transformer.embed.weight)
    assert all(torch.isfinite(value).all() for value in average.values())
    assert motion.configuration(CONFIG).sampler.window == motion.WINDOW


def test_prompts_are_read_against_their_ceiling(system):
    found, videos = measure.obeys(system, "unseen", 2, num_steps=1)
    assert videos.shape == (2, 8, 3, 64, 64) and found.ceiling["color"].value == 1
    assert measure.diversity(videos) >= 0


@needs_muon
def test_the_shipped_run_trains_on_both_shapes_and_pictures(monkeypatch):
    monkeypatch.setattr(ship, "CHUNK", 4)
    system = Sora(CONFIG)
    states, words = ship.simulate_all(8, (64, 64), CONFIG, processes=1, seed=0)
    wide = ship.simulate_all(4, (48, 96), CONFIG, processes=1, seed=9)
    assert states.shape[:2] == (8, 8) and words.shape == (8, ship.SAYINGS, 24)
    again, _ = ship.simulate_all(8, (64, 64), CONFIG, processes=1, seed=0)
    assert torch.equal(again, states)
    assert ship.train_autoencoder(system, states, 0.5, batch=4) >= 1
    clips = [ship.encode(system, states, words, (64, 64)), ship.encode(system, *wide, (48, 96))]
    assert clips[1].latents.shape[-2:] == (12, 24)
    before = system.transformer.embed.weight.detach().clone()
    saved, seen = [], []
    system.transformer.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    average, steps = ship.train_video(
        system, *clips, 4.0, 2, 1e-3, lambda weights, step: saved.append(step)
    )
    assert steps >= 1 and saved[0] == 1 and not torch.equal(before, system.transformer.embed.weight)
    assert all(torch.isfinite(value).all() for value in average.values())
    if steps > 13:
        assert {shape[1] for shape in seen} == {1, 8} and (12, 24) in {s[-2:] for s in seen}


def test_the_rate_rises_stays_and_falls():
    assert ship.rate(0, 0) == pytest.approx(0.01) and ship.rate(0.2, 500) == 1
    assert ship.rate(0.4, 500) == 1 and 0.4 < ship.rate(0.7, 500) < 0.6
    assert ship.rate(1.0, 500) == pytest.approx(0.02)


def test_the_cards_figures_are_plain_json():
    system = Sora(replace(CONFIG, frames=16)).eval()
    parts = figures.figures(videos=2, prompts=16)
    assert {"in range", "bar", "hit", "likelihood", "unseen two", "seen 8.0"} <= set(parts)
    found = json.loads(json.dumps(figures.plain(parts["in range"](system))))
    assert len(found["velocity"]) == 4 and set(found["copied"]) == {"4", "8", "15"}
    shown = figures.plain(parts["unseen two"](system))["shown"]
    assert shown["color"][3] == 4, "two prompts of two bodies"
    by_level = figures.plain(parts["likelihood by level"](system))
    assert all(set(row) == set(map(str, figures.LEVELS)) for row in by_level.values()) and by_level
    where = figures.plain(parts["where from"](system))
    assert set(where) == {"real", "autoencoded", "1 steps", "2 steps", "5 steps", "10 steps"}
    assert where["real"]["velocity"][0] < 0.3, "true videos are at the floor"
    real = measure.scene("bar", 90)
    counts, after = measure.hidden_frames(real)
    assert (counts > 0).any() and (after.any(1) | (counts == 0)).all()


def test_each_kind_of_error_counts_alike():
    balance = ship.Balance(torch.device("cpu"), keep=0.0)
    given, level = torch.tensor([3, 3, 0, 0]), torch.tensor([0.95, 0.97, 0.95, 0.97])
    errors = torch.tensor([0.01, 0.03, 0.5, 1.5], requires_grad=True)
    loss = balance(errors, given, level)
    loss.backward()
    assert loss.item() == pytest.approx(1.0)
    assert torch.allclose(errors.grad, torch.tensor([12.5, 12.5, 0.25, 0.25]), atol=1e-3)


def test_half_of_the_clips_come_from_three_frames_with_more_noise():
    given, level = ship.kinds(1000, torch.device("cpu"))
    assert (given == 3).sum() == 500 and ((given > 0) & (given < 3)).sum() == 140
    assert level[:250].mean() > level[250:].mean() + 0.1 and 0 < level.min() and level.max() < 1


@needs_muon
def test_the_choices_train_and_are_judged(monkeypatch):
    """Every choice, at the smallest size: it trains, goes on from given frames, and is judged."""
    monkeypatch.setattr(ship, "CHUNK", 4)
    shipped = ablations.of_size(Sora(CONFIG), (32, 32), 8)
    assert shipped.config.image_size == (32, 32)
    films = ablations.films(shipped, "one", 4, 1, 0)
    assert films.frames.shape[1] == films.latents.shape[1] == 8
    real = measure.scene("one", 2, 5, frames=8, size=(32, 32))
    configs = ablations.choices(shipped.config)
    assert list(configs).count("x") == 1 and configs[ablations.SURPRISE] is None
    for name in ("noise", "pixels"):
        config = replace(configs[name], dim=32, layers=1, heads=2)
        system, steps = ablations.trained(config, shipped, films, 0.1, 4)
        row = ablations.judged(system, real)
        assert steps >= 1 and set(row["position"]) == {4, 7}
        assert ("by level" in row) == (name == "noise")


def test_a_vjepa_is_surprised_by_what_it_did_not_expect():
    small = replace(
        vjepa_judge.CONFIG,
        encoder=replace(vjepa_judge.CONFIG.encoder, patch_size=16, dim=24, depth=1, heads=2),
        predictor=PredictorConfig(dim=24, depth=1, heads=2),
    )
    real = measure.scene("hit", 4, 0)
    system, steps = vjepa_judge.train(real.frames, 0.1, 2, small)
    seen, rest = vjepa_judge.beginning(system, 2, 3)
    assert seen.shape == (2, 3 * 16) and rest.shape == (2, 5 * 16)
    assert torch.equal(torch.cat([seen, rest], 1)[0], torch.arange(8 * 16))
    gap = vjepa_judge.surprise(system, real.frames, 3)
    changed = real.frames.clone()
    changed[:, 7:] = 255
    assert steps >= 1 and gap.shape == (4,) and torch.isfinite(gap).all()
    assert not torch.equal(gap, vjepa_judge.surprise(system, changed, 3))
    changed[:, 7:] = real.frames[:, 7:]
    assert torch.equal(gap, vjepa_judge.surprise(system, changed, 3))
    found = vjepa_judge.preferences(system, real, 3)
    assert set(found) >= {"vanishes", "jumps"} and found["jumps"].n <= 4


def test_a_run_goes_on_from_a_checkpoint_that_knows_no_frame_numbers(tmp_path):
    plain = Sora(CONFIG)
    hub.save(tmp_path / "plain", plain, "sora", {"env": "scenes/all"})
    told = ship.started(replace(CONFIG, frame_features=8), str(tmp_path / "plain"))
    assert torch.equal(told.transformer.embed.weight, plain.transformer.embed.weight)
    assert not told.transformer.conditioning.weight.any()
    with pytest.raises(ValueError, match="other parts"):
        ship.started(replace(CONFIG, layers=2), str(tmp_path / "plain"))
