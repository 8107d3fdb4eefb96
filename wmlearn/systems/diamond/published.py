"""Weights of the published DIAMOND (eloialonso/diamond) in our modules.

Only tensors are read, from ``.pt`` (weights only, no pickled code runs) or ``.safetensors``.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

# Published name -> ours, in this order; the rest of a name is the same in both.
_COMMON = [
    (r"\bnoise_emb\.", "noise_embedding."),
    (r"\bact_emb\.0\.", "action_embedding."),
    (r"\bact_emb\.", "action_embedding."),
    (r"\bcond_proj\.", "cond_projection."),
    (r"\bnorm_out\.norm\.", "norm_out."),
    (r"\battn\.norm\.norm\.", "attention.norm."),
    (r"\battn\.qkv_proj\.", "attention.qkv."),
    (r"\battn\.out_proj\.", "attention.out."),
    (r"\bproj\.", "shortcut."),
]
_UNET = [
    (r"unet\.d_blocks\.(\d+)\.resblocks\.", r"unet.encoder.levels.\1."),
    (r"unet\.u_blocks\.(\d+)\.resblocks\.", r"unet.levels.\1."),
    (r"unet\.mid_blocks\.resblocks\.", "unet.middle."),
    (r"unet\.downsamples\.", "unet.encoder.downs."),
    (r"unet\.upsamples\.", "unet.ups."),
]


def _rename(name: str, rules: list[tuple[str, str]]) -> str:
    for pattern, ours in rules:
        name = re.sub(pattern, ours, name)
    return name


def _part(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    part = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    if not part:
        raise ValueError(
            f"No weights named '{prefix}...' in this file; is it an agent checkpoint of "
            "eloialonso/diamond (agent_versions/*.pt, or Breakout.pt and the like)?"
        )
    return part


def convert_denoiser(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published agent's weights -> ``Denoiser`` state dict."""
    return {_rename(k, _UNET + _COMMON): v for k, v in _part(weights, "denoiser.").items()}


def convert_reward_end(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published agent's weights -> ``RewardEnd`` state dict."""
    part = _part(weights, "rew_end_model.")
    # The published encoder numbers the two last blocks as one more level.
    last = max(int(match[1]) for k in part if (match := re.match(r"encoder\.blocks\.(\d+)", k)))
    rules = [
        (r"encoder\.conv_in\.", "conv_in."),
        (rf"encoder\.blocks\.{last}\.resblocks\.", "last_blocks."),
        (r"encoder\.blocks\.(\d+)\.resblocks\.", r"encoder.levels.\1."),
        (r"encoder\.downsamples\.", "encoder.downs."),
    ]
    return {_rename(k, rules + _COMMON): v for k, v in part.items()}


def convert_actor_critic(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published agent's weights -> ``ActorCritic`` state dict."""
    rules = [
        (r"\.f\.0\.norm\.", ".norm."),
        (r"\.f\.2\.", ".conv."),
        (r"\.skip_projection\.", ".shortcut."),
        (r"critic_linear\.", "critic."),
        (r"actor_linear\.", "actor."),
        (r"encoder\.encoder\.", "encoder."),
    ]
    return {_rename(k, rules): v for k, v in _part(weights, "actor_critic.").items()}


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name from ``path``; code inside a pickle is refused, not run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, foreign, or holds more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No checkpoint at {path}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(
            f"{path} cannot be read as plain weights (truncated, or not a weights-only file); "
            "download it again from the authors."
        ) from error
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise ValueError(f"{path} holds more than named tensors; expected an agent's state dict.")
    return weights
