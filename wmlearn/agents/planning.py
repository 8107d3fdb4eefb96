"""Search in a learned world, and a policy that imitates the search.

The search tries every plan of two parts, "hold one action for some steps, then another", in the
world, and gives each first action the value of its best plan (open-loop planning as in model
predictive control; compare PETS, Chua et al. 2018, with a list of plans in place of random ones).
The policy is trained to imitate the best first actions, as in expert iteration (Anthony et al.
2017), so that it can act without searching. Like the actor-critic of ``imagination.py`` it never
meets the real environment: recorded frames only start the plans.

Shapes: B batch, A actions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor

from wmlearn.agents.actor_critic import ActorCritic, ActorCriticConfig
from wmlearn.data.clip import Clip
from wmlearn.hub import load_world
from wmlearn.recipes.optim import adamw
from wmlearn.world import Needs, World


@dataclass(frozen=True)
class PlanningConfig:
    """Hyperparameters of the search, and of imitating it.

    Attributes:
        world: the checkpoint (name or folder) of the world to plan in.
        actor_critic: the network.
        keys: the actions that plans consist of; empty takes all.
        first: for how many steps a plan's first action may be held.
        then: for how many steps its second action is held.
        gamma: discount.
        leaf_reward: assumed reward of every step after the end of a plan.
        temperature: of the softmax that makes a target of the values, in units of the return.
        value_weight: of the value's squared error.
        updates: optimizer steps after each batch of searches, on all that was found so far.
        minibatch: searched starts in one such step.
        learning_rate: of AdamW.
        max_grad_norm: of the gradient.
        sampler: what differs from the world's own way of drawing; empty: nothing.
        seed: of weights, dreams and minibatches.
    """

    world: str = "diamond-doom-basic"
    actor_critic: ActorCriticConfig = field(default_factory=ActorCriticConfig)
    keys: tuple[int, ...] = ()
    first: tuple[int, ...] = (1, 2, 3, 5)
    then: int = 3
    gamma: float = 0.9
    leaf_reward: float = -1.0
    temperature: float = 0.5
    value_weight: float = 0.05
    updates: int = 100
    minibatch: int = 64
    learning_rate: float = 1e-3
    max_grad_norm: float = 10.0
    sampler: dict[str, int | float] = field(default_factory=dict)
    seed: int = 0


@torch.no_grad()
def plan_values(
    world: World, start: Clip, config: PlanningConfig, generator: torch.Generator
) -> Tensor:
    """Return of the best plan that begins with each action, float ``[B, A]``; -inf for none.

    Rewards count by their sign. A world that knows how likely each sign and an end are
    (``Step.reward_signs``, ``Step.end_probability``) gives expected rewards, without sampling.
    """
    keys = config.keys or tuple(range(int(world.action_space.n)))
    root = _Branch(world.reset(start), torch.zeros(len(start)), torch.ones(len(start)))
    values = torch.full((len(start), int(world.action_space.n)), -torch.inf)
    for key in keys:
        trunk = root
        for length in range(1, max(config.first) + 1):
            trunk = trunk.step(world, key, config.gamma, generator)
            if length not in config.first:
                continue
            for other in keys:
                if other == key and length > min(config.first):
                    continue  # the same action twice is a longer hold
                leaf = trunk
                for _ in range(config.then):
                    leaf = leaf.step(world, other, config.gamma, generator)
                found = leaf.value + leaf.weight * config.leaf_reward / (1 - config.gamma)
                values[:, key] = torch.maximum(values[:, key], found)
    return values


@dataclass(frozen=True)
class _Branch:
    """A partial plan.

    Attributes:
        state: of the world, where the plan leads to.
        value: [B], the discounted return so far.
        weight: [B], the discount from here on, times the probability of being alive.
    """

    state: Any
    value: Tensor
    weight: Tensor

    def step(self, world: World, key: int, gamma: float, generator: torch.Generator) -> _Branch:
        action = torch.full((len(self.value),), key)
        state, step = world.step(self.state, action, generator)
        signs, ended = step.reward_signs, step.end_probability
        reward = step.reward.sign() if signs is None else signs[:, 2] - signs[:, 0]
        ended = step.terminated.float() if ended is None else ended
        value = self.value + self.weight * reward.cpu()
        return _Branch(state, value, self.weight * gamma * (1 - ended.cpu()))


class SearchedPolicy(L.LightningModule):
    """Searches from each batch of real clips, and fits the network to all searches so far.

    Args:
        config: all numbers.
        world: to plan in; default: the one that ``config`` names.

    Raises:
        ValueError: the world lacks what the search needs; see ``NEEDS``.
    """

    NEEDS = Needs(discrete=True, rewards=True)  # the policy looks at recorded frames only

    def __init__(self, config: PlanningConfig, world: World | None = None) -> None:
        super().__init__()
        self.config = config
        self.automatic_optimization = False
        self.actor_critic = ActorCritic(config.actor_critic)
        # Kept in a list, so that the world's frozen weights are no part of this module's.
        self._world = [world or load_world(config.world, config.sampler)]
        self.NEEDS.check("A policy that imitates a search", self._world[0])
        self._frames: list[Tensor] = []  # uint8 [K, C, H, W], what the policy sees
        self._values: list[Tensor] = []  # [A], what the search found

    def on_fit_start(self) -> None:
        self._world[0].to(self.device)

    def training_step(self, batch: Clip, batch_idx: int) -> None:
        """``batch``: real clips ``[B, K + 1, C, H, W]``; a last frame may be an episode's end."""
        number = self.global_step // self.config.updates
        generator = torch.Generator().manual_seed(
            (self.config.seed * 1_000_003 + number) * 997 + self.global_rank
        )
        seen = batch.time(0, -1)
        recent = seen.time(-self._world[0].context_frames, seen.length)
        values = plan_values(self._world[0], recent, self.config, generator)
        self._frames += seen.frames.cpu().unbind()
        self._values += values.unbind()
        optimizer = self.optimizers()
        for _ in range(self.config.updates):
            rows = torch.randint(len(self._frames), (self.config.minibatch,), generator=generator)
            losses, metrics = self.losses(
                torch.stack([self._frames[i] for i in rows]).to(self.device),
                torch.stack([self._values[i] for i in rows]).to(self.device),
            )
            optimizer.zero_grad()
            self.manual_backward(sum(losses.values()))
            torch.nn.utils.clip_grad_norm_(self.parameters(), self.config.max_grad_norm)
            optimizer.step()
        metrics["best_plan"] = values.amax(1).mean()
        self.log_dict({f"train/{name}": value for name, value in (losses | metrics).items()})

    def losses(self, frames: Tensor, values: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Cross-entropy with the softmax of the plans' values, and the value's squared error.

        Args: ``frames`` uint8 [B, K, C, H, W], ``values`` [B, A].
        """
        logits, value, _ = self.actor_critic.unroll(frames)
        target = (values / self.config.temperature).softmax(-1)
        best = values.amax(-1)
        losses = {
            "imitation": F.cross_entropy(logits.float(), target),
            "value": self.config.value_weight * F.mse_loss(value.float(), best),
        }
        agree = (logits.argmax(-1) == values.argmax(-1)).float().mean()
        return losses, {"agreement": agree}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return adamw(self.parameters(), self.config.learning_rate, weight_decay=1e-2, fused=None)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        """The searches of all processes, one after the other."""
        searches = torch.stack(self._frames), torch.stack(self._values)
        if self._trainer is not None and self.trainer.world_size > 1:
            searches = tuple(self.all_gather(x).flatten(0, 1).cpu() for x in searches)
        checkpoint["searches"] = searches

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        """Each process goes on with its own part of them."""
        processes = 1 if self._trainer is None else self.trainer.world_size
        self._frames, self._values = (
            list(x.tensor_split(processes)[self.global_rank].unbind())
            for x in checkpoint["searches"]
        )
