"""Cosmos, autoregressive: rotary positions in 3-D, causality, the cache, sampling, the world."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from wmlearn.data.clip import Clip
from wmlearn.systems.cosmos_ar import (
    PAPER_4B,
    PAPER_12B,
    CosmosAR,
    SamplerConfig,
    Transformer,
)
from wmlearn.systems.cosmos_ar.network import choose
from wmlearn.systems.cosmos_ar.recipe import RECIPE, SHIPPED, SMOKE
from wmlearn.systems.cosmos_ar.transformer import places, rotary_3d

CONFIG = replace(SMOKE, image_size=32, max_steps=10)


@pytest.fixture(scope="module")
def system():
    system = CosmosAR(CONFIG)
    torch.manual_seed(0)
    for parameter in system.parameters():  # zeros would hide what is before them
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    return system.eval()


def clip(batch=2, length=13, seed=0):
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(256, (batch, length, 3, 32, 32), generator=generator).byte()
    return Clip(frames, torch.rand(batch, length - 1, 3, generator=generator))


def tokens(seed=0):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(1000, (2, 48), generator=generator)
    return codes, torch.randn(2, 3, 12, generator=generator)


def test_the_4b_model_has_four_billion_weights_and_12b_what_its_sizes_give():
    """12B's published sizes give 11.6 billion: the name is rounded up."""
    for config, billions in ((PAPER_4B, 4.0), (PAPER_12B, 11.56)):
        with torch.device("meta"):
            model = Transformer(replace(config, image_size=64))
        count = sum(p.numel() for p in model.parameters())
        assert count == pytest.approx(billions * 1e9, rel=0.02)


def test_the_shipped_file_is_small_enough():
    assert sum(p.numel() for p in CosmosAR(SHIPPED).parameters()) * 2 < 12e6


def test_places_are_read_frame_by_frame_and_row_by_row():
    assert places(2, 2).tolist() == [
        [0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]
    ]  # fmt: skip


def test_rotary_products_depend_on_how_far_apart_places_are():
    from wmlearn.nn.attention import rotate

    at = torch.tensor([[0, 0, 0], [2, 1, 3], [5, 5, 5], [7, 6, 8]])
    table = rotary_3d(at, 24, 10_000.0)
    q, k = torch.randn(2, 24)
    turned_q, turned_k = (
        rotate(q.expand(4, -1), table, "halves"),
        rotate(k.expand(4, -1), table, "halves"),
    )
    assert_close(turned_q[0] @ turned_k[1], turned_q[2] @ turned_k[3])
    assert not torch.allclose(turned_q[0] @ turned_k[1], turned_q[0] @ turned_k[2])
    # an axis turns its own channels only
    alone = rotary_3d(torch.tensor([[0, 0, 3]]), 24, 10_000.0)[0, 0]
    still = rotary_3d(torch.tensor([[0, 0, 0]]), 24, 10_000.0)[0, 0]
    assert (alone != still).sum() == 8  # a third of 24


@torch.no_grad()
def test_later_tokens_and_later_actions_change_nothing(system):
    codes, actions = tokens()
    logits = system.transformer(codes, actions)
    other, later = codes.clone(), actions.clone()
    other[:, 20:], later[:, 2] = (other[:, 20:] + 1) % 1000, 9.0
    changed = system.transformer(other, later)
    assert torch.equal(changed[:, :21], logits[:, :21])  # token 20 is seen from place 21 on
    assert not torch.allclose(changed[:, 21], logits[:, 21])
    now = actions.clone()
    now[:, 1] = 9.0
    assert not torch.allclose(system.transformer(codes, now)[:, 16:32], logits[:, 16:32])
    assert torch.equal(system.transformer(codes, now)[:, :16], logits[:, :16])


@torch.no_grad()
def test_the_cache_gives_what_the_whole_sequence_gives(system):
    codes, actions = tokens()
    logits = system.transformer(codes, actions)
    shifted = torch.cat([torch.full((2, 1), -1), codes[:, :-1]], dim=1)
    cache, parts = system.transformer.start(2), []
    for begin, end in ((0, 17), (17, 18), (18, 40), (40, 48)):
        part, cache = system.transformer.step(shifted[:, begin:end], cache, actions)
        parts.append(part)
    assert_close(torch.cat(parts, dim=1), logits, rtol=1e-4, atol=1e-4)


def test_the_loss_of_a_model_that_knows_nothing_is_the_logarithm_of_the_codes():
    model = Transformer(CONFIG)
    torch.nn.init.zeros_(model.head.weight)
    codes, actions = tokens()
    expected = math.log(1000) + CONFIG.transformer.z_loss * math.log(1000) ** 2
    assert_close(model.loss(codes, actions), torch.full((2,), expected))


def test_the_loss_falls_on_one_batch():
    torch.manual_seed(0)
    model, batch = CosmosAR(CONFIG), clip()
    optimizer = torch.optim.Adam(model.transformer.parameters(), 1e-2)
    losses = []
    for step in range(12):
        loss = model.losses(batch, ("transformer",), step % 2)["transformer"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5


def test_nucleus_sampling_draws_only_the_likely_and_in_their_proportion():
    share = torch.tensor([0.1, 0.5, 0.05, 0.35])
    logits = share.log().expand(8000, -1)
    uniform = torch.rand(8000, generator=torch.Generator().manual_seed(0))
    drawn = choose(logits, uniform, SamplerConfig(1.0, 0.8)).bincount(minlength=4) / 8000
    assert drawn[0] == drawn[2] == 0
    assert drawn[1] == pytest.approx(0.5 / 0.85, abs=0.02)
    whole = choose(logits, uniform, SamplerConfig(1.0, 1.0)).bincount(minlength=4) / 8000
    assert_close(whole, share, rtol=0, atol=0.02)
    assert (choose(logits, uniform, SamplerConfig(0.0, 1.0)) == 1).all()
    colder = choose(logits, uniform, SamplerConfig(0.5, 1.0)).bincount(minlength=4) / 8000
    assert_close(colder, share**2 / (share**2).sum(), rtol=0, atol=0.02)


@torch.no_grad()
def test_greedy_drawing_is_the_likeliest_token_each_time(system):
    codes, actions = system.sequences(clip(), torch.zeros(2))
    drawn = system.draw(codes[:, :2], 1, torch.zeros, SamplerConfig(0.0), actions)
    whole = torch.cat([codes[:, :2], drawn], dim=1).flatten(1)
    assert torch.equal(system.transformer(whole, actions)[:, 32:].argmax(-1), whole[:, 32:])


def test_a_world_repeats_by_its_seed(system):
    world, start = system.world(), clip()
    state = world.reset(start)
    assert world.context_frames == 9 and state.codes.shape == (2, 2, 4, 4)
    action = torch.tensor([[0.5, 1.0, 0.0]] * 2)
    draw = [
        world.step(state, action, torch.Generator().manual_seed(seed))[1].frames
        for seed in (0, 0, 1)
    ]
    assert draw[0].shape == (2, 4, 3, 32, 32)
    assert torch.equal(draw[0], draw[1]) and not torch.equal(draw[0], draw[2])


@pytest.mark.parametrize("tier", ["smoke", "laptop", "colab", "node", "pod"])
def test_every_tier_fits_together(tier):
    run, config = RECIPE.preset(tier)
    frames = config.tokenizer.latent_frames(run.clip_frames)
    assert frames >= config.transformer.latent_frames
    assert config.play_latents < config.transformer.latent_frames


def test_codes_are_needed():
    with pytest.raises(ValueError, match="needs codes"):
        CosmosAR(replace(CONFIG, tokenizer=replace(CONFIG.tokenizer, levels=())))
