"""Clip sets that come with the repository, so that a chapter needs no simulator.

A set is a folder in ``assets/clips/``: ``clips.safetensors`` holds each clip as one WebP picture
of all its frames side by side (a tenth of the size of raw pixels), and ``card.json`` says what they
show, where they come from and under which licence. ``record("clips/metaworld", out)`` unpacks one.
"""

from __future__ import annotations

import io
import json
import os
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
from wmlearn.files import assets_dir, sha256

PREFIX = "clips/"
FORMAT, VERSION = "wmlearn-clips", 1
KNOWN = ("actions", "rewards", "terminated", "truncated", "state")  # beside frames, where recorded


def list_clip_sets() -> list[str]:
    """Ids of the clip sets at hand, for ``record``."""
    return sorted(PREFIX + path.parent.name for path in _root().glob("*/card.json"))


def unpack_clips(env_id: str, out: str | os.PathLike, progress: bool = True) -> EpisodeStore:
    """Writes a shipped clip set as a dataset, one episode per clip.

    Args:
        env_id: ``"clips/metaworld"`` (passive), or ``"clips/fetch"`` (with actions and states).
        out: directory of the dataset; one that is complete is left as it is.
        progress: show a bar.

    Raises:
        EpisodeError: there is no such set, or its file is not the one that its card describes.
    """
    folder = _root() / env_id.removeprefix(PREFIX)
    if not (folder / "card.json").is_file():
        known = ", ".join(list_clip_sets()) or "none"
        raise EpisodeError(f"There is no clip set '{env_id}'; there are: {known}.")
    card = json.loads((folder / "card.json").read_text())
    file = folder / "clips.safetensors"
    if not file.is_file() or sha256(file) != card["sha256"]:
        raise EpisodeError(f"{file} is missing or changed; fetch the repository's assets again.")
    try:
        arrays = load_file(file)
    except SafetensorError as error:
        raise EpisodeError(f"{file} is damaged; fetch the repository's assets again.") from error
    shape = tuple(card["frame_shape"])
    info = {**card["info"], "env": env_id, "licence": card["licence"]}
    space = space_from_json(folder, card.get("action_space"))
    writer = EpisodeWriter(out, space, shape, **info)
    ends = arrays["ends"].tolist()
    with progress_bar(len(ends), writer.next_index, f"unpack {env_id}", progress) as bar:
        while (i := writer.next_index) < len(ends):
            data = arrays["webp"][ends[i - 1] if i else 0 : ends[i]].tobytes()
            known = {name: arrays[name][i] for name in KNOWN if name in arrays}
            writer.write(Episode(frames=_decode(data, shape), **known))
            bar.update(1)
    return EpisodeStore(out)


def pack_clips(
    store: EpisodeStore,
    places: list[tuple[int, int]],
    length: int,
    folder: str | os.PathLike,
    card: dict[str, Any],
    quality: int = 50,
) -> Path:
    """Makes a clip set out of a dataset.

    Args:
        store: the dataset.
        places: (episode, first frame) of each clip.
        length: frames of a clip.
        folder: where to; its name is the set's.
        card: ``licence``, ``attribution`` and ``info`` (what dataset.json shall say).
        quality: of WebP, 1 to 100.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [_encode(store[e].frames[s : s + length], quality) for e, s in places]
    ends = np.cumsum([len(picture) for picture in pictures])
    webp = np.frombuffer(b"".join(pictures), np.uint8)
    arrays = {"webp": webp, "ends": ends.astype(np.int64)}
    for name in KNOWN:
        last = length if name == "state" else length - 1
        if getattr(store[0], name) is not None:
            arrays[name] = np.stack([getattr(store[e], name)[s : s + last] for e, s in places])
    save_file(arrays, folder / "clips.safetensors")
    card = {
        "format": FORMAT,
        "version": VERSION,
        "clips": len(places),
        "frames": length,
        "frame_shape": list(store.frame_shape),
        "action_space": store.info["action_space"],
        "sha256": sha256(folder / "clips.safetensors"),
        **card,
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    return folder


def _encode(frames: NDArray[np.uint8], quality: int) -> bytes:
    """uint8 ``[T, 3, H, W]`` -> one WebP picture, frames from left to right."""
    sheet = np.concatenate(list(frames.transpose(0, 2, 3, 1)), axis=1)
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "WEBP", quality=quality, method=6)
    return file.getvalue()


def _decode(data: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The frames uint8 ``[T, 3, H, W]`` of :func:`_encode`, nearly."""
    sheet = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    frames = np.stack(np.split(sheet, sheet.shape[1] // shape[2], axis=1))
    return np.ascontiguousarray(frames.transpose(0, 3, 1, 2))


def _root() -> Path:
    return assets_dir() / "clips"
