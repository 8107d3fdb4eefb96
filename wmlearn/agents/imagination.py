"""Learning to act inside a learned world (DIAMOND, section 3.3 and appendix; algorithm 1).

The policy never sees the real environment: real frames only start each dream.
Shapes: B batch, T imagined steps, A actions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor

from wmlearn.agents.actor_critic import ActorCritic, ActorCriticConfig
from wmlearn.agents.returns import lambda_returns
from wmlearn.data.clip import Clip
from wmlearn.hub import load_world


@dataclass(frozen=True)
class ImaginationConfig:
    """Numbers of reinforcement learning in a dream.

    Attributes:
        world: the checkpoint (name or folder) of the world to dream in.
        actor_critic: the network.
        horizon: imagined steps of one dream, T.
        gamma: discount.
        lambda_: of the returns.
        entropy_weight: keeps the policy from settling too early.
        value_weight: of the value's squared error.
        normalise_advantages: divide advantages by their standard deviation in the batch (not in
            the paper), so that the learning rate does not depend on the size of rewards.
        learning_rate: of AdamW.
        warmup_steps: the learning rate rises linearly over these steps.
        max_grad_norm: of the gradient.
        num_steps: denoising steps in the dream; 0 takes the world's own.
        seed: of weights, dreams and actions.
    """

    world: str = "diamond-doom-basic"
    actor_critic: ActorCriticConfig = field(default_factory=ActorCriticConfig)
    horizon: int = 15
    gamma: float = 0.985
    lambda_: float = 0.95
    entropy_weight: float = 0.001
    value_weight: float = 1.0
    normalise_advantages: bool = False
    learning_rate: float = 1e-4
    warmup_steps: int = 100
    max_grad_norm: float = 100.0
    num_steps: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Dream:
    """One imagined rollout; every entry is ``[B, T]`` except ``logits`` ``[B, T, A]``.

    ``alive`` is 1 up to and with the step that ends the episode, 0 after it. ``next_values`` are
    the values of the states after each step.
    """

    logits: Tensor
    actions: Tensor
    values: Tensor
    next_values: Tensor
    rewards: Tensor
    terminated: Tensor
    alive: Tensor


class ImaginedActorCritic(L.LightningModule):
    """REINFORCE with a value baseline and lambda-returns, on dreams of a frozen world."""

    def __init__(self, config: ImaginationConfig, world=None) -> None:
        super().__init__()
        self.config = config
        self.actor_critic = ActorCritic(config.actor_critic)
        # Kept in a list, so that the world's frozen weights are no part of this module's.
        self._world = [world or load_world(config.world, num_steps=config.num_steps or None)]

    def on_fit_start(self) -> None:
        self._world[0].system.to(self.device)

    def training_step(self, batch: Clip, batch_idx: int) -> Tensor:
        """Dreams on from the end of each real clip ``[B, T, C, H, W]`` and learns from it."""
        generator = torch.Generator().manual_seed(
            (self.config.seed * 1_000_003 + self.global_step) * 997 + self.global_rank
        )
        dream = self.imagine(batch, generator)
        losses, metrics = self.losses(dream)
        self.log_dict({f"train/{name}": value for name, value in (losses | metrics).items()})
        return sum(losses.values())

    def imagine(self, context: Clip, generator: torch.Generator) -> Dream:
        """T steps in the world under the current policy; gradients flow into the policy only."""
        world, network = self._world[0], self.actor_critic
        state = world.reset(context)
        memory = network.initial_memory(len(context))
        for frame in context.frames.unbind(1):  # the policy remembers how the dream began
            logits, value, memory = network(frame, memory)
        columns: dict[str, list[Tensor]] = {name: [] for name in Dream.__dataclass_fields__}
        alive = torch.ones(len(context), device=value.device)
        for _ in range(self.config.horizon):
            probabilities = logits.detach().float().softmax(-1).cpu()
            action = torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)
            action = action.to(value.device)
            state, step = world.step(state, action, generator)
            before = {"logits": logits, "values": value, "actions": action, "alive": alive}
            # Tensors of inference mode cannot take part in a graph; copies can.
            logits, value, memory = network(step.frame.clone(), memory)
            after = {
                "next_values": value.detach(),
                "rewards": step.reward.clone().sign(),  # clipped, as on Atari
                "terminated": step.terminated.clone(),
            }
            for name, column in (before | after).items():
                columns[name].append(column)
            alive = alive * (~after["terminated"]).float()
        return Dream(**{name: torch.stack(column, dim=1) for name, column in columns.items()})

    def losses(self, dream: Dream) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Policy, value and entropy losses over the steps that were alive; and what to watch."""
        c = self.config
        returns = lambda_returns(
            dream.rewards, dream.next_values, dream.terminated, c.gamma, c.lambda_
        )
        policy = torch.distributions.Categorical(logits=dream.logits.float())
        advantage = returns - dream.values.detach()
        value_error = F.mse_loss(dream.values.float(), returns, reduction="none")

        def mean(x: Tensor) -> Tensor:
            return (x * dream.alive).sum() / dream.alive.sum()

        if c.normalise_advantages:
            advantage = advantage / (mean(advantage**2).sqrt() + 1e-6)
        entropy = mean(policy.entropy())
        losses = {
            "policy": mean(-policy.log_prob(dream.actions) * advantage),
            "value": c.value_weight * mean(value_error),
            "entropy_bonus": -c.entropy_weight * entropy,
        }
        metrics = {
            "entropy": entropy.detach(),
            "dream_return": (dream.rewards * dream.alive).sum(1).mean(),
            "dream_ended": (dream.terminated & (dream.alive > 0)).any(1).float().mean(),
        }
        return losses, metrics

    def configure_optimizers(self) -> dict:
        c = self.config
        optimizer = torch.optim.AdamW(self.parameters(), lr=c.learning_rate, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, (step + 1) / c.warmup_steps)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def configure_gradient_clipping(self, optimizer, *args, **kwargs) -> None:
        torch.nn.utils.clip_grad_norm_(self.parameters(), self.config.max_grad_norm)
