"""The numbers of DIAMOND, as frozen dataclasses, and their presets.

``PAPER`` is the paper's configuration (Alonso et al. 2024, appendix; eloialonso/diamond,
config/). ``LAPTOP`` is the same method made small; what departs is commented.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal


@dataclass(frozen=True)
class DenoiserConfig:
    """The diffusion model of the next frame.

    Attributes:
        num_actions: size of a discrete action space.
        action_bounds: of a Box, the lowest and highest value of each number; ``num_actions`` then
            is 0.
        image_channels: C of a frame.
        context_frames: n, past frames (and actions) that condition the next one.
        cond_channels: width of the vector that carries noise level and actions.
        depths: residual blocks of each U-Net level.
        channels: width of each U-Net level.
        attention: whether the blocks of a level attend.
        patch_size: p x p pixels become channels before the U-Net (1: none, as in the paper).
        predict: what is diffused: the next "frame" (the paper), or its "change" from the last one.
        objective: "edm" (the paper), or "ddpm", its ablation: the network predicts the noise
            (Ho et al. 2020 in the terms of Karras et al. 2022, table 1).
        context_noise: in a later round of training the past gets noise of a standard deviation that
            is drawn from 0 to this for each clip, so that the model learns to mend the errors of
            its own past (0 in the paper; compare GameNGen, Valevski et al. 2024, section 3.2).
        still_below: when dreaming, a pixel whose change is smaller than this in all channels keeps
            its color; in 8-bit levels (0 in the paper). A network that is narrower than its patches
            cannot see the grain it adds, so it cannot mend it; this stops it.
        sigma_data: standard deviation of what is diffused, in units of [-1, 1].
        sigma_offset_noise: noise that is constant over an image, added to every sample.
        sigma_loc: mean of log(sigma) in training (P_mean in Karras et al. 2022).
        sigma_scale: standard deviation of log(sigma) in training (P_std).
        sigma_min: smallest sigma in training.
        sigma_max: largest sigma in training.
    """

    num_actions: int = 4
    action_bounds: tuple[tuple[float, float], ...] = ()
    image_channels: int = 3
    context_frames: int = 4
    cond_channels: int = 256
    depths: tuple[int, ...] = (2, 2, 2, 2)
    channels: tuple[int, ...] = (64, 64, 64, 64)
    attention: tuple[bool, ...] = (False, False, False, False)
    patch_size: int = 1
    predict: Literal["frame", "change"] = "frame"
    objective: Literal["edm", "ddpm"] = "edm"
    context_noise: float = 0.0
    still_below: float = 0.0
    sigma_data: float = 0.5
    sigma_offset_noise: float = 0.3
    sigma_loc: float = -0.4
    sigma_scale: float = 1.2
    sigma_min: float = 2e-3
    sigma_max: float = 20.0


@dataclass(frozen=True)
class SamplerConfig:
    """How a frame is drawn from the denoiser (Karras et al. 2022, algorithm 1).

    Attributes:
        num_steps: denoising steps; the paper uses 3.
        order: 1 Euler, 2 Heun.
        sigma_min: last noise level before 0.
        sigma_max: first noise level.
        rho: bends the schedule towards small noise.
        initial_scale: standard deviation of the first noise. DIAMOND's published code starts
            from 1, not from sigma_max.
    """

    num_steps: int = 3
    order: int = 1
    sigma_min: float = 2e-3
    sigma_max: float = 5.0
    rho: float = 7.0
    initial_scale: float = 1.0


@dataclass(frozen=True)
class RewardEndConfig:
    """The CNN-LSTM that predicts the reward's class and the episode's end.

    Attributes:
        num_actions: size of a discrete action space.
        action_bounds: of a Box, the lowest and highest value of each number; ``num_actions`` then
            is 0.
        image_channels: C of a frame.
        image_size: H = W of a frame.
        lstm_dim: width of the LSTM.
        cond_channels: width of the action embedding.
        depths: residual blocks of each level of the encoder.
        channels: width of each level of the encoder.
        attention: whether the blocks of a level attend.
        patch_size: p x p pixels become channels first (1: none, as in the paper).
        reward_values: reward that each of the three classes negative, zero, positive stands for;
            the paper clips rewards to their sign.
    """

    num_actions: int = 4
    action_bounds: tuple[tuple[float, float], ...] = ()
    image_channels: int = 3
    image_size: int = 64
    lstm_dim: int = 512
    cond_channels: int = 128
    depths: tuple[int, ...] = (2, 2, 2, 2)
    channels: tuple[int, ...] = (32, 32, 32, 32)
    attention: tuple[bool, ...] = (False, False, False, False)
    patch_size: int = 1
    reward_values: tuple[float, float, float] = (-1.0, 0.0, 1.0)


def side_unit(config: DenoiserConfig | RewardEndConfig) -> int:
    """Pixels to whose multiples frames are padded: each level but the first halves the patches."""
    return config.patch_size * 2 ** (len(config.channels) - 1)


@dataclass(frozen=True)
class DiamondConfig:
    """All of DIAMOND's world model, and how it is optimized.

    Attributes:
        denoiser: the diffusion model of the next frame.
        reward_end: the reward and termination model.
        sampler: how frames are drawn.
        autoregressive_steps: frames after the context that the denoiser learns in a row, each
            from its own predictions; the clip has ``context_frames + autoregressive_steps``
            frames for the denoiser.
        train_denoiser: false keeps the denoiser as it is and trains reward and end only, in a later
            round.
        reward_on_dreams: in a later round, reward and end are also learned from the denoiser's own
            frames. The paper learns them from real frames only; but where a small denoiser blurs a
            monster, a model that has seen such frames still knows when it is hit.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        warmup_steps: the learning rate rises linearly over these steps.
        max_steps: if > 0 the learning rate falls to zero along a cosine by this step; the paper
            keeps it constant (0).
        max_grad_norm: of the denoiser's gradient.
        seed: of weights and noise.
    """

    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    reward_end: RewardEndConfig = field(default_factory=RewardEndConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    autoregressive_steps: int = 1
    train_denoiser: bool = True
    reward_on_dreams: bool = False
    learning_rate: float = 1e-4
    weight_decay: float = 1e-2
    warmup_steps: int = 100
    max_steps: int = 0
    max_grad_norm: float = 1.0
    seed: int = 0

    def for_actions(
        self, num_actions: int, action_bounds: tuple[tuple[float, float], ...] = ()
    ) -> DiamondConfig:
        """The same numbers for another action space."""
        new = {"num_actions": num_actions, "action_bounds": action_bounds}
        return replace(
            self,
            denoiser=replace(self.denoiser, **new),
            reward_end=replace(self.reward_end, **new),
        )


PAPER = DiamondConfig()
