"""One episode, and one file of it: what it must hold, how it is read and checked. See FORMAT.md."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from wmlearn.files import read_json

FORMAT, VERSION = "wmlearn-episodes", 1
_DTYPES = {"U8": np.uint8, "BOOL": np.bool_, "I64": np.int64, "F32": np.float32}


class EpisodeError(ValueError):
    """A dataset or an episode file that cannot be used; the message says which, why, what to do."""


@dataclass(frozen=True)
class Episode:
    """One episode as arrays: T transitions between T + 1 frames.

    Attributes:
        frames: uint8 ``[T + 1, C, H, W]``.
        actions: int64 ``[T]`` or float32 ``[T, A]``; None in a passive video, like all below.
        rewards: float32 ``[T]``.
        terminated: bool ``[T]``.
        truncated: bool ``[T]``.
        state: float32 ``[T + 1, S]``, what the simulator knows; None where it was not recorded.
    """

    frames: NDArray[np.uint8]
    actions: NDArray | None = None
    rewards: NDArray[np.float32] | None = None
    terminated: NDArray[np.bool_] | None = None
    truncated: NDArray[np.bool_] | None = None
    state: NDArray[np.float32] | None = None


def read_info(path: Path) -> dict[str, Any]:
    file = path / "dataset.json"
    if not file.is_file():
        raise EpisodeError(
            f"{path} holds no dataset.json, so it is no dataset: record one with `wmlearn record`."
        )
    try:
        info = read_json(file)
    except ValueError as error:
        raise EpisodeError(f"{file} is not JSON ({error}): record the dataset again.") from error
    if info.get("format") != FORMAT:
        raise EpisodeError(f"{file} does not say format {FORMAT!r}: it belongs to something else.")
    if info.get("version") != VERSION:
        raise EpisodeError(
            f"{file} has version {info.get('version')!r}; this wmlearn reads version {VERSION}: "
            "update wmlearn or record the dataset again."
        )
    shape = info.get("frame_shape")
    if not (isinstance(shape, list) and len(shape) == 3 and all(type(n) is int for n in shape)):
        raise EpisodeError(f"{file} must have frame_shape [C, H, W]; got {shape!r}.")
    names = info.get("state_names")
    if names is not None and not (isinstance(names, list) and all(type(n) is str for n in names)):
        raise EpisodeError(f"{file} must have state_names as a list of words; got {names!r}.")
    if "action_space" not in info:
        raise EpisodeError(f"{file} must have action_space (null for a passive video).")
    return info


def read_header(
    path: Path, info: dict, action_space: gymnasium.Space | None
) -> tuple[dict[str, tuple[np.dtype, tuple[int, ...], int]], int | None]:
    """Name -> (dtype, shape, byte offset) of one safetensors file, checked against the dataset.

    Also the checksum of what it holds; None where it was written without one.
    """
    size = path.stat().st_size
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= size - 8:
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
        mark = header.pop("__metadata__", {}).get(FORMAT, "")
        checksum = int(mark.split("crc32:")[1], 16) if "crc32:" in mark else None
        entries = {
            name: (
                np.dtype(_DTYPES[entry["dtype"]]),
                tuple(entry["shape"]),
                *entry["data_offsets"],
            )
            for name, entry in header.items()
        }
        for name, (dtype, shape, begin, end) in entries.items():
            if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
                raise ValueError(f"the place of {name} is not given in whole numbers")
            if end - begin != dtype.itemsize * math.prod(shape):
                raise ValueError(f"{name} has another size than its shape says")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EpisodeError(
            f"{path} is not an episode file ({error}): delete it, or record the dataset again."
        ) from error
    if 8 + length + max((end for *_, end in entries.values()), default=0) != size:
        raise EpisodeError(
            f"{path} is truncated or has extra bytes: delete it and run the recording again."
        )
    check_arrays(path, {n: entry[:2] for n, entry in entries.items()}, info, action_space)
    places = {
        n: (dtype, shape, 8 + length + begin) for n, (dtype, shape, begin, _) in entries.items()
    }
    return places, checksum


def check_arrays(path: Path, arrays: dict, info: dict, space: gymnasium.Space | None) -> None:
    """Names, dtypes and shapes of an episode against its dataset's ``dataset.json``."""
    frames = arrays.get("frames")
    steps = frames[1][0] - 1 if frames and frames[1] else 0
    wanted: dict[str, tuple] = {"frames": (np.uint8, (steps + 1, *info["frame_shape"]))}
    if space is not None:
        continuous = isinstance(space, Box)
        wanted["actions"] = (
            (np.float32, (steps, *space.shape)) if continuous else (np.int64, (steps,))
        )
        wanted["rewards"] = (np.float32, (steps,))
        wanted["terminated"] = wanted["truncated"] = (np.bool_, (steps,))
    if (names := info.get("state_names")) is not None:
        wanted["state"] = (np.float32, (steps + 1, len(names)))
    for name, (dtype, shape) in wanted.items():
        if name not in arrays:
            raise EpisodeError(f"{path} has no {name}: write them as FORMAT.md says.")
        if (arrays[name][0], tuple(arrays[name][1])) != (dtype, shape):
            raise EpisodeError(
                f"{path}: {name} must be {np.dtype(dtype)} {list(shape)}, "
                f"got {arrays[name][0]} {list(arrays[name][1])}: write them as FORMAT.md says."
            )
    if extra := arrays.keys() - wanted.keys():
        raise EpisodeError(f"{path} has {', '.join(sorted(extra))}, unknown to this dataset.")
    if steps < 0:
        raise EpisodeError(f"{path} has no frame: delete it.")


def check_values(path: Path, episode: Episode, space: gymnasium.Space | None) -> None:
    if space is None or not len(episode.actions):
        return
    actions = episode.actions
    if isinstance(space, Discrete) and (actions.min() < 0 or actions.max() >= space.n):
        raise EpisodeError(
            f"{path} has actions from {actions.min()} to {actions.max()}, but dataset.json "
            f"says 0 to {space.n - 1}: correct one of them."
        )
    if not (np.isfinite(episode.rewards).all() and np.isfinite(actions).all()):
        raise EpisodeError(
            f"{path} has rewards or actions that are not finite numbers: delete it, and record the "
            "episode again."
        )
    if episode.terminated[:-1].any() or episode.truncated[:-1].any():
        raise EpisodeError(
            f"{path} says that the episode ended in its middle: only the last step may end it; "
            "write each episode as a file of its own."
        )


def checksum_of(arrays: Iterable[NDArray]) -> int:
    """CRC-32 of the bytes of these arrays, one after the other."""
    checksum = 0
    for array in arrays:
        checksum = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8), checksum)
    return checksum


def index_of(path: Path) -> int:
    """3 for ``episode-000003.safetensors``."""
    digits = path.stem.removeprefix("episode-")
    if not digits.isdecimal():
        raise EpisodeError(f"{path} must be named episode-000000.safetensors and so on: rename it.")
    return int(digits)


def space_to_json(space: gymnasium.Space | None, names: list[str] | None) -> dict | None:
    if space is None:
        return None
    if isinstance(space, Discrete):
        if space.start != 0:
            raise EpisodeError(f"Discrete actions must start at 0; got {space}.")
        return {"type": "discrete", "n": int(space.n), "names": names}
    if isinstance(space, Box) and len(space.shape) == 1:
        low, high = space.low.astype(float).tolist(), space.high.astype(float).tolist()
        return {"type": "box", "low": low, "high": high}
    raise EpisodeError(f"Actions must be Discrete or a Box of one dimension; got {space}.")


def space_from_json(path: Path, space: dict | None) -> gymnasium.Space | None:
    try:
        if space is None:
            return None
        if space["type"] == "discrete":
            return Discrete(space["n"])
        if space["type"] == "box":
            return Box(np.float32(space["low"]), np.float32(space["high"]), dtype=np.float32)
        raise ValueError(f"unknown type {space['type']!r}")
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise EpisodeError(
            f"{path / 'dataset.json'} has an action_space that is not understood ({error!r}): "
            "write it as FORMAT.md says."
        ) from error
