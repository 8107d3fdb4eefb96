"""The goal picker: a reader chooses a picture, and the arm plans its way there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from wmlearn.agents.cem import CEMConfig
from wmlearn.chapters.ch12_vjepa2_ac import goal as goal_module
from wmlearn.chapters.ch12_vjepa2_ac.goal import GoalSession, NearestFrame, pick_goal
from wmlearn.data.clip import Clip
from wmlearn.systems.vjepa2_ac import VJEPA2AC
from wmlearn.systems.vjepa2_ac.recipe import SMOKE

QUICK = CEMConfig(horizon=2, samples=6, elites=2, iterations=2)


@pytest.fixture(scope="module")
def world():
    ones = (1.0,) * 3
    config = replace(
        SMOKE, low=(-1.0,) * 3, high=ones, state_mean=(1.3, 0.75, 0.5), state_std=(0.1,) * 3,
        state_per_action=((0.06, 0.0, 0.0), (0.0, 0.06, 0.0), (0.0, 0.0, 0.06)),
    )  # fmt: skip
    return VJEPA2AC(config).world()


@pytest.fixture(scope="module")
def clips(world):
    draw = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (4, 6, *world.frame_shape), generator=draw).to(torch.uint8)
    state = torch.tensor([1.3, 0.75, 0.5, 1.3, 0.75, 0.42]).repeat(4, 6, 1)
    state[2, :, 0] += torch.linspace(0, 0.2, 6)  # the clip in which the arm moves
    return Clip(frames, actions=torch.zeros(4, 5, 3), state=state)


@pytest.fixture
def session(world, clips):
    return GoalSession(world, clips, None, steps=3, config=QUICK)


def test_the_nearest_frame_of_a_real_feature_is_the_frame_itself(world, clips):
    show = NearestFrame(world, clips)
    features = world.encode(clips.frames)[:, 3]
    assert torch.equal(show(features), clips.frames[:, 3])
    assert len(NearestFrame(world, clips, most=5).frames) == 5


def test_without_a_simulator_goals_come_from_the_clip_that_moves_most(session, clips):
    assert torch.equal(session.images[-1], clips.frames[2, -1])
    assert session.view.step == 0 and session.view.real is None
    assert session.view.centimeters == pytest.approx(
        100 * (session.places[0] - clips.state[2, 0, :3]).norm().item(), abs=1e-3
    )


def test_the_arm_acts_once_for_each_view_and_then_stops(session):
    views = list(session.pursue(1))
    assert [view.step for view in views] == [1, 2, 3]
    assert [view.over for view in views] == [False, False, True]
    moved = session._start.state.arm[0] - session.clips.state[2, 0, :3]
    assert 0 < moved.abs().max() <= 3 * 0.06 + 1e-5  # three actions of at most 1
    with pytest.raises(IndexError, match="goals 0 to 3"):
        next(session.pursue(4))


def test_the_same_seed_gives_the_same_way(world, clips):
    ways = [
        [v.centimeters for v in GoalSession(world, clips, None, 2, QUICK, seed).pursue(0)]
        for seed in (1, 1, 2)
    ]
    assert ways[0] == ways[1] != ways[2]


def test_a_simulator_that_does_not_start_is_named_once_and_not_tried_again(
    world, clips, monkeypatch
):
    tried = []

    def broken(*args, **kwargs):
        tried.append(args)
        raise RuntimeError("no screen\nand more")

    monkeypatch.setattr("wmlearn.envs.make", broken)
    monkeypatch.setattr(goal_module, "_failed", [])
    for _ in range(2):
        session = GoalSession(world, clips, "fetch/reach", config=QUICK)
        assert session.env is None and "(no screen)" in session.note
        assert len(list(session.pursue(0))) == session.steps
    assert len(tried) == 1


def test_the_widget_sends_pictures_as_buffers_and_answers_clicks(world, clips, monkeypatch):
    with pytest.warns(UserWarning, match="only a notebook shows"):
        picker = pick_goal(world, clips, None, steps=2, config=QUICK)
    sent = []
    monkeypatch.setattr(picker, "send", lambda message, buffers: sent.append((message, buffers)))
    picker._handle(picker, {"type": "look"}, [])
    picker._handle(picker, {"type": "pick", "goal": 2}, [])
    assert [message["step"] for message, _ in sent] == [0, 1, 2]
    assert [message["goal"] for message, _ in sent] == [-1, 2, 2] and sent[-1][0]["over"]
    channels, height, width = world.frame_shape
    assert all(len(b) == 1 and len(b[0]) == channels * height * width for _, b in sent)
    assert picker.config["goals"] == 4 and bytes(picker.sheet).startswith(b"\x89PNG")
    assert "run this cell" in repr(picker)


def test_the_fallback_has_a_button_for_each_goal(world, clips):
    with pytest.warns(UserWarning, match="only a notebook shows"):
        buttons = pick_goal(world, clips, None, steps=2, config=QUICK, buttons=True)
    before = bytes(buttons.image.value)
    buttons.buttons[3].click()
    assert "goal 4, action 2" in buttons.status.value and len(buttons.buttons) == 4
    assert before.startswith(b"\x89PNG") and buttons.session.view.step == 2


def test_the_real_arm_is_sent_to_a_picture(world, clips):
    pytest.importorskip("gymnasium_robotics")
    session = GoalSession(world, clips, "fetch/push", steps=2, config=QUICK)
    if session.env is None:
        pytest.skip(session.note)
    views = list(session.pursue(0))
    assert [v.real.shape for v in views] == [(64, 64, 3)] * 2
    assert len(session.images) == len(goal_module.PLACES)
    here = torch.tensor(session.env.gripper)
    away = 100 * (here - torch.tensor(goal_module.PLACES[0])).norm().item()
    assert views[-1].centimeters == pytest.approx(away, abs=1.0)
    session.close()
