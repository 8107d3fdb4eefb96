"""Planning with the cross-entropy method (CEM), in any World: of pixels or of features.

A plan is H actions. CEM samples many, rolls each out in the world, and samples the next ones around
the best (V-JEPA 2, section 3.2; Rubinstein & Kroese 2004). What "best" means is a function of a
step, e.g. its distance to a goal: :func:`feature_distance`, :func:`pixel_distance`. After the first
action the agent observes again and replans (model-predictive control).

Shapes: K samples, H steps, A numbers in an action.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.world import FeatureWorld, Step, World

Energy = Callable[[Step], Tensor]
"""Cost of a step, float ``[B]`` (lower is better)."""


@dataclass(frozen=True)
class CEMConfig:
    """Numbers of the search; the defaults are those for a laptop.

    Attributes:
        horizon: H, steps of a plan.
        samples: K, plans in the first round. The paper draws 800.
        elites: the best plans of a round, around which the next round draws. The paper's 10.
        iterations: rounds. The paper's 10.
        decay: each round draws this many times fewer plans than the one before, but at least twice
            the elites: the later rounds search a small region (iCEM, Pinneri et al. 2020, whose
            1.25 this is). 1 keeps the number constant, as the paper does.
        sum_over_steps: the energy is the mean over all steps; false, as in the paper: the last's.
        spread: standard deviation in the first round, in half-widths of the action space.
        least_spread: its lower bound in later rounds, so that the search does not stop early.
        momentum: weight of the previous mean in the next round's.
        still: each round also tries the plan of zero actions, and the mean itself.
    """

    horizon: int = 2
    samples: int = 100
    elites: int = 10
    iterations: int = 5
    decay: float = 1.25
    sum_over_steps: bool = True
    spread: float = 0.7
    least_spread: float = 0.05
    momentum: float = 0.1
    still: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.elites <= self.samples or min(self.horizon, self.iterations) < 1:
            raise ValueError("CEM needs horizon, iterations >= 1 and 1 <= elites <= samples.")
        if self.decay < 1:
            raise ValueError(f"decay is at least 1, the same number always; got {self.decay}.")

    def counts(self) -> list[int]:
        """Plans drawn in each round."""
        least = min(self.samples, 2 * self.elites)
        return [max(least, round(self.samples / self.decay**i)) for i in range(self.iterations)]


@dataclass(frozen=True)
class Plan:
    """The result of a search.

    Attributes:
        actions: float ``[H, A]``, or int64 ``[H]`` where actions are discrete.
        energy: of the best plan that was tried.
        history: float ``[iterations]``, the elites' mean energy in each round.
    """

    actions: Tensor
    energy: float
    history: Tensor


@torch.inference_mode()
def plan(
    world: World,
    start: Clip,
    energy: Energy,
    config: CEMConfig | None = None,
    generator: torch.Generator | None = None,
    guess: Tensor | None = None,
) -> Plan:
    """The actions that lead ``world`` from a real clip to low energy.

    Args:
        world: any World with Box or Discrete actions. The clip is encoded once; all K plans of a
            round advance as one batch.
        start: one clip, ``[1, T >= context_frames, C, H, W]``.
        energy: of a step.
        config: numbers of the search.
        generator: of the plans that are drawn (and of the world, if it is random).
        guess: where the search begins, e.g. the rest of the last plan (``plan.actions[1:]``);
            missing steps at its end are zero actions.

    Raises:
        ValueError: more than one clip, or actions that are neither Box nor Discrete.
    """
    config = config or CEMConfig()
    if len(start) != 1:
        raise ValueError(f"plan() plans for one clip at a time; got {len(start)}.")
    generator = generator or torch.Generator().manual_seed(0)
    kind = _Categorical if isinstance(world.action_space, Discrete) else _Gaussian
    search = kind(world.action_space, config, guess)
    root = world.reset(start)
    best, best_energy, history = None, float("inf"), []
    for count in config.counts():
        actions = search.sample(count, generator)
        state = expand_state(root, count)
        energies = rollout_energy(world, state, actions, energy, config.sum_over_steps, generator)
        elite = energies.topk(config.elites, largest=False)
        search.fit(actions[elite.indices])
        history.append(elite.values.mean())
        if (lowest := float(elite.values[0])) < best_energy:
            best, best_energy = actions[elite.indices[0]], lowest
    return Plan(search.answer(best), best_energy, torch.stack(history))


@torch.inference_mode()
def rollout_energy(
    world: World,
    state: Any,
    actions: Tensor,
    energy: Energy,
    sum_over_steps: bool = True,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The energy of each plan, float ``[K]``, on the CPU.

    Args:
        world: rolls the plans out.
        state: of K copies (:func:`expand_state`).
        actions: ``[K, H, A]`` or ``[K, H]``.
        energy: of a step.
        sum_over_steps: the mean over all steps; else the last step's.
        generator: of the world.
    """
    energies = []
    for t in range(actions.shape[1]):
        state, step = world.step(state, actions[:, t], generator)
        if sum_over_steps or t == actions.shape[1] - 1:
            energies.append(energy(step))
    return torch.stack(energies).mean(0).float().cpu()


def feature_distance(goal: Tensor) -> Energy:
    """The paper's energy: mean L1 distance of a step's features to those of the goal image.

    Args:
        goal: ``[1, N, D]``, e.g. ``world.encode(frames)[:, -1]``.
    """

    def energy(step: Step) -> Tensor:
        if step.features is None:
            raise ValueError("This world gives frames, not features: use pixel_distance(goal).")
        return (step.features - goal).abs().mean((-2, -1))

    return energy


def pixel_distance(goal: Tensor) -> Energy:
    """Mean absolute difference of a step's frame and the goal image, 0 to 255.

    Args:
        goal: uint8 ``[1, C, H, W]``.
    """
    target = goal.float()

    def energy(step: Step) -> Tensor:
        if step.frame is None:
            raise ValueError("This world gives features, not frames: use feature_distance(goal).")
        return (step.frame.float() - target).abs().flatten(1).mean(1)

    return energy


def expand_state(state: Any, count: int) -> Any:
    """A world's state of one clip, for ``count`` plans; nothing is copied."""
    if isinstance(state, Tensor):
        return state.expand(count, *state.shape[1:])
    if is_dataclass(state):
        return replace(
            state, **{f.name: expand_state(getattr(state, f.name), count) for f in fields(state)}
        )
    if isinstance(state, tuple):
        return tuple(expand_state(part, count) for part in state)
    raise TypeError(f"A state is made of tensors, tuples and dataclasses, not {type(state)}.")


class _Gaussian:
    """Plans ``[K, H, A]`` around a mean, inside the box."""

    def __init__(self, space: Box, config: CEMConfig, guess: Tensor | None) -> None:
        if not isinstance(space, Box) or len(space.shape) != 1:
            raise ValueError(
                f"CEM plans with Discrete or one-dimensional Box actions, not {space}."
            )
        self.config = config
        self.low, self.high = torch.from_numpy(space.low), torch.from_numpy(space.high)
        self.half = (self.high - self.low) / 2
        self.still = torch.zeros(config.horizon, *space.shape).clamp(self.low, self.high)
        self.mean = _begin(self.still, guess)
        self.std = config.spread * self.half.expand_as(self.mean)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        noise = torch.randn(count, *self.mean.shape, generator=generator)
        plans = self.mean + self.std * noise
        if self.config.still and len(plans) > 2:
            plans[0], plans[1] = self.mean, self.still
        return plans.clamp(self.low, self.high)

    def fit(self, elites: Tensor) -> None:
        keep = self.config.momentum
        self.mean = keep * self.mean + (1 - keep) * elites.mean(0)
        self.std = elites.std(0, correction=0).clamp(min=self.config.least_spread * self.half)

    def answer(self, best: Tensor) -> Tensor:
        return self.mean.clone()


class _Categorical:
    """Plans ``[K, H]``, each action with a probability of its own at each step."""

    def __init__(self, space: Discrete, config: CEMConfig, guess: Tensor | None) -> None:
        self.config, self.count = config, int(space.n)
        self.probabilities = torch.full((config.horizon, self.count), 1 / self.count)
        if guess is not None:
            known = torch.nn.functional.one_hot(guess[: config.horizon], self.count).float()
            self.probabilities[: len(known)] = 0.5 * self.probabilities[: len(known)] + 0.5 * known

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.multinomial(self.probabilities, count, replacement=True, generator=generator).T

    def fit(self, elites: Tensor) -> None:
        share = torch.nn.functional.one_hot(elites, self.count).float().mean(0)
        keep, floor = self.config.momentum, self.config.least_spread / self.count
        probabilities = (keep * self.probabilities + (1 - keep) * share).clamp(min=floor)
        self.probabilities = probabilities / probabilities.sum(-1, keepdim=True)

    def answer(self, best: Tensor) -> Tensor:
        return best.clone()


def _begin(still: Tensor, guess: Tensor | None) -> Tensor:
    if guess is None:
        return still.clone()
    known = guess[: len(still)].to(still)
    return torch.cat([known, still[len(known) :]])


class ImageGoalPlanner:
    """Acts towards a goal image: plans in a world, takes the first action, observes, replans.

    Args:
        world: any World.
        config: numbers of the search.
        distance: goal image uint8 ``[1, C, H, W]`` -> :data:`Energy`; by default the distance of
            features in a ``FeatureWorld``, else of pixels.
        seed: of the plans that are drawn.
    """

    def __init__(
        self,
        world: World,
        config: CEMConfig | None = None,
        distance: Callable[[Tensor], Energy] | None = None,
        seed: int = 0,
    ) -> None:
        self.world, self.config, self._seed = world, config or CEMConfig(), seed
        self.distance = distance or goal_distance(world)
        self.reset()

    def reset(self) -> None:
        """Forgets the last plan: call it when an episode begins."""
        self.last: Plan | None = None
        self._goal: Tensor | None = None
        self._generator = torch.Generator().manual_seed(self._seed)

    def __call__(self, seen: Clip, goal: Tensor) -> Any:
        """The next action, as Gymnasium wants it.

        Args:
            seen: one clip of what happened so far; only the last ``context_frames`` are used.
            goal: uint8 ``[1, C, H, W]``.
        """
        if self._goal is None or not torch.equal(goal, self._goal):
            self._goal, self._energy, self.last = goal, self.distance(goal), None
        guess = None if self.last is None else self.last.actions[1:]
        context = seen.time(seen.length - self.world.context_frames, seen.length)
        self.last = plan(self.world, context, self._energy, self.config, self._generator, guess)
        first = self.last.actions[0]
        return first.numpy() if first.ndim else int(first)


def goal_distance(world: World) -> Callable[[Tensor], Energy]:
    """Goal image -> its distance in the space in which ``world`` predicts."""
    if isinstance(world, FeatureWorld):
        return lambda goal: feature_distance(world.encode(goal[:, None])[:, -1])
    return pixel_distance
