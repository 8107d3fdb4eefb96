"""The ST transformer: causal in time, whole in space, and the cache gives the full forward pass."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from wmlearn.nn.st_transformer import STTransformer, rotate, rotation_angles
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
        step, past = model.step(x[:, t], torch.full((3,), t), past)
        assert torch.allclose(step, full[:, t], atol=1e-5)


def test_what_lies_in_empty_slots_does_not_matter_and_states_may_be_of_different_age(model):
    x = torch.randn(2, 4, 5, 16)
    past = model.empty_past(2, window=6).normal_()
    for t in range(3):
        _, past = model.step(x[:, t], torch.full((2,), t), past)
    young = model.empty_past(2, window=6).normal_()
    mixed = torch.stack([past[0], young[1]])
    step, _ = model.step(x[:, 3], torch.tensor([3, 0]), mixed)
    assert torch.allclose(step[0], model(x)[0, 3], atol=1e-5)
    assert torch.allclose(step[1], model(x[:, 3:])[1, 0], atol=1e-5)


def test_only_distances_in_time_count():
    q, k = torch.randn(2, 1, 1, 8)
    products = [
        (rotate(q, rotation_angles(torch.tensor([a]), 8)) * rotate(k, rotation_angles(b, 8))).sum()
        for a, b in ((3, torch.tensor([1])), (13, torch.tensor([11])))
    ]
    assert torch.allclose(*products, atol=1e-5)


def test_patches_go_row_by_row_and_back():
    frames = torch.arange(2 * 3 * 2 * 8 * 8.0).view(2, 3, 2, 8, 8)
    patches = patchify(frames, 4)
    assert patches.shape == (2, 3, 4, 32)
    assert torch.equal(patches[1, 2, 1].view(2, 4, 4), frames[1, 2, :, :4, 4:])
    assert torch.equal(unpatchify(patches, 4, (8, 8)), frames)


def plain_forward(model: STTransformer, x: torch.Tensor) -> torch.Tensor:
    """``model(x)`` as one would write it first: batch first, explicit softmax, rotated tokens."""
    steps, width = x.shape[1], model.head_width
    rotation = rotation_angles(torch.arange(steps), width)

    def attend(layer, x, in_time):  # [..., N, D] -> [..., N, D]
        q, k, v = (
            y.unflatten(-1, (-1, width)).transpose(-2, -3) for y in layer.qkv(x).chunk(3, -1)
        )
        if in_time:
            q, k = rotate(q, rotation), rotate(k, rotation)
        scores = q @ k.mT / width**0.5
        if in_time:
            later = torch.ones(steps, steps, dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        return layer.out((scores.softmax(-1) @ v).transpose(-2, -3).flatten(-2))

    x = x + model.places
    for block in model.blocks:
        x = x + attend(block.spatial, block.norms[0](x), False)
        y = block.norms[1](x).transpose(1, 2).contiguous()
        x = x + attend(block.temporal, y, True).transpose(1, 2)
        x = x + block.ffn(block.norms[2](x))
    return model.norm(x)


def test_it_computes_what_the_plain_form_does():
    torch.manual_seed(0)
    model = STTransformer(dim=32, depth=2, heads=2, space=256, gelu="exact")
    x, wanted = torch.randn(2, 2, 4, 256, 32)

    def gradients(forward):
        model.zero_grad()
        F.mse_loss(forward(x), wanted).backward()
        return [p.grad for p in model.parameters()]

    assert torch.allclose(model(x), plain_forward(model, x), atol=1e-5)
    plain = gradients(lambda x: plain_forward(model, x))
    for ours, theirs in zip(gradients(model), plain, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
