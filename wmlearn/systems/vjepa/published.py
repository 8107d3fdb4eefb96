"""Weights of the published V-JEPA 2 in our modules: facebookresearch/vjepa2, or transformers'.

``hub.read_published`` reads the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from wmlearn.hub import part_of, read_published, renamed

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
    """The tensors under ``name.``, without that prefix and those of its wrappers."""
    authors = "a checkpoint of facebookresearch/vjepa2 (vitl.pt and the like)"
    found = part_of(weights, f"{name}.", authors)
    return {re.sub(r"^(module\.|backbone\.)+", "", key): value for key, value in found.items()}


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
        return nested
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
