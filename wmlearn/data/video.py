"""Any video file as a dataset of passive episodes: frames without actions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from wmlearn.data.episodes import Episode, EpisodeError, EpisodeStore, EpisodeWriter
from wmlearn.data.progress import progress_bar
from wmlearn.envs.pixels import resize

_SUFFIXES = {
    *(".avi", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts"),
    *(".webm", ".wmv"),
}


def is_video(name: str | os.PathLike) -> bool:
    """Whether this names a video file (by its suffix) rather than an environment."""
    return Path(name).suffix.lower() in _SUFFIXES


def record_video(
    video: str | os.PathLike,
    out: str | os.PathLike,
    frames: int = 10_000,
    size: int = 64,
    fps: float | None = None,
    scene_cut: float = 0.0,
    episode_frames: int = 1_000,
    progress: bool = True,
) -> EpisodeStore:
    """Reads a video into episodes without actions; continues where it was interrupted.

    Args:
        video: any file that FFmpeg decodes.
        out: directory of the dataset.
        frames: at most this many frames are kept.
        size: height and width of the frames; the picture is squeezed to a square.
        fps: frames a second to keep; all of them by default.
        scene_cut: a new episode starts where the mean change of a pixel from one kept frame to the
            next exceeds this share of the full range (0.2 to 0.3 finds hard cuts); 0 never cuts.
        episode_frames: longer stretches are split, so that whole episodes can be held out.
        progress: show a bar.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or no video that can be read.
        EpisodeError: ``out`` holds something else, or a dataset with other settings.
    """
    video = Path(video)
    if frames < 2 or episode_frames < 2:
        raise ValueError("frames and episode_frames must be at least 2, one step.")
    pictures = _decode(video, fps, size)
    first = next(pictures, None)
    if first is None:
        raise ValueError(f"{video} has no frame that can be decoded.")
    writer = EpisodeWriter(
        out,
        action_space=None,
        frame_shape=(3, size, size),
        env=video.name,
        source_bytes=video.stat().st_size,
        fps=fps,
        scene_cut=scene_cut,
        episode_frames=episode_frames,
    )
    seen = kept = 0
    with progress_bar(frames, 0, f"record {video.name}", progress) as bar:
        for stretch in _stretches(first, pictures, scene_cut, episode_frames):
            stretch = stretch[: frames - seen]
            if len(stretch) < 2:  # a lone frame shows no motion
                if frames - seen < 2:
                    break
                continue
            seen += len(stretch)
            if kept == writer.next_index:  # not there yet from an earlier, interrupted run
                writer.write(Episode(np.stack(stretch).transpose(0, 3, 1, 2)))
            kept += 1
            bar.update(len(stretch))
    store = EpisodeStore(out)
    if not len(store):
        raise EpisodeError(
            f"{video} gave no two frames in a row: raise scene_cut, or choose a longer video."
        )
    return store


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
