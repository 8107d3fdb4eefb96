"""Learning to act inside a learned world (DIAMOND, section 3 and appendix; algorithm 1).

The policy never sees the real environment: real frames only start each dream.
Shapes: B batch, T imagined steps, A actions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import lightning as L
import torch
from torch import Tensor

from wmlearn.agents.actor_critic import ActorCritic, ActorCriticConfig
from wmlearn.agents.returns import lambda_returns
from wmlearn.data.clip import Clip
from wmlearn.hub import load_world
from wmlearn.recipes.optim import adamw, scheduled, warmup
from wmlearn.world import Needs, World


@dataclass(frozen=True)
class ImaginationConfig:
    """Hyperparameters of reinforcement learning in a dream.

    Attributes:
        world: the checkpoint (name or folder) of the world to dream in.
        actor_critic: the network.
        horizon: imagined steps of one dream, T.
        gamma: discount.
        lambda_: of the returns.
        entropy_weight: of the entropy bonus, which keeps the policy exploring.
        value_weight: of the value's squared error.
        normalize_advantages: give the batch's advantages mean 0 and standard deviation 1 (not in
            the paper), so that the learning rate does not depend on the size of rewards.
        epochs: optimization passes over each dream; 1 in the paper.
        minibatches: parts into which the dreams of a batch are shuffled in each epoch, with an
            optimizer step for each; 1 in the paper.
        clip_ratio: how far the policy may move from the one that dreamed (PPO; matters from the
            second epoch on).
        learning_rate: of AdamW.
        warmup_steps: the learning rate rises linearly over these steps.
        max_grad_norm: of the gradient.
        sampler: what differs from the world's own way of drawing; empty: nothing.
        seed: of weights, dreams and actions.
    """

    world: str = "diamond-doom-basic"
    actor_critic: ActorCriticConfig = field(default_factory=ActorCriticConfig)
    horizon: int = 15
    gamma: float = 0.985
    lambda_: float = 0.95
    entropy_weight: float = 0.001
    value_weight: float = 1.0
    normalize_advantages: bool = False
    epochs: int = 1
    minibatches: int = 1
    clip_ratio: float = 0.2
    learning_rate: float = 1e-4
    warmup_steps: int = 100
    max_grad_norm: float = 100.0
    sampler: dict[str, int | float] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Dream:
    """One imagined rollout of T steps, after K real frames; without gradient.

    Attributes:
        frames: uint8 ``[B, K + T, C, H, W]``, the real ones and the dreamed ones.
        actions: int64 ``[B, T]``.
        log_probs: ``[B, T]``, of the actions under the policy that dreamed.
        rewards: ``[B, T]``, clipped to their sign.
        terminated: bool ``[B, T]``.
        alive: ``[B, T]``, 1 up to and with the step that ends the episode, 0 after it.
    """

    frames: Tensor
    actions: Tensor
    log_probs: Tensor
    rewards: Tensor
    terminated: Tensor
    alive: Tensor

    def __getitem__(self, rows: Tensor) -> Dream:
        """The dreams of these rows of the batch."""
        return Dream(*(getattr(self, field.name)[rows] for field in fields(self)))


class ImaginedActorCritic(L.LightningModule):
    """Policy gradient with a value baseline and lambda-returns, on dreams of a frozen world.

    With ``epochs=1`` the gradient is REINFORCE's, as in the paper. With more, each dream is used
    again, and the ratio to the policy that dreamed is clipped (PPO, Schulman et al. 2017).

    Args:
        config: all numbers.
        world: to train in; default: the one that ``config`` names.

    Raises:
        ValueError: the world lacks what this agent needs; see ``NEEDS``.
    """

    NEEDS = Needs(discrete=True, rewards=True, frames=True)

    def __init__(self, config: ImaginationConfig, world: World | None = None) -> None:
        super().__init__()
        self.config = config
        self.automatic_optimization = False
        self.actor_critic = ActorCritic(config.actor_critic)
        # Kept in a list, so that the world's frozen weights are no part of this module's.
        self._world = [world or load_world(config.world, config.sampler)]
        self.NEEDS.check("An actor-critic in a dream", self._world[0])

    def on_fit_start(self) -> None:
        self._world[0].to(self.device)

    def training_step(self, batch: Clip, batch_idx: int) -> None:
        """Dreams on from the last but one frame of each real clip ``[B, K + 1, C, H, W]``.

        The very last frame may be an episode's end, where nothing follows.
        """
        generator = torch.Generator().manual_seed(
            (self.config.seed * 1_000_003 + self.global_step) * 997 + self.global_rank
        )
        dream = self.imagine(batch.time(0, -1), generator)
        optimizer, schedule = self.optimizers(), self.lr_schedulers()
        for _ in range(self.config.epochs):
            order = torch.randperm(len(batch), generator=generator)
            for part in order.chunk(self.config.minibatches):
                losses, metrics = self.losses(dream[part])
                optimizer.zero_grad()
                self.manual_backward(sum(losses.values()))
                torch.nn.utils.clip_grad_norm_(self.parameters(), self.config.max_grad_norm)
                optimizer.step()
                schedule.step()
        self.log_dict({f"train/{name}": value for name, value in (losses | metrics).items()})

    @torch.no_grad()
    def imagine(self, context: Clip, generator: torch.Generator) -> Dream:
        """T steps in the world under the current policy."""
        world, network = self._world[0], self.actor_critic
        state = world.reset(context)
        logits, _, memory = network.unroll(context.frames)  # it remembers how the dream began
        frames, columns = list(context.frames.unbind(1)), []
        alive = torch.ones(len(context), device=logits.device)
        for _ in range(self.config.horizon):
            log_policy = logits.float().log_softmax(-1)
            action = torch.multinomial(log_policy.exp().cpu(), 1, generator=generator)
            action = action.to(logits.device)
            log_prob = log_policy.gather(1, action).squeeze(1)
            state, step = world.step(state, action.squeeze(1), generator)
            reward, ended = step.reward.clone().sign(), step.terminated.clone()
            columns.append((action.squeeze(1), log_prob, reward, ended, alive))
            frames.append(step.frame.clone())  # a copy may leave inference mode
            alive = alive * (~ended).float()
            logits, _, memory = network(frames[-1], memory)
        return Dream(
            torch.stack(frames, 1), *(torch.stack(c, 1) for c in zip(*columns, strict=True))
        )

    def losses(self, dream: Dream) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Policy, value and entropy losses up to each dream's end; and metrics."""
        c = self.config
        memory = self.actor_critic.initial_memory(len(dream.frames))
        outputs = []
        for frame in dream.frames.unbind(1):
            logits, value, memory = self.actor_critic(frame, memory)
            outputs.append((logits, value))
        logits, values = (torch.stack(x, 1).float() for x in zip(*outputs, strict=True))
        first = logits.shape[1] - 1 - c.horizon  # the last real frame: here the dream begins
        policy = torch.distributions.Categorical(logits=logits[:, first:-1])
        values, next_values = values[:, first:-1], values[:, first + 1 :].detach()

        returns = lambda_returns(dream.rewards, next_values, dream.terminated, c.gamma, c.lambda_)

        def mean(x: Tensor) -> Tensor:
            return (x * dream.alive).sum() / dream.alive.sum()

        advantage = returns - values.detach()
        if c.normalize_advantages:
            advantage = advantage - mean(advantage)
            advantage = advantage / (mean(advantage**2).sqrt() + 1e-6)
        ratio = (policy.log_prob(dream.actions) - dream.log_probs).exp()
        clipped = ratio.clamp(1 - c.clip_ratio, 1 + c.clip_ratio)
        entropy = mean(policy.entropy())
        losses = {
            "policy": -mean(torch.minimum(ratio * advantage, clipped * advantage)),
            "value": c.value_weight * mean((values - returns) ** 2),
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
        optimizer = adamw(self.parameters(), c.learning_rate, fused=None)
        return scheduled(optimizer, warmup(c.warmup_steps))
