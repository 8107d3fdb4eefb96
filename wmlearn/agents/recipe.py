"""How an actor-critic is trained in a learned world at each tier, and how it is saved."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from wmlearn import hub
from wmlearn.agents.actor_critic import ActorCritic, ActorCriticConfig
from wmlearn.agents.imagination import ImaginationConfig, ImaginedActorCritic
from wmlearn.data.episodes import EpisodeStore
from wmlearn.recipes.recipe import Recipe
from wmlearn.recipes.run import RunConfig
from wmlearn.world import Needs

PAPER = ImaginationConfig()
SMALL_WORLD = "diamond-doom-basic-32"  # frames of 32 x 32 are faster to dream

# A small network on 4 x 4 pixel patches; each dream is used four times, since dreaming is the
# expensive part; and a shorter horizon, since the game is short: 1 / (1 - gamma) = 20 steps.
LAPTOP = replace(
    PAPER,
    actor_critic=ActorCriticConfig(
        channels=(32, 32, 32), lstm_dim=128, patch_size=4, lstm_skip=True
    ),
    gamma=0.95,
    normalize_advantages=True,
    value_weight=0.1,
    epochs=4,
    learning_rate=5e-4,
    entropy_weight=0.02,
    warmup_steps=10,
)


class ActorCriticRecipe(Recipe):
    """A policy and a value that learn from dreams of a frozen world."""

    name = "actor-critic"

    def preset(self, tier: str) -> tuple[RunConfig, ImaginationConfig]:
        """The run and the numbers of a tier; the clips are only where the dreams start."""
        common = dict(
            clip_frames=5, pad_end=False, validate_every=0, checkpoint_every=50, ema_decay=0.0
        )
        if tier == "smoke":
            small = ActorCriticConfig(channels=(32,), lstm_dim=16, patch_size=4)
            smoke = replace(LAPTOP, world=SMALL_WORLD, actor_critic=small, horizon=3)
            return RunConfig.for_tier(
                tier, **common, batch_size=2, max_steps=8, frames=300, image_size=32, holdout=0.2
            ), smoke  # fmt: skip
        if tier == "laptop":
            return RunConfig.for_tier(tier, **common, batch_size=64, max_steps=300), LAPTOP
        batch = {"colab": 32, "node": 256, "pod": 1024}[tier]
        steps = 400_000 * 32 // batch if tier != "colab" else 20_000
        paper = common | dict(checkpoint_every=1000, frames=100_000)
        return RunConfig.for_tier(tier, **paper, batch_size=batch, max_steps=steps), PAPER

    def complete(
        self, config: ImaginationConfig, run: RunConfig, store: EpisodeStore
    ) -> ImaginationConfig:
        """Fills in what the world decides: actions and frames."""
        world = hub.load_world(config.world)
        Needs(discrete=True).check("A policy with one output for each action", world)
        channels, size, _ = world.frame_shape
        if list(world.frame_shape) != list(store.info["frame_shape"]):
            raise ValueError(
                f"The world {config.world} dreams frames of shape {list(world.frame_shape)}, but "
                f"{store.path} holds {store.info['frame_shape']}; record it at {size} x {size}."
            )
        network = replace(
            config.actor_critic,
            num_actions=int(world.action_space.n),
            image_channels=channels,
            image_size=size,
            context_frames=run.clip_frames - 1,  # a clip's last frame may be an episode's end
            seed=run.seed,
        )
        return replace(config, actor_critic=network, seed=run.seed)

    def needs(self, config: ImaginationConfig) -> tuple[str, ...]:
        return (config.world,)

    def optimizer_steps(self, config: ImaginationConfig) -> int:
        return config.epochs * config.minibatches

    def build(self, config: ImaginationConfig) -> ImaginedActorCritic:
        return ImaginedActorCritic(config)

    def initialize(self, module: ImaginedActorCritic, trained: ActorCritic) -> None:
        """Starts from a trained policy; its layers must have the same sizes."""
        module.actor_critic.load_state_dict(trained.state_dict())

    def save(self, out: Path, module: ImaginedActorCritic, card: dict[str, Any]) -> None:
        training = {k: v for k, v in asdict(module.config).items() if k != "actor_critic"}
        hub.save(out, module.actor_critic, self.name, {"training": training, **card})


RECIPE = ActorCriticRecipe()
