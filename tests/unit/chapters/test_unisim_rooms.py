"""Chapter 7's rooms as tiles, and a policy that is trained inside and leaves."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("minigrid")

from wmlearn import hub
from wmlearn.chapters.ch07_unisim import in_rooms, leave, record
from wmlearn.chapters.ch07_unisim.mixture import DOMAINS, said_steps
from wmlearn.chapters.ch07_unisim.tiles import Dictionary
from wmlearn.envs import make
from wmlearn.envs.babyai import SENTENCES
from wmlearn.systems.unisim.recipe import SMOKE
from wmlearn.systems.unisim.system import UniSim


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("rooms") / "rooms.npz"
    return record.save(path, {"babyai": record.record("babyai", 1200)})


@pytest.fixture(scope="module")
def recorded(file):
    atlas, recording = record.load_tiles([file, file])
    assert len(recording.lengths) % 2 == 0  # the same file twice: the same tiles
    return atlas, leave.first_episodes(recording, len(recording.lengths) // 2)


@pytest.fixture(scope="module")
def dictionary(recorded):
    return Dictionary.learn(*recorded)


def codes_of(recording) -> torch.Tensor:
    return torch.from_numpy(recording.frames[..., 0])


def test_tiles_are_the_pictures(file, recorded, dictionary):
    frames = torch.from_numpy(record.load(file)["babyai"].frames[:40]).permute(0, 3, 1, 2)
    codes = codes_of(recorded[1])[:40]
    assert torch.equal(dictionary.draw(codes), frames)
    assert torch.equal(dictionary.read(frames), codes)


def test_the_recording_tells_what_moves(recorded, dictionary):
    codes, state = codes_of(recorded[1]), torch.from_numpy(recorded[1].state).long()
    moves = torch.isin(codes.long(), dictionary.moving)
    assert len(dictionary.moving) == 4 and (moves.flatten(1).sum(1) == 1).all()
    assert moves[torch.arange(len(codes)), state[:, 1], state[:, 0]].all()


def test_the_recording_tells_what_a_sentence_names():
    """Of the shipped recording, since in a short one most sentences are rare."""
    folder = hub.find("unisim-three-worlds")
    learned = Dictionary.learn(*record.load_tiles([folder / "clips.npz"]))
    assert (learned.named[:3] == -1).all() and len(set(learned.named[3:].tolist())) == 18
    env = make("babyai/go-to-local")
    for seed in range(4):
        frame, _ = env.reset(seed=seed)
        codes = learned.read(torch.from_numpy(frame.copy()).permute(2, 0, 1)[None])[0]
        for mission in range(3, len(SENTENCES)):
            found = torch.nonzero(codes.long() == learned.named[mission]).flip(1).tolist()
            assert sorted(map(tuple, found)) == sorted(env.unwrapped.places(mission))


def test_a_dream_that_is_right_is_snapped_to_the_truth(recorded, dictionary):
    codes, generator = codes_of(recorded[1]), torch.Generator().manual_seed(0)
    number = torch.arange(len(codes) - 1)
    ends = torch.from_numpy(np.cumsum(recorded[1].lengths) - 1)
    rows = number[~torch.isin(number, ends)][:200]
    now, after = (dictionary.draw(codes[r]).float() for r in (rows, rows + 1))
    vague = [x + 12 * torch.randn(x.shape, generator=generator) for x in (now, after)]
    assert torch.equal(dictionary.snapped(codes[rows], *vague), codes[rows + 1])


def test_a_reader_looks_where_the_triangle_stands(dictionary, recorded):
    torch.manual_seed(0)
    model = in_rooms.RoomReader(dictionary.moving, 1, len(dictionary.looks), width=4, layers=1)
    codes = codes_of(recorded[1])[:1].clone()
    y, x = (int(v) for v in torch.nonzero(torch.isin(codes[0].long(), dictionary.moving))[0])
    named = codes[0, (y + 4) % 8, (x + 4) % 8].long()[None]
    before = model(codes, named)
    far = codes.clone()
    far[0, (y + 4) % 8, (x + 4) % 8] = (named[0] + 1) % len(dictionary.looks)
    still = torch.isin(far.long(), dictionary.moving).sum() == 1
    assert before.shape == (1, 1) and (not still or torch.equal(model(far, named), before))
    near = codes.clone()
    near[0, y, (x + 1) % 8] = named[0].to(torch.uint8)
    assert not torch.equal(model(near, named), before) or torch.equal(near, codes)


def test_steps_can_be_learned(recorded, dictionary):
    recording = recorded[1]
    steps, actions = said_steps(recording), torch.from_numpy(recording.actions)
    rows = torch.nonzero((steps >= 0) & (actions >= 3))[:40, 0]
    codes, named = codes_of(recording)[rows], dictionary.named[actions[rows]]
    model = in_rooms.train_steps(codes, named, steps[rows], dictionary, 3.0, 0)
    error = (in_rooms.steps_left(model, codes, named) - steps[rows]).abs().mean()
    constant = (steps[rows] - steps[rows].float().median()).abs().mean()
    assert error < 0.6 * constant


def test_the_search_adds_the_step_that_it_takes(dictionary):
    codes = torch.zeros(2, 8, 8, dtype=torch.uint8)
    there = torch.arange(6, dtype=torch.uint8).view(2, 3, 1, 1).expand(-1, -1, 8, 8)
    rooms = SimpleNamespace(after_each=lambda codes: there)

    def reward(codes, named):  # log(1 + steps); the steps are the tile's number, plus the mission's
        return (codes[:, :1, 0].float() + named[:, None]).log1p()

    values = in_rooms.move_values(rooms, reward, codes, torch.tensor([[0, 10], [0, 10]]))
    assert values.shape == (2, 2, 3)
    expected = torch.tensor([[[1.0, 2, 3], [11, 12, 13]], [[4, 5, 6], [14, 15, 16]]])
    assert torch.allclose(values, expected, atol=1e-4)


def test_missions_of_an_episode_are_its_own_and_those_that_were_said(recorded, dictionary):
    recording = recorded[1]
    missions = in_rooms.missions_of(recording, dictionary, most=18)
    first = int(recording.starts[3])
    said = set(recording.actions[first : first + recording.lengths[3] - 1].tolist())
    said.add(int(recording.state[first, 3]))
    expected = {int(dictionary.named[s]) for s in said if s >= 3}
    assert {int(t) for t in missions[3] if t >= 0} == expected


def test_outside_is_the_rooms_own_verdict(dictionary):
    def only_turns(codes, named):
        return torch.zeros(len(codes), dtype=torch.long)

    turned = in_rooms.outside(only_turns, dictionary, episodes=6, moves=5)
    again = in_rooms.outside(only_turns, dictionary, episodes=6, moves=5)
    assert torch.equal(turned, again) and turned.shape == (6,)
    missed = in_rooms.outside(in_rooms.drawn(None), dictionary, episodes=6, moves=1)
    assert missed.max() <= 1


def test_all_of_it_small(file, tmp_path):
    model = UniSim(replace(SMOKE, image_size=64, domains=DOMAINS)).eval()
    its = leave.trained(
        model, [file], dict.fromkeys(leave.SECONDS, 0.01) | {"reward": 1.0}, most=24
    )
    its.save(tmp_path / leave.FILE)
    back = leave.load_trained(tmp_path / leave.FILE)
    assert torch.equal(back.dictionary.named, its.dictionary.named)
    assert len(back.dictionary.named) == len(SENTENCES)
    found = leave.measured(model, back, episodes=2, dreams=2, moves=3)
    assert len(found["actors"]) == 4
    for row in found["actors"].values():
        assert all(0 <= row[k]["value"] <= 1 for k in row if k.startswith(("outside", "inside, ")))


def test_damaged_and_missing_files_are_one_sentence(tmp_path):
    whole = hub.find("unisim-three-worlds")
    for name in (leave.FILE, leave.ARM_FILE):
        cut = tmp_path / name
        for read in (leave.load_trained, lambda path: leave.load_arm(path, None)):
            with pytest.raises(hub.CheckpointError, match="missing or damaged"):
                read(cut)
        cut.write_bytes((whole / name).read_bytes()[:1000])
        for read in (leave.load_trained, lambda path: leave.load_arm(path, None)):
            with pytest.raises(hub.CheckpointError, match=f"{name} is missing or damaged"):
                read(cut)
