"""The episodes that a run learns from: those that were named, or else recorded for it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from wmlearn.data.episodes import EpisodeError, EpisodeStore
from wmlearn.data.record import record
from wmlearn.data.shipped import PREFIX, find_clips, unpack
from wmlearn.recipes.run import RunConfig

FIELDS = ("env", "policy", "hold", "image_size", "frames")
"""Of a ``RunConfig``: what its data decide, once they are there."""


def open_data(run: RunConfig, given: frozenset[str]) -> tuple[EpisodeStore, RunConfig]:
    """The episodes, and the run with what is true of them.

    A folder that was named is read as it is. Where none was, the episodes are unpacked (if enough
    of them ship with the course) or recorded, by the first process, into a folder in ``data/``.

    Args:
        run: as it was asked for.
        given: the names of its fields that were asked for; the others give way to the data.

    Raises:
        EpisodeError: the named folder holds no episodes, or others than were asked for.
    """
    if run.data is None:
        store = gather(run)
    elif Path(run.data, "dataset.json").is_file():
        store = EpisodeStore(run.data)
    else:
        raise EpisodeError(
            f"{run.data} holds no recorded episodes (no dataset.json): correct it, record them "
            f"with `wmlearn record {run.env} --out {run.data}`, or leave out --data to have them "
            "recorded."
        )
    found = describe(store)
    for name in ("env", "policy", "hold", "image_size"):
        if name in given and name in found and found[name] != getattr(run, name):
            raise EpisodeError(
                f"{store.path} has {name} {found[name]}, not {getattr(run, name)}: leave out "
                f"--{name}, or name other data."
            )
    if "frames" in given and store.num_frames < run.frames - 1:
        raise EpisodeError(
            f"{store.path} holds {store.num_frames} frames, fewer than {run.frames}: leave out "
            "--frames, or record more."
        )
    kept = {"frames"} & given
    known = {name: value for name, value in found.items() if name not in kept}
    return store, replace(run, data=str(store.path), **known)


def describe(store: EpisodeStore) -> dict[str, object]:
    """The fields of a ``RunConfig`` that a dataset states."""
    known = {name: store.info.get(name) for name in ("env", "policy", "hold")}
    found = {name: value for name, value in known.items() if value is not None}
    _, height, width = store.frame_shape
    size = height if height == width else f"{height} x {width}"
    return found | {"image_size": size, "frames": store.num_frames}


def gather(run: RunConfig, folder: str | Path | None = None) -> EpisodeStore:
    """The episodes that ``run`` asks for; goes on where it was interrupted.

    Args:
        run: its ``env``, ``policy``, ``hold``, ``frames``, ``image_size`` and ``seed``.
        folder: where to; by default one in ``data/`` that is named after them.
    """
    shipped = _shipped(run)
    folder = Path(folder or default_folder(run, anyone=bool(shipped)))
    if int(os.environ.get("LOCAL_RANK", 0)) > 0:  # the first process has recorded before it forked
        return EpisodeStore(folder)
    if (folder / "dataset.json").is_file():
        store = EpisodeStore(folder)
        if store.num_frames >= run.frames - 1:
            return store
    if shipped:
        return unpack(shipped, folder, run.frames)
    return record(
        run.env,
        folder,
        frames=run.frames,
        policy=run.policy,
        seed=run.seed,
        size=run.image_size,
        hold=run.hold,
        progress=run.progress,
    )


def default_folder(run: RunConfig, anyone: bool = False) -> str:
    """Where a run records that was given no folder; ``anyone``: the same for every seed."""
    name = f"data/{slug(run.env)}-{run.policy}-{run.frames}-{run.image_size}"
    if run.hold != RunConfig.hold:
        name += f"-hold{run.hold:g}"
    fixed = anyone or run.env.startswith(PREFIX)
    return name if fixed or not run.seed else f"{name}-seed{run.seed}"


def slug(env: str) -> str:
    """An environment's id as a part of a folder's name."""
    return env.replace("/", "-").strip("-")


def fingerprint(store: EpisodeStore) -> str:
    """SHA-256 of what a dataset says and of every episode's file, wherever the folder lies."""
    info = {name: value for name, value in store.info.items() if name != "wmlearn"}
    digest = hashlib.sha256(json.dumps(info, sort_keys=True).encode())
    for file in store.files:
        facts = file.stat()
        own = _sha256(str(file.resolve()), facts.st_size, facts.st_mtime_ns)
        digest.update(f"{file.name} {own}\n".encode())
    return digest.hexdigest()


@lru_cache(maxsize=100_000)
def _sha256(path: str, size: int, changed: int) -> str:
    """Of one file; not read again while neither its size nor its time changes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shipped(run: RunConfig) -> Path | None:
    """The packed episodes that come with the course and are what ``run`` asks for."""
    folder = find_clips(run.env, run.policy, run.frames, run.image_size)
    if folder and json.loads((folder / "dataset.json").read_text())["hold"] == run.hold:
        return folder
    return None
