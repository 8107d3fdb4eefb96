"""Recorded episodes that ship with the course, so that a chapter needs no simulator.

A set is a folder of ``assets/clips/``. Its ``dataset.json`` is that of any dataset (FORMAT.md) with
two entries more: ``sha256`` of the files beside it, and ``about`` (what they show, who drew them).
The files are one of these::

    frames.xz           every frame as it was, uint8 [N, H, W, C] one episode after the other, by
    steps.safetensors   LZMA; lengths [episodes], and actions, rewards, ... [steps]

    clips.safetensors   clips of one length, each a WebP picture of its frames side by side (webp,
                        ends [clips]), and actions, rewards, ..., state [clips, ...]

Drawn games repeat themselves so much that the first takes 130 bytes a frame, without loss; rendered
video takes a tenth of its raw size in the second. Reading does not depend on which it is.
"""

from __future__ import annotations

import io
import json
import lzma
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from wmlearn.data.episodes import (
    Episode,
    EpisodeError,
    EpisodeStore,
    EpisodeWriter,
    space_from_json,
)
from wmlearn.data.progress import progress_bar
from wmlearn.files import assets_dir, list_clip_sets, read_json, sha256, write_whole

PREFIX = "clips/"
_XZ, _STEPS, _WEBP = "frames.xz", "steps.safetensors", "clips.safetensors"
_PER_STEP = ("actions", "rewards", "terminated", "truncated")
_KNOWN = (*_PER_STEP, "state")  # beside frames, where recorded
_OF_THE_FILE = ("format", "version", "wmlearn", "sha256", "about")


def find_clips(env: str, policy: str, frames: int, size: int) -> Path | None:
    """The set that holds this many frames of an environment, or None.

    A set that is named by its own id (``clips/...``) is not looked for: ``record`` takes that.

    Args:
        env: id of the environment; policy: who played; size: height and width of a frame.
    """
    for name in [] if env.startswith(PREFIX) else list_clip_sets():
        folder = _folder(name)
        info = _read(folder)
        fits = info["env"] == env and info["policy"] == policy and info["frame_shape"][1] == size
        if fits and sum(_lengths(folder, info)) >= frames - 1:
            return folder
    return None


def unpack(
    source: str | os.PathLike,
    out: str | os.PathLike,
    frames: int | None = None,
    progress: bool = False,
) -> EpisodeStore:
    """Writes a set as an ordinary dataset; goes on where it was interrupted.

    Args:
        source: a set's id, ``"clips/fetch"``, or its folder.
        out: directory of the dataset; new, or begun by ``unpack``.
        frames: take the first episodes that hold about this many frames; all by default.
        progress: show a bar.

    Raises:
        EpisodeError: no such set, or its files are not those that dataset.json describes.
    """
    folder = _folder(source)
    info = _read(folder)
    _check_files(folder, info)
    lengths = _lengths(folder, info)
    if frames is not None:
        before = np.cumsum([0, *lengths[:-1]])
        lengths = lengths[: int((before < frames - 1).sum())]
    shape = tuple(info["frame_shape"])
    space = space_from_json(folder, info["action_space"])
    described = {key: value for key, value in info.items() if key not in _OF_THE_FILE}
    names = (described.pop("action_space") or {}).get("names")
    del described["frame_shape"]
    writer = EpisodeWriter(out, space, shape, action_names=names, **described)
    read = _read_webp if _WEBP in info["sha256"] else _read_xz
    title = f"unpack {folder.name}"
    with progress_bar(len(lengths), writer.next_index, title, progress, "episode") as bar:
        for episode in read(folder, shape, lengths, writer.next_index):
            writer.write(episode)
            bar.update(1)
    return EpisodeStore(out)


def pack(
    store: EpisodeStore, folder: str | os.PathLike, about: dict[str, Any] | None = None
) -> Path:
    """Makes a set of whole episodes, without loss.

    Args:
        store: a dataset with actions, without states.
        folder: where to; its name is the set's.
        about: what the frames show, their license, whom to thank.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    episodes = [store[i] for i in range(len(store))]

    def compress(path: Path) -> None:
        with lzma.open(path, "wb", preset=9) as file:
            for episode in episodes:
                file.write(np.ascontiguousarray(episode.frames.transpose(0, 2, 3, 1)).tobytes())

    write_whole(folder / _XZ, compress)
    steps = {name: np.concatenate([getattr(e, name) for e in episodes]) for name in _PER_STEP}
    steps = {"lengths": store.lengths, **steps}
    write_whole(folder / _STEPS, lambda path: save_file(steps, path))
    return _describe(folder, store.info, about, _XZ, _STEPS)


def pack_clips(
    store: EpisodeStore,
    places: Sequence[tuple[int, int]],
    length: int,
    folder: str | os.PathLike,
    about: dict[str, Any],
    keep: Sequence[str] = (),
    quality: int | None = 50,
) -> Path:
    """Makes a set of clips of one length; their pictures lose a little, or nothing.

    Args:
        store: the dataset that they come from.
        places: (episode, first frame) of each clip.
        length: frames of a clip.
        folder: where to; its name is the set's.
        about: what the clips show, whom to thank; ``licence`` stays with the unpacked dataset.
        keep: which entries of the dataset's own ``dataset.json`` still hold for the clips.
        quality: of WebP, 1 to 100; None for no loss.
    """
    folder = Path(folder)
    pictures = [_encode(store[e].frames[s : s + length], quality) for e, s in places]
    ends = np.cumsum([len(picture) for picture in pictures])
    webp = np.frombuffer(b"".join(pictures), np.uint8)
    arrays = {"webp": webp, "ends": ends.astype(np.int64)}
    for name in _KNOWN:
        last = length if name == "state" else length - 1
        if getattr(store[0], name) is not None:
            arrays[name] = np.stack([getattr(store[e], name)[s : s + last] for e, s in places])
    write_whole(folder / _WEBP, lambda path: save_file(arrays, path))
    fixed = ("format", "version", "action_space", "frame_shape", "state_names")
    info = {key: store.info[key] for key in (*fixed, *keep) if key in store.info}
    info |= {"env": PREFIX + folder.name, "licence": about["licence"]}
    rest = {key: value for key, value in about.items() if key != "licence"}
    return _describe(folder, info, rest | {"clips": len(places), "frames": length}, _WEBP)


# --- files -------------------------------------------------------------------------------------


def _describe(folder: Path, info: dict, about: dict | None, *files: str) -> Path:
    digests = {name: sha256(folder / name) for name in files}
    info = {**info, "sha256": digests, **({"about": about} if about else {})}
    write_whole(folder / "dataset.json", json.dumps(info, indent=2) + "\n")
    return folder


def _folder(source: str | os.PathLike) -> Path:
    text = os.fspath(source)
    named = text.startswith(PREFIX)
    folder = assets_dir() / text if named else Path(text)
    if not (folder / "dataset.json").is_file():
        known = ", ".join(list_clip_sets()) or "none"
        raise EpisodeError(f"There is no clip set '{text}'; there are: {known}.")
    return folder


def _read(folder: Path) -> dict[str, Any]:
    try:
        info = read_json(folder / "dataset.json")
    except ValueError as error:
        raise EpisodeError(
            f"{folder / 'dataset.json'} is damaged ({error}): fetch the repository's assets again."
        ) from error
    if not isinstance(info.get("sha256", {}), dict):
        info["sha256"] = {}
    if _WEBP not in info.get("sha256", {}) and not {_XZ, _STEPS} <= info.get("sha256", {}).keys():
        raise EpisodeError(
            f"{folder} is no shipped set: its dataset.json has no sha256 of {_WEBP}, or of {_XZ} "
            f"and {_STEPS}."
        )
    return info


def _check_files(folder: Path, info: dict[str, Any]) -> None:
    for name, digest in info["sha256"].items():
        if not (folder / name).is_file() or sha256(folder / name) != digest:
            raise EpisodeError(
                f"{folder / name} is not the file that dataset.json describes (missing, truncated "
                "or changed): fetch the repository's assets again."
            )


def _load(path: Path) -> dict[str, NDArray]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise EpisodeError(f"{path} is damaged: fetch the repository's assets again.") from error


def _lengths(folder: Path, info: dict[str, Any]) -> list[int]:
    """Frames of each episode."""
    if _WEBP in info["sha256"]:
        return [info["about"]["frames"]] * info["about"]["clips"]
    return _load(folder / _STEPS)["lengths"].tolist()


def _read_xz(folder: Path, shape: tuple, lengths: list[int], first: int) -> Iterator[Episode]:
    """Episodes from number ``first`` on."""
    channels, height, width = shape
    steps = _load(folder / _STEPS)
    ends = np.cumsum([length - 1 for length in lengths])
    with lzma.open(folder / _XZ, "rb") as file:
        for number, length in enumerate(lengths):
            raw = file.read(length * height * width * channels)
            if number < first:
                continue
            pictures = np.frombuffer(raw, np.uint8).reshape(length, height, width, channels)
            part = slice(ends[number] - length + 1, ends[number])
            arrays = {name: steps[name][part] for name in _PER_STEP}
            yield Episode(pictures.transpose(0, 3, 1, 2), **arrays)


def _read_webp(folder: Path, shape: tuple, lengths: list[int], first: int) -> Iterator[Episode]:
    """Clips from number ``first`` on."""
    arrays = _load(folder / _WEBP)
    ends = arrays["ends"]
    for number in range(first, len(lengths)):
        data = arrays["webp"][ends[number - 1] if number else 0 : ends[number]].tobytes()
        known = {name: arrays[name][number] for name in _KNOWN if name in arrays}
        yield Episode(frames=_decode(data, shape), **known)


def _encode(frames: NDArray[np.uint8], quality: int | None) -> bytes:
    """uint8 ``[T, 3, H, W]`` -> one WebP picture, frames from left to right."""
    sheet = np.concatenate(list(frames.transpose(0, 2, 3, 1)), axis=1)
    file = io.BytesIO()
    how = {"lossless": True} if quality is None else {"quality": quality}
    Image.fromarray(sheet).save(file, "WEBP", method=6, **how)
    return file.getvalue()


def _decode(data: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The frames uint8 ``[T, 3, H, W]`` of :func:`_encode`, nearly."""
    sheet = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    frames = np.stack(np.split(sheet, sheet.shape[1] // shape[2], axis=1))
    return np.ascontiguousarray(frames.transpose(0, 3, 1, 2))
