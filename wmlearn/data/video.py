"""Any video file as a dataset of passive episodes: frames without actions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from wmlearn.data.episode_file import read_info
from wmlearn.data.episodes import Episode, EpisodeError, EpisodeStore, EpisodeWriter
from wmlearn.data.progress import progress_bar
from wmlearn.envs.pixels import resize
from wmlearn.files import write_whole

_SUFFIXES = {
    *(".avi", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts"),
    *(".webm", ".wmv"),
}


def is_video(name: str | os.PathLike) -> bool:
    """Whether this names a video file (by its suffix), several (``films/*.mp4``) or a folder of
    them, rather than an environment.
    """
    path = Path(name)
    return path.suffix.lower() in _SUFFIXES or (path.is_dir() and bool(_films_in(path)))


def record_video(
    video: str | os.PathLike,
    out: str | os.PathLike,
    frames: int = 10_000,
    size: int = 64,
    fps: float | None = None,
    scene_cut: float = 0.0,
    episode_frames: int | None = None,
    progress: bool = True,
) -> EpisodeStore:
    """Reads films into episodes without actions; continues where it was interrupted.

    A film that is given with the ``out`` of an earlier one is added to it.

    Args:
        video: any file that FFmpeg decodes; a folder of such files; or ``folder/*.mp4``.
        out: directory of the dataset.
        frames: at most this many frames are in the dataset.
        size: height and width of the frames; the picture is squeezed to a square.
        fps: frames a second to keep; all of them by default.
        scene_cut: a new episode starts where the mean change of a pixel from one kept frame to the
            next exceeds this share of the full range (0.2 to 0.3 finds hard cuts); 0 never cuts.
        episode_frames: longer stretches are split, so that whole episodes can be held out. Default:
            a tenth of what the first film will give, from 50 to 1,000.
        progress: show a bar.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or no video that can be read.
        EpisodeError: ``out`` holds something else, or a dataset with other settings.
    """
    films = _films(video)
    if frames < 2 or (episode_frames is not None and episode_frames < 2):
        raise ValueError("frames and episode_frames must be at least 2, one step.")
    for film in films:  # all of them, before anything is written
        if next(_decode(film, fps, size), None) is None:
            raise ValueError(f"{film} has no frame that can be decoded.")
    there = read_info(Path(out)) if (Path(out) / "dataset.json").is_file() else {}
    if episode_frames is None:
        episode_frames = there.get("episode_frames") or _a_tenth(films[0], fps, frames)
    known = [dict(entry) for entry in there.get("films", [])]
    for film in films:
        entry = {"name": film.name, "bytes": film.stat().st_size}
        if entry not in [{k: f[k] for k in ("name", "bytes")} for f in known]:
            known.append({**entry, "episodes": None})
    fixed = dict(fps=fps, scene_cut=scene_cut, episode_frames=episode_frames)
    fixed["env"] = there.get("env") or Path(video).name
    if there and there.get("films") != known:
        _write_info(Path(out), {**there, "films": known})
    writer = EpisodeWriter(out, None, (3, size, size), **fixed, films=known)
    paths = {(film.name, film.stat().st_size): film for film in films}
    first, seen = 0, 0
    with progress_bar(frames, 0, f"record {fixed['env']}", progress) as bar:
        for entry in known:
            if (film := paths.get((entry["name"], entry["bytes"]))) is None:
                if entry["episodes"] is None:
                    raise EpisodeError(
                        f"{out} was left in the middle of {entry['name']}: give that film first."
                    )
                kept, got = entry["episodes"], 0
            else:
                pictures = _decode(film, fps, size)
                stretches = _stretches(next(pictures), pictures, scene_cut, episode_frames)
                # what comes after a film has its numbers already, so only the last one may grow
                most = None if entry is known[-1] else entry["episodes"]
                kept, got = _keep(stretches, writer, first, frames - seen, bar, most)
                entry["episodes"] = kept
                _write_info(Path(out), {**read_info(Path(out)), "films": known})
            seen += got or int(EpisodeStore(out).lengths[first : first + kept].sum())
            first += kept
    store = EpisodeStore(out)
    if not len(store):
        raise EpisodeError(
            f"{video} gave no two frames in a row: raise scene_cut, or choose a longer video."
        )
    return store


def _keep(
    stretches: Iterator[list[NDArray[np.uint8]]],
    writer: EpisodeWriter,
    first: int,
    left: int,
    bar,
    most: int | None,
) -> tuple[int, int]:
    """Writes one film's episodes from number ``first`` on, at most ``most`` of them; how many they
    are, of how many frames.

    Those that are there already, from an earlier and interrupted run, are not written again.
    """
    kept = seen = 0
    for stretch in stretches:
        if kept == most:
            break
        stretch = stretch[: left - seen]
        if len(stretch) < 2:  # a lone frame shows no motion
            if left - seen < 2:
                break
            continue
        seen += len(stretch)
        if first + kept == writer.next_index:
            writer.write(Episode(np.stack(stretch).transpose(0, 3, 1, 2)))
        kept += 1
        bar.update(len(stretch))
    return kept, seen


def _films(video: str | os.PathLike) -> list[Path]:
    """The files that were meant, in the order of their names."""
    path = Path(video)
    if "*" in path.name:
        found = sorted(path.parent.glob(path.name))
    else:
        found = _films_in(path) if path.is_dir() else [path]
    if not found:
        raise FileNotFoundError(f"There is no file {video}.")
    for film in found:
        if not film.is_file():
            raise FileNotFoundError(f"There is no file {film}.")
    return found


def _films_in(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in _SUFFIXES and f.is_file())


def _a_tenth(film: Path, fps: float | None, frames: int) -> int:
    """Frames of an episode, so that a film of any length gives some to hold out."""
    with _pyav().open(str(film)) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or 25)
        seconds = float(container.duration or 0) / 1e6 or stream.frames / rate
    return int(min(1_000, max(50, min(frames, seconds * (fps or rate)) / 10)))


def _write_info(folder: Path, info: dict) -> None:
    write_whole(folder / "dataset.json", json.dumps(info, indent=2) + "\n")


def _stretches(
    first: NDArray[np.uint8], rest: Iterator[NDArray[np.uint8]], scene_cut: float, longest: int
) -> Iterator[list[NDArray[np.uint8]]]:
    stretch = [first]
    for picture in rest:
        change = np.abs(picture.astype(np.int16) - stretch[-1]).mean() / 255
        if len(stretch) == longest or (scene_cut > 0 and change > scene_cut):
            yield stretch
            stretch = []
        stretch.append(picture)
    yield stretch


def _decode(video: Path, fps: float | None, size: int) -> Iterator[NDArray[np.uint8]]:
    """The frames uint8 ``[size, size, 3]`` at ``fps``."""
    av = _pyav()
    if not video.is_file():
        raise FileNotFoundError(f"There is no file {video}.")
    try:
        with av.open(str(video)) as container:
            if not container.streams.video:
                raise ValueError(f"{video} holds no video stream.")
            stream = container.streams.video[0]
            rate = float(stream.average_rate or 0)
            if fps is not None and (fps <= 0 or (rate and fps > rate * 1.001)):
                raise ValueError(
                    f"fps must be above 0 and at most {rate:g}, the rate of {video}; got {fps:g}."
                )
            start, kept = None, 0
            for frame in container.decode(stream):
                if fps is not None and frame.time is not None:
                    start = frame.time if start is None else start
                    if frame.time - start < kept / fps - 1e-6:
                        continue
                kept += 1
                yield resize(_upright(frame.to_ndarray(format="rgb24"), frame), size)
    except av.FFmpegError as error:
        raise ValueError(
            f"{video} cannot be read as a video ({error.strerror}): it is damaged or of another "
            "kind; convert it with `ffmpeg -i IN OUT.mp4`."
        ) from error


def _upright(picture: NDArray[np.uint8], frame) -> NDArray[np.uint8]:
    """Turned and mirrored by quarters as the film's display matrix says (a telephone held upright).

    The matrix takes a pixel (x, y) to (a x + c y, b x + d y); ISO/IEC 14496-12, ``tkhd``.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return picture
    a, b, _, c, d = np.rint(np.frombuffer(bytes(data), "<i4")[:5] / 2**16).astype(int)
    if abs(a * d - b * c) != 1 or abs(a) + abs(b) != 1:  # not by quarters
        return picture
    across, down = (a, d) if a else (c, b)
    picture = picture if a else picture.transpose(1, 0, 2)
    return np.ascontiguousarray(picture[:: down or 1, :: across or 1])


def _pyav() -> ModuleType:
    try:
        import av
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'Reading a video file needs PyAV: pip install "wmlearn[envs]".'
        ) from error
    return av
