"""Attention against the equation, its cache against the full pass, and two published networks.

``data/oasis.safetensors`` (etched-ai/open-oasis, MIT) and ``data/dit.safetensors`` (diffusers'
DiT, Apache-2.0; cut to its blocks) hold random weights under published names, inputs, and what
those implementations gave in float32 on a CPU.
"""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from places import REFERENCES
from safetensors.torch import load_file
from torch.testing import assert_close

from wmlearn.nn import attention
from wmlearn.nn.attention import (
    Attention,
    Block,
    attend,
    attend_written_out,
    rotary_table,
    rotate,
)

TOLERANCE = dict(rtol=0, atol=1e-4)
PAIRINGS = ("interleaved", "halves")


def angles(positions: torch.Tensor, width: int) -> torch.Tensor:
    return positions[:, None] / 100 ** torch.linspace(0, 1, width // 2)


def table_of(frames: int, width: int, pairing: str) -> torch.Tensor:
    return rotary_table(angles(torch.arange(frames), width), pairing)


# --- the equation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "causal", "mask"])
def test_both_ways_to_compute_it_agree_in_values_and_gradients(kind):
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 7, 4, dtype=torch.double, requires_grad=True) for _ in range(3))
    mask = torch.rand(2, 1, 7, 7) < 0.6 if kind == "mask" else None
    if kind == "mask":
        mask[..., 0] = True  # a row without a key has no answer
    options = dict(mask=mask, causal=kind == "causal")
    fused = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=kind == "causal")
    written = attend_written_out(q, k, v, **options)
    assert_close(written, fused)
    cotangent = torch.randn_like(fused)
    for a, b in zip(
        torch.autograd.grad(written, (q, k, v), cotangent),
        torch.autograd.grad(fused, (q, k, v), cotangent),
        strict=True,
    ):
        assert_close(a, b)


def test_the_slow_backward_pass_is_avoided_and_nothing_else(monkeypatch):
    called = []

    def note(*args):
        called.append(1)
        return attend_written_out(*args)

    monkeypatch.setattr(attention, "attend_written_out", note)

    def chosen(length, dtype, grad):
        called.clear()
        q, k, v = torch.randn(3, 1, 1, length, 4, dtype=dtype, requires_grad=grad).unbind(0)
        attend(q, k, v)
        return bool(called)

    assert chosen(64, torch.bfloat16, True) and chosen(8, torch.float32, True)
    assert not chosen(64, torch.float32, True)
    assert not chosen(64, torch.bfloat16, False) and not chosen(8, torch.float32, False)


def test_heads_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="even width"):
        Attention(12, 5)
    with pytest.raises(ValueError, match="even width"):
        Attention(15, 5, pairing="halves")


# --- rotary positions -----------------------------------------------------------------------------


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_pairs_of_channels_turn_like_complex_numbers(pairing):
    x, at = torch.randn(5, 8), angles(torch.arange(5), 8)
    pairs = x.unflatten(-1, (4, 2)) if pairing == "interleaved" else x.unflatten(-1, (2, 4)).mT
    turned = torch.view_as_complex(pairs.contiguous()) * torch.polar(torch.ones_like(at), at)
    turned = torch.view_as_real(turned)
    turned = (turned if pairing == "interleaved" else turned.mT).flatten(-2)
    assert_close(rotate(x, rotary_table(at, pairing), pairing), turned, rtol=0, atol=1e-6)


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_only_distances_count(pairing):
    q, k = torch.randn(2, 1, 8)

    def product(i, j):
        at, to = (rotary_table(angles(torch.tensor([n]), 8), pairing) for n in (i, j))
        return (rotate(q, at, pairing) * rotate(k, to, pairing)).sum()

    assert_close(product(3, 1), product(13, 11), rtol=0, atol=1e-5)
    assert abs(product(3, 1) - product(3, 2)) > 1e-3


# --- the cache ------------------------------------------------------------------------------------


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_the_cache_gives_the_full_pass(pairing):
    torch.manual_seed(0)
    layer = Attention(16, 2, pairing=pairing)
    x, table = torch.randn(3, 5, 6, 16), table_of(6, 8, pairing)  # two leading axes
    full = layer(x, table, causal=True)
    past = x.new_zeros(3, 5, 2, 2, 0, 8)
    for t in range(6):
        y, past = layer.step(x[:, :, t : t + 1], table[:, t : t + 1], past)
        assert past.shape == (3, 5, 2, 2, t + 1, 8)
        assert_close(y[:, :, 0], full[:, :, t])


def test_the_cache_of_blocks_of_tokens_and_masked_slots():
    torch.manual_seed(0)
    block = Block(16, 2, pairing="halves", cond_dim=4, context_dim=6)
    for parameter in block.parameters():  # the gates start at zero
        torch.nn.init.normal_(parameter, std=0.3)
    x, table = torch.randn(2, 6, 16), table_of(6, 8, "halves")
    cond, context = torch.randn(2, 1, 4), torch.randn(2, 3, 6)
    frame = torch.arange(6) // 2  # three frames of two tokens
    full = block(x, table, frame[:, None] >= frame, cond=cond, context=context)
    past = torch.randn(2, 2, 2, 1, 8)  # one slot of nonsense, which is masked
    for t in range(0, 6, 2):
        mask = torch.ones(2, 1 + t + 2, dtype=torch.bool)
        mask[:, 0] = False
        new = slice(t, t + 2)
        y, past = block.step(x[:, new], table[:, new], past, mask, cond, context)
        assert_close(y, full[:, new], rtol=1e-4, atol=1e-5)


def test_cross_attention_reads_the_context_and_only_it():
    torch.manual_seed(0)
    layer = Attention(8, 2, context_dim=6)
    x, context = torch.randn(2, 3, 8), torch.randn(2, 5, 6)
    q = layer.q(x).view(2, 3, 2, 4).transpose(1, 2)
    k, v = (part.view(2, 5, 2, 4).transpose(1, 2) for part in layer.kv(context).chunk(2, dim=-1))
    y = (q @ k.mT / 2).softmax(-1) @ v
    wanted = layer.out(y.transpose(1, 2).reshape(2, 3, 8))
    assert_close(layer.cross(x, context), wanted)
    other = torch.cat([x[:, :1], x[:, 1:] + 1], dim=1)  # tokens do not look at each other
    assert_close(layer.cross(other, context)[:, 0], wanted[:, 0])


def test_a_block_whose_gates_are_zero_changes_nothing():
    block = Block(16, 2, cond_dim=4)
    x = torch.randn(2, 3, 16)
    assert_close(block(x, cond=torch.randn(2, 1, 4)), x, rtol=0, atol=0)


# --- published networks ---------------------------------------------------------------------------


def timestep_features(t: torch.Tensor, last: float) -> torch.Tensor:
    frequencies = torch.exp(-math.log(10_000) * torch.arange(128) / last)
    at = t[..., None] * frequencies
    return torch.cat([at.cos(), at.sin()], dim=-1)


def embed(weights: dict, name: str, x: torch.Tensor, layers: tuple[str, str]) -> torch.Tensor:
    first, second = (
        (weights[f"{name}.{layer}.weight"], weights[f"{name}.{layer}.bias"]) for layer in layers
    )
    return F.linear(F.silu(F.linear(x, *first)), *second)


def test_oasis():
    """Spatial and causal temporal blocks with adaLN; rotary positions interleaved, 2-D and 1-D."""
    weights = load_file(REFERENCES / "oasis.safetensors")

    def block(number: int, kind: str) -> Block:
        ours = Block(32, 4, pairing="interleaved", cond_dim=32, gelu="tanh", bias=False)
        prefix = f"model.blocks.{number}.{kind}_"
        names = {
            "attention.qkv.weight": "attn.to_qkv.weight",
            **{f"attention.out.{p}": f"attn.to_out.{p}" for p in ("weight", "bias")},
            **{f"mlp.0.{p}": f"mlp.fc1.{p}" for p in ("weight", "bias")},
            **{f"mlp.2.{p}": f"mlp.fc2.{p}" for p in ("weight", "bias")},
        }
        state = {mine: weights[prefix + theirs] for mine, theirs in names.items()}
        for p in ("weight", "bias"):
            both = weights[f"{prefix}adaLN_modulation.1.{p}"].chunk(2)
            state |= {f"norm{i + 1}.modulation.{p}": part for i, part in enumerate(both)}
        ours.load_state_dict(state)
        return ours

    def table(at: torch.Tensor) -> torch.Tensor:  # their angles come for each channel of a pair
        return rotary_table(at[..., ::2], "interleaved")

    space = table(weights["out.spatial_rotary_angles"].flatten(0, 1))
    freqs = weights["model.temporal_rotary_emb.freqs"]
    time = rotary_table(torch.arange(4)[:, None] * freqs, "interleaved")
    features = timestep_features(weights["in.t"].float(), 128)
    cond = embed(weights, "model.t_embedder.mlp", features, ("0", "2"))
    cond = cond + F.linear(
        weights["in.actions"], weights["model.external_cond.weight"],
        weights["model.external_cond.bias"],
    )  # fmt: skip
    x = weights["out.patch_embed"].flatten(1, 2).unflatten(0, (2, 4))  # [B, T, S, D]
    for number in range(2):
        x = block(number, "s")(x, space, cond=cond[:, :, None])
        x = block(number, "t")(x.transpose(1, 2), time, causal=True, cond=cond[:, None])
        x = x.transpose(1, 2)
        assert_close(x, weights[f"out.block{number}"].flatten(2, 3), **TOLERANCE)


def test_dit():
    """adaLN-zero, without positions in the attention."""
    weights = load_file(REFERENCES / "dit.safetensors")
    x = weights["out.dit.tokens"]
    for number in range(2):
        prefix = f"dit.transformer_blocks.{number}."
        state = {}
        for p in ("weight", "bias"):
            qkv = [weights[f"{prefix}attn1.to_{part}.{p}"] for part in "qkv"]
            state[f"attention.qkv.{p}"] = torch.cat(qkv)
            state[f"attention.out.{p}"] = weights[f"{prefix}attn1.to_out.0.{p}"]
            state[f"mlp.0.{p}"] = weights[f"{prefix}ff.net.0.proj.{p}"]
            state[f"mlp.2.{p}"] = weights[f"{prefix}ff.net.2.{p}"]
            both = weights[f"{prefix}norm1.linear.{p}"].chunk(2)
            state |= {f"norm{i + 1}.modulation.{p}": part for i, part in enumerate(both)}
        block = Block(32, 4, cond_dim=32, gelu="tanh")
        block.load_state_dict(state)
        name = prefix + "norm1.emb."
        features = timestep_features(weights["in.dit.timestep"].float(), 127)
        cond = embed(weights, name + "timestep_embedder", features, ("linear_1", "linear_2"))
        labels = weights["in.dit.class_labels"]
        cond = cond + weights[name + "class_embedder.embedding_table.weight"][labels]
        x = block(x, cond=cond[:, None])
        assert_close(x, weights[f"out.dit.block{number}"], **TOLERANCE)
