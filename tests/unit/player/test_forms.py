"""Sentences and motions in the player: a field, sliders, and what the loop makes of them."""

from __future__ import annotations

import time

import gymnasium
import numpy as np
import pytest
import torch
from play_fakes import SIZE, SquareEnv, column

from wmlearn.data.clip import Clip
from wmlearn.player import PlaySession
from wmlearn.player.fallback import StepPlayer
from wmlearn.player.forms import axes_of, buttons, form_of, same_actions, within
from wmlearn.player.loop import PlayLoop
from wmlearn.player.page import script
from wmlearn.player.widget import Player
from wmlearn.world import Step, World

MOTION = gymnasium.spaces.Box(-1, 1, (2,), np.float32)


class Spoken(gymnasium.spaces.Discrete):
    """Three sentences, of which two have an arrow."""

    names = ("turn left", "turn right", "go to the red ball")

    def __init__(self) -> None:
        super().__init__(3)

    def number(self, sentence):
        if sentence not in self.names:
            raise ValueError(f"{sentence!r} is not understood here.")
        return self.names.index(sentence)


class Moved(World):
    """The square goes along the first number, four pixels for 1."""

    frame_shape = (3, SIZE, SIZE)

    def __init__(self, space=MOTION) -> None:
        self.action_space = space

    def reset(self, context):
        return context.frames[:, -1]

    def step(self, state, action, generator=None):
        assert action.dtype == (torch.float32 if axes_of(self.action_space) else torch.int64)
        first = action[0, 0] if action.ndim == 2 else (action[0] == 1).float()
        state = torch.roll(state, int(4 * first), dims=-1)
        return state, Step(state, torch.zeros(1), torch.zeros(1, dtype=torch.bool))


class MovedEnv(SquareEnv):
    action_space, noop = MOTION, None

    def step(self, action):
        assert action.shape == (2,) and action.dtype == np.float32
        self.time += 1
        self.frame = np.roll(self.frame, int(4 * action[0]), axis=1)
        return self.frame, 0.0, False, False, {}


def start() -> Clip:
    frame, _ = SquareEnv().reset(seed=0)
    return Clip(torch.from_numpy(frame.copy()).permute(2, 0, 1)[None, None])


def test_a_space_says_what_is_shown():
    assert form_of(gymnasium.spaces.Discrete(4)) == {"kind": "keys"}
    assert form_of(MOTION) == {"kind": "move", "axes": 2}
    assert form_of(Spoken()) == {"kind": "say", "sentences": list(Spoken.names)}
    assert same_actions(MOTION, MOTION) and not same_actions(MOTION, Spoken())
    assert not same_actions(Spoken(), gymnasium.spaces.Discrete(4))


def test_a_motion_is_kept_inside_its_bounds_or_refused():
    assert within([2.0, -0.5], MOTION) == [1.0, -0.5]
    assert within([1.0], MOTION) == [] and within([1.0, 1.0], Spoken()) == []


def test_both_sides_make_the_same_motion():
    session = PlaySession(Moved(), MovedEnv())
    at = column(session.view.real)
    for _ in range(3):
        view = session.step([0.5, 0.0])
    assert column(view.real) == column(view.dream) == at + 6
    with pytest.raises(ValueError, match="2 numbers"):
        PlaySession(Moved(), SquareEnv())


def test_only_sentences_with_an_arrow_have_a_button():
    session = PlaySession(Moved(Spoken()), context=start())
    shown = [(label["name"], label["key"]) for label in buttons(session)]
    assert shown == [("turn left", "ArrowLeft"), ("turn right", "ArrowRight")]


class Heard:
    """What the loop has sent."""

    def __init__(self) -> None:
        self.steps, self.notes = [], []

    def __call__(self, message, buffers):
        if message["type"] == "frame":
            self.steps.append(message["step"])
            self.loop.handle({"type": "ack", "seq": message["seq"]})
        elif message["type"] == "state":
            self.notes.append(message["note"])

    def wait(self, condition):
        end = time.perf_counter() + 10
        while not condition():
            assert time.perf_counter() < end, (self.steps[-3:], self.notes)
            time.sleep(0.005)


@pytest.fixture
def loop():
    loops = []

    def make(world):
        heard = Heard()
        heard.loop = PlayLoop(lambda: PlaySession(world, context=start()), heard, 200)
        loops.append(heard.loop)
        return heard.loop, heard

    yield make
    for one in loops:
        one.close()


def test_a_sentence_is_said_for_so_many_steps_and_then_the_game_waits(loop):
    playing, heard = loop(Moved(Spoken()))
    at = column(playing.session.view.dream)
    playing.handle({"type": "say", "text": "turn right", "times": 3})
    heard.wait(lambda: heard.steps == [1, 2, 3])
    time.sleep(0.1)
    assert heard.steps == [1, 2, 3] and column(playing.session.view.dream) == at + 12
    playing.handle({"type": "say", "text": "fly", "times": 3})
    heard.wait(lambda: "'fly' is not understood here." in heard.notes)


def test_a_key_interrupts_a_sentence(loop):
    playing, heard = loop(Moved(Spoken()))
    playing.handle({"type": "say", "text": "go to the red ball", "times": 100})
    heard.wait(lambda: len(heard.steps) > 2)
    playing.handle({"type": "keys", "pressed": ["ArrowLeft"]})
    playing.handle({"type": "keys", "pressed": []})
    heard.wait(lambda: playing._said == [])
    count = len(heard.steps)
    time.sleep(0.1)
    assert len(heard.steps) - count <= 2


def test_sliders_move_while_they_are_out_of_the_middle(loop):
    playing, heard = loop(Moved())
    at = column(playing.session.view.dream)
    playing.handle({"type": "play"})
    time.sleep(0.05)
    assert heard.steps == []
    playing.handle({"type": "motion", "value": [0.5, 0.0]})
    heard.wait(lambda: len(heard.steps) > 3)
    playing.handle({"type": "motion", "value": [0.0, 0.0]})
    heard.wait(lambda: playing._motion == [0.0, 0.0])
    moved = column(playing.session.view.dream) - at
    assert moved == (2 * playing.session.view.step) % SIZE or moved < 0
    playing.handle({"type": "step"})
    heard.wait(lambda: "Paused." in heard.notes)


def test_without_a_browser_there_are_the_same_ways():
    player = StepPlayer(PlaySession(Moved(Spoken()), context=start()))
    at = column(player.session.view.dream)
    player.field.value = "turn right"
    player.steps.value = 2
    player.go.click()
    assert column(player.session.view.dream) == at + 8 and player.session.view.step == 2
    player.field.value = "<fly>"
    player.go.click()
    assert "&lt;fly&gt;" in player.status.value and player.session.view.step == 2
    arm = StepPlayer(PlaySession(Moved(), context=start()))
    arm.sliders[0].value = 1.0
    arm.go.click()
    assert column(arm.session.view.dream) == at + 4


def test_the_widget_brings_the_form_to_the_page():
    player = Player(lambda: PlaySession(Moved(), context=start()))
    try:
        assert player.config["form"] == {"kind": "move", "axes": 2}
        assert player._esm.index("function makeForm") < player._esm.index("makeForm(config.form")
    finally:
        player.close()
    assert "makeForm" not in script()
