"""Chapter 7's tables: real rooms, the triangle's pose, what an action's parts are changed to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("minigrid")

from wmlearn.chapters.ch07_unisim import rooms, tables
from wmlearn.chapters.ch07_unisim.mixture import DOMAINS
from wmlearn.envs.babyai import MOVES
from wmlearn.systems.unisim.recipe import SMOKE
from wmlearn.systems.unisim.system import UniSim


@pytest.fixture(scope="module")
def model() -> UniSim:
    return UniSim(replace(SMOKE, domains=DOMAINS))


def picture(room: rooms.Room) -> torch.Tensor:
    return torch.from_numpy(room.frame.copy()).permute(2, 0, 1)


def test_a_pose_is_read_off_a_picture_that_shows_it():
    looks = {}
    room = rooms.Room(0)
    for _ in range(4):
        x, y, turn = room.pose
        looks[turn] = picture(room)[:, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8].float()
        room.say(0)
    read = rooms.PoseReader(torch.stack([looks[turn] for turn in range(4)]))
    others = [rooms.Room(seed) for seed in range(1, 6)]
    seen = read(torch.stack([picture(other) for other in others]))
    assert seen.tolist() == [list(other.pose) for other in others]


def test_a_room_goes_on_after_its_mission_and_tells_what_is_left():
    room = rooms.Room(3)
    left = room.steps_to(room.env.mission)
    for _ in range(left):
        room.say(room.env.mission)
    assert room.steps_to(room.env.mission) == 0
    before = room.pose
    room.say(room.env.mission)
    assert room.pose == before
    room.say(MOVES.index("turn left"))
    assert room.pose != before


def test_missions_are_possible_or_absent_as_asked():
    room, rng = rooms.Room(5), np.random.default_rng(0)
    assert all(room.env.places(m) for m in rooms.some_missions(room, 4, rng))
    assert not room.env.places(rooms.absent_mission(room, rng))


def test_only_the_last_action_is_changed(model):
    actions = model.codes(torch.tensor([[3, 4, 5]]), torch.tensor([0]))
    silent = tables.last(actions, tables.nothing)
    assert silent.sentence.tolist()[0][:2] == actions.sentence.tolist()[0][:2]
    assert silent.sentence[0, 2] == -1 and actions.sentence[0, 2] != -1
    assert not silent.valid[0, 2].any()
    assert tables.with_domain(actions, 2).domain.tolist() == [2]


def test_tables_of_rooms_are_whole_whatever_the_world(model):
    chain = tables.chained(model, rooms=2, each=1, missions=2)
    assert chain["steps"] == [1, 2] == list(range(1, len(chain["missions"]) + 1))
    table = tables.impossible(model, rooms=2)
    truth = [row["moves in truth"] for row in table.values()]
    assert truth == [0.0, 0.0, 1.0, 1.0]
    assert set(tables.speed(model, frames=1)) >= {"fetch, K = 1", "doom, K = 2"}
