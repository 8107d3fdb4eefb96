"""The player without a browser: the game's rules, keys, pictures, the fallback's clicks."""

from __future__ import annotations

import io
import math
import threading
import time
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from fading_world import FadingWorld, landscapes
from PIL import Image
from play_fakes import KEYS, NAMES, STRIDE, SquareEnv, SquareWorld, column

from wmlearn.data.clip import Clip
from wmlearn.data.likeness import Likeness
from wmlearn.metrics import MAX_PSNR
from wmlearn.player import KeyMap, PlaySession, play
from wmlearn.player.fallback import StepPlayer
from wmlearn.player.keys import controls
from wmlearn.player.picture import compose, gif, png
from wmlearn.player.session import STRAYED
from wmlearn.world import CopyLastFrame, WorldModel

pytestmark = pytest.mark.filterwarnings("ignore:wm.play makes a widget")


def starts(count: int = 3) -> Clip:
    frames = torch.arange(count * 3).view(count, 3, 1, 1, 1) * 10
    return Clip(frames=frames.expand(-1, -1, 3, 64, 64).to(torch.uint8).contiguous())


# ---- the session


def test_both_sides_get_the_same_actions():
    session = PlaySession(SquareWorld(), SquareEnv())
    assert session.view.psnr == pytest.approx(MAX_PSNR) and session.view.step == 0
    start = column(session.view.real)
    for action in (2, 2, 1, 0, 2):
        view = session.step(action)
    assert column(view.real) == column(view.dream) == start + 2 * STRIDE
    assert (view.step, view.real_return, view.dream_return) == (5, 7.0, 3.5)
    assert (view.real_reward, view.dream_reward) == (2.0, 1.0)
    assert view.psnr == pytest.approx(closeness(view.real, view.dream)) and 30 < view.psnr < 58


def closeness(real, dream):
    """The PSNR's closed form, for pictures that are not nearly equal."""
    error = np.mean((real.astype(float) - dream.astype(float)) ** 2)
    return 20 * math.log10(255) - 10 * math.log10(error)


def test_copy_last_frame_diverges_from_a_moving_game():
    env = SquareEnv()
    world = CopyLastFrame(env.action_space, (3, 64, 64))
    views = PlaySession(world, env).rollout([2] * 4)
    values = [view.psnr for view in views]
    assert values[0] == pytest.approx(MAX_PSNR) and all(
        a > b for a, b in zip(values, values[1:], strict=False)
    )
    assert all(np.array_equal(view.dream, views[0].dream) for view in views)


def test_world_starts_from_real_frames_after_no_ops():
    seen = []

    class Watching(SquareWorld):
        def reset(self, context):
            seen.append(context)
            return super().reset(context)

    session = PlaySession(Watching(), SquareEnv())
    clip = seen[0]
    assert clip.frames.shape == (1, 3, 3, 64, 64) and clip.actions.tolist() == [[0, 0]]
    assert np.array_equal(clip.frames[0, -1].permute(1, 2, 0).numpy(), session.view.real)
    assert session.env.time == 2 and session.view.real_return == 0


def test_same_seed_same_game_and_restarts_differ():
    def games(seed):
        session = PlaySession(SquareWorld(), SquareEnv(), seed=seed)
        return [session.view, session.step(2), session.restart(), session.step(2)]

    first, second, other = games(1), games(1), games(2)
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.real, b.real) and np.array_equal(a.dream, b.dream)
    assert not np.array_equal(first[0].real, first[2].real)
    assert np.array_equal(first[2].real, other[0].real)  # the k-th restart has seed + k
    assert np.array_equal(first[3].dream, other[1].dream)


def test_a_side_that_ended_waits_for_the_other():
    session = PlaySession(SquareWorld(ends=True), SquareEnv(length=4), grace=5)
    view = session.step(2)
    assert not view.over and view.note == ""
    ended = session.step(2)  # the real game is over: two of its four steps gave the context
    assert ended.real_ended and not ended.over and "real" in ended.note
    assert math.isfinite(ended.psnr)
    view = session.step(2)
    assert np.array_equal(view.real, ended.real) and not np.array_equal(view.dream, ended.dream)
    assert view.real_return == ended.real_return and math.isnan(view.psnr)
    view = session.step(3)
    assert view.over and view.dream_ended and "both" in view.note
    with pytest.raises(RuntimeError, match="restart"):
        session.step(0)
    view = session.restart()
    assert not view.over and view.step == 0 and session.step(0).step == 1


def test_the_episode_is_over_after_the_grace():
    session = PlaySession(SquareWorld(), SquareEnv(length=3), grace=5)
    views = session.rollout([2] * 50)
    assert len(views) == 1 + 1 + 5 and views[-1].over and not views[-1].dream_ended


def test_dream_only_takes_its_starts_in_turn():
    session = PlaySession(
        CopyLastFrame(gymnasium.spaces.Discrete(3), (3, 64, 64)), context=starts()
    )
    assert session.view.real is None and math.isnan(session.step(1).psnr)
    shown = [int(view.dream[0, 0, 0]) for view in (session.restart() for _ in range(4))]
    assert shown == [50, 80, 20, 50]  # the last frame of each clip, the first came before


def test_dream_only_is_over_when_the_dream_ends():
    views = PlaySession(SquareWorld(ends=True), context=starts()).rollout([0, 3, 0])
    assert len(views) == 3 and views[-1].over


def test_a_step_of_several_frames_is_as_many_in_the_real_game():
    class Twice(SquareWorld):
        chunk = 2

        def step(self, state, action, generator=None):
            state, _ = super().step(state, action)
            return super().step(state, action)

    session = PlaySession(Twice(noise=0), SquareEnv())
    view = session.step(2)
    assert session.env.time == 4 and view.step == 1  # two of them gave the context
    assert view.real_reward == 4 and np.array_equal(view.real, view.dream)


def test_all_frames_of_a_step_are_seen_one_after_the_other():
    class Twice(SquareWorld):
        chunk = 2

        def step(self, state, action, generator=None):
            state, first = super().step(state, action)
            state, second = super().step(state, action)
            frames = torch.stack([first.frame, second.frame], dim=1)
            return state, replace(second, frames=frames)

    session = PlaySession(Twice(noise=0), SquareEnv())
    start = session.view
    view = session.step(2)
    first, last = session.film
    assert last is view and list(session.history) == [start, first, view]
    assert first.step == 1 and column(first.real) == column(start.real) + STRIDE
    assert column(view.real) == column(first.real) + STRIDE
    assert all(np.array_equal(part.real, part.dream) for part in session.film)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: PlaySession(SquareWorld()), "Nothing to start from"),
        (lambda: PlaySession(SquareWorld(), context=starts().time(0, 2)), "needs 3 frames"),
        (lambda: PlaySession(CopyLastFrame(SquareEnv.action_space, (3, 32, 32)), SquareEnv()),
         "the size it was trained on"),
        (lambda: PlaySession(CopyLastFrame(gymnasium.spaces.Discrete(9), (3, 64, 64)), SquareEnv()),
         "9 actions"),
        (lambda: PlaySession(CopyLastFrame(gymnasium.spaces.Box(0, 1, (2, 2)), (3, 64, 64))),
         "or a vector"),
        (lambda: PlaySession(SquareWorld(), SquareEnv(length=1)), "steps that give"),
        (lambda: play(SquareWorld(), SquareEnv(), keys={"a": 7}), "4 actions"),
        (lambda: play(SquareWorld(), SquareEnv(), sampler={"steps": 3}), "already made"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_sentence(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()


# ---- keys


def test_keymap_takes_the_last_key_and_the_longest_chord():
    keys = {"ArrowLeft": 1, "ArrowRight": 2, " ": 3, "ArrowRight+Space": 4, "A": 5}
    assert KeyMap(keys).action([]) is None
    keymap = KeyMap(keys, noop=0)
    assert keymap.action([]) == keymap.action(["x"]) == 0
    assert keymap.action(["ArrowLeft", "ArrowRight"]) == 2
    assert keymap.action(["ArrowRight", "ArrowLeft"]) == 1
    assert keymap.action(["Space", "ArrowRight"]) == 4
    assert keymap.action(["a"]) == 5 and keymap.action(["a", "action:2"]) == 2
    assert keymap.used == ["ArrowLeft", "ArrowRight", "Space", "a"]
    labels = keymap.labels(["no-op", "left", "right", "shoot", "both", "a"])
    assert [label["key"] for label in labels][:5] == [
        "", "ArrowLeft", "ArrowRight", "Space", "ArrowRight + Space"
    ]  # fmt: skip


def test_keys_come_from_the_names_where_nobody_gives_them():
    names, keymap = controls(4, None, names=["noop", "left", "right", "attack"])
    assert names[3] == "attack"
    assert keymap.chords == {("ArrowLeft",): 1, ("ArrowRight",): 2, ("Space",): 3}
    names, keymap = controls(3, None, noop=0)
    assert names == ["noop", "action 1", "action 2"] and keymap.chords == {("1",): 1, ("2",): 2}


def test_no_action_is_taken_for_one_that_does_nothing():
    minigrid = ["left", "right", "forward", "pickup", "drop", "toggle", "done"]
    assert controls(7, None, names=minigrid)[1].noop is None
    names, keymap = controls(3, None)
    assert keymap.noop is None and names[0] == "action 0"
    assert keymap.chords == {("1",): 0, ("2",): 1, ("3",): 2}
    assert controls(3, None, names=["up", "No-Op", "down"])[1].noop == 1
    assert controls(4, SquareEnv())[1].noop == 0  # declared
    with pytest.raises(ValueError, match="noop must be an action, 0 to 2"):
        controls(3, None, noop=3)


def test_without_a_no_op_the_start_is_random_by_the_seed():
    class Spinning(SquareEnv):
        noop = None

    class Watching(SquareWorld):
        def reset(self, context):
            seen.append(context.actions.tolist())
            return super().reset(context)

    seen = []
    for seed in (5, 5, 6, 7):
        PlaySession(Watching(), Spinning(), seed=seed)
    assert seen[0] == seen[1] and len({str(actions) for actions in seen}) > 1


def test_without_the_environment_the_dream_is_played_from_stored_clips(monkeypatch):
    def missing(env_id, size):
        raise ModuleNotFoundError(f'{env_id} needs ViZDoom: pip install "wmlearn[envs]".')

    monkeypatch.setattr("wmlearn.envs.make", missing)
    player = play(SquareWorld(), "doom/basic", context=starts(), threads=False)
    assert player.session.view.real is None and player.session.names[3] == "attack"
    assert 'pip install "wmlearn[envs]"' in player.status.value
    endless = play(
        SquareWorld(), "doom/defend-the-center-hud-endless", context=starts(), threads=False
    )
    assert endless.session.names == ["noop", "turn_left", "turn_right", "attack"]
    with pytest.raises(ModuleNotFoundError, match="ViZDoom"):
        play(SquareWorld(), "doom/basic", threads=False)


def test_the_environment_is_made_in_the_size_of_the_world(monkeypatch):
    sizes = []
    monkeypatch.setattr("wmlearn.envs.make", lambda env_id, size: sizes.append(size) or SquareEnv())
    play(SquareWorld(), "doom/basic", threads=False)
    assert sizes == [64]


# ---- pictures


def test_gif_holds_the_frames_that_were_played():
    session = PlaySession(SquareWorld(), SquareEnv(), history=20)
    session.rollout([2] * 30)
    assert len(session.recent(8)) == 8 and session.recent(99)[-1].step == 30
    film = Image.open(io.BytesIO(gif(session.recent(8), fps=20, width=64)))
    assert film.format == "GIF" and film.n_frames == 8 and film.info["duration"] == 50
    film.seek(7)
    last = np.asarray(film.convert("RGB"))
    assert last.shape == np.asarray(compose(session.view, 64)).shape
    real, dream = last[26:90, 12:76], last[26:90, 88:152]
    assert column(real) == column(dream) == column(session.view.real)
    with pytest.raises(ValueError, match="no frame"):
        gif([], fps=10)


def test_png_of_a_dream_alone_has_one_picture():
    view = PlaySession(SquareWorld(), context=starts()).view
    assert Image.open(io.BytesIO(png(view, 64))).size == (64 + 2 * 12, 64 + 26 + 12)


# ---- the widgets


def test_player_describes_the_game_and_keeps_no_frames_but_the_first():
    player = play(SquareWorld(), SquareEnv(), keys=KEYS, names=NAMES)
    try:
        config = player.config
        assert config["real"] and config["shape"] == [64, 64]
        assert config["actions"][2] == {"name": "right", "key": "ArrowRight", "index": 2}
        poster = np.asarray(Image.open(io.BytesIO(player.poster)))
        assert np.array_equal(poster[:, :64], player.session.view.real)
        before = {key: str(value) for key, value in player.get_state().items()}
        for _ in range(3):
            player.loop.handle({"type": "step", "pressed": ["ArrowRight"]})
        end = time.perf_counter() + 5
        while player.session.view.step < 3 and time.perf_counter() < end:
            time.sleep(0.01)
        assert player.session.view.step == 3
        assert {key: str(value) for key, value in player.get_state().items()} == before
        assert "run this cell" in repr(player)
    finally:
        player.close()
    assert not player.loop.alive


def test_player_saves_a_gif(tmp_path):
    player = play(SquareWorld(), SquareEnv())
    try:
        path = player.save_gif(tmp_path / "play.gif")
        assert Image.open(path).format == "GIF"
    finally:
        player.close()


def test_old_players_are_closed_so_that_environments_do_not_pile_up():
    players = [play(SquareWorld(), SquareEnv()) for _ in range(6)]
    try:
        assert [player.loop.alive for player in players] == [False, False, True, True, True, True]
    finally:
        for player in players:
            player.close()


def test_fallback_needs_no_thread_and_every_click_redraws():
    player = play(SquareWorld(ends=True), SquareEnv(), keys=KEYS, names=NAMES, threads=False)
    assert isinstance(player, StepPlayer)
    assert not any(thread.name == "wmlearn-play" for thread in threading.enumerate())
    pictures = [bytes(player.image.value)]
    begin = column(player.session.view.real)
    player.actions[2].click()
    pictures.append(bytes(player.image.value))
    assert column(player.session.view.real) == begin + STRIDE
    player.steps.value = 3
    player.actions[1].click()
    pictures.append(bytes(player.image.value))
    assert player.session.view.step == 4 and "step 4, PSNR" in player.status.value
    assert column(player.session.view.real) == begin - 2 * STRIDE
    player.restart_button.click()
    assert player.session.view.step == 0
    pictures.append(bytes(player.image.value))
    assert len(set(pictures)) == 4 and all(p.startswith(b"\x89PNG") for p in pictures)


def test_fallback_starts_again_when_the_episode_is_over():
    player = play(SquareWorld(ends=True), context=starts(), threads=False)
    player.actions[3].click()
    assert player.session.view.over and "starts a new one" in player.status.value
    player.actions[3].click()
    assert player.session.view.step == 0 and player.session.restarts == 2


def test_outside_a_notebook_a_warning_says_so():
    with pytest.warns(UserWarning, match="notebook"):
        play(SquareWorld(), context=starts(), threads=False)


def test_missing_widgets_are_named(monkeypatch):
    monkeypatch.setattr("wmlearn.player.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "wmlearn\[course\]"'):
        play(SquareWorld(), SquareEnv())


def test_a_system_gives_its_world():
    class System(WorldModel):
        def world(self, sampler=None):
            world = SquareWorld()
            world.sampler = sampler
            return world

    player = play(System(), context=starts(), sampler={"steps": 1}, threads=False)
    assert player.session.world.sampler == {"steps": 1}


# ---- the guard


@pytest.fixture(scope="module")
def likeness():
    return Likeness.of_frames(landscapes(2000, seed=0), landscapes(400, seed=1))


def fading(likeness, **options):
    """A session whose action 2 leaves an empty picture, and 1 keeps what is there."""
    start = Clip(frames=landscapes(20, seed=8)[7:8, None])
    return PlaySession(FadingWorld(likeness), context=start, **options)


def test_the_guard_ends_a_dream_that_left_what_it_knows(likeness):
    session = fading(likeness)
    assert session.view.likeness >= 1 and not session.view.strayed
    session.step(2)
    views = [session.step(1) for _ in range(STRAYED - 1)]
    assert all(view.likeness < 1 for view in views)
    assert [view.strayed for view in views] == [False] * (STRAYED - 2) + [True]
    assert views[-1].over and "left what it knows" in views[-1].note
    again = session.restart()
    assert not again.over and again.likeness >= 1


def test_the_guard_forgives_a_jump(likeness):
    session = fading(likeness)
    for _ in range(3):  # most of the way, and back to a level
        level = session._state
        for _ in range(STRAYED - 1):
            session.step(2)
        session._state = level
        assert not session.step(1).over


def test_without_the_guard_the_dream_goes_on_but_says_how_like_it_is(likeness):
    session = fading(likeness, guard=False)
    views = [session.step(2) for _ in range(3 * STRAYED)]
    assert not any(view.over or view.strayed for view in views) and views[-1].likeness < 1


def test_a_world_without_a_measure_has_no_guard():
    session = fading(None)
    views = [session.step(2) for _ in range(3 * STRAYED)]
    assert math.isnan(views[-1].likeness) and not views[-1].over


def test_idle_hands_press_what_the_world_calls_idle(likeness):
    session = fading(likeness)
    assert session.noop == FadingWorld.idle == session.keymap.action([])
    assert PlaySession(SquareWorld(), SquareEnv()).noop == 0
