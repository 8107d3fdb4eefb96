"""Controllability: does the world do what the actions say?

Two views. (1) Feed it another clip's actions: if the world responds to them, its frames get worse.
Delta PSNR = PSNR(true actions) - PSNR(other actions), both with the same noise (Genie, Bruce et al.
2024, section 3). (2) Train a small net on *real* frame pairs to classify the action between them
(inverse dynamics), and ask it about dreamed pairs: can it still tell which action was taken?
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation.card import ControlAt, Probe
from wmlearn.evaluation.rollout import draw_windows
from wmlearn.metrics import mean_estimate

if TYPE_CHECKING:
    from wmlearn.evaluation.fidelity import Dreams

STEPS_AHEAD = 16  # the probe judges the transitions up to this horizon


def derangement(n: int, seed: int) -> Tensor:
    """A random permutation of n >= 2 items that leaves none in its place (one single cycle)."""
    if n < 2:
        raise ValueError("Shuffled actions need at least two clips: draw more.")
    cycle = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    other = torch.empty_like(cycle)
    other[cycle] = cycle.roll(-1)
    return other


class InverseDynamics(nn.Module):
    """Names the action that led from one frame to the next: three strided convolutions.

    It sees both frames and their difference, in gray.

    Args:
        actions: number of discrete actions.
    """

    def __init__(self, actions: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 24, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(24, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(32 * 16, actions),
        )

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """uint8 ``[B, C, H, W]`` twice -> logits ``[B, actions]``."""
        before, after = (x.float().mean(1, keepdim=True) / 60 - 1 for x in (before, after))
        return self.layers(torch.cat([before, after, 3 * (after - before)], 1))

    @torch.inference_mode()
    def hits(self, frames: Tensor, actions: Tensor, batch_size: int = 256) -> Tensor:
        """Which actions are named right.

        Args:
            frames: uint8 ``[B, N + 1, C, H, W]``.
            actions: int64 ``[B, N]``, between the frames.

        Returns:
            bool ``[B, N]``.
        """
        pairs = (frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1))
        named = [
            self(before, after).argmax(-1)
            for before, after in zip(*(x.split(batch_size) for x in pairs), strict=True)
        ]
        return torch.cat(named).view_as(actions) == actions


def train_probe(
    sample: Callable[[torch.Generator, int], tuple[Tensor, Tensor]],
    actions: int,
    steps: int = 500,
    batch_size: int = 32,
    seed: int = 0,
) -> InverseDynamics:
    """Trains the inverse-dynamics probe on real transitions for a fixed number of steps.

    Args:
        sample: ``sample(generator, n)`` gives n real pairs: frames uint8 ``[n, 2, C, H, W]``
            and actions int64 ``[n]``.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(seed)
        probe = InverseDynamics(actions)
        optimizer = torch.optim.AdamW(probe.parameters(), lr=2e-3, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
        for _ in range(steps):
            frames, action = sample(generator, batch_size)
            loss = F.cross_entropy(probe(frames[:, 0], frames[:, 1]), action)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return probe.eval()


def control_at(dreams: Dreams) -> ControlAt:
    """Loss of fidelity under other actions at one horizon, in the fidelity's unit."""
    true, other = dreams.score[..., -1].mean(0), dreams.other[..., -1].mean(0)
    return ControlAt(
        horizon=dreams.horizon,
        clips=len(true),
        other=mean_estimate(other, dreams.groups, seeds=dreams.seeds),
        delta=mean_estimate(dreams.better * (true - other), dreams.groups, seeds=dreams.seeds),
    )


def judge_probe(
    dreams: Dreams, store: EpisodeStore, train: Sequence[int], steps: int
) -> Probe | None:
    """Trains the probe on the training episodes, asks it about the dreams' transitions.

    Args:
        dreams: of frames, with true names of all actions.
        store: with Discrete actions.
        train: numbers of the training episodes.
        steps: of the probe's training.

    Returns:
        ``None`` where there is no training episode of two frames.
    """
    pool = draw_windows(store.lengths.tolist(), train, 2, 2**31 - 1)
    if not pool:
        return None
    counts = torch.zeros(int(store.action_space.n))

    def sample(generator: torch.Generator, n: int) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(pool), (n,), generator=generator).tolist()
        clip = store.clip([pool[row] for row in rows], 2)
        actions = clip.actions[:, 0]
        counts.add_(torch.bincount(actions, minlength=len(counts)))
        return clip.frames, actions

    probe = train_probe(sample, len(counts), steps)
    ahead = slice(0, STEPS_AHEAD)
    first, true = dreams.start[:, None], dreams.actions[:, ahead]

    def accuracy(frames: Tensor, actions: Tensor) -> Tensor:
        hits = probe.hits(torch.cat([first, frames[:, ahead]], 1), actions)
        return hits.double().mean(1)

    dream = torch.stack([accuracy(one, true) for one in dreams.frames])
    others = dreams.other_actions[:, :, ahead]
    pairs = zip(dreams.frames_other, others, strict=True)
    other = torch.stack([accuracy(*pair) for pair in pairs])
    groups, seeds = dreams.groups, dreams.seeds
    return Probe(
        training_steps=steps,
        transitions=true.numel(),
        real=mean_estimate(accuracy(dreams.target, true), groups),
        dream=mean_estimate(dream.mean(0), groups, seeds=seeds),
        dream_other=mean_estimate(other.mean(0), groups, seeds=seeds),
        majority=mean_estimate((true == counts.argmax()).double().mean(1), groups),
    )
