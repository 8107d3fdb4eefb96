"""V-JEPA 2-AC's networks, as they plan: ``system.py`` adds what trains them.

Shapes: B clips, T frames, N patches of a frame, D the encoder's width, A and S numbers in an
action and in the arm's state.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.systems.vjepa.encoder import Encoder, normalize
from wmlearn.systems.vjepa2_ac.config import VJEPA2ACConfig
from wmlearn.systems.vjepa2_ac.predictor import ACPredictor
from wmlearn.world import World, WorldModel, choose_sampler


class InverseDynamics(nn.Module):
    """Which action lies between the features of two frames?"""

    def __init__(self, patches: int, dim: int, actions: int, width: int = 8) -> None:
        super().__init__()
        self.narrow = nn.Linear(2 * dim, width)
        self.head = nn.Sequential(
            nn.Linear(patches * width, 128), nn.GELU(), nn.Linear(128, actions)
        )

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Two times ``[..., N, D]`` -> the action ``[..., A]``."""
        return self.head(self.narrow(torch.cat([before, after], dim=-1)).flatten(-2))


class VJEPA2ACNetwork(nn.Module, WorldModel):
    """A frozen V-JEPA encoder, and a predictor of what an action does to its features.

    Args:
        config: all numbers.
    """

    def __init__(self, config: VJEPA2ACConfig) -> None:
        super().__init__()
        self.config = config
        predictor, patches = config.predictor, config.predictor.grid_side**2
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.encoder = Encoder(config.encoder).requires_grad_(False)
            self.predictor = ACPredictor(predictor)
            if config.predict == "change":  # at first nothing moves
                nn.init.zeros_(self.predictor.out.weight)
            self.inverse = (
                InverseDynamics(patches, predictor.feature_dim, predictor.action_dim)
                if config.inverse_weight
                else None
            )
        for name in ("state_mean", "state_std", "state_per_action"):
            self.register_buffer(name, torch.tensor(getattr(config, name)), persistent=False)
        # Of the features in the recording; ``on_fit_start`` measures them.
        self.register_buffer("feature_mean", torch.zeros(patches, predictor.feature_dim))
        self.register_buffer("feature_std", torch.ones(predictor.feature_dim))

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """Features of each frame by itself, ``[B, T, N, D]``, normalized.

        Args:
            frames: uint8 ``[B, T, C, H, W]``; each one is shown as a still clip of one tubelet.
        """
        batch, time = frames.shape[:2]
        still = normalize(frames).flatten(0, 1)[:, None]
        still = still.expand(-1, self.config.encoder.tubelet_size, -1, -1, -1)
        features = self.encoder(still)
        features = F.layer_norm(features, features.shape[-1:]).unflatten(0, (batch, time))
        return (features - self.feature_mean) / self.feature_std

    def arm(self, state: Tensor) -> Tensor:
        """The arm's own numbers of ``Clip.state`` ``[..., >= S]``, standardized: ``[..., S]``."""
        own = state[..., : len(self.config.state_mean)]
        return (own - self.state_mean) / self.state_std

    def predict(self, features: Tensor, actions: Tensor, states: Tensor) -> Tensor:
        """Features after each action, ``[B, T, N, D]``, normalized as those of real frames are.

        Args: ``features`` [B, T, N, D], ``actions`` [B, T, A], ``states`` [B, T, S] (``arm``).
        """
        output = self.predictor(features.flatten(1, 2), actions, states)
        return self.next_features(features, output.view_as(features))

    def next_features(self, features: Tensor, output: Tensor) -> Tensor:
        """What the predictor's ``output`` for ``features`` says of the next frame's."""
        guess = features + output if self.config.predict == "change" else output
        if self.config.normalize == "recording":
            return guess
        return F.layer_norm(guess, guess.shape[-1:])

    def world(self, sampler: None = None) -> World:
        """The learned world of features, to plan in (a :class:`VJEPA2ACWorld`).

        Args:
            sampler: must be ``None``, as nothing is drawn at random.
        """
        choose_sampler(None, sampler)
        from wmlearn.systems.vjepa2_ac.world import VJEPA2ACWorld

        return VJEPA2ACWorld(self)
