"""What the shipped simulator learned from: three worlds, recorded and packed into one small file.

    python -m wmlearn.chapters.ch07_unisim.record data/unisim.npz

* ``babyai``: sentences. Four episodes in ten are moves at random; the others wander a little, then
  say a mission until its thing is faced and nothing moves any more, and so on.
* ``fetch``: the arm's motions in ``fetch/reach``: random ones that are held, and straight ways to
  random places.
* ``doom``: keys, random play in ``doom/basic``.
* ``passive``: ``doom/health-gathering``, whose keys are withheld: video of another world.

BabyAI's pictures are kept exactly, as the numbers of their tiles; the others as AVIF.
"""

from __future__ import annotations

import argparse
import io
import lzma
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wmlearn.data.progress import progress_bar
from wmlearn.envs import make
from wmlearn.envs.babyai import MOVES
from wmlearn.envs.experts import RandomPolicy
from wmlearn.envs.fetch import STEP, WORKSPACE

FRAMES = {"babyai": 40_000, "fetch": 20_000, "doom": 14_000, "passive": 3_000}
ENVS = {
    "babyai": "babyai/go-to-local",
    "fetch": "fetch/reach",
    "doom": "doom/basic",
    "passive": "doom/health-gathering",
}
_FORWARD = (0.25, 0.25, 0.5)  # of random moves: turning alone leads nowhere
TILE = 8  # pixels
_IN_A_FILE = 2_000  # pictures of one AVIF


@dataclass(frozen=True)
class Recording:
    """Episodes of one world, one after the other.

    Attributes:
        frames: uint8 ``[N, 64, 64, 3]``.
        actions: int64 ``[N]`` or float32 ``[N, A]``, taken after each frame; 0 after the last one.
        lengths: int64 ``[episodes]``, frames of each.
        state: float32 ``[N, S]``, what the simulator knows; S = 0 where it tells nothing.
        reached: bool ``[N]``: this frame ended the episode by its own rules.
    """

    frames: NDArray[np.uint8]
    actions: NDArray
    lengths: NDArray[np.int64]
    state: NDArray[np.float32]
    reached: NDArray[np.bool_]

    @property
    def starts(self) -> NDArray[np.int64]:
        """int64 ``[episodes]``, the number of each one's first frame."""
        return np.cumsum(self.lengths) - self.lengths


# --- who plays ---------------------------------------------------------------------------------


def babyai_player(env, rng: np.random.Generator) -> Callable[[], int]:
    """Says the sentences of one episode; see the module."""
    only_moves = rng.random() < 0.4
    wander, mission = int(rng.integers(0, 7)), None

    def say() -> int:
        nonlocal wander, mission
        if only_moves or wander > 0:
            wander -= 1
            return int(rng.choice(len(MOVES), p=_FORWARD))
        if mission is None:
            mission = int(rng.choice([m for m in env.possible() if m >= len(MOVES)]))
        said = mission
        if not env.way(mission):  # it is faced: said once more, and nothing moves
            wander, mission = int(rng.integers(0, 7)), None
        return said

    return say


def fetch_player(env, rng: np.random.Generator) -> Callable[[], NDArray[np.float32]]:
    """Random motions that are held, or ways to random places; see the module."""
    if rng.random() < 0.5:
        play = RandomPolicy(env, int(rng.integers(2**31)))
        return lambda: play(None)
    place = rng.uniform(*WORKSPACE)

    def move() -> NDArray[np.float32]:
        nonlocal place
        if np.abs(place - env.gripper).max() < 0.02:
            place = rng.uniform(*WORKSPACE)
        way = (place - env.gripper) / STEP + rng.normal(0, 0.15, 3)
        return np.clip(way, -1, 1).astype(np.float32)

    return move


def doom_player(env, rng: np.random.Generator) -> Callable[[], int]:
    """Random keys that are held."""
    play = RandomPolicy(env, int(rng.integers(2**31)))
    return lambda: play(None)


PLAYERS = {
    "babyai": babyai_player,
    "fetch": fetch_player,
    "doom": doom_player,
    "passive": doom_player,
}


def record(domain: str, frames: int, seed: int = 0) -> Recording:
    """Plays at least ``frames`` frames of a domain; episodes are whole, at most 65 frames each."""
    env = make(ENVS[domain])
    parts, total, episode = [], 0, 0
    with progress_bar(frames, 0, f"record {domain}", True) as bar:
        while total < frames:
            rng = np.random.default_rng([seed, episode])
            parts.append(_play(env, PLAYERS[domain], rng))
            total, episode = total + len(parts[-1][0]), episode + 1
            bar.update(len(parts[-1][0]))
    env.close()
    lengths = np.array([len(part[0]) for part in parts])
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Recording(columns[0], columns[1], lengths, *columns[2:])


def _play(env, player: Callable, rng: np.random.Generator) -> tuple[NDArray, ...]:
    frame, info = env.reset(seed=int(rng.integers(2**31)))
    act = player(env.unwrapped, rng)
    frames, actions, states, reached = [frame], [], [info.get("state", np.zeros(0))], [False]
    ended = cut = False
    while not (ended or cut) and len(frames) < 65:
        action = act()
        frame, _, ended, cut, info = env.step(action)
        frames.append(frame)
        actions.append(action)
        states.append(info.get("state", np.zeros(0)))
        reached.append(bool(ended))
    actions.append(np.zeros_like(actions[-1]))
    return (
        np.stack(frames),
        np.array(actions),
        np.stack(states).astype(np.float32),
        np.array(reached),
    )


# --- the file ----------------------------------------------------------------------------------


def save(path: str | Path, recordings: dict[str, Recording]) -> Path:
    """Writes recordings into one file: a NumPy archive, compressed as a whole."""
    arrays: dict[str, NDArray] = {}
    for name, recording in recordings.items():
        for key in ("actions", "lengths", "state", "reached"):
            arrays[f"{name}.{key}"] = getattr(recording, key)
        if name == "babyai":
            arrays[f"{name}.atlas"], arrays[f"{name}.tiles"] = to_tiles(recording.frames)
        else:
            blobs = [_to_avif(part) for part in _chunks(recording.frames)]
            arrays[f"{name}.sizes"] = np.array([len(blob) for blob in blobs])
            arrays[f"{name}.avif"] = np.frombuffer(b"".join(blobs), np.uint8)
    plain = io.BytesIO()
    np.savez(plain, **arrays)
    path = Path(path)
    path.write_bytes(lzma.compress(plain.getvalue(), preset=6))
    return path


def load(path: str | Path, only: Sequence[str] | None = None) -> dict[str, Recording]:
    """The recordings of a file that :func:`save` wrote; ``only`` some domains, where they are."""
    arrays = np.load(io.BytesIO(lzma.decompress(Path(path).read_bytes())))
    recordings = {}
    names = dict.fromkeys(key.partition(".")[0] for key in arrays.files)
    for name in names if only is None else [name for name in names if name in only]:
        if f"{name}.tiles" in arrays:
            frames = _from_tiles(arrays[f"{name}.atlas"], arrays[f"{name}.tiles"])
        else:
            blob, ends = arrays[f"{name}.avif"].tobytes(), np.cumsum(arrays[f"{name}.sizes"])
            pairs = zip([0, *ends[:-1]], ends, strict=True)
            frames = np.concatenate([_from_avif(blob[a:b]) for a, b in pairs])
        rest = (arrays[f"{name}.{key}"] for key in ("actions", "lengths", "state", "reached"))
        recordings[name] = Recording(frames, *rest)
    return recordings


def load_tiles(paths: Sequence[str | Path]) -> tuple[NDArray[np.uint8], Recording]:
    """BabyAI's recordings in files that :func:`save` wrote, without a picture of them.

    Files without one are passed over.

    Returns:
        The different tiles uint8 ``[K, 8, 8, 3]``, and one recording of all files, whose
        ``frames`` are the numbers of their tiles, uint8 ``[N, 8, 8, 1]``.
    """
    known: dict[bytes, int] = {}
    columns: list[list[NDArray]] = []
    for path in paths:
        arrays = np.load(io.BytesIO(lzma.decompress(Path(path).read_bytes())))
        if "babyai.tiles" not in arrays:
            continue
        new = [known.setdefault(tile.tobytes(), len(known)) for tile in arrays["babyai.atlas"]]
        codes = np.array(new, np.uint8)[arrays["babyai.tiles"]][..., None]
        rest = (arrays[f"babyai.{key}"] for key in ("actions", "lengths", "state", "reached"))
        columns.append([codes, *rest])
    atlas = np.frombuffer(b"".join(known), np.uint8).reshape(-1, TILE, TILE, 3)
    return atlas, Recording(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def _chunks(frames: NDArray) -> Iterator[NDArray]:
    for first in range(0, len(frames), _IN_A_FILE):
        yield frames[first : first + _IN_A_FILE]


def _to_avif(frames: NDArray[np.uint8], quality: int = 60) -> bytes:
    pictures, out = [Image.fromarray(frame) for frame in frames], io.BytesIO()
    pictures[0].save(
        out, "AVIF", save_all=True, append_images=pictures[1:], quality=quality, speed=6,
        subsampling="4:4:4", max_threads=1,
    )  # fmt: skip
    return out.getvalue()


def _from_avif(blob: bytes) -> NDArray[np.uint8]:
    picture = Image.open(io.BytesIO(blob))
    frames = []
    for number in range(picture.n_frames):
        picture.seek(number)
        frames.append(np.asarray(picture.convert("RGB")))
    return np.stack(frames)


def to_tiles(frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The different tiles uint8 ``[K, 8, 8, 3]``, and the numbers of each frame's ``[N, 8, 8]``."""
    n, side = len(frames), frames.shape[1] // TILE
    tiles = frames.reshape(n, side, TILE, side, TILE, 3).swapaxes(2, 3).reshape(n, side, side, -1)
    known: dict[bytes, int] = {}
    numbers = np.empty((n, side, side), np.uint8)
    for place in np.ndindex(n, side, side):
        key = tiles[place].tobytes()
        numbers[place] = known.setdefault(key, len(known))
    atlas = np.frombuffer(b"".join(known), np.uint8).reshape(-1, TILE, TILE, 3)
    return atlas, numbers


def _from_tiles(atlas: NDArray[np.uint8], tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    n, side, _ = tiles.shape
    return atlas[tiles].swapaxes(2, 3).reshape(n, side * TILE, side * TILE, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", choices=FRAMES, help="one domain alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0, help="of the usual number of frames")
    args = parser.parse_args()
    names = [args.only] if args.only else list(FRAMES)
    made = {name: record(name, int(args.share * FRAMES[name]), args.seed) for name in names}
    path = save(args.out, made)
    for name, recording in made.items():
        print(f"{name}: {len(recording.frames):,} frames, {len(recording.lengths):,} episodes")
    print(f"{path}: {path.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
