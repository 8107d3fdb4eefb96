"""Serves clips to Lightning: a batch is a pure function of the seed and the step."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore

_TRAIN, _VAL, _CLIPS = range(3)  # keeps the random streams of one seed apart


class ClipDataModule(LightningDataModule):
    """Random clips for training, without end, and fixed clips of held-out episodes for validation.

    The joint batch of step k depends on ``(seed, k)`` alone. Process r of n takes rows
    ``r * batch_size / n`` and on, so a run sees the same data on any number of processes, and a
    resumed run goes on where it stopped. Use ``Trainer(use_distributed_sampler=False)`` and
    ``max_steps``; the step is counted by ``trainer.global_step`` (one optimizer step per batch, or
    per ``accumulate_grad_batches`` batches; a system that optimizes by itself may take more, see
    ``optimizer_steps``).

    Args:
        data: a dataset directory, or an open ``EpisodeStore``.
        batch_size: clips in the joint batch of all processes.
        length: frames per clip.
        seed: of the choice of the clips.
        holdout: share of the episodes (whole ones, the last) that is never trained on.
        pad_start: a training clip may begin up to this many frames before its episode (padded, see
            ``EpisodeStore.clip``), so that a world also learns an episode's first frames.
        pad_end: training clips may also reach beyond the end of their episode, padded. Without it
            an end is always the last thing in a clip, and a recurrent model of reward and end
            learns to count to it, instead of looking for it.
        end_fraction: share of training clips that are chosen to hold an episode's last transition,
            where the rare events are (a kill, a death): as the clip's last one, or with ``pad_end``
            anywhere in the clip. 0: all starts equally likely.
        val_batches: number of validation batches (of ``batch_size``).
        num_workers: of the loaders; 0 is fast enough.
        passive: the loaders serve frames and captions alone, as of a video: actions, rewards and
            ends stay on disk, for scoring (``clips``, ``store``), and cannot reach the training.
        optimizer_steps: that the system takes with each batch.
    """

    def __init__(
        self,
        data: str | os.PathLike | EpisodeStore,
        batch_size: int = 32,
        length: int = 8,
        seed: int = 0,
        holdout: float = 0.1,
        pad_start: int = 0,
        pad_end: bool = False,
        end_fraction: float = 0.0,
        val_batches: int = 4,
        num_workers: int = 0,
        passive: bool = False,
        optimizer_steps: int = 1,
    ) -> None:
        super().__init__()
        if not (0 <= holdout < 1 and 0 <= end_fraction <= 1):
            raise ValueError(
                "holdout must be in [0, 1) and end_fraction in [0, 1]; "
                f"got {holdout} and {end_fraction}."
            )
        if batch_size < 1 or length < 1 or pad_start < 0:
            raise ValueError("batch_size and length must be at least 1, pad_start at least 0.")
        self.store = data if isinstance(data, EpisodeStore) else EpisodeStore(data)
        self.batch_size, self.length, self.seed = batch_size, length, seed
        self.pad_start, self.pad_end, self.end_fraction = pad_start, pad_end, end_fraction
        self.val_batches, self.num_workers, self.passive = val_batches, num_workers, passive
        self.optimizer_steps = optimizer_steps
        episodes = len(self.store)
        held_out = max(1, round(holdout * episodes)) if holdout > 0 else 0
        if episodes - held_out < 1:
            raise ValueError(
                f"{self.store.path} has {episodes} episode(s), too few to hold out {held_out}: "
                "record more episodes, or use holdout=0."
            )
        self.splits: dict[str, NDArray[np.int64]] = {
            "train": np.arange(episodes - held_out),
            "val": np.arange(episodes - held_out, episodes),
        }
        """``train`` and ``val``: the numbers of their episodes."""

    def train_batch(self, step: int) -> Clip:
        """The joint training batch of one step, frames ``[batch_size, length, C, H, W]``."""
        return self._batches("train", 0, 1)[step]

    def clips(self, split: str, count: int, length: int, seed: int = 0) -> Clip:
        """``count`` random clips (without padding) of the ``train`` or ``val`` episodes.

        The same arguments give the same clips. All starts are equally likely.
        """
        places = _Places(self.store, self._episodes(split), length)
        return self.store.clip(places.draw(np.random.default_rng([seed, _CLIPS]), count), length)

    def train_dataloader(self) -> DataLoader:
        return self._loader("train", _StepsToCome(self))

    def val_dataloader(self) -> DataLoader | list:
        if not len(self.splits["val"]):
            return []
        return self._loader("val", range(self.val_batches))

    def _loader(self, split: str, numbers: Iterable[int]) -> DataLoader:
        rank = self.trainer.global_rank if self.trainer else 0
        world = self.trainer.world_size if self.trainer else 1
        return DataLoader(
            self._batches(split, rank, world),
            batch_size=None,
            sampler=numbers,
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
        )

    def _batches(self, split: str, rank: int, world: int) -> _Batches:
        if self.batch_size % world:
            raise ValueError(
                f"batch_size {self.batch_size} is the joint batch of all processes and must be "
                f"divisible by their number, {world}."
            )
        training = split == "train"
        pad_end = max(0, self.length - 2) if training and self.pad_end else 0
        places = _Places(
            self.store,
            self._episodes(split),
            self.length,
            self.pad_start if training else 0,
            pad_end,
        )
        return _Batches(
            self.store,
            places,
            batch_size=self.batch_size,
            end_fraction=self.end_fraction if training else 0.0,
            seed=(self.seed, _TRAIN if training else _VAL),
            rank=rank,
            world=world,
            passive=self.passive,
        )

    def _episodes(self, split: str) -> NDArray[np.int64]:
        if split not in self.splits:
            raise ValueError(f"There is no split {split!r}; choose train or val.")
        if not len(self.splits[split]):
            raise ValueError("No episodes are held out (holdout=0): there is nothing in val.")
        return self.splits[split]


class _StepsToCome:
    """0, 1, 2, ... without end, from where the Trainer stands when the loop begins."""

    def __init__(self, module: ClipDataModule) -> None:
        self._module = module

    def __iter__(self) -> Iterator[int]:
        trainer = self._module.trainer
        if trainer is None:
            return itertools.count()
        batches = trainer.global_step // self._module.optimizer_steps
        return itertools.count(batches * trainer.accumulate_grad_batches)


class _Places:
    """Every place in some episodes where a clip of ``length`` frames can start."""

    def __init__(
        self,
        store: EpisodeStore,
        episodes: NDArray[np.int64],
        length: int,
        pad_start: int = 0,
        pad_end: int = 0,
    ) -> None:
        starts = store.lengths[episodes] + pad_start + pad_end - length + 1
        self._episodes, self._starts = episodes[starts > 0], starts[starts > 0]
        self._ends, self._pad_start, self.length = np.cumsum(self._starts), pad_start, length
        self.pad_end = pad_end
        if not len(self._episodes):
            raise ValueError(
                f"No episode of {store.path} that is wanted here has {length} frames: "
                "ask for shorter clips, or record longer or more episodes."
            )

    def draw(
        self, rng: np.random.Generator, count: int, end_fraction: float = 0.0
    ) -> list[tuple[int, int]]:
        """``count`` pairs (episode, start): uniform, or with this probability at an end."""
        place = rng.integers(self._ends[-1], size=count)
        at_end = rng.random(count) < end_fraction
        any_episode = rng.integers(len(self._episodes), size=count)
        which = np.where(at_end, any_episode, np.searchsorted(self._ends, place, side="right"))
        last = np.maximum(0, self._starts[which] - 1 - rng.integers(self.pad_end + 1, size=count))
        offset = np.where(at_end, last, place - (self._ends[which] - self._starts[which]))
        start = offset - self._pad_start
        return list(zip(self._episodes[which].tolist(), start.tolist(), strict=True))


@dataclass(frozen=True)
class _Batches(Dataset):
    """Step -> this process's rows of the joint batch; knows nothing of the Trainer."""

    store: EpisodeStore
    places: _Places
    batch_size: int
    end_fraction: float
    seed: tuple[int, int]
    rank: int
    world: int
    passive: bool

    def __getitem__(self, step: int) -> Clip:
        rng = np.random.default_rng([*self.seed, step])
        joint = self.places.draw(rng, self.batch_size, self.end_fraction)
        rows = self.batch_size // self.world
        length = self.places.length
        mine = joint[self.rank * rows : (self.rank + 1) * rows]
        clip = self.store.clip(mine, length, pad_end=self.places.pad_end > 0)
        return Clip(clip.frames, text=clip.text, padded=clip.padded) if self.passive else clip
