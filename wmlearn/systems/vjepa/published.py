"""Weights of the published V-JEPA 2 in our modules: facebookresearch/vjepa2, or transformers'.

:func:`load` is what ``wmlearn.load_published("vjepa", path)`` calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from wmlearn.hub import fill, part_of, read_published, renamed
from wmlearn.systems.vjepa.config import PAPER, EncoderConfig, VJEPAConfig
from wmlearn.systems.vjepa.system import VJEPA

# Attention heads do not show in the weights: those of the published ViT-L, ViT-H and ViT-g, by D.
_HEADS = {1024: 16, 1280: 16, 1408: 22}
_FRAMES = 64  # the longest clip of the published loaders

# Published name -> ours, in this order; the rest of a name is the same in both.
_BLOCK = [
    (r"\.attn\.proj\.", ".attention.out."),
    (r"\.attn\.", ".attention."),
    (r"\.mlp\.fc1\.", ".mlp.0."),
    (r"\.mlp\.fc2\.", ".mlp.2."),
]
_PREDICTOR = [(r"^predictor_blocks\.", "blocks."), (r"^predictor_proj\.", "out.")]
_PREDICTOR += [(r"^predictor_", "")]
_TRANSFORMERS = [  # the library's names -> those of the published code
    (r"encoder\.embeddings\.patch_embeddings\.proj\.", "encoder.patch_embed.proj."),
    (r"encoder\.layernorm\.", "encoder.norm."),
    (r"encoder\.layer\.", "encoder.blocks."),
    (r"predictor\.embeddings\.predictor_embeddings\.", "predictor.predictor_embed."),
    (r"predictor\.layernorm\.", "predictor.predictor_norm."),
    (r"predictor\.proj\.", "predictor.predictor_proj."),
    (r"predictor\.layer\.", "predictor.predictor_blocks."),
    (r"\.attention\.", ".attn."),
]


def _part(weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors under ``name.``, without that prefix and those of its wrappers.

    Tables of absolute positions are left out: the released models place by rotation (RoPE).
    """
    authors = "a checkpoint of facebookresearch/vjepa2 (vitl.pt and the like)"
    found = part_of(weights, f"{name}.", authors)
    found = {re.sub(r"^(module\.|backbone\.)+", "", key): value for key, value in found.items()}
    return {key: v for key, v in found.items() if key not in ("pos_embed", "predictor_pos_embed")}


def convert_encoder(weights: Mapping[str, Tensor], part: str = "encoder") -> dict[str, Tensor]:
    """Published weights -> ``Encoder`` state dict.

    Args:
        weights: as :func:`read_weights` gives them.
        part: ``"encoder"``, or ``"target_encoder"`` for the running average.
    """
    ours = {renamed(name, _BLOCK): value for name, value in _part(weights, part).items()}
    ours["patch_embed.bias"] = ours.pop("patch_embed.proj.bias")
    ours["patch_embed.weight"] = ours.pop("patch_embed.proj.weight").flatten(1)
    return ours


def convert_predictor(weights: Mapping[str, Tensor], part: str = "predictor") -> dict[str, Tensor]:
    """Published weights -> ``Predictor`` state dict."""
    theirs = _part(weights, part)
    tokens = sorted((name for name in theirs if name.startswith("mask_tokens.")), key=_number)
    rest = {name: value for name, value in theirs.items() if name not in tokens}
    ours = {renamed(name, _PREDICTOR + _BLOCK): value for name, value in rest.items()}
    ours["mask_tokens"] = torch.cat([theirs[name].flatten(0, 1) for name in tokens])
    return ours


def convert_ac_predictor(
    weights: Mapping[str, Tensor], part: str = "ac_predictor"
) -> dict[str, Tensor]:
    """Published weights -> state dict of ``wmlearn.systems.vjepa2_ac``'s predictor.

    In the released ``vjepa2-ac-vitg.pt`` the part is called ``"predictor"``. The layer for camera
    positions is left out, since no published configuration uses it.
    """
    theirs = _part(weights, part)
    return {
        renamed(name, _PREDICTOR + _BLOCK): value
        for name, value in theirs.items()
        if not name.startswith("extrinsics_encoder.")
    }


def from_transformers(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of transformers' ``VJEPA2Model`` -> names of the published code."""
    ours: dict[str, Tensor] = {}
    for name, value in weights.items():
        if name == "predictor.embeddings.mask_tokens":
            ours |= {f"predictor.mask_tokens.{i}": token for i, token in enumerate(value)}
        elif match := re.match(r"(.*\.)query\.(weight|bias)$", name):
            qkv = [weights[f"{match[1]}{part}.{match[2]}"] for part in ("query", "key", "value")]
            ours[renamed(f"{match[1]}qkv.{match[2]}", _TRANSFORMERS)] = torch.cat(qkv)
        elif not re.search(r"\.(key|value)\.(weight|bias)$", name):
            ours[renamed(name, _TRANSFORMERS)] = value
    return ours


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Tensors of the encoders and the predictor by name from ``path``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: ``hub.read_published`` refuses it, or it has none of these parts.
    """
    nested = read_published(path)
    if Path(path).suffix == ".safetensors":
        theirs = any(name.startswith("encoder.embeddings.") for name in nested)
        return from_transformers(nested) if theirs else nested
    flat: dict[str, Tensor] = {}
    for part in ("encoder", "target_encoder", "predictor"):
        for name, value in (nested.get(part) or {}).items():
            if isinstance(value, Tensor):
                flat[f"{part}.{name}"] = value
    if not flat:
        raise ValueError(
            f"{path} has none of the parts encoder, target_encoder and predictor; expected a "
            "checkpoint of V-JEPA 2."
        )
    return flat


def _number(name: str) -> int:
    return int(name.rsplit(".", 1)[1])


def load(path: str | Path, config: VJEPAConfig | None = None) -> VJEPA:
    """The published encoder, its running average and the predictor.

    Args:
        path: ``vitl.pt`` and the like, or transformers' ``model.safetensors``.
        config: by default with the sizes that the weights have, for frames of 256 x 256; weights do
            not know the size of a frame, so the models of 384 x 384 must be told.
    """
    weights = read_weights(path)
    encoder, predictor = convert_encoder(weights), convert_predictor(weights)
    if config is None:
        sizes = replace(PAPER.predictor, **_sizes(predictor, path, heads=PAPER.predictor.heads))
        sizes = replace(sizes, mask_tokens=len(predictor["mask_tokens"]))
        config = replace(PAPER, encoder=encoder_sizes(encoder, path), predictor=sizes)
    system = VJEPA(config)
    fill(system.encoder, encoder, path)
    fill(system.predictor, predictor, path)
    averaged = any(name.startswith("target_encoder.") for name in weights)
    if system.target_encoder is not None:
        target = convert_encoder(weights, "target_encoder") if averaged else encoder
        fill(system.target_encoder, target, path)
    return system


def encoder_sizes(weights: Mapping[str, Tensor], path: str | Path) -> EncoderConfig:
    """The sizes of a converted encoder, for frames of the paper's size."""
    return replace(PAPER.encoder, frames=_FRAMES, **_sizes(weights, path))


def _sizes(weights: Mapping[str, Tensor], path: str | Path, heads: int = 0) -> dict[str, float]:
    """What the tensors of a transformer say of its sizes: dim, depth, heads, mlp_ratio."""
    hidden, dim = weights["blocks.0.mlp.0.weight"].shape
    if not (heads or dim in _HEADS):
        raise ValueError(
            f"{path} holds a transformer of width {dim}, which is none of the published "
            f"({', '.join(map(str, _HEADS))}): give the config that it was made with."
        )
    depth = 1 + max(int(m[1]) for name in weights if (m := re.match(r"blocks\.(\d+)\.", name)))
    return dict(dim=dim, depth=depth, heads=heads or _HEADS[dim], mlp_ratio=hidden / dim)
