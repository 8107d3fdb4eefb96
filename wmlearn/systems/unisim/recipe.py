"""How UniSim is trained at each tier, on one world with actions of one format.

The mixture of several worlds, which the shipped checkpoint learned from, is put together by its
chapter (``wmlearn.chapters.ch07_unisim``); the losses are the same.
"""

from __future__ import annotations

from dataclasses import replace

from gymnasium.spaces import Box, Discrete

from wmlearn.data.episodes import EpisodeStore
from wmlearn.nn.autoencoder import AutoencoderConfig
from wmlearn.recipes.recipe import Recipe
from wmlearn.recipes.run import RunConfig
from wmlearn.systems.unisim.config import (
    PAPER,
    ActionConfig,
    Domain,
    SamplerConfig,
    SimulatorConfig,
    StepsConfig,
    UniSimConfig,
)
from wmlearn.systems.unisim.system import UniSim

ENV = "babyai/go-to-local"

# Where the laptop departs from the paper, and why: latents of 8 x 8 x 12 for 64 x 64 pixels in
# place of pixels and two super-resolutions, 16 tokens a frame, since at equal minutes latents win
# by far; frames are drawn one after the other, each from cached ones, so that a key is answered at
# once (the paper draws 16 together); an action is said once, not as text and as numbers; rare
# colors, and what has changed since the frame before, count more, or small things vanish; and a
# frame is drawn in one pass, from noise, which is what most of training is about.
SHIPPED = UniSimConfig(
    autoencoder=AutoencoderConfig(
        latent_channels=12, channels=(48, 96), layers_per_block=1, groups=8, patch_size=4,
        attention=False,
    ),
    simulator=SimulatorConfig(
        past_share=0.6, first_share=0.9, alternating=0.7, change_weight=20.0
    ),
    sampler=SamplerConfig(num_steps=1),
    learning_rate=1e-3,
    weight_decay=1e-3,
    warmup_steps=50,
)  # fmt: skip
"""The sizes of the checkpoint that comes with the course."""

LAPTOP = replace(
    SHIPPED,
    autoencoder=replace(SHIPPED.autoencoder, channels=(32, 64)),
    action=ActionConfig(dim=64),
    simulator=SimulatorConfig(frames=8, dim=128, layers=4, heads=4),
)

SMOKE = replace(
    LAPTOP,
    autoencoder=replace(LAPTOP.autoencoder, channels=(16, 16), latent_channels=4),
    action=ActionConfig(dim=16),
    simulator=SimulatorConfig(frames=4, dim=32, layers=1, heads=2, adaln_rank=2),
    steps=StepsConfig(channels=8),
    warmup_steps=1,
)

WHOLE = replace(
    SHIPPED, image_size=256, action=PAPER.action, simulator=replace(PAPER.simulator, frames=20)
)
"""Of the paper's size, for the largest tiers; all of it trained."""


class UniSimRecipe(Recipe):
    """UniSim: an autoencoder, then a simulator of its latents and what is left to do."""

    name = "unisim"

    def preset(self, tier: str) -> tuple[RunConfig, UniSimConfig]:
        """The run and the model of a tier. From node on, the model is of the paper's size."""
        if tier == "smoke":
            return RunConfig.for_tier(
                tier, env="doom/basic", frames=300, image_size=32, batch_size=4, clip_frames=4,
                pad_start=0, pad_end=False, max_steps=6, validate_every=3, val_batches=1,
                ema_decay=0.9, checkpoint_every=2, holdout=0.2,
            ), SMOKE  # fmt: skip
        if tier == "laptop":
            return RunConfig.for_tier(
                tier, env=ENV, policy="mixed", frames=10_000, batch_size=16, clip_frames=8,
                pad_start=0, max_steps=2500, max_minutes=5, ema_decay=0.99,
            ), LAPTOP  # fmt: skip
        play = dict(env=ENV, policy="mixed", pad_start=0, checkpoint_every=1000)
        if tier == "colab":
            return RunConfig.for_tier(
                tier, **play, frames=100_000, batch_size=64, clip_frames=12, validate_every=1000,
                max_steps=60_000,
            ), SHIPPED  # fmt: skip
        # The paper's million steps of 256 clips.
        return RunConfig.for_tier(
            tier, **play, frames=1_000_000, image_size=256, batch_size=256, clip_frames=20,
            validate_every=1000, max_steps=1_000_000,
        ), WHOLE  # fmt: skip

    def complete(self, config: UniSimConfig, run: RunConfig, store: EpisodeStore) -> UniSimConfig:
        """Fills in what the data decides: the domain with its actions, and the image's size."""
        channels, height, width = store.info["frame_shape"]
        factor = config.autoencoder.factor * config.simulator.patch
        if channels != 3 or height != width or height % factor:
            raise ValueError(
                f"UniSim wants square color frames whose side is a multiple of {factor}; "
                f"{store.path} has {channels} x {height} x {width}."
            )
        if not 2 <= run.clip_frames <= config.simulator.frames:
            raise ValueError(
                f"clip_frames={run.clip_frames} must be 2 to simulator.frames="
                f"{config.simulator.frames}, the longest stretch that the model looks at."
            )
        return replace(
            config,
            image_size=height,
            seed=run.seed,
            max_steps=run.max_steps,
            domains=(domain_of(store),),
            autoencoder=replace(config.autoencoder, image_channels=channels),
        )

    def build(self, config: UniSimConfig) -> UniSim:
        return UniSim(config)


def domain_of(store: EpisodeStore) -> Domain:
    """The domain that a dataset is: sentences are action names of several words."""
    space, name = store.action_space, str(store.info.get("env", "video"))
    if isinstance(space, Box) and len(space.shape) == 1:
        return Domain(name, "motion", (), int(space.shape[0]))
    if not isinstance(space, Discrete):
        raise ValueError(
            f"UniSim learns one world from its actions, but {store.path} has "
            f"{'none (a passive video)' if space is None else space}; record an environment with "
            "Discrete actions or a vector."
        )
    named = store.info["action_space"].get("names") or [f"key{i}" for i in range(space.n)]
    spoken = all(" " in each for each in named)
    return Domain(name, "language" if spoken else "keys", tuple(named))


RECIPE = UniSimRecipe()
