"""The numbers of Genie, as frozen dataclasses.

``PAPER`` is the paper's reproducible case, CoinRun (Bruce et al. 2024, appendix F). What the laptop
makes smaller stands in ``recipe.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

# The approximation by tanh, which is JAX's default, or the function itself; they differ by under
# 0.0005. On a CPU the exact one takes a third of the time: 5 to 8 % less for a training step.
GELU = Literal["tanh", "exact"]


@dataclass(frozen=True)
class TokenizerConfig:
    """The video tokenizer (section 2.1).

    Attributes:
        patch: p x p pixels make a token.
        dim: width D of the ST transformers.
        encoder_depth: ST blocks of the encoder.
        decoder_depth: ST blocks of the decoder.
        heads: of each attention.
        gelu: of the feed-forward layers.
        quantizer: "vq" (the paper) or "fsq" (Mentzer et al. 2023).
        num_codes: size of the codebook, for "vq".
        code_dim: width of a code, for "vq".
        fsq_levels: values of each coordinate, for "fsq"; their product is the number of codes.
        beta: weight of the commitment term.
        quantizer_weight: weight of the quantizer's loss beside the reconstruction's.
        still_below: at play, a patch in which no pixel changes by as much as this many gray levels
            between two decoded frames is not drawn anew (0: all are, as in the paper).
    """

    patch: int = 4
    dim: int = 512
    encoder_depth: int = 8
    decoder_depth: int = 8
    heads: int = 8
    gelu: GELU = "tanh"
    quantizer: Literal["vq", "fsq"] = "vq"
    num_codes: int = 1024
    code_dim: int = 32
    fsq_levels: tuple[int, ...] = (8, 5, 5, 5)
    beta: float = 0.25
    quantizer_weight: float = 1.0
    still_below: float = 0.0

    @property
    def vocabulary(self) -> int:
        """The number of codes there are."""
        return self.num_codes if self.quantizer == "vq" else math.prod(self.fsq_levels)


@dataclass(frozen=True)
class LatentActionConfig:
    """The latent action model (section 2.1).

    Attributes:
        num_actions: codes of the bottleneck.
        action_dim: width of a code.
        sees: "pixels" (the paper's choice); "tokens", its ablation; or "edges", the differences
            between neighboring pixels of the gray picture, across and down.
        across: weight of the edges' differences across beside those down.
        shrink: pixels are averaged over this many times as many first (1: none, as in the paper).
        patch: p x p of these make a patch, for "pixels" and "edges".
        dim: width D of the ST transformers.
        depth: ST blocks of the encoder, and of the decoder.
        heads: of each attention.
        gelu: of the feed-forward layers.
        past: frames that the decoder sees: "all" earlier ones (the paper), or only the "last" one.
            With one picture alone it cannot tell the speed, so the code must.
        relative: 0 for the mean square error of the paper. Above 0, each frame's error is divided
            by how much it changed plus this, so that a fall, which changes half of the picture,
            does not count for more than a step to the left.
        beta: weight of the commitment term.
        quantizer_weight: weight of the quantizer's loss beside the reconstruction's.
        idle: the code that means standing still, held at play while nothing is pressed; known only
            after training, and unused by it (None: nothing was found).
        longest: at play, for how many frames on end each code acts; if it is held on, ``idle``
            stands in its place until another is pressed. Also known only after training: a code
            names a change from one frame to the next, and no recording repeats one for ever
            (None: each acts as long as it is held, as in the paper).
    """

    num_actions: int = 8
    action_dim: int = 32
    sees: Literal["pixels", "edges", "tokens"] = "pixels"
    across: float = 1.0
    shrink: int = 1
    patch: int = 16
    dim: int = 512
    depth: int = 8
    heads: int = 8
    gelu: GELU = "tanh"
    past: Literal["all", "last"] = "all"
    relative: float = 0.0
    beta: float = 0.25
    quantizer_weight: float = 1.0
    idle: int | None = None
    longest: tuple[int, ...] | None = None


@dataclass(frozen=True)
class DynamicsConfig:
    """The dynamics model, a MaskGIT (section 2.1; Chang et al. 2022).

    Attributes:
        dim: width D of the ST transformer.
        depth: ST blocks.
        heads: of each attention.
        gelu: of the feed-forward layers.
        action: "added" to the tokens of the frame it leads to (the paper), or "prepended" to them
            as a token of its own.
        mask_min: in training the share of masked tokens is drawn from mask_min .. 1 for each clip.
        whole_frames: share of the frames in training that are left whole instead, as the past is
            at play (0 in the paper). No loss is taken there.
        any_action: share of the frames in training whose latent action is replaced by any (0 in
            the paper), so that one that does not fit is not believed.
        held_action: share of the clips in training in which a latent action is held on for a
            while, as a key is at play (0 in the paper).
        own_tokens: share of the clips in training in which the past is partly the model's own, as
            it is at play (0 in the paper).
        steps: passes in which a frame's tokens are filled in at play.
        temperature: of the tokens' distribution at play; 0 takes the likeliest.
        least: at play, a token is not drawn whose probability is below this share of the
            likeliest one's (0: all may be, as in the paper).
        choice_temperature: of the noise on the confidences, in MaskGIT's order of filling in.
        window: past frames that are remembered at play.
    """

    dim: int = 512
    depth: int = 12
    heads: int = 8
    gelu: GELU = "tanh"
    action: Literal["added", "prepended"] = "added"
    mask_min: float = 0.5
    whole_frames: float = 0.0
    any_action: float = 0.0
    held_action: float = 0.0
    own_tokens: float = 0.0
    steps: int = 25
    temperature: float = 1.0
    least: float = 0.0
    choice_temperature: float = 0.0
    window: int = 15


@dataclass(frozen=True)
class SamplerConfig:
    """How a frame's tokens are drawn at play.

    Attributes:
        steps: MaskGIT passes in which they are filled in.
        temperature: of the tokens' probabilities; 0 takes the likeliest.
        least: a token is not drawn whose probability is below this share of the likeliest one's.
    """

    steps: int
    temperature: float
    least: float = 0.0


@dataclass(frozen=True)
class GenieConfig:
    """All of Genie, and how it is optimized.

    The three ``*_span`` give the stretch of the run in which a part learns, as shares of
    ``max_steps``: (0, 1) three times trains them jointly; stretches that follow each other train
    one part after the other. Outside of its stretch a part's learning rate is zero and its loss is
    not computed.

    Attributes:
        tokenizer, actions, dynamics: the three parts.
        image_channels: C of a frame.
        image_size: H = W of a frame.
        tokenizer_span, actions_span, dynamics_span: when each part learns.
        learning_rate: of AdamW, for all parts; falls to zero along a cosine over a part's stretch.
        weight_decay: of AdamW.
        warmup_steps: the learning rate rises linearly over these steps of a part's stretch.
        max_steps: of the run.
        max_grad_norm: of each part's gradient.
        revive_every: steps between two looks for dead codes; 0 never looks.
        seed: of weights and masks.
    """

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    actions: LatentActionConfig = field(default_factory=LatentActionConfig)
    dynamics: DynamicsConfig = field(default_factory=DynamicsConfig)
    image_channels: int = 3
    image_size: int = 64
    tokenizer_span: tuple[float, float] = (0.0, 0.6)
    actions_span: tuple[float, float] = (0.6, 1.0)
    dynamics_span: tuple[float, float] = (0.6, 1.0)
    learning_rate: float = 3e-4
    weight_decay: float = 1e-4
    warmup_steps: int = 500
    max_steps: int = 1000
    max_grad_norm: float = 1.0
    revive_every: int = 10
    seed: int = 0

    @property
    def tokens_per_frame(self) -> int:
        """S of the tokenizer and the dynamics."""
        return (self.image_size // self.tokenizer.patch) ** 2

    @property
    def sampler(self) -> SamplerConfig:
        """How the dynamics draws a frame's tokens, if nothing else is asked for."""
        dynamics = self.dynamics
        return SamplerConfig(dynamics.steps, dynamics.temperature, dynamics.least)


PAPER = GenieConfig()
