"""Evaluation of worlds that predict features and no frames.

Three questions, each beside its baseline: are the next features closer than the last ones
(*copy*), do they obey the action (the same world under another clip's actions), and is the energy
of a plan lowest at the action that was really taken? Users of a published model found that it often
was not (facebookresearch/vjepa2, issue 54).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wmlearn.agents.cem import expand_state, feature_distance, rollout_energy
from wmlearn.data.clip import Clip
from wmlearn.evaluation.card import Row, Section
from wmlearn.evaluation.controllability import derangement
from wmlearn.evaluation.rollout import feature_error
from wmlearn.metrics import Estimate, mean_estimate
from wmlearn.world import CopyLastFeatures, FeatureWorld


@dataclass(frozen=True)
class FeaturesAt:
    """Mean L1 distance to the true features, a horizon of h steps ahead.

    Attributes:
        horizon: h.
        clips: how many.
        error: of the world.
        copy: of the last real features.
        other: of the world under another clip's actions.
        gain: copy minus error, on the same clips; above 0 is better than standing still.
        control: other minus error; above 0, the action matters.
    """

    horizon: int
    clips: int
    error: Estimate
    copy: Estimate
    other: Estimate
    gain: Estimate
    control: Estimate

    def __str__(self) -> str:
        parts = {"world": self.error, "copy": self.copy, "other actions": self.other}
        shown = ", ".join(f"{name} {value.format(4)}" for name, value in parts.items())
        return f"{self.horizon} ahead, L1: {shown} ({self.clips} clips)"


@torch.inference_mode()
def features_at(world: FeatureWorld, clip: Clip, horizon: int, seed: int = 0) -> FeaturesAt:
    """Accuracy of a feature world's predictions.

    Args:
        world: of features.
        clip: ``[B >= 2, 1 + horizon, C, H, W]`` with actions and whatever ``reset`` needs.
        horizon: steps ahead.
        seed: of the shuffled actions.
    """
    actions = clip.actions[:, -horizon:]
    own, shuffled = (
        feature_error(world, clip, horizon, seed, given)[:, -1]
        for given in (actions, actions[derangement(len(clip), seed)])
    )
    last = clip.time(clip.length - horizon - 1, clip.length)
    copy = feature_error(CopyLastFeatures(world), last, horizon, seed, actions)[:, -1]
    estimates = map(mean_estimate, (own, copy, shuffled, copy - own, shuffled - own))
    return FeaturesAt(horizon, len(clip), *estimates)


@dataclass(frozen=True)
class Landscape:
    """The energy of one action over two of its numbers, the others as they really were.

    Attributes:
        energy: float ``[G, G]``; rows follow the first axis.
        grid: float ``[G]``, the values along both axes.
        axes: which numbers of the action.
        true: float ``[2]``, the action that was taken.
        true_energy: of that.
    """

    energy: Tensor
    grid: Tensor
    axes: tuple[int, int]
    true: Tensor
    true_energy: float

    @property
    def lowest(self) -> Tensor:
        """Action of lowest energy, float ``[2]``."""
        row, column = divmod(int(self.energy.argmin()), len(self.grid))
        return self.grid[[row, column]]

    @property
    def below(self) -> float:
        """Share of the grid with less energy than the true action: 0 is ideal."""
        return float((self.energy < self.true_energy).float().mean())


def landscape(
    world: FeatureWorld, clip: Clip, axes: tuple[int, int] = (0, 1), points: int = 9
) -> Landscape:
    """The energy around the action of a real clip whose last frame is the goal.

    Args:
        world: of features; its actions are a Box.
        clip: one clip of two frames (or more: the last action is the one that is varied).
        axes: numbers of the action.
        points: G.
    """
    start, true = clip.time(0, clip.length - 1), clip.actions[0, -1]
    goal = feature_distance(world.encode(clip.frames[:, -1:])[:, 0])
    space = world.action_space
    low, high = (torch.from_numpy(v)[list(axes)] for v in (space.low, space.high))
    grid = torch.linspace(float(low.max()), float(high.min()), points)
    actions = true.repeat(points**2 + 1, 1)
    square = torch.cartesian_prod(grid, grid)
    actions[:-1, axes[0]], actions[:-1, axes[1]] = square[:, 0], square[:, 1]
    state = expand_state(world.reset(start), len(actions))
    energy = rollout_energy(world, state, actions[:, None], goal)
    return Landscape(
        energy[:-1].view(points, points), grid, axes, true[list(axes)], float(energy[-1])
    )


@dataclass(frozen=True)
class LandscapeScore:
    """Over many clips: how far the lowest point lies from the true action.

    Attributes:
        clips: how many.
        distance: mean absolute distance along an axis, in units of the action.
        chance: the same for a point drawn from the grid at random.
        below: share of the grid with less energy than the true action.
    """

    clips: int
    distance: Estimate
    chance: float
    below: Estimate

    def __str__(self) -> str:
        return (
            f"lowest energy {self.distance.format(2)} from the true action along an axis (chance "
            f"{self.chance:.2f}); {100 * self.below.value:.0f}% of the grid lies lower than it "
            f"({self.clips} clips)"
        )

    def section(self) -> Section:
        """For the card."""
        rows = (
            Row("lowest energy, from the true action along an axis", (self.distance,)),
            Row("  a random point of the grid", (Estimate(self.chance, n=self.clips),)),
            Row("share of the grid that lies lower than the true action", (self.below,)),
            Row("pairs of frames", text=str(self.clips)),
        )
        title = "Is the energy lowest at the action that was taken?"
        return Section("landscape", title, rows, note="Distances in units of the action.")


def score_landscapes(world: FeatureWorld, clips: Clip, points: int = 9) -> LandscapeScore:
    """:func:`landscape` of each clip, with the axes in turn."""
    distance, chance, below = [], [], []
    count = clips.actions.shape[-1]
    for i in range(len(clips)):
        axes = (i % count, (i + 1) % count)
        found = landscape(world, clips[i : i + 1], axes, points)
        distance.append((found.lowest - found.true).abs().mean())
        chance.append((found.grid[:, None] - found.true).abs().mean())
        below.append(found.below)
    return LandscapeScore(
        len(clips),
        mean_estimate(torch.stack(distance)),
        float(torch.stack(chance).mean()),
        mean_estimate(torch.tensor(below)),
    )
