"""Serves clips to Lightning: a batch is a pure function of the seed and the step."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore


class ClipDataModule(LightningDataModule):
    """Random clips for training, without end, and fixed clips of held-out episodes for validation.

    The joint batch of step k depends on ``(seed, k)`` alone. Process r of n takes rows
    ``r * batch_size / n`` and on, so a run sees the same data on any number of processes, and a
    resumed run goes on where it stopped. Use ``Trainer(use_distributed_sampler=False)``.

    Args:
        data: a dataset directory, or an open ``EpisodeStore``.
        batch_size: clips in the joint batch of all processes.
        length: frames per clip.
        seed: of the order of the clips.
        holdout: share of the episodes (whole ones, the last) that is never trained on.
        pad_start: a training clip may begin up to this many frames before its episode (padded, see
            ``EpisodeStore.clip``), so that a world also learns an episode's first frames.
        end_fraction: share of training clips that are chosen to end with an episode's last
            transition, where the rare events are (a kill, a death). 0: all starts equally likely.
        val_batches: number of validation batches (of ``batch_size``).
        num_workers: of the loaders; 0 is fast enough.
    """

    def __init__(
        self,
        data: str | os.PathLike | EpisodeStore,
        batch_size: int = 32,
        length: int = 8,
        seed: int = 0,
        holdout: float = 0.1,
        pad_start: int = 0,
        end_fraction: float = 0.0,
        val_batches: int = 4,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= holdout < 1 or not 0 <= end_fraction <= 1:
            raise ValueError(
                f"holdout must be in [0, 1) and end_fraction in [0, 1]; got {holdout}, "
                f"{end_fraction}."
            )
        if pad_start < 0 or length < 1 or batch_size < 1:
            raise ValueError("length and batch_size must be at least 1, pad_start at least 0.")
        self.store = data if isinstance(data, EpisodeStore) else EpisodeStore(data)
        self.batch_size, self.length, self.seed = batch_size, length, seed
        self.pad_start, self.end_fraction = pad_start, end_fraction
        self.val_batches, self.num_workers = val_batches, num_workers
        episodes = len(self.store)
        held_out = max(1, round(holdout * episodes)) if holdout > 0 else 0
        if episodes - held_out < 1:
            raise ValueError(
                f"{self.store.path} has {episodes} episode(s), too few to hold out {held_out}: "
                "record more episodes, or use holdout=0."
            )
        self.splits = {
            "train": np.arange(episodes - held_out),
            "val": np.arange(episodes - held_out, episodes),
        }

    def train_batch(self, step: int) -> Clip:
        """The joint training batch of one step, ``[batch_size, length, ...]``."""
        return _TrainBatches(self, 0, 1)[step]

    def clips(self, split: str, count: int, length: int, seed: int = 0) -> Clip:
        """Random clips (without padding) of the ``train`` or ``val`` episodes.

        The same arguments give the same clips. All starts are equally likely.
        """
        rng = np.random.default_rng([seed, 1])
        return self.store.clip(self._draw(rng, split, count, length), length)

    def train_dataloader(self) -> DataLoader:
        rank, world = self._process()
        return self._loader(_TrainBatches(self, rank, world), _Steps(self))

    def val_dataloader(self) -> DataLoader | list:
        if not len(self.splits["val"]):
            return []
        return self._loader(_ValBatches(self, *self._process()), range(self.val_batches))

    def _loader(self, batches: Dataset, sampler: Sequence[int] | Sampler[int]) -> DataLoader:
        return DataLoader(batches, batch_size=None, sampler=sampler, num_workers=self.num_workers)

    def _process(self) -> tuple[int, int]:
        """Rank and number of processes; (0, 1) without a Trainer."""
        if self.trainer is None:
            return 0, 1
        world = self.trainer.world_size
        if self.batch_size % world:
            raise ValueError(
                f"batch_size {self.batch_size} is the joint batch of all processes and must be "
                f"divisible by their number, {world}."
            )
        return self.trainer.global_rank, world

    def _draw(
        self,
        rng: np.random.Generator,
        split: str,
        count: int,
        length: int,
        pad_start: int = 0,
        end_fraction: float = 0.0,
    ) -> list[tuple[int, int]]:
        """``count`` pairs (episode, start), uniform over all clips of the split."""
        episodes = self.splits[split]
        starts = self.store.lengths[episodes] + pad_start - length + 1  # clips in each episode
        episodes, starts = episodes[starts > 0], starts[starts > 0]
        if not len(episodes):
            raise ValueError(
                f"No {split} episode of {self.store.path} is long enough for clips of {length} "
                "frames: ask for shorter clips, or record longer or more episodes."
            )
        ends = np.cumsum(starts)
        place = rng.integers(ends[-1], size=count)
        which = np.searchsorted(ends, place, side="right")
        at_end = rng.random(count) < end_fraction
        which = np.where(at_end, rng.integers(len(episodes), size=count), which)
        offset = np.where(at_end, starts[which] - 1, place - (ends[which] - starts[which]))
        return list(zip(episodes[which].tolist(), (offset - pad_start).tolist(), strict=True))


class _Steps(Sampler[int]):
    """The steps still to come: from where the Trainer stands, without end."""

    def __init__(self, module: ClipDataModule) -> None:
        self._module = module

    def __iter__(self) -> Iterator[int]:
        trainer = self._module.trainer
        done = trainer.global_step * trainer.accumulate_grad_batches if trainer else 0
        return itertools.count(done)


class _TrainBatches(Dataset):
    """Step -> this process's rows of the joint training batch."""

    def __init__(self, module: ClipDataModule, rank: int, world: int) -> None:
        self._store, self._draw = module.store, module._draw
        self._settings = (module.batch_size, module.length, module.pad_start, module.end_fraction)
        self._seed, self._rank, self._world = module.seed, rank, world

    def __getitem__(self, step: int) -> Clip:
        batch, length, pad_start, end_fraction = self._settings
        rng = np.random.default_rng([self._seed, 0, step])
        indices = self._draw(rng, "train", batch, length, pad_start, end_fraction)
        rows = batch // self._world
        return self._store.clip(indices[self._rank * rows : (self._rank + 1) * rows], length)


class _ValBatches(Dataset):
    """Number -> this process's rows of a validation batch, always the same."""

    def __init__(self, module: ClipDataModule, rank: int, world: int) -> None:
        self._store, self._draw = module.store, module._draw
        self._batch, self._length, self._seed = module.batch_size, module.length, module.seed
        self._rank, self._world = rank, world

    def __getitem__(self, number: int) -> Clip:
        rng = np.random.default_rng([self._seed, 2, number])
        indices = self._draw(rng, "val", self._batch, self._length)
        rows = self._batch // self._world
        return self._store.clip(indices[self._rank * rows : (self._rank + 1) * rows], self._length)
