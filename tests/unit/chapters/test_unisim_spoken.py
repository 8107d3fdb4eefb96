"""Chapter 7: hindsight over ways, rooms that are spoken to, and a decoder of dreams."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("minigrid")

from wmlearn import hub
from wmlearn.chapters.ch07_unisim import decoder, hindsight, in_rooms, record, spoken
from wmlearn.chapters.ch07_unisim.leave import FILE, first_episodes, load_trained
from wmlearn.chapters.ch07_unisim.mixture import DOMAINS, Mixture
from wmlearn.chapters.ch07_unisim.tiles import Dictionary
from wmlearn.data.clip import Clip
from wmlearn.envs.babyai import SENTENCES
from wmlearn.systems.unisim.recipe import SMOKE
from wmlearn.systems.unisim.system import UniSim

WALKER, BALL = 1, 2  # tiles; 0 is floor


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    looks = torch.tensor([0, 100, 200]).repeat_interleave(192).view(3, 3, 8, 8).to(torch.uint8)
    named = torch.full((len(SENTENCES),), -1)
    named[3] = BALL
    return Dictionary(looks, torch.tensor([WALKER]), named)


def line(*places: int) -> torch.Tensor:
    """Rooms of one row: a walker at each of these places, and a ball at the end."""
    codes = torch.zeros(len(places), 1, 5, dtype=torch.uint8)
    codes[:, 0, 4] = BALL
    codes[torch.arange(len(places)), 0, list(places)] = WALKER
    return codes


def reward(codes: torch.Tensor, named: torch.Tensor) -> torch.Tensor:
    """log(1 + steps): how far the walker is from the place before the ball."""
    place = (codes.flatten(1) == WALKER).int().argmax(1)
    return torch.where(named == BALL, 3.0 - place, 9.0).log1p()[:, None]


@pytest.mark.parametrize(
    ("states", "kept"),
    [("abcd", [0, 1, 2]), ("abad", [2]), ("aab", [1]), ("abcbd", [0, 3]), ("a", []), ("aba", [])],
)
def test_a_way_without_its_loops(states, kept):
    assert hindsight.without_loops(list(states)) == kept


def test_what_moves_led_to_is_said_afterwards(dictionary):
    codes = torch.stack([line(0, 1, 0, 1, 2, 3), line(2, 1, 0, 0, 0, 0), line(3, 2, 3, 3, 3, 3)])
    moves = torch.tensor([[2, 0, 1, 2, 2], [0, 0, 0, 0, 0], [0, 1, 2, 2, 2]])
    labels = hindsight.in_hindsight(hindsight.Ways(codes, moves), reward, dictionary)
    # the first way without its loop; the second leads nowhere, the third begins at the ball
    assert torch.equal(labels.codes, line(0, 1, 2))
    assert labels.moves.tolist() == [1, 2, 2] and labels.named.tolist() == [BALL] * 3
    assert len((labels + labels).moves) == 6


def test_things_are_those_of_the_room(dictionary):
    rooms = torch.cat([line(0), torch.zeros(1, 1, 5, dtype=torch.uint8)])
    assert hindsight.things_in(rooms, dictionary, 2).tolist() == [[BALL], [-1]]


def test_short_clips_hold_moves_alone_and_stay_in_their_episode(tmp_path):
    path = record.save(tmp_path / "rooms.npz", {"babyai": record.record("babyai", 900)})
    _, recording = record.load_tiles([path])
    clips = hindsight.short_clips(recording, moves=3)
    assert len(clips.moves) > 20 and (clips.moves < 3).all()
    frames, actions = torch.from_numpy(recording.frames[..., 0]), recording.actions
    ends = np.cumsum(recording.lengths) - 1
    found = 0
    for first in range(len(actions) - 3):
        same = (clips.codes == frames[first : first + 4]).flatten(1).all(1)
        same &= (clips.moves == torch.from_numpy(actions[first : first + 3])).all(1)
        if same.any() and not np.isin(np.arange(first, first + 3), ends).any():
            found += 1
    assert found >= len(clips.moves)


class Walks:
    """Steps that are known: move 2 is one place on, and nothing else moves."""

    def __init__(self, dictionary: Dictionary) -> None:
        self.dictionary = dictionary
        self.world = SimpleNamespace(
            action_space=None, frame_shape=(3, 8, 40), formats=("language",), system=None
        )

    def after(self, codes, moves, generator=None):
        place = (codes.flatten(1) == WALKER).int().argmax(1)
        return line(*torch.where(moves == 2, place + 1, place).tolist())


def test_a_dream_goes_on_towards_what_is_said(dictionary, monkeypatch):
    monkeypatch.setattr(hindsight, "ANY", 0.0)

    def policy(codes, named):  # on, where it is told so
        return torch.where(named[:, None] == BALL, torch.tensor([[0.0, 0, 90]]), 0.0)

    ways = hindsight.dreamed(Walks(dictionary), line(0, 1), policy, 2)
    assert torch.equal(ways.codes[0], line(0, 1, 2)) and torch.equal(ways.codes[1], line(1, 2, 3))
    assert (ways.moves == 2).all()


def test_a_sentence_moves_what_it_names_and_nothing_else(dictionary):
    def policy(codes, named):
        return torch.tensor([[0.0, 0, 1]]).expand(len(codes), -1)

    world = spoken.SpokenRooms(Walks(dictionary), policy, reward)
    rooms = torch.cat([line(0, 0, 0, 3), line(1)])
    rooms[4, 0, 4] = 0  # no ball
    state = world.reset(Clip(dictionary.draw(rooms)[:, None]))
    assert torch.equal(state, rooms)
    # turn; go on; to the ball; to the ball, which is reached; to the ball, which is not there
    state, step = world.step(state, torch.tensor([0, 2, 3, 3, 3]))
    places = (state.flatten(1) == WALKER).int().argmax(1)
    assert places.tolist() == [0, 1, 1, 3, 1]
    assert torch.equal(step.frame, dictionary.draw(state))


def test_one_mission_and_another_are_told_apart():
    class Real:  # a world that knows nothing: the first frame again
        def reset(self, clip):
            return clip.frames[:, -1]

        def step(self, state, action, generator):
            return state, SimpleNamespace(frame=state)

    rows = spoken.one_mission(Real(), rooms=3, steps=4)
    assert [row["horizon"] for row in rows] == [1, 2, 4]
    for row in rows:
        assert row["delta"]["value"] == 0 and row["true"] == row["copy"]


def test_what_is_compared_is_whole(monkeypatch):
    monkeypatch.setattr(hindsight, "LONG", 9)
    model = UniSim(replace(SMOKE, image_size=64, domains=DOMAINS)).eval()
    folder = hub.find("unisim-three-worlds")
    its, (_, recording) = load_trained(folder / FILE), record.load_tiles([folder / "clips.npz"])
    recording = first_episodes(recording, 12)
    found = hindsight.compared(model, its, recording, 2, 1, 0.01, 2)
    assert list(found["actors"]) == [
        "any move", "short clips", "short clips and short dreams", "short clips and long dreams",
    ]  # fmt: skip
    for row in found["actors"].values():
        assert len(row["done"]["seeds"]) == 2 and 0 <= row["done"]["value"] <= 1
    assert found["actors"]["short clips"]["nearer, more than short clips"]["value"] == 0


def test_the_decoder_alone_learns_to_draw_dreams():
    recordings = {d.name: record.record("babyai", 300) for d in DOMAINS[:1]}
    config = replace(SMOKE, image_size=64, domains=DOMAINS[:1])
    model, mixture = UniSim(config).eval(), Mixture(recordings, config)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    in_time = decoder.train_decoder(model, mixture, 3, 4, share_of_clips=0.02)
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and all(
        k.startswith(("autoencoder.decoder", "autoencoder.post_quant_conv")) for k in changed
    )
    assert in_time["decoder"] > 0


def test_a_reader_may_have_another_seed(dictionary):
    codes, named = line(0, 1, 2), torch.full((3,), BALL)
    wanted = torch.eye(3)
    one, two = (in_rooms.train_moves(codes, named, wanted, dictionary, 0.01, s) for s in (0, 1))
    a, b = (m.head[0].weight for m in (one, two))
    assert not torch.allclose(a, b, atol=1e-2)
