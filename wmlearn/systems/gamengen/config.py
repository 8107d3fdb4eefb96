"""The numbers of GameNGen, as frozen dataclasses, and the paper's.

``PAPER`` follows Valevski et al. 2024, section 4.2, on Stable Diffusion 1.4's networks. What the
laptop changes is in ``recipe.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from wmlearn.nn.autoencoder import AutoencoderConfig
from wmlearn.systems.gamengen.unet import UNetConfig


@dataclass(frozen=True)
class DenoiserConfig:
    """The diffusion model of the next latent.

    Attributes:
        num_actions: size of the discrete action space.
        context_frames: n, past latents (and actions) that condition the next one.
        latent_channels: c of a latent.
        unet: sizes; its ``in_channels``, ``out_channels`` follow from the two above.
        path: how latent and noise are mixed: Stable Diffusion's table of 1,000 levels, or a cosine.
        context_noise: the past gets noise of a standard deviation from 0 to this in training
            ("noise augmentation", section 3.2.1), so that the model learns to mend its own errors.
        noise_buckets: the network is told in which of so many equal parts of that range it lies.
        drop_context: share of training samples without a past, for classifier-free guidance.
        action_vector: the actions also add a vector to the timestep's embedding (paper: tokens for
            the cross-attention alone).
        near_last: the network is asked only for what v is beside the v of a next latent that is
            like the last one, give or take this standard deviation (0: for all of v, as in the
            paper). What stands still is then right before anything has been learned.
        noise_power: the strength of that noise is a uniform number to this power, times
            ``context_noise``; above 1 weak noise is more frequent (paper: 1).
        levels: the shares of full noise that are trained, each as often; empty for all of them
            (paper). A sampler of few steps visits few: two steps start at 1 and at 0.5.
        level_shift: where all are trained, the uniform share of full noise is moved towards noise
            by this factor (see ``wmlearn.nn.diffusion.shifted``; paper: 1, no shift).
    """

    num_actions: int = 4
    context_frames: int = 64
    latent_channels: int = 4
    unet: UNetConfig = field(default_factory=UNetConfig)
    path: Literal["stable-diffusion", "cosine"] = "stable-diffusion"
    context_noise: float = 0.7
    noise_buckets: int = 10
    drop_context: float = 0.1
    action_vector: bool = False
    near_last: float = 0.0
    noise_power: float = 1.0
    levels: tuple[float, ...] = ()
    level_shift: float = 1.0

    @property
    def sizes(self) -> UNetConfig:
        """The U-Net's, with the channels that follow from the latents."""
        c = self.latent_channels
        return replace(self.unet, in_channels=(self.context_frames + 1) * c, out_channels=c)


@dataclass(frozen=True)
class SamplerConfig:
    """How a frame is drawn.

    Attributes:
        num_steps: DDIM steps (paper: 4).
        guidance: of classifier-free guidance on the past frames (paper: 1.5); 1 spares half of the
            computation.
        context_noise: noise that the past gets while dreaming, of which the network is told; 0 adds
            nothing.
        initial_scale: standard deviation of the first noise. Below 1 the draws are nearer to the
            likeliest frame.
    """

    num_steps: int = 4
    guidance: float = 1.5
    context_noise: float = 0.0
    initial_scale: float = 1.0


@dataclass(frozen=True)
class RewardEndConfig:
    """The small model that reads reward and end off the latents (ours: the paper has none).

    Attributes:
        frames: latents that it sees, the new one included.
        channels: width of its three convolutions.
        reward_values: what the reward's signs -1, 0, 1 stand for in the data.
    """

    frames: int = 4
    channels: int = 48
    reward_values: tuple[float, float, float] = (-1.0, 0.0, 1.0)


@dataclass(frozen=True)
class GameNGenConfig:
    """All of GameNGen, and how it is optimized.

    A run is three stretches, each a share of its steps: the autoencoder, the denoiser (with reward
    and end) on its latents, and the decoder alone.

    Attributes:
        image_size: H = W of a frame.
        autoencoder: its sizes; the paper takes Stable Diffusion's, trained.
        denoiser: the diffusion model of the next latent.
        reward_end: the model of reward and end.
        sampler: how frames are drawn.
        kl_weight: of the divergence from the standard normal, for each latent number.
        rare_colors: rare colors count more in the autoencoder's, the denoiser's and the decoder's
            losses (see ``rare_color_weights``); false for the paper, which has a perceptual loss.
        decoder_absolute: in the decoder's own stretch, how much absolute errors and those of the
            gradients count beside squared ones (0 in the paper, where squared errors are all).
        autoencoder_span, denoiser_span, decoder_span: the stretches.
        learning_rate: the highest, of AdamW (paper: Adafactor, constant).
        weight_decay: of AdamW.
        warmup_steps: the learning rate rises linearly over these steps of a stretch.
        max_steps: length of the run; the learning rate falls to zero along a cosine in each
            stretch.
        max_grad_norm: gradients are clipped to this.
        seed: of weights and noise.
    """

    image_size: int = 64
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    reward_end: RewardEndConfig = field(default_factory=RewardEndConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    kl_weight: float = 1e-6
    rare_colors: bool = False
    decoder_absolute: float = 0.0
    autoencoder_span: tuple[float, float] = (0.0, 0.0)
    denoiser_span: tuple[float, float] = (0.0, 1.0)
    decoder_span: tuple[float, float] = (1.0, 1.0)
    learning_rate: float = 2e-5
    weight_decay: float = 0.0
    warmup_steps: int = 100
    max_steps: int = 700_000
    max_grad_norm: float = 1.0
    seed: int = 0

    @property
    def latent_size(self) -> int:
        """h = w of a latent."""
        return self.image_size // self.autoencoder.factor


PAPER = GameNGenConfig()
