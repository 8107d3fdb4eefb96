"""Episodes on disk: one safetensors file per episode, read by memory map. See FORMAT.md."""

from __future__ import annotations

import json
import math
import mmap
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Discrete
from safetensors.numpy import save

from wmlearn.data.clip import Clip
from wmlearn.data.episode_file import (
    FORMAT,
    VERSION,
    Episode,
    EpisodeError,
    check_arrays,
    check_values,
    checksum_of,
    index_of,
    read_header,
    read_info,
    space_from_json,
    space_to_json,
)
from wmlearn.files import write_whole

_MAPS_KEPT = 512  # memory maps kept open (each holds a file descriptor)


class EpisodeWriter:
    """Writes episodes into a directory; a kill at any moment loses at most the running one.

    A file is written under a temporary name, flushed to disk and renamed, so under its final name
    it is always whole. An existing dataset is continued if its ``dataset.json`` says the same.

    Args:
        path: the directory; made if it is not there.
        action_space: Discrete or Box; None for passive video.
        frame_shape: ``(C, H, W)``.
        **info: what else ``dataset.json`` shall hold (env, policy, seed, frame_skip, ...).

    Raises:
        EpisodeError: the directory holds another dataset, or other files.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        action_space: gymnasium.Space | None,
        frame_shape: tuple[int, int, int],
        **info: Any,
    ) -> None:
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        for pattern in (".dataset.json.*.tmp", ".episode-*.tmp"):  # what a kill may leave
            for leftover in self.path.glob(pattern):
                leftover.unlink(missing_ok=True)
        state_names = info.pop("state_names", None)
        info = {
            "format": FORMAT,
            "version": VERSION,
            "action_space": space_to_json(action_space, info.pop("action_names", None)),
            "frame_shape": list(frame_shape),
            **({} if state_names is None else {"state_names": list(state_names)}),
            **info,
            "wmlearn": _version(),
        }
        self.info = json.loads(json.dumps(info))  # as it will be read: tuples become lists
        if (self.path / "dataset.json").exists():
            self._check_same_dataset()
        else:
            if any(self.path.iterdir()):
                raise EpisodeError(
                    f"{self.path} is not empty and holds no dataset.json: choose a new directory."
                )
            text = json.dumps(self.info, indent=2) + "\n"
            write_whole(self.path / "dataset.json", text)
        store = EpisodeStore(self.path)
        self._action_space = store.action_space
        self.num_frames = store.num_frames
        self._taken = set(map(index_of, store.files))
        self.next_index = 0
        self._go_to_free_index()

    def write(self, episode: Episode) -> Path:
        """Adds one episode; when this returns it is on disk."""
        tensors = {
            name: np.ascontiguousarray(value)
            for name, value in vars(episode).items()
            if value is not None
        }
        path = self.path / f"episode-{self.next_index:06d}.safetensors"
        shapes = {name: (array.dtype, array.shape) for name, array in tensors.items()}
        check_arrays(path, shapes, self.info, self._action_space)
        check_values(path, episode, self._action_space)
        checksum = checksum_of(tensors[name] for name in sorted(tensors))
        mark = {FORMAT: f"{VERSION} crc32:{checksum:08x}"}  # one key: two come in any order
        write_whole(path, save(tensors, metadata=mark))
        self._taken.add(self.next_index)
        self._go_to_free_index()
        self.num_frames += len(episode.frames)
        return path

    def _go_to_free_index(self) -> None:
        """To the number of the next episode, or of one whose broken file was deleted."""
        while self.next_index in self._taken:
            self.next_index += 1

    def _check_same_dataset(self) -> None:
        there = EpisodeStore(self.path).info
        differing = [
            f"{key} is {there.get(key)!r} there, {self.info.get(key)!r} here"
            for key in sorted(there.keys() | self.info.keys())
            if key != "wmlearn" and there.get(key) != self.info.get(key)
        ]
        if differing:
            raise EpisodeError(
                f"{self.path} holds a dataset with other settings ({'; '.join(differing)}): "
                "use the same settings to continue it, choose a new directory, or delete it if it "
                "is from an older version of the course."
            )


class EpisodeStore:
    """A directory of episodes, ready to be cut into clips.

    Opening reads every file's header, so truncated and foreign files are refused at once.

    Attributes:
        path: the directory.
        info: ``dataset.json``.
        action_space: Discrete, Box, or None (passive video).
        frame_shape: ``(C, H, W)``.
        lengths: int64 ``[episodes]``, the number of frames T + 1 of each episode.
        captions: what is said of each episode (of the whole of it); None where nothing is.

    Raises:
        EpisodeError: no dataset, a newer version, or a file that is not a whole episode of it.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self.info = read_info(self.path)
        self.action_space = space_from_json(self.path, self.info["action_space"])
        self.frame_shape: tuple[int, int, int] = tuple(self.info["frame_shape"])
        self.files = sorted(self.path.glob("episode-*.safetensors"), key=index_of)
        headers = [read_header(file, self.info, self.action_space) for file in self.files]
        self._headers, self._checksums = [h for h, _ in headers], [c for _, c in headers]
        self.lengths = np.array([h["frames"][1][0] for h in self._headers], dtype=np.int64)
        self.captions = self._read_captions()
        self._open = lru_cache(_MAPS_KEPT)(self._open_map)

    def _read_captions(self) -> list[str] | None:
        """Of the episodes at hand; ``EpisodeError`` where one has none."""
        told = self.info.get("captions")
        if told is None:
            return None
        numbers = [index_of(file) for file in self.files]
        texts = isinstance(told, list) and all(type(text) is str for text in told)
        if not texts or (numbers and max(numbers) >= len(told)):
            raise EpisodeError(
                f"{self.path / 'dataset.json'} must have captions as a list with a sentence for "
                f"each episode up to number {max(numbers, default=0)}."
            )
        return [told[number] for number in numbers]

    def __len__(self) -> int:
        return len(self.files)

    @property
    def episodes(self) -> int:
        return len(self.files)

    @property
    def num_frames(self) -> int:
        return int(self.lengths.sum())

    def __getitem__(self, index: int) -> Episode:
        """One whole episode as read-only arrays that lie in the memory map."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.path} has {len(self)} episodes; there is no number {index}.")
        return self._open(index % len(self))

    def clip(self, indices: Sequence[tuple[int, int]], length: int, pad_end: bool = False) -> Clip:
        """The clips that start at these ``(episode, first frame)``.

        A negative first frame lies before the episode: there its first frame is repeated, with
        action 0, reward 0. With ``pad_end``, so is its last one after its end. ``Clip.padded``
        tells which frames these are.

        Args:
            indices: B pairs; B >= 1.
            length: T >= 1, frames per clip.
            pad_end: clips may cross their episode's end.

        Returns:
            Clip with frames ``[B, length, C, H, W]``.

        Raises:
            IndexError: a clip would cross its episode's end, without ``pad_end``, or lies after it.
        """
        batch = len(indices)
        if batch == 0 or length < 1:
            raise ValueError(f"A clip batch needs clips and frames; got {batch} of {length}.")
        frames = np.empty((batch, length, *self.frame_shape), np.uint8)
        padded = np.zeros((batch, length), np.bool_)
        names = self.info.get("state_names")
        state = None if names is None else np.zeros((batch, length, len(names)), np.float32)
        passive = self.action_space is None
        if not passive:
            steps = (batch, length - 1)
            discrete = isinstance(self.action_space, Discrete)
            actions = (
                np.zeros(steps, np.int64)
                if discrete
                else np.zeros((*steps, *self.action_space.shape), np.float32)
            )
            rewards = np.zeros(steps, np.float32)
            terminated, truncated = np.zeros(steps, np.bool_), np.zeros(steps, np.bool_)
        for row, (number, start) in enumerate(indices):
            episode, stop = self[number], start + length
            over = max(0, stop - len(episode.frames))
            if over >= length or (over and not pad_end):
                raise IndexError(
                    f"A clip of {length} frames from {start} crosses the end of episode {number}, "
                    f"which has {len(episode.frames)} frames."
                )
            pad = min(max(0, -start), length)
            end = length - over
            first, last = start + pad, max(stop - over, 0)
            frames[row, :pad], frames[row, end:] = episode.frames[0], episode.frames[-1]
            frames[row, pad:end] = episode.frames[first:last]
            if state is not None:
                state[row, :pad], state[row, end:] = episode.state[0], episode.state[-1]
                state[row, pad:end] = episode.state[first:last]
            padded[row, :pad], padded[row, end:] = True, True
            if not passive and (last := last - 1) > first:
                between = slice(pad, end - 1)
                actions[row, between] = episode.actions[first:last]
                rewards[row, between] = episode.rewards[first:last]
                terminated[row, between] = episode.terminated[first:last]
                truncated[row, between] = episode.truncated[first:last]
        mask = torch.from_numpy(padded)
        known = None if state is None else torch.from_numpy(state)
        text = self.captions and tuple(self.captions[number] for number, _ in indices)
        if passive:
            return Clip(torch.from_numpy(frames), text=text, state=known, padded=mask)
        columns = map(torch.from_numpy, (frames, actions, rewards, terminated, truncated))
        return Clip(*columns, text=text, state=known, padded=mask)

    def _open_map(self, index: int) -> Episode:
        with open(self.files[index], "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        arrays = {
            name: np.frombuffer(data, dtype, math.prod(shape), offset).reshape(shape)
            for name, (dtype, shape, offset) in self._headers[index].items()
        }
        wanted = self._checksums[index]
        self._checksums[index] = None  # once is enough
        if wanted is not None and checksum_of(arrays[name] for name in sorted(arrays)) != wanted:
            raise EpisodeError(
                f"{self.files[index]} is not as it was written (its bytes have changed on the "
                "disk): delete it, and run the recording again."
            )
        episode = Episode(**arrays)
        check_values(self.files[index], episode, self.action_space)
        return episode

    def __getstate__(self) -> dict:
        return {key: value for key, value in vars(self).items() if key != "_open"}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._open = lru_cache(_MAPS_KEPT)(self._open_map)


def _version() -> str:
    import wmlearn

    return getattr(wmlearn, "__version__", "unknown")
