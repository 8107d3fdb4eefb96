"""How Genie is trained at each tier, and how a trained one is saved."""

from __future__ import annotations

import math
from dataclasses import replace

from wmlearn.data.episodes import EpisodeStore
from wmlearn.recipes.recipe import Recipe
from wmlearn.recipes.run import RunConfig
from wmlearn.systems.genie.config import (
    PAPER,
    DynamicsConfig,
    GenieConfig,
    LatentActionConfig,
    TokenizerConfig,
)
from wmlearn.systems.genie.system import Genie

PASSIVE = True  # the loaders serve frames alone: what was pressed cannot reach the training

# Where the laptop departs from the paper, and why (chapter 9 measures each of these):
# a token stands for 8 x 8 pixels, since the cost grows with the tokens of a frame; the parts are
# narrow and learn one after the other; the latent action model sees a picture of 16 x 16 pixels,
# where a step of the hero is a small and smooth change that is learned soon, and each frame's error
# counts relative to its change, since falls and jumps change so much more than steps that most of
# the eight codes would go to them; its decoder sees one frame alone, so that a code stands for a
# motion, and not for its change; in training half of the frames stay whole, as the past is at play;
# a frame is filled in within two passes, and what does not change is not drawn anew, so that it
# stays as sharp as the first picture. The exact GELU is no departure, only the faster one here.
LAPTOP = GenieConfig(
    tokenizer=TokenizerConfig(
        patch=8, dim=96, encoder_depth=1, decoder_depth=2, heads=3, gelu="exact",
        num_codes=512, code_dim=16, still_below=8.0,
    ),
    actions=LatentActionConfig(
        shrink=4,
        patch=4,
        dim=64,
        depth=2,
        heads=2,
        gelu="exact",
        past="last",
        relative=0.01,
        quantizer_weight=0.1,
    ),
    dynamics=DynamicsConfig(
        dim=128, depth=3, heads=4, gelu="exact", whole_frames=0.5, steps=2, temperature=0.0,
        window=8,
    ),
    actions_span=(0.0, 0.23),
    tokenizer_span=(0.23, 0.46),
    dynamics_span=(0.46, 1.0),
    learning_rate=2e-3,
    warmup_steps=20,
    revive_every=5,
)  # fmt: skip

SMOKE = replace(
    LAPTOP,
    tokenizer=replace(LAPTOP.tokenizer, dim=32, decoder_depth=1, heads=1, num_codes=32),
    actions=replace(LAPTOP.actions, dim=32, heads=1),
    dynamics=replace(LAPTOP.dynamics, dim=32, depth=1, heads=1),
    revive_every=2,
    warmup_steps=1,
)

COLAB = replace(
    PAPER,
    tokenizer=replace(PAPER.tokenizer, dim=256, encoder_depth=4, decoder_depth=4, heads=4),
    actions=replace(PAPER.actions, dim=256, depth=4, heads=4),
    dynamics=replace(PAPER.dynamics, dim=384, depth=6, heads=6),
)


class GenieRecipe(Recipe):
    """Genie: tokenizer, latent action model and dynamics, one after the other."""

    name = "genie"
    passive = True

    def preset(self, tier: str) -> tuple[RunConfig, GenieConfig]:
        """The run and the model of a tier. From colab on, it follows the paper's CoinRun case.

        The paper's own sizes are those of ``PAPER``; colab halves the depths and the width to fit
        one GPU, node and pod take them whole.
        """
        video = dict(env="procgen/coinrun", policy="mixed", hold=7.0, pad_start=0, pad_end=False)
        hard = dict(
            video,
            env="procgen/coinrun-hard",
            clip_frames=16,
            checkpoint_every=1000,
            validate_every=1000,
        )
        if tier == "smoke":
            return RunConfig.for_tier(
                tier, **video, frames=600, batch_size=4, clip_frames=4, max_steps=6,
                validate_every=3, val_batches=1, ema_decay=0.9, checkpoint_every=2, holdout=0.2,
            ), SMOKE  # fmt: skip
        if tier == "laptop":
            return RunConfig.for_tier(
                tier, **video, frames=10_000, batch_size=8, clip_frames=5, max_steps=2600,
                max_minutes=5, ema_decay=0.98,
            ), LAPTOP  # fmt: skip
        if tier == "colab":
            return RunConfig.for_tier(
                tier, **hard, frames=200_000, batch_size=32, max_steps=60_000
            ), COLAB  # fmt: skip
        batch = {"node": 48, "pod": 256}[tier]  # the paper's batches: 48 and, for dynamics, 36
        return RunConfig.for_tier(
            tier, **hard, frames=1_000_000, batch_size=batch, max_steps=300_000 * 48 // batch
        ), PAPER  # fmt: skip

    def side_unit(self, config: GenieConfig) -> int:
        """Patches of the tokenizer, and of the latent action model where it sees pixels."""
        actions = config.actions
        pixels = actions.shrink * actions.patch if actions.sees != "tokens" else 1
        return math.lcm(config.tokenizer.patch, pixels)

    def complete(self, config: GenieConfig, run: RunConfig, store: EpisodeStore) -> GenieConfig:
        """Fills in what the data decides: the frames' channels and size."""
        channels, height, width = store.info["frame_shape"]
        tokenizer, actions = config.tokenizer, config.actions
        units = [tokenizer.patch] + [actions.shrink * actions.patch] * (actions.sees != "tokens")
        if height != width or any(height % unit for unit in units):
            raise ValueError(
                f"Genie wants square frames whose side is a multiple of {max(units)} pixels; "
                f"{store.path} has {height} x {width}."
            )
        if run.clip_frames < 2:
            raise ValueError(
                "Genie learns what happens between frames: clip_frames must be 2 or more."
            )
        return replace(
            config,
            seed=run.seed,
            max_steps=run.max_steps,
            image_channels=channels,
            image_size=height,
        )

    def build(self, config: GenieConfig) -> Genie:
        return Genie(config)

    def initialize(self, module: Genie, trained: Genie) -> None:
        """Starts from a trained model: every part whose layers have the same sizes."""
        self.initialize_parts(module, trained)


RECIPE = GenieRecipe()
