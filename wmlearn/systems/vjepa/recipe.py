"""How V-JEPA is pre-trained at each tier, and how a trained one is saved."""

from __future__ import annotations

from dataclasses import replace

from wmlearn.data.episodes import EpisodeStore
from wmlearn.recipes.recipe import Recipe
from wmlearn.recipes.run import RunConfig
from wmlearn.systems.vjepa.config import (
    LONG_RANGE,
    PAPER,
    SHORT_RANGE,
    EncoderConfig,
    MaskConfig,
    PredictorConfig,
    VJEPAConfig,
)
from wmlearn.systems.vjepa.system import VJEPA

SHIPPED = "clips/metaworld"

RECORDED = "metaworld/pairs"

HOLDOUT = 0.25  # the episodes that probes are tested on

# Where the laptop departs from the paper, and why. A clip is 8 frames, every second one of 15, and
# a tubelet is 8 x 8 pixels over all of them: a mask hides a place at all times anyway, 64 tokens
# make a step cheap, and a few hundred steps teach an encoder to look at how a place changes, but
# not to compare tokens of different times (with short tubelets, motion came from single tokens
# only). Half of the clips are played backwards, so that no scene goes with one direction. There is
# one kind of mask; and VICReg's terms hold the features apart, since without them a few hundred
# steps on so little video shrink the features to about three directions (chapter 11 shows it).
LAPTOP = VJEPAConfig(
    encoder=EncoderConfig(
        image_size=64, patch_size=8, frames=8, tubelet_size=8, dim=128, depth=4, heads=4
    ),
    predictor=PredictorConfig(dim=64, depth=2, heads=2),
    masks=(MaskConfig(blocks=3, scale=0.25, hidden=0.56, visible=0.38),),
    frame_stride=2,
    reverse=0.5,
    regularizer="vicreg",
    regularizer_weight=0.003,
    ema=0.99,
    learning_rate=1e-3,
    warmup_steps=50,
    max_steps=1,  # > 0: a cosine over the run's own number of steps
)

SMOKE = replace(
    LAPTOP,
    encoder=EncoderConfig(image_size=64, patch_size=16, frames=8, dim=48, depth=2, heads=2),
    predictor=PredictorConfig(dim=24, depth=1, heads=2),
    warmup_steps=1,
)

# One GPU: a deeper network, all frames, finer tubelets, and the paper's masks and loss.
COLAB = replace(
    LAPTOP,
    masks=(SHORT_RANGE, LONG_RANGE),
    regularizer="none",
    encoder=EncoderConfig(image_size=64, patch_size=8, frames=16, dim=384, depth=12, heads=6),
    predictor=PredictorConfig(dim=192, depth=6, heads=6),
    frame_stride=1,
    ema=0.998,
    learning_rate=6e-4,
    warmup_steps=1000,
)


class VJEPARecipe(Recipe):
    """V-JEPA: encoder and predictor, which fill in the features of hidden places."""

    name = "vjepa"

    def preset(self, tier: str) -> tuple[RunConfig, VJEPAConfig]:
        """The run and the model of a tier. From node on, the model is V-JEPA 2's ViT-L."""
        clips = dict(
            env=SHIPPED, policy="expert", frames=15_360, holdout=HOLDOUT, pad_start=0,
            pad_end=False, ema_decay=0.0,  # the system has a running average of its own
        )  # fmt: skip
        if tier == "smoke":
            return RunConfig.for_tier(
                tier, **clips, batch_size=4, clip_frames=15, max_steps=4, validate_every=2,
                val_batches=1, checkpoint_every=2,
            ), SMOKE  # fmt: skip
        if tier == "laptop":
            return RunConfig.for_tier(
                tier, **clips | {"precision": "32-true"}, batch_size=16, clip_frames=15,
                max_steps=3000, max_minutes=5, validate_every=250,
            ), LAPTOP  # fmt: skip
        recorded = clips | dict(
            env=RECORDED, frames=40_960, checkpoint_every=1000, validate_every=1000
        )
        if tier == "colab":
            return RunConfig.for_tier(
                tier, **recorded, batch_size=128, clip_frames=16, max_steps=20_000
            ), COLAB  # fmt: skip
        # The paper's 90,000 steps of 3,072 clips; give your own videos with --env or --data.
        large = recorded | {"image_size": 256, "clip_frames": 16}
        batch, steps = {"node": (256, 300_000), "pod": (3072, 90_000)}[tier]
        return RunConfig.for_tier(tier, **large, batch_size=batch, max_steps=steps), PAPER

    def complete(self, config: VJEPAConfig, run: RunConfig, store: EpisodeStore) -> VJEPAConfig:
        """Fills in what the data and the run decide: channels, image size, length of the cosine."""
        channels, height, width = store.info["frame_shape"]
        if height != width or height % config.encoder.patch_size:
            raise ValueError(
                f"V-JEPA wants square frames that patches of {config.encoder.patch_size} pixels "
                f"divide; {store.path} has {height} x {width}."
            )
        span = config.frame_stride * (config.encoder.frames - 1) + 1
        if run.clip_frames < span:
            raise ValueError(
                f"clip_frames={run.clip_frames} is too short: {config.encoder.frames} frames, "
                f"every {config.frame_stride}th, span {span}."
            )
        return replace(
            config,
            seed=run.seed,
            max_steps=run.max_steps if config.max_steps else 0,
            encoder=replace(config.encoder, image_channels=channels, image_size=height),
        )

    def build(self, config: VJEPAConfig) -> VJEPA:
        return VJEPA(config)


RECIPE = VJEPARecipe()
