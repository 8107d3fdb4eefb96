"""From a heap of raw video to clips worth training on: split, filter, caption, deduplicate, shard.

Five short functions in the order in which the makers of large corpora run them (NVIDIA 2025,
section 3, is the model). They see frames and nothing else: no label, no action. :func:`make_raw`
makes a heap of which everything is known, so that each function can be judged.

Shapes: T frames of a film or a clip, C x H x W pixels, D numbers of a clip's vector.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Film = NDArray[np.uint8]  # [T, C, H, W]


@dataclass(frozen=True)
class Shot:
    """A stretch of a film without a cut.

    Attributes:
        frames: uint8 ``[T, C, H, W]``.
        film, begin: where it comes from: the film's number, and its first frame there.
        caption: in words; empty until there is one.
    """

    frames: Film
    film: int = 0
    begin: int = 0
    caption: str = ""


# --- 1. split ------------------------------------------------------------------------------------


def change(film: Film, reach: int = 2) -> NDArray[np.float32]:
    """How far each picture is from the one before, in 8-bit levels, motion left out: ``[T - 1]``.

    Small pictures of 32 x 32 are compared block by block (4 x 4 blocks), each at the shift of up to
    ``reach`` pixels that fits it best: so a camera that moves or turns is no cut.
    """
    small, side = _small(film, 32), 2 * reach + 1
    padded = np.pad(small[:-1], ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="edge")
    best = np.full((len(small) - 1, 4, 4), np.inf, np.float32)
    for dy in range(side):
        for dx in range(side):
            apart = np.abs(small[1:] - padded[:, :, dy : dy + 32, dx : dx + 32]).mean(1)
            best = np.minimum(best, apart.reshape(-1, 4, 8, 4, 8).mean((2, 4)))
    return best.mean((1, 2))


def split(
    film: Film, number: int = 0, jump: float = 1.5, around: int = 3, onset: float = 4.0
) -> list[Shot]:
    """Cuts a film where the picture changes at once.

    A cut is a change that is ``jump`` times as large as the largest of those beside it, or where
    quiet ends or begins at once: ``onset`` times as large as the largest on one side, with others
    as large on the other (half a level is added to each). So fast driving is no cut, a single jump
    is, and so is the seam between a still stretch and a fast one.

    Args:
        film: uint8 ``[T, C, H, W]``.
        number: of the film, for the shots.
        jump: see above.
        around: how many changes on either side it is compared with.
        onset: see above; the film's own beginning and end are no quiet.
    """
    own = change(film)
    amount, count = np.pad(own, around), len(own)
    before = np.stack([amount[i : count + i] for i in range(around)]).max(0)
    after = np.stack([amount[i : count + i] for i in range(around + 1, 2 * around + 1)]).max(0)
    sides = np.stack([before, after])
    sudden = own > jump * (sides.max(0) + 0.5)
    sides[0, :around] = sides[1, -around:] = np.inf
    cuts = np.flatnonzero(sudden | (own > onset * (sides.min(0) + 0.5))) + 1
    edges = [0, *cuts.tolist(), len(film)]
    return [Shot(film[a:b], number, a) for a, b in zip(edges, edges[1:], strict=False)]


# --- 2. filter -----------------------------------------------------------------------------------


def motion(shot: Shot) -> NDArray[np.float32]:
    """Mean change of small pictures (16 x 16) from frame to frame, in 8-bit levels: ``[T - 1]``."""
    small = _small(shot.frames, 16)
    return np.abs(small[1:] - small[:-1]).mean((1, 2, 3))


def still_edges(shot: Shot) -> float:
    """Share of pixels that are an edge and never change, although the picture moves.

    Overlays (logos, captions, clocks) stand still where all else goes by.
    """
    frames = shot.frames.astype(np.int16)
    moves = np.abs(frames[1:] - frames[:-1]).max((0, 1))
    gray = frames[0].mean(0)
    edge = np.abs(np.diff(gray, axis=1, prepend=gray[:, :1]))
    return float(((moves < 12) & (edge > 100)).mean())


def keep(
    shot: Shot,
    length: int = 17,
    least_motion: float = 0.4,
    most_motion: float = 7.0,
    most_still: float = 0.006,
) -> str:
    """Why a shot is thrown away, in a word; empty if it stays.

    Args:
        shot: to be judged.
        length: frames that it must have at least ("short").
        least_motion: less, on average, is "still".
        most_motion: more is "fast".
        most_still: more of :func:`still_edges` is "overlay".
    """
    if len(shot.frames) < length:
        return "short"
    moves = motion(shot)
    if moves.mean() < least_motion:
        return "still"
    if moves.mean() > most_motion:
        return "fast"
    if still_edges(shot) > most_still:
        return "overlay"
    return ""


# --- 3. caption ----------------------------------------------------------------------------------


def caption(shot: Shot) -> Shot:
    """Says in words how fast the picture moves and which way it turns.

    It is read off the picture as a whole: the shift that explains most of the change over four
    frames. (The paper asks a vision-language model.)
    """
    small, gap = _small(shot.frames, 32), min(4, len(shot.frames) - 1)
    padded = np.pad(small, ((0, 0), (0, 0), (3, 3), (3, 3)), mode="edge")
    errors = np.array(
        [
            [
                np.abs(small[gap:] - padded[:-gap, :, y : y + 32, x : x + 32]).mean()
                for x in range(7)
            ]
            for y in range(7)
        ]
    )
    down, right = np.array(np.unravel_index(errors.argmin(), errors.shape)) - 3
    moves = motion(shot).mean()
    pace = "slow" if moves < 4 else "quick" if moves < 10 else "fast"
    way = ""
    if abs(right) > 0:
        way = ", turning left" if right < 0 else ", turning right"
    elif abs(down) > 0:
        way = ", straight on"
    return replace(shot, caption=f"{pace} motion{way}")


# --- 4. deduplicate ------------------------------------------------------------------------------


def vector(shot: Shot) -> NDArray[np.float32]:
    """What a shot looks like: three small pictures in a row, of unit length: ``[D]``."""
    times = np.linspace(0, len(shot.frames) - 1, 3).round().astype(int)
    small = _small(shot.frames[times], 12)
    flat = (small - small.mean((2, 3), keepdims=True)).ravel()
    return flat / (np.linalg.norm(flat) + 1e-6)


def deduplicate(shots: Sequence[Shot], nearer: float = 0.985) -> list[int]:
    """Which shots stay, where of those that look alike only the first does.

    Args:
        shots: N of them.
        nearer: cosine of two vectors above which they are the same.

    Returns:
        Numbers of those that stay.
    """
    vectors, stay = np.stack([vector(shot) for shot in shots]), []
    for number, own in enumerate(vectors):
        if not stay or (vectors[stay] @ own).max() < nearer:
            stay.append(number)
    return stay


# --- 5. shard ------------------------------------------------------------------------------------


def shard(shots: Sequence[Shot], folder: str | Path, each: int = 256) -> list[Path]:
    """Writes shots as tar files, each of so many, with a picture strip and its caption per shot.

    A tar is read from front to back, by as many readers as there are files: what a cluster needs.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for first in range(0, len(shots), each):
        paths.append(folder / f"shard-{first // each:05d}.tar")
        with tarfile.open(paths[-1], "w") as tar:
            for number, shot in enumerate(shots[first : first + each], start=first):
                sheet = np.concatenate(list(shot.frames.transpose(0, 2, 3, 1)), axis=1)
                picture = io.BytesIO()
                Image.fromarray(sheet).save(picture, "WEBP", lossless=True)
                _add(tar, f"{number:07d}.webp", picture.getvalue())
                _add(tar, f"{number:07d}.txt", shot.caption.encode())
    return paths


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


# --- a heap of which everything is known ---------------------------------------------------------


@dataclass(frozen=True)
class Raw:
    """A raw corpus, and the truth about it.

    Attributes:
        films: each uint8 ``[T, C, H, W]``.
        cuts: for each film, the frames at which something else begins.
        kinds: for each film and stretch between cuts: ``good``, ``still``, ``overlay``, ``fast``
            or ``duplicate``.
    """

    films: list[Film]
    cuts: list[list[int]]
    kinds: list[list[str]]


SHARES = {"good": 0.45, "duplicate": 0.2, "still": 0.12, "overlay": 0.12, "fast": 0.11}
"""Of the stretches of a raw corpus."""


def make_raw(
    episodes: Sequence[Film], stretches: int = 200, per_film: int = 5, seed: int = 0
) -> Raw:
    """Splices films out of clean episodes, and spoils more than half of what is in them.

    Args:
        episodes: clean video of one world or of several, each uint8 ``[T, C, H, W]``.
        stretches: how many there are in all; their kinds in ``SHARES``.
        per_film: stretches that are spliced to a film.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    kinds = rng.choice(list(SHARES), size=stretches, p=list(SHARES.values())).tolist()
    good: list[Film] = []
    pieces: list[Film] = []
    for number, kind in enumerate(kinds):
        if kind == "duplicate" and not good:
            kind = kinds[number] = "good"
        piece = _stretch(episodes, rng, int(rng.integers(24, 60)), 4 if kind == "fast" else 1)
        if kind == "good":
            good.append(piece)
        elif kind == "duplicate":
            piece = _noisy(good[int(rng.integers(len(good)))], rng)
        elif kind == "still":
            piece = _noisy(np.repeat(piece[:1], len(piece), 0), rng, 0.4)
        elif kind == "overlay":
            piece = _overlaid(piece, rng)
        pieces.append(piece)
    order = rng.permutation(stretches)  # so that a duplicate may come before what it repeats
    films, cuts, labels = [], [], []
    for first in range(0, stretches, per_film):
        chosen = order[first : first + per_film]
        films.append(np.concatenate([pieces[i] for i in chosen]))
        cuts.append(np.cumsum([len(pieces[i]) for i in chosen])[:-1].tolist())
        labels.append([kinds[i] for i in chosen])
    return Raw(films, cuts, labels)


def _stretch(episodes: Sequence[Film], rng: np.random.Generator, length: int, speed: int) -> Film:
    film = episodes[int(rng.integers(len(episodes)))]
    length = min(length, len(film) // speed)
    begin = int(rng.integers(len(film) - length * speed + 1))
    return film[begin : begin + length * speed : speed].copy()


def _noisy(film: Film, rng: np.random.Generator, deviation: float = 3.0) -> Film:
    noise = rng.normal(scale=deviation, size=film.shape)
    return (film + noise).round().clip(0, 255).astype(np.uint8)


def _overlaid(film: Film, rng: np.random.Generator) -> Film:
    """A logo of black and white bars in a corner."""
    film, side = film.copy(), film.shape[-1]
    size, top = side // 5, int(rng.choice([2, side - side // 5 - 2]))
    left = int(rng.choice([2, side - size - 2]))
    bars = np.where((np.arange(size) // 2) % 2, 255, 0).astype(np.uint8)
    film[:, :, top : top + size // 2, left : left + size] = bars
    return film


# --- judging -------------------------------------------------------------------------------------


def agreement(found: set, true: set) -> dict[str, float]:
    """Precision, recall and F1 of what was found."""
    hits = len(found & true)
    precision, recall = hits / max(len(found), 1), hits / max(len(true), 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return {"precision": precision, "recall": recall, "f1": f1}


def _small(film: Film, side: int) -> NDArray[np.float32]:
    """Area-averaged to ``[T, C, side, side]``; H and W multiples of it, else cropped to one."""
    step_y, step_x = max(film.shape[2] // side, 1), max(film.shape[3] // side, 1)
    cropped = film[:, :, : side * step_y, : side * step_x].astype(np.float32)
    shape = (*film.shape[:2], side, step_y, side, step_x)
    return cropped.reshape(shape).mean((3, 5))
