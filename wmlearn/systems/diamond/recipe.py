"""How DIAMOND is trained at each tier, and how a trained one is saved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from gymnasium.spaces import Box, Discrete

from wmlearn.data.episodes import EpisodeStore
from wmlearn.recipes.recipe import Recipe
from wmlearn.recipes.run import RunConfig
from wmlearn.systems.diamond.config import (
    PAPER,
    DenoiserConfig,
    DiamondConfig,
    RewardEndConfig,
    SamplerConfig,
    side_unit,
)
from wmlearn.systems.diamond.later_round import LaterRound
from wmlearn.systems.diamond.system import Diamond

# Where the laptop departs from the paper, and why (chapter 4 measures each of these):
# 4 x 4 pixels become channels, since width at full resolution is what costs; the change from the
# last frame is diffused, since most of a frame stays as it is; noise levels are high, since one
# step from pure noise is what the player draws, and that step starts from the noise's mean
# (initial_scale 0), which spares the dream the noise's grain; what hardly changes stays as it is;
# two frames in a row are learned, so that dreams last; and the learning rate falls to zero, since
# five minutes have no time to waste.
LAPTOP = DiamondConfig(
    denoiser=DenoiserConfig(
        cond_channels=128,
        depths=(1, 1, 1),
        channels=(64, 64, 128),
        attention=(False, False, False),
        patch_size=4,
        predict="change",
        sigma_data=0.2,
        sigma_offset_noise=0.0,
        still_below=4.0,
        sigma_loc=1.1,
        sigma_scale=0.6,
    ),
    reward_end=RewardEndConfig(
        lstm_dim=128,
        cond_channels=64,
        depths=(1, 1, 1),
        channels=(32, 32, 64),
        attention=(False, False, False),
        patch_size=4,
    ),
    sampler=SamplerConfig(num_steps=1, sigma_min=1.0, sigma_max=3.0, initial_scale=0.0),
    autoregressive_steps=2,
    learning_rate=1e-3,
    warmup_steps=50,
    max_steps=1,  # > 0: a cosine over the run's own number of steps
)

SMOKE = replace(
    LAPTOP,
    denoiser=replace(LAPTOP.denoiser, cond_channels=32, channels=(32, 32, 32)),
    reward_end=replace(LAPTOP.reward_end, lstm_dim=32, cond_channels=32, channels=(32, 32, 32)),
    warmup_steps=1,
)


class DiamondRecipe(Recipe):
    """DIAMOND: the diffusion model of the next frame, and the model of reward and end."""

    name = "diamond"

    def preset(self, tier: str) -> tuple[RunConfig, DiamondConfig]:
        """The run and the model of a tier. From colab on, the model is the paper's."""
        paper_clip = 15 + PAPER.denoiser.context_frames  # the imagination horizon, and the context
        paper = dict(
            clip_frames=paper_clip, checkpoint_every=1000, validate_every=1000, frames=100_000
        )
        if tier == "smoke":
            return RunConfig.for_tier(
                tier, frames=300, image_size=32, batch_size=4, max_steps=4, validate_every=2,
                val_batches=1, ema_decay=0.9, checkpoint_every=2, holdout=0.2,
            ), SMOKE  # fmt: skip
        if tier == "laptop":
            return RunConfig.for_tier(
                tier, frames=10_000, batch_size=8, max_steps=1000, max_minutes=5, ema_decay=0.995
            ), LAPTOP  # fmt: skip
        if tier == "colab":
            return RunConfig.for_tier(tier, batch_size=32, max_steps=50_000, **paper), PAPER
        # The paper's 1,000 epochs of 400 steps of 32 clips, in larger batches and fewer steps.
        batch = {"node": 256, "pod": 1024}[tier]
        steps = 400_000 * 32 // batch
        return RunConfig.for_tier(tier, batch_size=batch, max_steps=steps, **paper), PAPER

    def check_side(self, config: DiamondConfig, side: int) -> None:
        """Any side from one patch of the lowest level on; the networks pad what does not fit."""
        least = max(side_unit(config.denoiser), side_unit(config.reward_end))
        if side < least:
            raise ValueError(
                f"diamond wants frames of {least} x {least} pixels or more; got {side}: take "
                f"--image_size {least}, or more."
            )

    def complete(self, config: DiamondConfig, run: RunConfig, store: EpisodeStore) -> DiamondConfig:
        """Fills in what the data decides: actions, image size, what each reward's sign is worth."""
        channels, height, width = store.info["frame_shape"]
        if height != width:
            raise ValueError(f"DIAMOND wants square frames; {store.path} has {height} x {width}.")
        config = config.for_actions(**_actions(store))
        length = config.denoiser.context_frames + config.autoregressive_steps
        if run.clip_frames < length:
            raise ValueError(
                f"clip_frames={run.clip_frames} is too short: context_frames + "
                f"autoregressive_steps = {length}."
            )
        return replace(
            config,
            seed=run.seed,
            max_steps=run.max_steps if config.max_steps else 0,
            denoiser=replace(config.denoiser, image_channels=channels),
            reward_end=replace(
                config.reward_end,
                image_channels=channels,
                image_size=height,
                reward_values=_reward_values(store),
            ),
        )

    def build(self, config: DiamondConfig) -> Diamond:
        """The paper's training, or a later round where the numbers ask for one."""
        return (LaterRound if LaterRound.is_meant_by(config) else Diamond)(config)


def _actions(store: EpisodeStore) -> dict:
    """What :meth:`DiamondConfig.for_actions` takes, of the data's action space."""
    space = store.action_space
    if isinstance(space, Discrete):
        return {"num_actions": int(space.n)}
    if isinstance(space, Box) and space.is_bounded() and len(space.shape) == 1:
        bounds = zip(space.low.tolist(), space.high.tolist(), strict=True)
        return {"num_actions": 0, "action_bounds": tuple(bounds)}
    have = "no actions (a passive video)" if space is None else f"{space} actions"
    raise ValueError(
        f"DIAMOND learns from Discrete actions or a bounded Box of one dimension, but "
        f"{store.path} has {have}: record an environment with such actions."
    )


def _reward_values(store: EpisodeStore) -> tuple[float, float, float]:
    """The mean reward of each sign in the data: the world's reward for a class."""
    rewards = np.concatenate([store[i].rewards for i in range(len(store))])
    values = []
    for sign in (-1, 0, 1):
        here = rewards[np.sign(rewards) == sign]
        values.append(round(float(here.mean()), 4) if len(here) else float(sign))
    return tuple(values)


RECIPE = DiamondRecipe()
