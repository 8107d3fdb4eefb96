"""The video transformer: each option does what it says and is off by default; the cache is exact.

Parity: ``data/dit.safetensors`` (diffusers' DiT and Latte, Apache-2.0), to 1e-4.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from torch.testing import assert_close

from wmlearn.nn.video_block import VideoBlock
from wmlearn.nn.video_transformer import VideoTransformer, VideoTransformerConfig, band, places

SMALL = VideoTransformerConfig(
    channels=3, height=4, width=6, frames=4, dim=16, layers=2, heads=2, adaln_rank=3
)
ALL = {"text_dim": 5, "conditioning_dim": 7}
REFERENCES = Path(__file__).parents[2] / "data"
TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}


def lively(**options) -> VideoTransformer:
    """A network whose gates and last layers are not zero, as they are before training."""
    torch.manual_seed(0)
    model = VideoTransformer(replace(SMALL, **options))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.25)
    return model


def inputs(model: VideoTransformer, frames: int, batch: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    config = model.config
    z = torch.randn(
        batch, frames, config.channels, config.height, config.width, generator=generator
    )
    return z, torch.rand(batch, frames, generator=generator)


def conditions(model: VideoTransformer, frames: int, batch: int = 2) -> dict:
    generator = torch.Generator().manual_seed(2)
    given = {}
    if model.config.text_dim:
        given["text"] = torch.randn(batch, 3, model.config.text_dim, generator=generator)
        given["text_mask"] = torch.tensor([[True, True, False], [True, True, True]])[:batch]
    if width := model.config.conditioning_dim:
        given["conditioning"] = torch.randn(batch, frames, width, generator=generator)
    return given


def influence(model: VideoTransformer, frames: int, at: tuple[int, ...]) -> torch.Tensor:
    """[T, H, W] bool: which inputs pixel ``at`` = (t, y, x) of the output depends on."""
    z, level = inputs(model, frames, batch=1)
    z.requires_grad_()
    t, y, x = at
    model(z, level)[0, t, :, y, x].sum().backward()
    return z.grad[0].abs().sum(1) > 0


# --- shapes and beginnings ------------------------------------------------------------------------


def test_the_output_has_the_wanted_channels_and_begins_at_zero():
    model = VideoTransformer(replace(SMALL, out_channels=5, **ALL))
    z, level = inputs(model, 4)
    out = model(z, level, **conditions(model, 4))
    assert out.shape == (2, 4, 5, 4, 6)
    assert not out.any()


def test_options_are_off_by_default():
    names = {name.split(".")[0] for name, _ in VideoTransformer(SMALL).named_parameters()}
    assert names == {"embed", "level", "blocks", "final", "head"}
    assert SMALL.kinds == ("space", "time", "mlp")


def test_conditioning_starts_without_influence():
    torch.manual_seed(0)
    model = VideoTransformer(replace(SMALL, conditioning_dim=7))
    level = torch.rand(2, 4)
    without = model.condition(level)
    assert_close(model.condition(level, conditioning=torch.randn(2, 4, 7)), without, rtol=0, atol=0)


def test_shared_adaln_costs_less_and_rank_0_still_less():
    def size(**options) -> int:
        wide = replace(SMALL, dim=64, heads=2, layers=5, **options)
        return sum(parameter.numel() for parameter in VideoTransformer(wide).parameters())

    full, shared = size(), size(adaln="shared", adaln_rank=4)
    table = size(adaln="shared", adaln_rank=0)
    assert full > shared > table
    assert shared - table == 5 * 4 * (64 + 9 * 64)
    maps = 5 * (64 + 1) * 9 * 64 + (64 + 1) * 2 * 64
    assert full - table == maps - (64 + 1) * 9 * 64 - 5 * 9 * 64 - 2 * 64


@pytest.mark.parametrize(
    ("wrong", "word"),
    [({"height": 5}, "multiples of"), ({"frames": 5, "tubelet": 2}, "tubelet"),
     ({"heads": 3}, "even"), ({"adaln": "none"}, "adaln")],
)  # fmt: skip
def test_impossible_sizes_are_refused(wrong, word):
    with pytest.raises(ValueError, match=word):
        replace(SMALL, **wrong)


# --- who looks at whom ----------------------------------------------------------------------------


@pytest.mark.parametrize("factorized", [True, False])
def test_time_is_causal_or_goes_both_ways(factorized):
    causal = influence(lively(causal=True, factorized=factorized), 4, (1, 0, 0))
    assert causal[:2].all() and not causal[2:].any()
    both = influence(lively(factorized=factorized), 4, (1, 0, 0))
    assert both.all()


def test_attention_in_time_sees_its_place_and_full_attention_sees_all():
    block = VideoBlock(16, 2, ("time", "mlp"))
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(1, 4, 6, 16, requires_grad=True)
    block(x, torch.randn(1, 4, 16))[0][0, 1, 2].sum().backward()
    seen = x.grad[0].abs().sum(-1) > 0
    assert seen[:, 2].all() and seen.sum() == 4
    assert influence(lively(layers=1, factorized=False), 4, (1, 0, 0)).all()


def test_a_causal_frame_sees_a_window_and_no_more():
    seen = influence(lively(causal=True, layers=1), 7, (6, 0, 0))
    assert seen[3:].all() and not seen[:3].any()
    assert band(torch.tensor([5]), torch.tensor([-1, 1, 2, 5, 6]), 4).tolist() == [
        [False, False, True, True, False]
    ]


def test_each_frame_has_its_own_level():
    model = lively(causal=True)
    z, level = inputs(model, 4)
    other = level.clone()
    other[:, 2] += 0.3
    before, after = model(z, level), model(z, other)
    assert_close(before[:, :2], after[:, :2])
    assert not torch.allclose(before[:, 2], after[:, 2], atol=1e-3)


@pytest.mark.parametrize("adaln", ["full", "shared"])
def test_words_and_conditions_count_and_hidden_words_do_not(adaln):
    model = lively(adaln=adaln, **ALL)
    z, level = inputs(model, 4)
    given = conditions(model, 4)
    out = model(z, level, **given)
    hidden = given["text"].clone()
    hidden[0, 2] += 10
    assert_close(model(z, level, **{**given, "text": hidden}), out)
    seen = given["text"].clone()
    seen[:, 1] += 1
    assert not torch.allclose(model(z, level, **{**given, "text": seen}), out, atol=1e-3)
    acted = given["conditioning"].clone()
    acted[:, 3] += 1
    assert not torch.allclose(model(z, level, **{**given, "conditioning": acted}), out, atol=1e-3)


def test_a_row_whose_words_are_all_hidden_is_a_video_without_words():
    model = lively(text_dim=5)
    z, level = inputs(model, 4)
    text = torch.randn(2, 3, 5)
    mask = torch.tensor([[True, True, True], [False, False, False]])
    mixed, without = model(z, level, text=text, text_mask=mask), model(z, level)
    assert_close(mixed[1], without[1])
    assert not torch.allclose(mixed[0], without[0], atol=1e-3)


def test_tubelets_are_two_frames_a_token():
    model = lively(tubelet=2)
    z, level = inputs(model, 4)
    assert model.tokens(z)[0].shape == (2, 2, 6, 16)
    assert model(z, level).shape == z.shape
    other = level.clone()
    other[:, 1] += 1  # the first frame of a tubelet tells its level
    assert_close(model(z, level), model(z, other))


def test_other_sizes_of_picture_and_single_frames_are_taken():
    model = lively()
    wide = torch.randn(1, 1, 3, 2, 10)
    assert model(wide, torch.rand(1, 1)).shape == wide.shape
    assert_close(places(2, 3, 16), model.places)


# --- the cache ------------------------------------------------------------------------------------


def play(model, z, level, given, chunks, dirty=False):
    cache = model.start(len(z))
    if dirty:
        cache = replace(cache, keys=torch.randn_like(cache.keys))
    out, at = [], 0
    for size in chunks:
        part = slice(at, at + size)
        now = {**given}
        if "conditioning" in given:
            now["conditioning"] = given["conditioning"][:, part]
        for _ in range(2):  # denoising passes: they read
            noisy = torch.randn_like(z[:, part])
            _, same = model.step(noisy, level[:, part], cache, **now, write=False)
            assert same is cache
        frames, cache = model.step(z[:, part], level[:, part], cache, **now)
        out.append(frames)
        at += size
    return torch.cat(out, dim=1), cache


@pytest.mark.parametrize("factorized", [True, False])
@pytest.mark.parametrize("chunks", [[1] * 9, [3, 1, 4, 1], [4, 4, 1], [2, 3, 4]])
def test_the_cached_step_equals_the_full_pass_also_beyond_the_window(factorized, chunks):
    model = lively(causal=True, factorized=factorized, adaln="shared", **ALL)
    z, level = inputs(model, 9)
    given = conditions(model, 9)
    played, cache = play(model, z, level, given, chunks, dirty=True)
    assert_close(played, model(z, level, **given), atol=2e-5, rtol=1e-4)
    assert cache.time.tolist() == [9, 9]


def test_the_cached_step_of_tubelets():
    model = lively(causal=True, tubelet=2)
    z, level = inputs(model, 8)
    played, _ = play(model, z, level, {}, [2, 4, 2])
    assert_close(played, model(z, level), atol=2e-5, rtol=1e-4)


def test_states_of_different_age_may_be_mixed():
    model = lively(causal=True)
    z, level = inputs(model, 4)
    _, old = play(model, z[:, :3], level[:, :3], {}, [3])
    new = model.start(2)
    mixed = replace(
        old, **{k: torch.stack([getattr(old, k)[0], getattr(new, k)[1]])
                for k in ("keys", "values", "time")},
    )  # fmt: skip
    out, _ = model.step(z[:, 3:], level[:, 3:], mixed)
    assert_close(out[0], model(z, level)[0, 3:], atol=2e-5, rtol=1e-4)
    assert_close(out[1], model(z[:, 3:], level[:, 3:])[1], atol=2e-5, rtol=1e-4)


def test_a_model_that_looks_both_ways_has_no_step():
    model = lively()
    z, level = inputs(model, 1)
    with pytest.raises(ValueError, match="causal=True"):
        model.step(z, level, model.start(2))


# --- published networks ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference() -> dict[str, torch.Tensor]:
    return load_file(REFERENCES / "dit.safetensors")


def timestep(weights: dict, prefix: str, t: torch.Tensor, last: int) -> torch.Tensor:
    """Their embedding of the noise level, [B, D]; the tests put it in place of ours."""
    frequencies = torch.exp(-math.log(10_000) * torch.arange(128) / last)
    at = t[:, None].float() * frequencies
    x = torch.cat([at.cos(), at.sin()], dim=-1)
    for number in (1, 2):
        name = f"{prefix}timestep_embedder.linear_{number}."
        x = F.linear(
            F.silu(x) if number == 2 else x, weights[name + "weight"], weights[name + "bias"]
        )
    return x


def sub_layers(weights: dict, prefix: str, attention: str) -> dict:
    """Their transformer block's weights under our names; ``attention``: "space" or "time"."""
    state = {}
    for p in ("weight", "bias"):
        for ours, theirs in ((attention, "attn1"), ("text", "attn2")):
            if f"{prefix}{theirs}.to_q.{p}" not in weights:
                continue
            q, k, v = (weights[f"{prefix}{theirs}.to_{part}.{p}"] for part in "qkv")
            if ours == "text":
                state |= {f"layers.text.q.{p}": q, f"layers.text.kv.{p}": torch.cat([k, v])}
            else:
                state[f"layers.{ours}.qkv.{p}"] = torch.cat([q, k, v])
            state[f"layers.{ours}.out.{p}"] = weights[f"{prefix}{theirs}.to_out.0.{p}"]
        state[f"layers.mlp.0.{p}"] = weights[f"{prefix}ff.net.0.proj.{p}"]
        state[f"layers.mlp.2.{p}"] = weights[f"{prefix}ff.net.2.{p}"]
    return state


def ends(weights: dict, prefix: str, out: str, channels: int, patch: int = 2) -> dict:
    """Their patch embedding and last layer: there a patch's channels come last, here first."""
    head = {p: weights[f"{prefix}{out}.{p}"] for p in ("weight", "bias")}
    return {
        "embed.weight": weights[prefix + "pos_embed.proj.weight"].flatten(1),
        "embed.bias": weights[prefix + "pos_embed.proj.bias"],
        "head.weight": head["weight"]
        .unflatten(0, (patch**2, channels))
        .transpose(0, 1)
        .flatten(0, 1),
        "head.bias": head["bias"].unflatten(0, (patch**2, channels)).transpose(0, 1).flatten(),
    }


def test_dit(reference):
    """The whole network, from patches to output: adaLN-zero, sines for places, one frame."""
    config = VideoTransformerConfig(
        channels=4, out_channels=8, height=8, width=8, frames=1, dim=32, layers=2, heads=4
    )
    model = VideoTransformer(config)
    state = ends(reference, "dit.", "proj_out_2", 8)
    for p in ("weight", "bias"):  # theirs gives shift, then scale, as ours
        state[f"final.{p}"] = reference[f"dit.proj_out_1.{p}"]
    model.blocks = nn.ModuleList(VideoBlock(32, 4, ("space", "mlp")) for _ in range(2))
    for number in range(2):
        prefix = f"dit.transformer_blocks.{number}."
        block = sub_layers(reference, prefix, "space")
        block |= {
            f"modulation.linear.{p}": reference[f"{prefix}norm1.linear.{p}"]
            for p in ("weight", "bias")
        }
        state |= {f"blocks.{number}.{name}": value for name, value in block.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all(name.startswith("level.") for name in missing)
    labels = "dit.transformer_blocks.0.norm1.emb.class_embedder.embedding_table.weight"
    prefix = "dit.transformer_blocks.0.norm1.emb."
    c = timestep(reference, prefix, reference["in.dit.timestep"], 127)
    c = (c + reference[labels][reference["in.dit.class_labels"]])[:, None]
    z = reference["in.dit.x"][:, None]
    assert_close(model.tokens(z)[0][:, 0], reference["out.dit.tokens"], **TOLERANCE)
    model.condition = lambda *_: c
    out = model(z, torch.zeros(2, 1))
    assert_close(out[:, 0], reference["out.dit.sample"], **TOLERANCE)


@pytest.mark.parametrize("name", ["latte", "latte_text"])
def test_latte(reference, name):
    """Blocks in space and in time in turn, one shared adaLN with a table a block, words."""
    config = VideoTransformerConfig(
        channels=4, height=8, width=8, frames=5, dim=32, layers=2, heads=4, adaln="shared",
        adaln_rank=0,
    )  # fmt: skip
    model = VideoTransformer(config)
    kinds = ("space", "text", "mlp") if name == "latte_text" else ("space", "mlp")
    model.blocks = nn.ModuleList()
    state = ends(reference, f"{name}.", "proj_out", 4)
    state["final_table"] = reference[f"{name}.scale_shift_table"]
    for p in ("weight", "bias"):
        state[f"shared.{p}"] = reference[f"{name}.adaln_single.linear.{p}"]
    for number in range(2):
        for kind, theirs in (("space", ""), ("time", "temporal_")):
            prefix = f"{name}.{theirs}transformer_blocks.{number}."
            at = f"blocks.{len(model.blocks)}."
            block = VideoBlock(32, 4, kinds if kind == "space" else ("time", "mlp"), rank=0)
            if "text" in block.kinds:
                block.norms["text"] = nn.Identity()  # theirs reads the tokens as they are
            model.blocks.append(block)
            given = sub_layers(reference, prefix, kind)
            given["modulation.table"] = reference[prefix + "scale_shift_table"].flatten()
            state |= {at + key: value for key, value in given.items()}
    model.shared = nn.Linear(32, 6 * 32)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all(key.startswith("level.") for key in missing)

    c = timestep(reference, f"{name}.adaln_single.emb.", reference["in.latte.timestep"], 128)
    c = c[:, None].expand(-1, 5, -1)
    words = reference["in.latte.text"]
    for number in (1, 2):
        layer = f"{name}.caption_projection.linear_{number}."
        words = F.linear(words, reference[layer + "weight"], reference[layer + "bias"])
        words = F.gelu(words, approximate="tanh") if number == 1 else words
    x, size = model.tokens(reference["in.latte.x"].transpose(1, 2))
    active, shared = model._shared(c)
    for number, block in enumerate(model.blocks):
        if number == 1:  # theirs counts frames here, once; ours turns queries and keys
            x = x + places(1, 5, 64)[:, :32].unflatten(0, (1, 5, 1))
        x, _ = block(x, active, shared, words=words)
        kind = "spatial" if number % 2 == 0 else "temporal"
        wanted = reference[f"out.{name}.{kind}{number // 2}"]
        ours = x if kind == "spatial" else x.transpose(1, 2)
        assert_close(ours.flatten(0, 1), wanted, **TOLERANCE)
    out = model.output(x, c, size)
    assert_close(out.transpose(1, 2), reference[f"out.{name}.sample"], **TOLERANCE)
