"""V-JEPA learns, collapses where it should, hides what it says, and is seen through by probes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from wmlearn.chapters.ch11_vjepa.distraction import (
    DIRECTIONS,
    clouds,
    draw_clips,
    flicker,
    train,
)
from wmlearn.data.clip import Clip
from wmlearn.evaluation.probe import fit_probe, pair_hits
from wmlearn.nn.attention import rotate
from wmlearn.nn.noise import SampleNoise
from wmlearn.systems.vjepa import LONG_RANGE, PAPER, SHORT_RANGE, VJEPA, draw_mask
from wmlearn.systems.vjepa.collapse import (
    effective_rank,
    feature_std,
    random_directions,
    sigreg,
    vicreg,
)
from wmlearn.systems.vjepa.encoder import normalize, take
from wmlearn.systems.vjepa.masks import draw_blocks
from wmlearn.systems.vjepa.recipe import RECIPE, SMOKE
from wmlearn.systems.vjepa.rope import grid_positions, rope_table

TINY = replace(
    SMOKE,
    encoder=replace(SMOKE.encoder, image_size=32, dim=24, frames=4),
    frame_stride=1,
    learning_rate=3e-3,
    ema=0.9,
    max_steps=0,
)


def clips(count: int = 8, size: int = 32, frames: int = 4, seed: int = 0) -> Clip:
    """Squares of random color and place that move to the right."""
    generator = torch.Generator().manual_seed(seed)
    video = torch.zeros(count, frames, 3, size, size, dtype=torch.uint8)
    for clip in video:
        x, y = torch.randint(0, size // 2, (2,), generator=generator).tolist()
        color = torch.randint(64, 255, (3, 1, 1), generator=generator)
        for t in range(frames):
            clip[t, :, y : y + 12, x + 3 * t : x + 3 * t + 12] = color
    return Clip(video)


# --- positions and masks -----------------------------------------------------------------------


def test_only_the_distance_counts_to_rotary_positions():
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 6, generator=generator)  # one token, frequencies 1 and 1: exact
    at = grid_positions((5, 5, 5))

    def product(i: int, j: int) -> torch.Tensor:
        table = rope_table(at, 6)
        at_i, at_j = table[:, i : i + 1], table[:, j : j + 1]
        return (rotate(q, at_i, "interleaved") * rotate(k, at_j, "interleaved")).sum()

    first = product(0, 1 + 5 + 25)  # one step along each axis
    assert_close(product(31, 62), first)
    assert (product(0, 62) - first).abs() > 1e-3


@pytest.mark.parametrize("mask", [SHORT_RANGE, LONG_RANGE])
@pytest.mark.parametrize("side", [8, 16])
def test_masks_hide_the_same_places_at_all_times(mask, side):
    grid = (4, side, side)
    visible, hidden = draw_mask(mask, grid, SampleNoise(0, 3, 200))
    both = torch.cat([visible, hidden], 1).sort(1).values
    assert (both[:, 1:] > both[:, :-1]).all(), "a token is both visible and hidden"
    for index in (visible, hidden):
        places = index.view(200, 4, -1) % side**2
        assert (places == places[:, :1]).all(), "another place at another time"
        assert (index == index.sort(1).values).all()
    covered = draw_blocks(mask, side, side, SampleNoise(0, 3, 200))
    share = covered.float().mean()
    assert abs(share - mask.hidden) < 0.03, "the fixed share is not what the blocks cover"
    inside = covered.flatten(1).gather(1, hidden[:, : hidden.shape[1] // 4])
    assert inside.float().mean() > 0.9, "what is hidden is not in the blocks"


def test_masks_depend_on_seed_step_and_sample_alone():
    both = draw_mask(SHORT_RANGE, (2, 8, 8), SampleNoise(0, 5, 4))
    halves = [draw_mask(SHORT_RANGE, (2, 8, 8), SampleNoise(0, 5, 2, rank)) for rank in (0, 1)]
    for whole, first, second in zip(both, *halves, strict=True):
        assert torch.equal(whole, torch.cat([first, second]))
    assert not torch.equal(both[1], draw_mask(SHORT_RANGE, (2, 8, 8), SampleNoise(0, 6, 4))[1])


# --- the system --------------------------------------------------------------------------------


def test_what_is_hidden_does_not_reach_the_guess():
    system = VJEPA(TINY).eval()
    video = normalize(clips().frames)
    patches = system.encoder.cut(video)
    visible, hidden = draw_mask(SHORT_RANGE, TINY.encoder.grid, SampleNoise(0, 0, 8))
    changed = patches.clone()
    changed.scatter_(1, hidden[..., None].expand(-1, -1, patches.shape[-1]), 100.0)
    with torch.no_grad():
        same = system.guess(patches, visible, hidden)
        assert torch.equal(same, system.guess(changed, visible, hidden))
        assert_close(system.encoder(video, visible), system.encoder.encode(patches, visible))
        assert not torch.equal(same[:, 0], same[:, 1]), "the guess does not know its place"


def test_the_loss_falls_and_the_target_follows():
    system = VJEPA(TINY)
    optimizer = system.configure_optimizers()["optimizer"]
    batch, losses = clips(), []
    start = {k: v.clone() for k, v in system.target_encoder.state_dict().items()}
    for step in range(60):
        loss = system.losses(batch, step % 4)["prediction"]
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is None for p in system.target_encoder.parameters())
        optimizer.step()
        system.update_target()
        losses.append(float(loss.detach()))
    assert sum(losses[-4:]) < 0.6 * sum(losses[:4])
    moved = [k for k, v in system.target_encoder.state_dict().items() if not v.equal(start[k])]
    assert moved
    for name, ours in system.encoder.named_parameters():
        before = system.target_encoder.get_parameter(name).clone()
        system.update_target()
        after = system.target_encoder.get_parameter(name)
        assert_close(after, 0.9 * before + 0.1 * ours.data)
        break


def test_targets_are_layer_normed_and_pixels_are_the_twin():
    system = VJEPA(TINY)
    patches = system.encoder.cut(system.video(clips()))
    target = system.target(patches)
    assert not target.requires_grad
    assert_close(target.mean(-1), torch.zeros(target.shape[:2]), atol=1e-5, rtol=0)
    twin = VJEPA(replace(TINY, predict="pixels"))
    assert twin.target_encoder is None
    assert twin.target(patches).shape == patches.shape
    assert twin.predictor.out.out_features == patches.shape[-1]
    assert twin.features(clips()).shape == system.features(clips()).shape


def test_without_guard_features_collapse():
    """Gradients into the target: the shortest way to a small loss is to say the same of all."""
    spread = {}
    for target in ("ema", "none"):
        config = replace(TINY, target=target, use_predictor=target == "ema", learning_rate=5e-3)
        system = train(config, clips(64), steps=60, batch_size=16)
        features = system.features(clips(16, seed=1)).flatten(0, 1)
        spread[target] = feature_std(torch.nn.functional.layer_norm(features, (24,)))
    assert spread["none"] < 0.5 * spread["ema"], spread


@pytest.mark.parametrize("regularizer", ["vicreg", "sigreg"])
def test_regularizers_reach_the_encoder(regularizer):
    config = replace(TINY, target="none", regularizer=regularizer)
    system = VJEPA(config)
    losses = system.losses(clips())
    assert set(losses) == {"prediction", regularizer}
    losses[regularizer].backward()
    assert system.encoder.patch_embed.weight.grad.abs().sum() > 0


def test_signs_of_collapse_have_known_values():
    generator = torch.Generator().manual_seed(0)
    gauss = torch.randn(4000, 16, generator=generator)
    assert_close(feature_std(gauss), torch.tensor(1.0), atol=0.02, rtol=0)
    assert effective_rank(gauss) > 15.8
    line = gauss[:, :1] * torch.ones(16)
    assert_close(effective_rank(line), torch.tensor(1.0), atol=1e-2, rtol=0)
    constant = torch.ones(100, 16)
    assert feature_std(constant) == 0
    assert vicreg(gauss) < 0.5 and vicreg(constant) > 20 and vicreg(line) > 10
    directions = random_directions(16, generator)
    assert_close(directions.norm(dim=0), torch.ones(directions.shape[1]))
    normal = sigreg(gauss, directions)
    for other in (constant, line, gauss.sign() * 1.0 + 0.0, 3 * gauss):
        assert sigreg(other, directions) > 3 * normal


# --- probes and the recipe ---------------------------------------------------------------------


def test_pairs_are_scored_against_their_reversal_only():
    logits = torch.tensor([[0.0, 1.0, 9.0], [2.0, 1.0, 9.0], [0.0, 0.0, 1.0]])
    labels = torch.tensor([0, 0, 2])
    assert pair_hits(logits, labels, [(0, 1)]).tolist() == [False, True]
    with pytest.raises(ValueError, match="None of these clips"):
        pair_hits(logits[2:], labels[2:], [(0, 1)])


def test_a_probe_finds_what_one_token_tells():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(400, 6, 12, generator=generator)
    labels = torch.arange(400) % 2
    features[torch.arange(400), torch.randint(6, (400,), generator=generator), 0] += 6 * labels
    score = fit_probe(
        (features[:300], labels[:300]),
        (features[300:], labels[300:]),
        [(0, 1)],
        epochs=60,
        heads=2,
    )
    assert score.accuracy > 0.85 and score.pairs == score.accuracy


def test_the_discs_move_as_their_labels_say():
    clip, label = draw_clips(64, 0.0, torch.Generator().manual_seed(0))
    bright = clip.frames.float().mean(2) - 96
    for direction, (down, right) in enumerate(DIRECTIONS):
        video = bright[label == direction]
        moved = torch.roll(video[:, 0], (2 * down, 2 * right), (1, 2))
        assert_close(moved, video[:, 1], atol=3.0, rtol=0)


def test_clouds_are_as_loud_as_flicker_and_predictable():
    """From the place beside it, and by half from the frame before; flicker from neither."""

    def together(a, b):
        return torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1].item()

    grounds = {f: f(64, torch.Generator().manual_seed(0)) for f in (clouds, flicker)}
    for ground in grounds.values():
        assert ground.shape == (64, 8, 3, 32, 32)
        assert ground.std().item() == pytest.approx(1, abs=0.02)
    beside = {f: together(g[..., :-4], g[..., 4:]) for f, g in grounds.items()}
    before = {f: together(g[:, :-1], g[:, 1:]) for f, g in grounds.items()}
    assert beside[clouds] > 0.5 and before[clouds] == pytest.approx(0.5, abs=0.05)
    assert abs(beside[flicker]) < 0.02 and abs(before[flicker]) < 0.02


def test_every_tier_has_a_recipe_that_fits():
    for tier in ("smoke", "laptop", "colab", "node", "pod"):
        run, config = RECIPE.preset(tier)
        span = config.frame_stride * (config.encoder.frames - 1) + 1
        assert run.clip_frames >= span and run.ema_decay == 0
        assert run.holdout == 0.25
    assert RECIPE.preset("pod")[1] == PAPER


def test_sizes_that_do_not_fit_are_refused():
    system = VJEPA(TINY)
    with pytest.raises(ValueError, match="need clips of 4 frames"):
        system.features(clips(frames=3))
    with pytest.raises(ValueError, match="built for up to 4 frames of 32 x 32"):
        system.features(clips(size=64))


def test_take_selects_tokens():
    x = torch.arange(12.0).view(1, 4, 3)
    assert take(x, torch.tensor([[3, 1]]))[0, :, 0].tolist() == [9.0, 3.0]


def test_clips_are_turned_round_in_training_only():
    always, never = (VJEPA(replace(TINY, reverse=share)) for share in (1.0, 1e-9))
    batch = clips()
    turned = Clip(batch.frames.flip(1))
    assert_close(always.losses(batch, 3)["prediction"], never.losses(turned, 3)["prediction"])
    assert always.losses(batch, 3) != never.losses(batch, 3)
    assert torch.equal(always.features(batch), never.features(batch))
    half = VJEPA(replace(TINY, reverse=0.5)).losses(batch, 3)["prediction"]
    assert half not in (always.losses(batch, 3)["prediction"], never.losses(batch, 3)["prediction"])
