"""The numbers of UniSim, as frozen dataclasses, and the paper's.

``PAPER`` follows Yang et al. 2023, section 3 and appendix, where it gives numbers; its network is a
3-D U-Net, here a video transformer (chapter 6). What the laptop changes is in ``recipe.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wmlearn.nn.autoencoder import AutoencoderConfig
from wmlearn.nn.video_transformer import VideoTransformerConfig

Format = Literal["language", "motion", "keys", "none"]
"""What an action is: a sentence, a vector, a key; or nobody says what was done (passive video)."""


@dataclass(frozen=True)
class Domain:
    """One world of the mixture.

    Attributes:
        name: for people, and for a player who chooses one.
        format: of its actions.
        actions: names of its keys, or its sentences, in the order of their numbers.
        dimensions: numbers in a motion.
    """

    name: str = "doom"
    format: Format = "keys"
    actions: tuple[str, ...] = ("noop", "left", "right", "attack")
    dimensions: int = 0


@dataclass(frozen=True)
class ActionConfig:
    """How an action of any format becomes one vector.

    Attributes:
        dim: width of that vector, and of a word's.
        drop: share of training clips whose actions are withheld, as in a passive video.
        domain_id: whether the vector says which world it is.
    """

    dim: int = 128
    drop: float = 0.1
    domain_id: bool = True


@dataclass(frozen=True)
class SimulatorConfig:
    """The video transformer over latents, and the noise that it learns on.

    Attributes:
        frames: the longest stretch that it looks at, the new frame included.
        dim, layers, heads: of the transformer.
        patch: side of a patch of latents.
        adaln: "shared" or "full"; see ``VideoTransformerConfig``.
        adaln_rank: of the corrections to the shared one.
        history_noise: in training, frames that serve as the past have noise of a level up to this.
        past_share: share of the frames that serve as the past; the others are to be drawn.
        first_share: share of the latter that are at the level at which a draw begins, 1.
        alternating: share of the clips in which every other frame is drawn, whatever
            ``past_share``: each of them follows one that serves as the past, as at play.
        change_weight: how much more an error counts where a latent has changed since the frame
            before; the weights of a frame keep their mean. 0: all places alike.
    """

    frames: int = 12
    dim: int = 192
    layers: int = 5
    heads: int = 6
    patch: int = 2
    adaln: Literal["full", "shared"] = "shared"
    adaln_rank: int = 16
    history_noise: float = 0.2
    past_share: float = 0.5
    first_share: float = 0.3
    alternating: float = 0.0
    change_weight: float = 0.0

    def transformer(self, channels: int, side: int, action_dim: int) -> VideoTransformerConfig:
        """The sizes of the network, for latents ``[channels, side, side]``."""
        return VideoTransformerConfig(
            channels=channels, height=side, width=side, frames=self.frames, patch=self.patch,
            dim=self.dim, layers=self.layers, heads=self.heads, causal=True,
            conditioning_dim=action_dim, adaln=self.adaln, adaln_rank=self.adaln_rank,
        )  # fmt: skip


@dataclass(frozen=True)
class StepsConfig:
    """The model of how many steps are left: the reward, learned from recorded data.

    Attributes:
        channels: width of its convolutions.
        layers: convolutions; how far a place sees is as many tiles.
        most: steps that count as far; distances are capped here.
    """

    channels: int = 32
    layers: int = 6
    most: int = 24


@dataclass(frozen=True)
class SamplerConfig:
    """How a world draws, and which one it is.

    Attributes:
        domain: its name; empty for the first of the config.
        num_steps: K, passes of the network for a frame.
        history_noise: level at which drawn frames are remembered. Above 0 the network leans less on
            details that it drew itself.
        initial_scale: standard deviation of the first noise; below 1 the draws are nearer to the
            likeliest frame.
        guidance: of classifier-free guidance on the action: a frame is moved away from what would
            come if nobody said what was done. 1 spares half of the computation.
    """

    domain: str = ""
    num_steps: int = 2
    history_noise: float = 0.05
    initial_scale: float = 1.0
    guidance: float = 1.0


@dataclass(frozen=True)
class UniSimConfig:
    """All of UniSim, and how it is optimized.

    A run is two stretches, each a share of its steps: the autoencoder, and the simulator (with the
    two models of steps to go) on its latents.

    Attributes:
        image_size: H = W of a frame.
        domains: the worlds of the mixture.
        autoencoder: its sizes.
        action: the encoder of actions.
        simulator: the transformer.
        steps: the models of steps to go: the reward, and a second one as its judge.
        sampler: how frames are drawn.
        kl_weight: of the divergence from the standard normal, for each latent number.
        rare_colors: rare colors count more in the losses (see ``rare_color_weights``).
        autoencoder_span, simulator_span: the stretches.
        learning_rate: the highest, of AdamW.
        weight_decay: of AdamW.
        warmup_steps: the learning rate rises linearly over these steps of a stretch.
        max_steps: length of the run; the learning rate falls to zero along a cosine in each
            stretch.
        max_grad_norm: gradients are clipped to this.
        seed: of weights and noise.
    """

    image_size: int = 64
    domains: tuple[Domain, ...] = (Domain(),)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    action: ActionConfig = field(default_factory=ActionConfig)
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)
    steps: StepsConfig = field(default_factory=StepsConfig)
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    kl_weight: float = 1e-5
    rare_colors: bool = True
    autoencoder_span: tuple[float, float] = (0.0, 0.3)
    simulator_span: tuple[float, float] = (0.3, 1.0)
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    warmup_steps: int = 100
    max_steps: int = 1_000_000
    max_grad_norm: float = 1.0
    seed: int = 0

    @property
    def latent_size(self) -> int:
        """h = w of a latent."""
        return self.image_size // self.autoencoder.factor

    def number_of(self, domain: str) -> int:
        """The place of a domain in ``domains``, 0 for the empty name; ``ValueError`` names them."""
        names = [each.name for each in self.domains]
        if domain and domain not in names:
            raise ValueError(f"There is no domain {domain!r}; choose one of: {', '.join(names)}.")
        return names.index(domain) if domain else 0

    def words_of(self, format: Format) -> tuple[str, ...]:
        """All sentences, or all names of keys, of the domains of a format, each once."""
        named = (domain.actions for domain in self.domains if domain.format == format)
        return tuple(dict.fromkeys(name for names in named for name in names))

    @property
    def dimensions(self) -> int:
        """Numbers in the longest motion; shorter ones leave the rest invalid."""
        return max((d.dimensions for d in self.domains if d.format == "motion"), default=0)


PAPER = UniSimConfig(
    image_size=256,
    domains=(
        Domain("language", "language", ("pick up the object", "move the arm up")),
        Domain("robot", "motion", (), 7),
        Domain("video", "none", ()),
    ),
    simulator=SimulatorConfig(frames=20, dim=3072, layers=36, heads=24),
)
"""Of the paper's size, not its configuration: that is a 3-D U-Net of 5.6 billion parameters, which
draws 16 frames together after 4 that are given, from many more data sets (section 3.1)."""
