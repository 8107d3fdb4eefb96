"""A trained V-JEPA 2-AC as a World: its steps show features, and nothing is ever drawn.

The predictor is block-causal: what it computed for past frames does not change when a new one
comes. So the keys and values of all past frames are kept in the state, and a step costs one frame.

Shapes: B plans, M tokens of past frames, N patches of a frame, D the encoder's width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.systems.vjepa2_ac.network import VJEPA2ACNetwork
from wmlearn.systems.vjepa2_ac.predictor import CONDITION_TOKENS
from wmlearn.world import FeatureWorld, Step


@dataclass(frozen=True)
class ACState:
    """Where a plan stands.

    Attributes:
        features: ``[B, N, D]``, of the newest frame.
        arm: ``[B, S]``, the arm's pose there, in the environment's units.
        past: for each block of the predictor the keys (turned by their positions) and the values of
            the frames before, ``[B, 2, heads, M, d]``; M is 0 at the first frame.
    """

    features: Tensor
    arm: Tensor
    past: tuple[Tensor, ...]

    @property
    def tokens(self) -> int:
        """M, how many tokens are kept."""
        return self.past[0].shape[3]


class VJEPA2ACWorld(FeatureWorld):
    """The learned world of features (the ``World`` protocol).

    It is deterministic: the generator is not used. The arm's pose after an action is the pose
    before it plus ``state_per_action`` times the action. When the predictor's longest memory is
    full, all but the newest frame is forgotten.

    Args:
        system: a trained :class:`VJEPA2ACNetwork`, the whole system or its networks alone.
    """

    context_frames = 1
    predicts_reward = False

    def __init__(self, system: VJEPA2ACNetwork) -> None:
        self.system = system.eval()
        config = system.config
        side, channels = config.encoder.image_size, config.encoder.image_channels
        self.frame_shape = (channels, side, side)
        self.action_space = Box(np.float32(config.low), np.float32(config.high), dtype=np.float32)
        self._tokens = CONDITION_TOKENS + config.predictor.grid_side**2

    @torch.no_grad()
    def reset(self, context: Clip) -> ACState:
        """The state after a real clip with states; with more than one frame, also with actions."""
        context.require("state")
        recent = min(context.length, self.system.config.predictor.frames)
        context = context.time(context.length - recent, context.length)
        features = self.encode(context.frames)
        arm = context.state[..., : len(self.system.config.state_mean)]
        past = self._no_past(features)
        for t in range(recent - 1):
            state = ACState(features[:, t], arm[:, t], past)
            past = self._advance(state, context.actions[:, t])[1]
        return ACState(features[:, -1], arm[:, -1], past)

    @torch.no_grad()
    def step(
        self, state: ACState, action: Tensor, generator: torch.Generator | None = None
    ) -> tuple[ACState, Step]:
        """One step with ``action`` float32 ``[B, A]``; ``Step.features`` is ``[B, N, D]``."""
        action = action.to(state.features)
        if state.tokens >= self._tokens * self.system.config.predictor.frames:
            state = ACState(state.features, state.arm, self._no_past(state.features))
        features, past = self._advance(state, action)
        arm = state.arm + action @ self.system.state_per_action.T
        batch = len(action)
        step = Step(
            frame=None,
            reward=features.new_zeros(batch),
            terminated=torch.zeros(batch, dtype=torch.bool, device=features.device),
            features=features,
        )
        return ACState(features, arm, past), step

    def encode(self, frames: Tensor) -> Tensor:
        """Features of uint8 frames ``[B, T, C, H, W]``, e.g. of goal images: ``[B, T, N, D]``."""
        return self.system.encode(frames.to(self.device))

    def _no_past(self, features: Tensor) -> tuple[Tensor, ...]:
        """The cache before the first frame, for features ``[B, ...]``."""
        config = self.system.config.predictor
        shape = (len(features), 2, config.heads, 0, config.dim // config.heads)
        return (features.new_zeros(shape),) * config.depth

    def _advance(self, state: ACState, action: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """``ACPredictor.forward`` for one more frame: its features, and the longer past."""
        predictor = self.system.predictor
        table = predictor.rope[:, state.tokens : state.tokens + self._tokens]
        condition = [
            predictor.action_encoder(action)[:, None],
            predictor.state_encoder(self.system.arm(state.arm))[:, None],
        ]
        x = torch.cat([*condition, predictor.embed(state.features)], dim=1)
        kept = []
        for block, past in zip(predictor.blocks, state.past, strict=True):
            x, longer = block.step(x, table, past)
            kept.append(longer)
        output = predictor.out(predictor.norm(x[:, CONDITION_TOKENS:]))
        return self.system.next_features(state.features, output), tuple(kept)
