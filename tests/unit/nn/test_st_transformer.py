"""The ST transformer: causal in time, whole in space, and the cache gives the full forward pass."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from wmlearn.nn.attention import rotate
from wmlearn.nn.st_transformer import STTransformer, time_table
from wmlearn.pixels import patchify, unpatchify


@pytest.fixture
def model() -> STTransformer:
    torch.manual_seed(0)
    model = STTransformer(dim=16, depth=2, heads=2, space=5)
    for parameter in model.parameters():  # branches that start small would hide a leak
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def test_no_frame_depends_on_a_later_one(model):
    x = torch.randn(2, 6, 5, 16)
    changed = x.clone()
    changed[:, 4:] += torch.randn(2, 2, 5, 16)
    before, after = model(x), model(changed)
    assert torch.allclose(before[:, :4], after[:, :4], atol=1e-6)
    assert not torch.allclose(before[:, 4:], after[:, 4:], atol=1e-2)


def test_a_token_depends_on_every_place_of_its_frame_and_of_the_past(model):
    x = torch.randn(1, 3, 5, 16, requires_grad=True)
    model(x)[0, 2, 1].sum().backward()
    assert (x.grad[0].abs().sum(-1) > 0).all()


def test_the_cache_gives_the_full_forward_pass(model):
    x = torch.randn(3, 6, 5, 16)
    full, past = model(x), model.empty_past(3, window=6)
    for t in range(6):
        step, longer = model.step(x[:, t], torch.full((3,), t), past)
        past = model.remember(past, longer)
        assert torch.allclose(step, full[:, t], atol=1e-5)


def test_what_lies_in_empty_slots_does_not_matter_and_states_may_be_of_different_age(model):
    x = torch.randn(2, 4, 5, 16)
    past = model.empty_past(2, window=6).normal_()
    for t in range(3):
        past = model.remember(past, model.step(x[:, t], torch.full((2,), t), past)[1])
    young = model.empty_past(2, window=6).normal_()
    mixed = torch.stack([past[0], young[1]])
    step, _ = model.step(x[:, 3], torch.tensor([3, 0]), mixed)
    assert torch.allclose(step[0], model(x)[0, 3], atol=1e-5)
    assert torch.allclose(step[1], model(x[:, 3:])[1, 0], atol=1e-5)


def test_only_distances_in_time_count():
    q, k = torch.randn(2, 1, 8)

    def product(i: int, j: int):
        at, to = (time_table(torch.tensor([n]), 8) for n in (i, j))
        return (rotate(q, at, "halves") * rotate(k, to, "halves")).sum()

    assert torch.allclose(product(3, 1), product(13, 11), atol=1e-5)


def test_a_condition_reaches_its_frame_and_later_ones_by_the_cache_too():
    torch.manual_seed(0)
    model = STTransformer(dim=16, depth=2, heads=2, space=5, cond_dim=4)
    for parameter in model.parameters():  # the gates start at zero
        torch.nn.init.normal_(parameter, std=0.3)
    x, cond = torch.randn(2, 4, 5, 16), torch.randn(2, 4, 1, 4)
    full = model(x, cond)
    other = cond.clone()
    other[:, 2] += 1
    changed = (model(x, other) - full).abs().amax((0, 2, 3))
    assert (changed[:2] == 0).all() and (changed[2:] > 0.01).all()
    past = model.empty_past(2, window=4)
    for t in range(4):
        step, longer = model.step(x[:, t], torch.full((2,), t), past, cond[:, t])
        past = model.remember(past, longer)
        assert torch.allclose(step, full[:, t], atol=1e-5)


def test_patches_go_row_by_row_and_back():
    frames = torch.arange(2 * 3 * 2 * 8 * 8.0).view(2, 3, 2, 8, 8)
    patches = patchify(frames, 4)
    assert patches.shape == (2, 3, 4, 32)
    assert torch.equal(patches[1, 2, 1].view(2, 4, 4), frames[1, 2, :, :4, 4:])
    assert torch.equal(unpatchify(patches, 4, (8, 8)), frames)


def plain_forward(model: STTransformer, x: torch.Tensor) -> torch.Tensor:
    """``model(x)`` as one would write it first: head by head, explicit softmax, complex turns."""
    steps, width = x.shape[1], model.head_width
    angles = torch.arange(steps)[:, None] * 100 ** -torch.linspace(0, 1, width // 2)
    turn = torch.polar(torch.ones_like(angles), angles)

    def turned(x):  # [..., T, d]; channels i and i + d / 2 are a complex number
        out = torch.complex(*x.chunk(2, -1)) * turn
        return torch.cat([out.real, out.imag], -1)

    def attend(layer, x, in_time):  # [..., N, D] -> [..., N, D]
        heads = []
        for q, k, v in zip(*(y.split(width, -1) for y in layer.qkv(x).chunk(3, -1)), strict=True):
            if in_time:
                q, k = turned(q), turned(k)
            scores = q @ k.mT / width**0.5
            if in_time:
                later = torch.ones(steps, steps, dtype=torch.bool).triu(1)
                scores = scores.masked_fill(later, -torch.inf)
            heads.append(scores.softmax(-1) @ v)
        return layer.out(torch.cat(heads, -1))

    x = x + model.places
    for block in model.blocks:
        x = x + attend(block.spatial, block.norms[0](x), False)
        y = block.norms[1](x).transpose(1, 2)
        x = x + attend(block.temporal, y, True).transpose(1, 2)
        x = x + block.ffn(block.norms[2](x))
    return model.norm(x)


@pytest.mark.parametrize("steps", [4, 20])  # attention is computed in one of two ways
def test_it_computes_what_the_plain_form_does(steps):
    torch.manual_seed(0)
    model = STTransformer(dim=32, depth=2, heads=2, space=12, gelu="exact")
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x, wanted = torch.randn(2, 2, steps, 12, 32)

    def gradients(forward):
        model.zero_grad()
        F.mse_loss(forward(x), wanted).backward()
        return [p.grad.clone() for p in model.parameters()]

    assert torch.allclose(model(x), plain_forward(model, x), atol=1e-5)
    ours, plain = gradients(model), gradients(lambda x: plain_forward(model, x))
    for mine, theirs in zip(ours, plain, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)
