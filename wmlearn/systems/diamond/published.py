"""Weights of the published DIAMOND (eloialonso/diamond) in our modules.

:func:`load` is what ``wmlearn.load_published("diamond", path)`` calls, and :func:`load_policy` is
that of ``"actor-critic"``: the published file holds both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from wmlearn.agents.actor_critic import ActorCritic, ActorCriticConfig
from wmlearn.hub import fill, part_of, read_published, renamed
from wmlearn.systems.diamond.config import PAPER, DiamondConfig
from wmlearn.systems.diamond.system import Diamond

_AUTHORS = (
    "an agent checkpoint of eloialonso/diamond (agent_versions/*.pt, or Breakout.pt and the like)"
)

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


def convert_denoiser(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published agent's weights -> ``Denoiser`` state dict."""
    part = part_of(weights, "denoiser.", _AUTHORS)
    return {renamed(k, _UNET + _COMMON): v for k, v in part.items()}


def convert_reward_end(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published agent's weights -> ``RewardEnd`` state dict."""
    part = part_of(weights, "rew_end_model.", _AUTHORS)
    # The published encoder numbers the two last blocks as one more level.
    last = max(int(match[1]) for k in part if (match := re.match(r"encoder\.blocks\.(\d+)", k)))
    rules = [
        (r"encoder\.conv_in\.", "conv_in."),
        (rf"encoder\.blocks\.{last}\.resblocks\.", "last_blocks."),
        (r"encoder\.blocks\.(\d+)\.resblocks\.", r"encoder.levels.\1."),
        (r"encoder\.downsamples\.", "encoder.downs."),
    ]
    return {renamed(k, rules + _COMMON): v for k, v in part.items()}


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
    part = part_of(weights, "actor_critic.", _AUTHORS)
    return {renamed(k, rules): v for k, v in part.items()}


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name from ``path``; refuses what ``hub.read_published`` does, and other values."""
    weights = read_published(path)
    if not all(isinstance(value, Tensor) for value in weights.values()):
        raise ValueError(f"{path} holds more than named tensors; expected an agent's state dict.")
    return weights


def load(path: str | Path, config: DiamondConfig | None = None) -> Diamond:
    """The published world model.

    Args:
        path: an agent's checkpoint, e.g. ``Breakout.pt``.
        config: by default the paper's, with the number of actions that the file has.
    """
    weights = read_weights(path)
    denoiser, reward_end = convert_denoiser(weights), convert_reward_end(weights)
    if config is None:
        config = PAPER.for_actions(len(denoiser["inner_model.action_embedding.weight"]))
    system = Diamond(config)
    fill(system.denoiser, denoiser, path)
    fill(system.reward_end, reward_end, path)
    return system


def load_policy(path: str | Path, config: ActorCriticConfig | None = None) -> ActorCritic:
    """The published policy; ``path`` and ``config`` as for :func:`load`."""
    weights = convert_actor_critic(read_weights(path))
    if config is None:
        config = replace(ActorCriticConfig(), num_actions=len(weights["actor.bias"]))
    return fill(ActorCritic(config), weights, path)
