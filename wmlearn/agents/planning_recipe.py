"""How a policy that imitates a search in a learned world is trained at each tier."""

from __future__ import annotations

from dataclasses import replace

from wmlearn.agents.actor_critic import ActorCriticConfig
from wmlearn.agents.planning import PlanningConfig, SearchedPolicy
from wmlearn.agents.recipe import SMALL_WORLD, ActorCriticRecipe
from wmlearn.recipes.run import RunConfig

LAPTOP = PlanningConfig(
    actor_critic=ActorCriticConfig(
        channels=(32, 32, 32), lstm_dim=128, patch_size=4, lstm_skip=True
    )
)


class SearchedPolicyRecipe(ActorCriticRecipe):
    """A policy that imitates a search in a frozen world."""

    def preset(self, tier: str) -> tuple[RunConfig, PlanningConfig]:
        """The run and the numbers of a tier; the clips are what the policy sees when it chooses."""
        common = dict(pad_end=False, validate_every=0, checkpoint_every=100, ema_decay=0.0)
        if tier == "smoke":
            small = ActorCriticConfig(channels=(32,), lstm_dim=16, patch_size=4)
            smoke = replace(
                LAPTOP, world=SMALL_WORLD, actor_critic=small, first=(1,), then=1, updates=2,
                minibatch=4,
            )  # fmt: skip
            return RunConfig.for_tier(
                tier, **common, clip_frames=6, batch_size=2, max_steps=4, frames=300, image_size=32,
                holdout=0.2,
            ), smoke  # fmt: skip
        run = dict(common, clip_frames=9, pad_start=7)
        if tier == "laptop":
            return RunConfig.for_tier(tier, **run, batch_size=64, max_steps=1600), LAPTOP
        batch = {"colab": 256, "node": 2048, "pod": 8192}[tier]
        big = replace(
            LAPTOP, actor_critic=ActorCriticConfig(), first=(1, 2, 3, 5, 8), minibatch=256
        )
        return RunConfig.for_tier(
            tier, **run, batch_size=batch, max_steps=4000, frames=100_000
        ), big

    def optimizer_steps(self, config: PlanningConfig) -> int:
        return config.updates

    def build(self, config: PlanningConfig) -> SearchedPolicy:
        return SearchedPolicy(config)


RECIPE = SearchedPolicyRecipe()
