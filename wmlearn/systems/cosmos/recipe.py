"""How Cosmos is trained at each tier, and how a trained one is saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gymnasium.spaces import Box

from wmlearn.data.episodes import EpisodeStore
from wmlearn.nn.causal_video import CausalVideoConfig
from wmlearn.recipes.recipe import Recipe
from wmlearn.recipes.run import RunConfig
from wmlearn.systems.cosmos.config import (
    PAPER_7B,
    PAPER_14B,
    CosmosConfig,
    DenoiserConfig,
    SamplerConfig,
)
from wmlearn.systems.cosmos.system import Cosmos

ENV = "driving/car-racing"

# Where the laptop departs from the paper, and why: 4 frames of 64 x 64 pixels become 8 x 8 x 8
# numbers, of which each is a token; the tokenizer is narrow and attends to nothing, so that it can
# go on drawing where it stopped; the transformer is narrow, attends over space and time in turn and
# reads no words; 1 to 4 latents are known and the rest of 5 is drawn, in few steps, since every
# pass costs a frame's time on a processor; a condition is never dropped, as there is no guidance.
SHIPPED = CosmosConfig(
    tokenizer=CausalVideoConfig(
        latent_channels=8,
        encoder_channels=(48, 64, 96),
        decoder_channels=(48, 64, 96),
        layers_per_block=1,
        time_ratio=4,
        attention=False,
        attention_resolutions=(),
    ),
    denoiser=DenoiserConfig(
        latent_frames=5,
        patch=1,
        dim=192,
        layers=5,
        heads=6,
        adaln_rank=16,
        factorized=True,
        text_dim=0,
        action_dim=3,
        most_known=4,
        drop_known=0.0,
    ),
    sampler=SamplerConfig(num_steps=4, sigma_max=8.0, sigma_min=0.05, known_sigma=0.05),
    play_latents=4,
    action_low=(-1.0, 0.0, 0.0),
    action_high=(1.0, 1.0, 1.0),
    learning_rate=1e-3,
    tokenizer_rate=2e-3,
    weight_decay=1e-3,
)
"""The configuration of the checkpoint that comes with the course."""

LAPTOP = replace(
    SHIPPED,
    tokenizer=replace(
        SHIPPED.tokenizer, encoder_channels=(32, 48, 64), decoder_channels=(32, 48, 64)
    ),
    denoiser=replace(SHIPPED.denoiser, patch=2, dim=128, layers=4, heads=4),
    warmup_steps=50,
)

SMOKE = replace(
    LAPTOP,
    tokenizer=replace(
        LAPTOP.tokenizer,
        latent_channels=4,
        encoder_channels=(8, 8, 8),
        decoder_channels=(8, 8, 8),
    ),
    denoiser=replace(
        LAPTOP.denoiser, latent_frames=3, dim=16, layers=1, heads=2, action_width=8, adaln_rank=2,
        most_known=2,
    ),
    play_latents=2,
    sampler=replace(LAPTOP.sampler, num_steps=2),
    warmup_steps=1,
)  # fmt: skip


class CosmosRecipe(Recipe):
    """Cosmos: a causal video tokenizer, and a diffusion model of the latents that follow."""

    name = "cosmos"

    def preset(self, tier: str) -> tuple[RunConfig, CosmosConfig]:
        """The run and the model of a tier. On node and pod the models are the paper's two.

        They get square frames of 256 pixels there, and actions, but no words.
        """
        play = dict(env=ENV, policy="mixed", pad_start=0, pad_end=False)
        if tier == "smoke":
            return RunConfig.for_tier(
                tier, **play, frames=620, image_size=32, batch_size=4, clip_frames=13, max_steps=6,
                validate_every=3, val_batches=1, ema_decay=0.9, checkpoint_every=2, holdout=0.2,
            ), SMOKE  # fmt: skip
        if tier == "laptop":
            return RunConfig.for_tier(
                tier, **play, frames=10_000, batch_size=4, clip_frames=21, max_steps=2400,
                max_minutes=5, ema_decay=0.99,
            ), LAPTOP  # fmt: skip
        play |= dict(checkpoint_every=1000, validate_every=1000)
        if tier == "colab":
            return RunConfig.for_tier(
                tier, **play, frames=50_000, batch_size=32, clip_frames=25, max_steps=40_000,
            ), SHIPPED  # fmt: skip
        model = {"node": PAPER_7B, "pod": PAPER_14B}[tier]
        batch = {"node": 64, "pod": 256}[tier]
        whole = replace(
            model,
            image_size=256,
            denoiser=replace(model.denoiser, text_dim=0, action_dim=3, latent_frames=4),
            play_latents=2,
            action_low=SHIPPED.action_low,
            action_high=SHIPPED.action_high,
        )
        return RunConfig.for_tier(
            tier, **play, frames=1_000_000, image_size=256, batch_size=batch, clip_frames=25,
            max_steps=100_000,
        ), whole  # fmt: skip

    def complete(self, config: CosmosConfig, run: RunConfig, store: EpisodeStore) -> CosmosConfig:
        """Fills in what the data decides: the actions' space and the image size."""
        known = from_data("Cosmos", config.tokenizer, run, store, config.denoiser.patch)
        denoiser = replace(config.denoiser, action_dim=len(known["action_low"]))
        return replace(config, denoiser=denoiser, **known)

    def build(self, config: CosmosConfig) -> Cosmos:
        return Cosmos(config)

    def initialize(self, module: Cosmos, trained: Cosmos) -> None:
        """Starts from a trained model: every part whose layers have the same sizes.

        Raises:
            ValueError: the two tokenizers have other sizes, so that the latents would be others.
        """
        if module.config.tokenizer != trained.config.tokenizer:
            raise ValueError(
                "The run's tokenizer has other sizes than the one it starts from "
                f"({module.config.tokenizer} and {trained.config.tokenizer}): set "
                "system.tokenizer to the latter."
            )
        self.initialize_parts(module, trained)
        for name in ("color_weights", "latent_mean", "latent_std"):
            getattr(module, name).copy_(getattr(trained, name))


def from_data(
    who: str, tokenizer: CausalVideoConfig, run: RunConfig, store: EpisodeStore, patch: int = 1
) -> dict[str, Any]:
    """What run and data decide in the config of either family.

    Raises:
        ValueError: actions or frames that do not fit; clips of a wrong length.
    """
    space = store.action_space
    if not isinstance(space, Box):
        have = "no actions (a passive video)" if space is None else f"{space} actions"
        raise ValueError(
            f"{who} is steered by continuous actions here, but {store.path} has {have}; "
            f"record an environment with a Box, such as {ENV}."
        )
    channels, height, width = store.info["frame_shape"]
    factor = tokenizer.space_ratio * patch
    if height != width or height % factor:
        raise ValueError(
            f"{who} wants square frames whose side is a multiple of {factor}; {store.path} has "
            f"{height} x {width}."
        )
    tokenizer.latent_frames(run.clip_frames)
    return dict(
        image_size=height,
        seed=run.seed,
        max_steps=run.max_steps,
        tokenizer=replace(tokenizer, image_channels=channels),
        action_low=tuple(float(x) for x in space.low),
        action_high=tuple(float(x) for x in space.high),
    )


RECIPE = CosmosRecipe()
