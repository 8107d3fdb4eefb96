"""How My Model is trained at each tier."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
from wmlearn.systems.mymodel.config import PAPER, MyModelConfig
from wmlearn.systems.mymodel.system import MyModel

from wmlearn.data.episodes import EpisodeStore
from wmlearn.recipes.recipe import Recipe
from wmlearn.recipes.run import RunConfig

# Where the laptop departs from the paper, and why, a line each.
LAPTOP = replace(
    PAPER,
    width=32,  # five minutes on two cores
    depth=3,
    learning_rate=1e-3,
    warmup_steps=50,
    max_steps=1,  # > 0: a cosine over the run's own number of steps
)

SMOKE = replace(LAPTOP, width=8, depth=1, warmup_steps=1)


class MyModelRecipe(Recipe):
    """My Model: one network."""

    name = "my-model"

    def preset(self, tier: str) -> tuple[RunConfig, MyModelConfig]:
        """The run and the model of a tier. From colab on, the model is the paper's."""
        clip = dict(clip_frames=PAPER.context_frames + 1)
        if tier == "smoke":
            return RunConfig.for_tier(
                tier, frames=300, image_size=32, batch_size=4, max_steps=4, validate_every=2,
                val_batches=1, ema_decay=0.9, checkpoint_every=2, holdout=0.2, **clip,
            ), SMOKE  # fmt: skip
        if tier == "laptop":
            return RunConfig.for_tier(
                tier, frames=10_000, batch_size=16, max_steps=1000, max_minutes=5, **clip
            ), LAPTOP
        batch = {"colab": 32, "node": 256, "pod": 1024}[tier]
        return RunConfig.for_tier(
            tier, frames=100_000, batch_size=batch, max_steps=1_600_000 // batch,
            checkpoint_every=1000, validate_every=1000, **clip,
        ), PAPER  # fmt: skip

    def complete(self, config: MyModelConfig, run: RunConfig, store: EpisodeStore) -> MyModelConfig:
        """Fills in what the data decides: the actions, the frames' channels and size."""
        space = store.action_space
        if not isinstance(space, gymnasium.spaces.Discrete):
            have = "no actions (a passive video)" if space is None else f"{space} actions"
            raise ValueError(
                f"My Model learns from discrete actions, but {store.path} has {have}; record an "
                "environment with a Discrete action space."
            )
        channels, height, width = store.frame_shape
        if height != width:
            raise ValueError(f"My Model wants square frames; {store.path} has {height} x {width}.")
        if run.clip_frames < config.context_frames + 1:
            raise ValueError(
                f"clip_frames={run.clip_frames} is too short: context_frames + 1 = "
                f"{config.context_frames + 1}."
            )
        return replace(
            config,
            num_actions=int(space.n),
            image_channels=channels,
            image_size=height,
            seed=run.seed,
            max_steps=run.max_steps if config.max_steps else 0,
        )

    def build(self, config: MyModelConfig) -> MyModel:
        return MyModel(config)


RECIPE = MyModelRecipe()
