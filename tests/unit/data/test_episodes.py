"""Episodes on disk: what is written is read, and what is broken is refused."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from safetensors.numpy import load_file, save_file

from wmlearn.data import episodes as module
from wmlearn.data.episodes import Episode, EpisodeError, EpisodeStore, EpisodeWriter

SHAPE = (3, 8, 8)


def episode(steps: int, seed: int = 0, actions: np.ndarray | None = None) -> Episode:
    rng = np.random.default_rng(seed)
    last = np.arange(steps) == steps - 1
    return Episode(
        frames=rng.integers(0, 256, (steps + 1, *SHAPE), dtype=np.uint8),
        actions=rng.integers(0, 4, steps) if actions is None else actions,
        rewards=rng.normal(size=steps).astype(np.float32),
        terminated=last,
        truncated=np.zeros(steps, bool),
    )


@pytest.fixture
def dataset(tmp_path) -> Path:
    """Three episodes of 5, 9 and 6 frames."""
    writer = EpisodeWriter(tmp_path / "set", Discrete(4), SHAPE, env="my/game", seed=1)
    for number, steps in enumerate((4, 8, 5)):
        writer.write(episode(steps, number))
    return tmp_path / "set"


def test_round_trip(dataset):
    store = EpisodeStore(dataset)
    assert (store.episodes, store.num_frames, len(store)) == (3, 20, 3)
    assert store.lengths.tolist() == [5, 9, 6]
    assert store.action_space == Discrete(4) and store.frame_shape == SHAPE
    assert store.info["env"] == "my/game" and store.info["seed"] == 1
    for number, steps in enumerate((4, 8, 5)):
        for name, value in vars(episode(steps, number)).items():
            assert np.array_equal(getattr(store[number], name), value), name
    assert np.array_equal(store[-1].frames, store[2].frames)
    with pytest.raises(IndexError, match="3 episodes"):
        store[3]


def test_clip(dataset):
    store, source = EpisodeStore(dataset), episode(8, 1)
    clip = store.clip([(1, 2), (1, 5), (0, 0)], 4)
    assert clip.frames.shape == (3, 4, *SHAPE) and clip.actions.shape == (3, 3)
    assert np.array_equal(clip.frames[0], source.frames[2:6])
    assert np.array_equal(clip.actions[0], source.actions[2:5])
    assert np.array_equal(clip.rewards[1], source.rewards[5:8])
    assert clip.terminated[1].tolist() == [False, False, True]
    assert not clip.truncated.any()
    whole = store.clip([(1, 0)], 9)
    assert np.array_equal(whole.frames[0], source.frames)
    clip.frames[:] = 0  # a copy: the file is not touched
    assert np.array_equal(EpisodeStore(dataset)[1].frames, source.frames)
    assert store.clip([(0, 4)], 1).actions.shape == (1, 0)


def test_clip_before_the_first_frame(dataset):
    store, source = EpisodeStore(dataset), episode(4, 0)
    clip = store.clip([(0, -2), (0, -6)], 5)
    assert np.array_equal(clip.frames[0], source.frames[[0, 0, 0, 1, 2]])
    assert clip.actions[0].tolist() == [0, 0, *source.actions[:2]]
    assert clip.rewards[0].tolist() == [0, 0, *source.rewards[:2]]
    assert (clip.frames[1].numpy() == source.frames[0]).all() and not clip.actions[1].any()


def test_clip_beyond_the_last_frame(dataset):
    store, source = EpisodeStore(dataset), episode(4, 0)
    clip = store.clip([(0, 2), (0, -1)], 7, pad_end=True)
    assert np.array_equal(clip.frames[0], source.frames[[2, 3, 4, 4, 4, 4, 4]])
    assert np.array_equal(clip.frames[1], source.frames[[0, 0, 1, 2, 3, 4, 4]])
    assert clip.padded.int().tolist() == [[0, 0, 0, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0, 1]]
    assert torch.equal(clip.real_frames, ~clip.padded)
    assert clip.actions[0].tolist() == [*source.actions[2:], 0, 0, 0, 0]
    assert clip.rewards[1].tolist() == [0, *source.rewards, 0]
    ended = torch.from_numpy(source.terminated | source.truncated)
    assert torch.equal((clip.terminated | clip.truncated)[1, 1:5], ended)
    with pytest.raises(IndexError, match="crosses the end of episode 0"):
        store.clip([(0, 5)], 4, pad_end=True)


def test_clip_never_crosses_an_end(dataset):
    store = EpisodeStore(dataset)
    with pytest.raises(IndexError, match="crosses the end of episode 0"):
        store.clip([(0, 2)], 4)
    with pytest.raises(ValueError, match="got 0 of 4"):
        store.clip([], 4)


def test_continuous_actions_and_passive_video(tmp_path):
    space = Box(np.float32([-1, 0]), np.float32([1, np.inf]))
    actions = np.random.default_rng(0).uniform(0, 1, (4, 2)).astype(np.float32)
    EpisodeWriter(tmp_path / "box", space, SHAPE).write(episode(4, actions=actions))
    store = EpisodeStore(tmp_path / "box")
    assert store.action_space == space
    clip = store.clip([(0, -1)], 4)
    assert clip.actions.shape == (1, 3, 2)
    assert np.array_equal(clip.actions[0, 1:], actions[:2]) and not clip.actions[0, 0].any()

    frames = episode(4).frames
    EpisodeWriter(tmp_path / "video", None, SHAPE).write(Episode(frames))
    store = EpisodeStore(tmp_path / "video")
    clip = store.clip([(0, 1)], 3)
    assert store.action_space is None and clip.actions is None and clip.rewards is None
    assert np.array_equal(clip.frames[0], frames[1:4])


def test_writer_continues_and_cleans_up(dataset):
    (dataset / ".episode-000003.safetensors.99.tmp").write_bytes(b"half an episode")
    writer = EpisodeWriter(dataset, Discrete(4), SHAPE, env="my/game", seed=1)
    assert (writer.next_index, writer.num_frames) == (3, 20)
    assert writer.write(episode(2)).name == "episode-000003.safetensors"
    assert [path.name for path in dataset.iterdir() if path.name.startswith(".")] == []
    with pytest.raises(EpisodeError, match="seed is 1 there, 2 here"):
        EpisodeWriter(dataset, Discrete(4), SHAPE, env="my/game", seed=2)
    with pytest.raises(EpisodeError, match="frame_shape"):
        EpisodeWriter(dataset, Discrete(4), (3, 9, 9), env="my/game", seed=1)


def test_writer_starts_after_a_kill_before_anything_was_written(tmp_path):
    (tmp_path / ".dataset.json.99.tmp").write_text("{")
    EpisodeWriter(tmp_path, Discrete(4), SHAPE).write(episode(2))
    assert EpisodeStore(tmp_path).episodes == 1


def test_writer_refuses_foreign_folders_and_wrong_episodes(tmp_path, dataset):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    with pytest.raises(EpisodeError, match="not empty"):
        EpisodeWriter(tmp_path / "photos", Discrete(4), SHAPE)
    writer = EpisodeWriter(dataset, Discrete(4), SHAPE, env="my/game", seed=1)
    with pytest.raises(EpisodeError, match="actions from 0 to 9"):
        writer.write(episode(2, actions=np.array([0, 9])))
    with pytest.raises(EpisodeError, match="no actions"):
        writer.write(Episode(episode(2).frames))
    with pytest.raises(EpisodeError, match="frames must be uint8"):
        writer.write(Episode(**{**vars(episode(2)), "frames": np.zeros((3, *SHAPE))}))
    assert EpisodeStore(dataset).episodes == 3


def test_truncated_files_are_refused_at_every_length(dataset):
    file = dataset / "episode-000001.safetensors"
    data = file.read_bytes()
    for length in (0, 4, 8, 100, 300, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:length])
        with pytest.raises(EpisodeError, match=r"episode-000001\.safetensors .*(delete|again)"):
            EpisodeStore(dataset)
    file.write_bytes(data + b"x")
    with pytest.raises(EpisodeError, match="extra bytes"):
        EpisodeStore(dataset)
    file.write_bytes(data)
    assert EpisodeStore(dataset).episodes == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("rewards"), "no rewards"),
        (lambda t: t.update(actions=t["actions"].astype(np.int32)), "I32"),
        (lambda t: t.update(rewards=t["rewards"].astype(np.uint8)), "rewards must be float32"),
        (lambda t: t.update(frames=t["frames"][:-1]), r"actions must be int64 \[7\]"),
        (lambda t: t.update(frames=t["frames"][:, :, :4]), "frames must be"),
        (lambda t: t.update(frames=t["frames"][0, 0, 0, 0]), "frames must be"),
        (lambda t: t.update(depth=t["rewards"]), "depth"),
        (lambda t: t.update({name: value[:0] for name, value in t.items()}), "must be|no frame"),
    ],
)
def test_tampered_files_are_refused(dataset, change, words):
    file = dataset / "episode-000001.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, file)
    with pytest.raises(EpisodeError, match=words) as error:
        EpisodeStore(dataset)
    assert "episode-000001.safetensors" in str(error.value)


def test_headers_that_lie_are_refused(dataset):
    file = dataset / "episode-000000.safetensors"
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])

    def write(header: dict | list) -> None:
        text = json.dumps(header).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])

    for begin_end in ([-8, 24], [0, 10**9], ["0", "32"], [0]):
        write({**header, "actions": {**header["actions"], "data_offsets": begin_end}})
        with pytest.raises(EpisodeError, match="episode-000000"):
            EpisodeStore(dataset)
    for foreign in ([], {"frames": 3}, {}):
        write(foreign)
        with pytest.raises(EpisodeError, match="episode-000000"):
            EpisodeStore(dataset)


def test_actions_outside_the_space_are_refused_when_read(dataset):
    file = dataset / "episode-000002.safetensors"
    tensors = load_file(file)
    tensors["actions"][3] = 4
    save_file(tensors, file)
    with pytest.raises(EpisodeError, match="actions from 0 to 4, but dataset.json says 0 to 3"):
        EpisodeStore(dataset).clip([(2, 0)], 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "holds no dataset.json"),
        ("{", "not JSON"),
        ("[]", "holds a list, not an object"),
        ('{"format": "zarr"}', "something else"),
        ('{"format": "wmlearn-episodes", "version": 2}', "version 2; this wmlearn reads version 1"),
        ('{"format": "wmlearn-episodes", "version": 1, "frame_shape": [64]}', "frame_shape"),
        ('{"format": "wmlearn-episodes", "version": 1, "frame_shape": [3, 8, 8]}', "action_space"),
        (
            '{"format": "wmlearn-episodes", "version": 1, "frame_shape": [3, 8, 8], '
            '"action_space": {"type": "discrete", "n": 0}}',
            "not understood",
        ),
    ],
)
def test_foreign_folders_are_refused(dataset, text, words):
    (dataset / "dataset.json").unlink()
    if text is not None:
        (dataset / "dataset.json").write_text(text)
    with pytest.raises(EpisodeError, match=words) as error:
        EpisodeStore(dataset)
    assert str(dataset) in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t["terminated"].__setitem__(2, True), "ended in its middle"),
        (lambda t: t["truncated"].__setitem__(0, True), "ended in its middle"),
        (lambda t: t["rewards"].__setitem__(1, np.nan), "not finite"),
        (lambda t: t["rewards"].__setitem__(1, np.inf), "not finite"),
    ],
)
def test_impossible_steps_are_refused_when_read(dataset, change, words):
    file = dataset / "episode-000001.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)
    with pytest.raises(EpisodeError, match=words) as error:
        EpisodeStore(dataset)[1]
    assert "episode-000001.safetensors" in str(error.value)


def test_one_changed_byte_of_a_frame_is_refused_when_read(dataset):
    file = dataset / "episode-000001.safetensors"
    place = bytearray(file.read_bytes())
    at = place.index(episode(8, 1).frames.tobytes()[:64]) + 11
    place[at] ^= 1
    file.write_bytes(place)
    store = EpisodeStore(dataset)
    assert np.array_equal(store[0].frames, episode(4, 0).frames)
    with pytest.raises(EpisodeError, match=r"episode-000001\.safetensors is not as it was written"):
        store.clip([(1, 2)], 3)


def test_misnamed_episode_is_refused(dataset):
    (dataset / "episode-000001.safetensors").rename(dataset / "episode-one.safetensors")
    with pytest.raises(EpisodeError, match="rename"):
        EpisodeStore(dataset)


def test_many_episodes_do_not_exhaust_file_descriptors(dataset, monkeypatch):
    monkeypatch.setattr(module, "_MAPS_KEPT", 2)
    store = EpisodeStore(dataset)
    for _ in range(3):
        for number in range(3):
            assert np.array_equal(store[number].frames, episode((4, 8, 5)[number], number).frames)
    assert store._open.cache_info().currsize == 2


def test_store_can_be_pickled_for_workers(dataset):
    store = EpisodeStore(dataset)
    expected = store.clip([(1, 0)], 4)
    assert np.array_equal(
        pickle.loads(pickle.dumps(store)).clip([(1, 0)], 4).frames, expected.frames
    )


def test_the_example_of_the_format_page(tmp_path, monkeypatch):
    """Someone's own game, written with numpy and safetensors only, as FORMAT.md shows it."""
    page = (Path(module.__file__).parent / "FORMAT.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert "wmlearn." not in code and "import wmlearn" not in code
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "FORMAT.md", "exec"), {})
    store = EpisodeStore("my-dataset")
    assert (store.episodes, store.num_frames, store.action_space) == (1, 51, Discrete(4))
    assert store.clip([(0, 43)], 8).terminated.sum() == 1
