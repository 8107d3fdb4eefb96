"""What makes a dream hold while somebody plays: training on what only play brings (ours).

A recording shows each latent action where it fits: "up" while the hero rises, and never at the top
of his jump. A player holds the key on. A dream that was never taught what happens then goes on
rising, out of the level. And at play the past is the dream's own, with its own mistakes. So some of
the latent actions that the dynamics is told in training do not fit, while the frames to come stay
the real ones, so that it learns when not to believe them; and some tokens of the past are its own.

Legend: B clips, T frames, S tokens of a frame.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wmlearn.systems.genie.config import DynamicsConfig

SHORTEST, LONGEST = 2, 10  # frames for which an action is held on
FEWEST, MOST = 0.05, 0.45  # share of a clip's tokens that the model draws anew


def press_otherwise(
    codes: Tensor,
    uniform_clip: Tensor,
    uniform_frame: Tensor,
    num_actions: int,
    config: DynamicsConfig,
) -> Tensor:
    """Latent actions as a player would press them, beside frames that they do not fit.

    Args:
        codes: int64 ``[B, T - 1]``, the inferred ones.
        uniform_clip: ``[B, 3]`` in [0, 1): whether one is held on in a clip, from when, how long.
        uniform_frame: ``[B, T - 1, 2]``: whether a frame's is replaced by any, and by which.
        num_actions: codes there are.
        config: its ``held_action`` and ``any_action``.

    Returns:
        int64 ``[B, T - 1]``.
    """
    time = torch.arange(codes.shape[1], device=codes.device)[None]
    whether, begin, length = uniform_clip[:, :, None].unbind(1)  # each [B, 1]
    begin = (begin * codes.shape[1]).long()
    length = SHORTEST + (length * (LONGEST - SHORTEST + 1)).long()
    held = (time >= begin) & (time < begin + length) & (whether < config.held_action)
    codes = torch.where(held, codes.gather(1, begin), codes)
    any_one = (uniform_frame[..., 1] * num_actions).long()
    return torch.where(uniform_frame[..., 0] < config.any_action, any_one, codes)


@torch.no_grad()
def draw_own_tokens(
    logits_of: Callable[[Tensor], Tensor],
    tokens: Tensor,
    uniform_clip: Tensor,
    uniform_token: Tensor,
    mask_token: int,
    config: DynamicsConfig,
) -> Tensor:
    """The clip, a share of its tokens drawn anew by the model from all the others.

    Args:
        logits_of: tokens ``[B, T, S]`` with masked ones -> logits ``[B, T, S, K]``.
        tokens: int64 ``[B, T, S]``, the true ones.
        uniform_clip: ``[B, 2]`` in [0, 1): whether the clip gets any, and how many.
        uniform_token: ``[B, T, S, 2]``: which are drawn, and as what.
        mask_token: number K of the mask token.
        config: its ``own_tokens``.
    """
    share = FEWEST + (MOST - FEWEST) * uniform_clip[:, 1]
    share = torch.where(uniform_clip[:, 0] < config.own_tokens, share, 0.0)
    anew = uniform_token[..., 0] < share[:, None, None]
    cumulative = logits_of(torch.where(anew, mask_token, tokens)).float().softmax(-1).cumsum(-1)
    drawn = (uniform_token[..., 1:] * cumulative[..., -1:] >= cumulative).sum(-1)
    return torch.where(anew, drawn.clamp(max=mask_token - 1), tokens)
