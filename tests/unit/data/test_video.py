"""A video file becomes a passive dataset."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from wmlearn.data.episodes import EpisodeError, EpisodeStore
from wmlearn.data.record import record
from wmlearn.data.video import is_video, record_video

av = pytest.importorskip("av")


def make_video(path: Path, frames: int = 40, cut_at: int | None = None, rate: int = 20) -> Path:
    """Frame i is gray 4 * i; from ``cut_at`` on it is brighter by 60."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 96, 64, "yuv420p", 4_000_000
        for i in range(frames):
            gray = 4 * i + (60 if cut_at is not None and i >= cut_at else 0)
            picture = np.full((64, 96, 3), min(gray, 255), np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def grays(store: EpisodeStore) -> list[np.ndarray]:
    return [store[i].frames.reshape(len(store[i].frames), -1).mean(1) for i in range(len(store))]


def test_every_frame_is_kept(tmp_path):
    store = record(str(make_video(tmp_path / "a.mp4")), tmp_path / "set", size=16)
    assert (store.episodes, store.num_frames, store.action_space) == (1, 40, None)
    assert store.frame_shape == (3, 16, 16) and store.info["env"] == "a.mp4"
    assert np.allclose(grays(store)[0], 4 * np.arange(40), atol=4)
    clip = store.clip([(0, 3)], 5)
    with pytest.raises(ValueError, match="no actions"):
        clip.require("actions")


def test_fps_and_splits(tmp_path):
    video = make_video(tmp_path / "a.mp4")
    store = record(str(video), tmp_path / "set", size=16, fps=5, episode_frames=4)
    assert store.lengths.tolist() == [4, 4, 2]
    assert np.allclose(np.concatenate(grays(store)), 16 * np.arange(10), atol=4)
    fewer = record_video(video, tmp_path / "few", frames=7, size=16, episode_frames=4)
    assert fewer.lengths.tolist() == [4, 3]
    with pytest.raises(ValueError, match="at most 20"):
        record_video(video, tmp_path / "fast", fps=50)


def test_scene_cuts(tmp_path):
    video = make_video(tmp_path / "a.mp4", cut_at=15)
    store = record_video(video, tmp_path / "set", size=16, scene_cut=0.15)
    assert store.lengths.tolist() == [15, 25]
    assert record_video(video, tmp_path / "one", size=16).lengths.tolist() == [40]
    with pytest.raises(EpisodeError, match="no two frames in a row"):
        record_video(video, tmp_path / "none", size=16, scene_cut=0.001)


def test_interrupted_reading_goes_on(tmp_path):
    video = make_video(tmp_path / "a.mp4")
    whole = record_video(video, tmp_path / "whole", size=16, episode_frames=9)
    record_video(video, tmp_path / "part", size=16, episode_frames=9)
    for file in sorted((tmp_path / "part").glob("episode-*"))[2:]:
        file.unlink()
    again = record_video(video, tmp_path / "part", size=16, episode_frames=9)
    assert [f.read_bytes() for f in whole.files] == [f.read_bytes() for f in again.files]
    with pytest.raises(EpisodeError, match="fps"):
        record_video(video, tmp_path / "part", size=16, episode_frames=9, fps=10)


def test_what_is_no_video_is_refused(tmp_path):
    assert is_video("a/b.MP4") and not is_video("doom/basic") and not is_video("CarRacing-v3")
    with pytest.raises(FileNotFoundError, match="no file"):
        record("nowhere.mp4", tmp_path / "set")
    (tmp_path / "text.mp4").write_text("This is no film. " * 100)
    with pytest.raises(ValueError, match="cannot be read as a video"):
        record(str(tmp_path / "text.mp4"), tmp_path / "set")
    video = make_video(tmp_path / "a.mp4")
    video.write_bytes(video.read_bytes()[:-300])
    with pytest.raises(ValueError, match="cannot be read as a video"):
        record(str(video), tmp_path / "set")
    assert not (tmp_path / "set").exists()


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Writes the track's display matrix, as a telephone does that was held upright."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44  # behind flags, times, track, duration, layer and volume
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("matrix", "corners"),  # of red, green / blue, white
    [
        ((1, 0, 0, 1), "rgbw"),
        ((0, 1, -1, 0), "brwg"),  # a quarter to the right
        ((-1, 0, 0, -1), "wbgr"),
        ((0, -1, 1, 0), "gwrb"),
        ((-1, 0, 0, 1), "grwb"),  # mirrored
    ],
)
def test_a_film_stands_as_its_display_matrix_says(tmp_path, matrix, corners):
    colors = {"r": (255, 0, 0), "g": (0, 255, 0), "b": (0, 0, 255), "w": (255, 255, 255)}
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32, :48], picture[:32, 48:] = colors["r"], colors["g"]
    picture[32:, :48], picture[32:, 48:] = colors["b"], colors["w"]
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(3):
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    set_matrix(path, *matrix)
    frame = record_video(path, tmp_path / "set", size=32)[0].frames[0]
    for (y, x), letter in zip(((4, 4), (4, 28), (28, 4), (28, 28)), corners, strict=True):
        assert np.abs(frame[:, y, x].astype(int) - colors[letter]).max() < 12, letter


def test_a_short_film_gives_episodes_to_hold_out(tmp_path):
    store = record_video(make_video(tmp_path / "a.mp4", frames=230), tmp_path / "set", size=16)
    assert store.lengths.tolist() == [50, 50, 50, 50, 30]


def test_a_second_film_is_added_and_a_folder_is_read_whole(tmp_path):
    films = tmp_path / "films"
    films.mkdir()
    one, two = make_video(films / "a.mp4"), make_video(films / "b.mp4", frames=24)
    kw = dict(size=16, episode_frames=16)
    record_video(one, tmp_path / "set", **kw)
    both = record_video(two, tmp_path / "set", **kw)
    assert both.lengths.tolist() == [16, 16, 8, 16, 8]
    assert [f["name"] for f in both.info["films"]] == ["a.mp4", "b.mp4"]
    again = record_video(one, tmp_path / "set", **kw)  # nothing is added twice
    assert again.lengths.tolist() == both.lengths.tolist()
    assert is_video(films)
    whole = record(str(films), tmp_path / "whole", **kw)
    shape = record(str(films / "*.mp4"), tmp_path / "shape", **kw)
    for store in (whole, shape):
        assert [f.read_bytes() for f in store.files] == [f.read_bytes() for f in both.files]
    limited = record_video(films, tmp_path / "few", frames=50, **kw)
    assert limited.lengths.tolist() == [16, 16, 8, 10]
    (films / "c.mp4").write_text("no film")
    with pytest.raises(ValueError, match="c.mp4 cannot be read"):
        record_video(films, tmp_path / "none", **kw)
    assert not (tmp_path / "none").exists()


def test_an_earlier_film_does_not_grow_into_the_numbers_of_a_later_one(tmp_path):
    one = make_video(tmp_path / "a.mp4")
    two = make_video(tmp_path / "b.mp4", frames=24)
    kw = dict(size=16, episode_frames=16)
    record_video(one, tmp_path / "set", frames=16, **kw)
    both = record_video(two, tmp_path / "set", **kw)
    assert both.lengths.tolist() == [16, 16, 8]
    before = [file.read_bytes() for file in sorted((tmp_path / "set").iterdir())]
    record_video(one, tmp_path / "set", **kw)  # it has 40 frames, of which 16 were asked for
    assert [file.read_bytes() for file in sorted((tmp_path / "set").iterdir())] == before
