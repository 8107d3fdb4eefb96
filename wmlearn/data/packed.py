"""Recorded episodes in a small file that ships with the course, so that no simulator is needed.

A packed dataset is a folder::

    dataset.json        as in FORMAT.md, and "sha256" of the two files below
    frames.xz           the frames of all episodes, uint8 [N, H, W, C], one after the other, by LZMA
    steps.safetensors   lengths [episodes], and actions, rewards, terminated, truncated [steps]

Pictures of a game repeat themselves so much that CoinRun takes about 130 bytes a frame, without
loss. ``unpack`` gives the very episodes that were packed.
"""

from __future__ import annotations

import json
import lzma
import os
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from wmlearn.data.episodes import Episode, EpisodeError, EpisodeStore, EpisodeWriter
from wmlearn.files import assets_dir, sha256

_STEPS = ("actions", "rewards", "terminated", "truncated")
_FILES = ("frames.xz", "steps.safetensors")


def pack(store: EpisodeStore, folder: str | os.PathLike) -> Path:
    """Writes a dataset with discrete actions as a packed folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    episodes = [store[i] for i in range(len(store))]
    with lzma.open(folder / "frames.xz", "wb", preset=9) as file:
        for episode in episodes:
            file.write(np.ascontiguousarray(episode.frames.transpose(0, 2, 3, 1)).tobytes())
    steps = {name: np.concatenate([getattr(e, name) for e in episodes]) for name in _STEPS}
    save_file({"lengths": store.lengths, **steps}, folder / "steps.safetensors")
    info = {**store.info, "sha256": {name: sha256(folder / name) for name in _FILES}}
    (folder / "dataset.json").write_text(json.dumps(info, indent=2) + "\n")
    return folder


def unpack(
    folder: str | os.PathLike, out: str | os.PathLike, frames: int | None = None
) -> EpisodeStore:
    """Writes a packed dataset as an ordinary one; goes on where it was interrupted.

    Args:
        folder: a packed dataset.
        out: directory of the dataset; new, or begun by ``unpack``.
        frames: take the first episodes that hold about this many frames; all by default.

    Raises:
        EpisodeError: the packed files are missing or are not those that dataset.json describes.
    """
    folder = Path(folder)
    info = _info(folder)
    steps = load_file(folder / "steps.safetensors")
    lengths = steps.pop("lengths").tolist()
    space = info.pop("action_space")
    shape = tuple(info.pop("frame_shape"))
    channels, height, width = shape
    known = {k: v for k, v in info.items() if k not in ("format", "version", "wmlearn", "sha256")}
    writer = EpisodeWriter(out, _discrete(space["n"]), shape, action_names=space["names"], **known)
    done, first = writer.next_index, 0
    with lzma.open(folder / "frames.xz", "rb") as file:
        for number, length in enumerate(lengths):
            if frames is not None and sum(lengths[:number]) >= frames - 1:
                break
            raw = file.read(length * height * width * channels)
            part = slice(first, first := first + length - 1)
            if number < done:
                continue
            pictures = np.frombuffer(raw, np.uint8).reshape(length, height, width, channels)
            arrays = {name: steps[name][part] for name in _STEPS}
            writer.write(Episode(pictures.transpose(0, 3, 1, 2), **arrays))
    return EpisodeStore(out)


def find_clips(env: str, policy: str, frames: int, size: int) -> Path | None:
    """The shipped folder that holds this many frames of an environment, or None.

    Args:
        env: id of the environment; policy: who played; size: height and width of a frame.
    """
    for file in sorted((assets_dir() / "clips").glob("*/dataset.json")):
        info = json.loads(file.read_text())
        fits = info["env"] == env and info["policy"] == policy and info["frame_shape"][1] == size
        if fits and load_file(file.parent / "steps.safetensors")["lengths"].sum() >= frames - 1:
            return file.parent
    return None


def _info(folder: Path) -> dict:
    if not (folder / "dataset.json").is_file():
        raise EpisodeError(f"{folder} holds no packed dataset: there is no dataset.json in it.")
    info = json.loads((folder / "dataset.json").read_text())
    for name, digest in info.get("sha256", dict.fromkeys(_FILES, "")).items():
        if not (folder / name).is_file() or sha256(folder / name) != digest:
            raise EpisodeError(
                f"{folder / name} is not the file that dataset.json describes (missing, truncated "
                "or changed): fetch it again."
            )
    return info


def _discrete(n: int):
    from gymnasium.spaces import Discrete

    return Discrete(n)
