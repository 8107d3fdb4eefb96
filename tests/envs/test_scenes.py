"""Scenes: collisions are exact, pictures show what the state says, captions are true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from wmlearn.data.record import record
from wmlearn.envs.scenes import (
    COLORS,
    FAMILIES,
    HELD_OUT,
    SHAPES,
    STATE_NAMES,
    Ranges,
    Scenes,
    caption,
    draw,
    parse,
    sample_scenes,
    simulate,
    vocabulary,
)
from wmlearn.envs.scenes.captions import captions
from wmlearn.envs.scenes.physics import BODIES, advance
from wmlearn.envs.scenes.violations import GROSS, SUBTLE


def scene(bodies: list[dict], bar=(0.0, 0.0)) -> Scenes:
    """One box with these bodies: at, v, r, and shape."""
    empty = dict(at=(0, 0), v=(0, 0), r=1.0, shape="ball", there=False)
    rows = [{**empty, "there": True, **body} for body in bodies]
    rows += [empty] * (BODIES - len(rows))
    column = lambda name: np.array([[row[name] for row in rows]], float)  # noqa: E731
    shape = np.array([[SHAPES.index(row["shape"]) for row in rows]])
    return Scenes(
        column("there") > 0, column("at"), column("v"), column("r"),
        np.arange(BODIES)[None], shape, np.array([bar], float),
    )  # fmt: skip


def random_run(family: str, count: int = 300, seed: int = 0):
    scenes = sample_scenes(count, np.random.default_rng(seed), family)
    return scenes, *simulate(scenes, 16)


def bodies_of(state: np.ndarray) -> np.ndarray:
    return state[..., :-2].reshape(*state.shape[:-1], BODIES, -1)


def test_a_head_on_collision_of_equal_balls_swaps_velocities_at_the_right_time():
    start = scene([dict(at=(20, 32), v=(2, 0), r=5), dict(at=(40, 32), v=(-1, 0), r=5)])
    state, touched = simulate(start, 6)  # they touch after (20 - 10) / 3 frames
    one, two = bodies_of(state)[0, :, 0], bodies_of(state)[0, :, 1]
    meeting = 10 / 3
    for t in range(6):
        late = max(0, t - meeting)
        early = t - late
        assert one[t, 1] == pytest.approx(20 + 2 * early - late, abs=1e-4)
        assert two[t, 1] == pytest.approx(40 - early + 2 * late, abs=1e-4)
    assert touched[0, :, 0, 1].tolist() == [False] * 4 + [True, False]


def test_a_square_meets_a_ball_at_its_corner():
    """The ball moves towards the corner along the diagonal, and is thrown back along it."""
    start = scene([
        dict(at=(10, 10), v=(1, 1), r=3),
        dict(at=(30, 30), v=(0, 0), r=5, shape="square"),
    ])  # fmt: skip
    state, _ = simulate(start, 16)
    ball = bodies_of(state)[0, :, 0]
    corner, reach = 25.0, 3 / np.sqrt(2)
    assert ball[12, 1] == pytest.approx(22, abs=1e-4) and 22 < corner - reach < 23
    m, big = np.pi * 9, 100.0
    after = (m - big) / (m + big)  # of a body that meets one at rest
    assert ball[15, 3] == pytest.approx(after, abs=1e-4)
    assert ball[15, 4] == pytest.approx(after, abs=1e-4)


def test_two_squares_meet_side_on():
    start = scene([
        dict(at=(10, 30), v=(2, 0.5), r=4, shape="square"),
        dict(at=(30, 32), v=(0, 0), r=4, shape="square"),
    ])  # fmt: skip
    state, touched = simulate(start, 9)  # 12 pixels at 2 a frame
    first = bodies_of(state)[0, :, 0]
    assert first[6, 1] == pytest.approx(22, abs=1e-3) and touched[0, 6:8, 0, 1].any()
    assert first[8, 3] == pytest.approx(0, abs=1e-4), "equal squares swap what is along the normal"
    assert first[8, 4] == pytest.approx(0.5, abs=1e-4), "and keep what is across it"


@pytest.mark.parametrize("family", FAMILIES)
def test_energy_is_kept_and_momentum_changes_at_walls_only(family):
    scenes, state, touched = random_run(family)
    velocity = bodies_of(state)[..., 3:5].astype(float)
    mass = (scenes.mass * scenes.there)[:, None, :, None]
    energy = (mass * velocity**2).sum((2, 3))
    np.testing.assert_allclose(energy, energy[:, :1].repeat(16, 1), rtol=1e-5)
    push = np.abs(np.diff((mass * velocity).sum(2), axis=1)).max(-1)
    at_wall = touched[:, 1:, BODIES].any(-1)
    assert push[~at_wall].max() < 1e-2 < push[at_wall].max()


def test_nothing_overlaps_and_nothing_leaves_the_box():
    for family in ("two", "hit"):
        _, state, touched = random_run(family)
        bodies = bodies_of(state).astype(float)
        assert touched[:, :, :BODIES].any((1, 2, 3)).mean() > 0.1, "some must collide"
        place, radius = bodies[..., 1:3], bodies[..., 5]
        for k in (0, 1):
            edge = np.minimum(place[..., k, :], 64 - place[..., k, :]).min(-1)
            assert (edge - radius[..., k]).min() > -1e-4
        square = bodies[..., 7] == 1
        half = (radius * square)[..., :2].sum(-1)
        rounding = (radius * ~square)[..., :2].sum(-1)
        way = np.abs(place[..., 0, :] - place[..., 1, :]) - half[..., None]
        outside = np.linalg.norm(way.clip(0), axis=-1) + way.max(-1).clip(None, 0)
        assert (outside - rounding).min() > -1e-3


def test_it_runs_again_from_any_state_and_backwards():
    scenes, state, _ = random_run("two", 50)
    again, _ = simulate(Scenes.from_state(state[:, 5]), 11)
    np.testing.assert_allclose(again, state[:, 5:], atol=2e-3)
    end, _ = advance(scenes, 9.5)
    back, _ = advance(replace(end, velocity=-end.velocity), 9.5)
    np.testing.assert_allclose(back.position, scenes.position, atol=1e-5)


def test_three_bodies_are_possible():
    scenes = sample_scenes(20, np.random.default_rng(0), "two", bodies=3)
    state, _ = simulate(scenes, 4)
    assert (bodies_of(state)[..., 0] == 1).all()


def test_pictures_show_place_size_color_and_the_bar():
    start = scene([dict(at=(20.5, 30.5), r=6), dict(at=(45, 20), r=5, shape="square")], (60, 4))
    picture = draw(torch.from_numpy(start.state))[0].float()
    red = torch.tensor(COLORS["red"]).float()[:, None, None]
    assert torch.equal(picture[:, 30, 20], red[:, 0, 0])
    ground = picture[:, 0, 0]
    share = (picture - ground[:, None, None]).norm(dim=0) / (red - ground[:, None, None]).norm()
    left = share[:, :35]
    assert float(left.sum()) == pytest.approx(np.pi * 36, rel=0.02)
    columns = (left.sum(0) * (torch.arange(35) + 0.5)).sum() / left.sum()
    assert float(columns) == pytest.approx(20.5, abs=0.05)
    green = torch.tensor(COLORS["green"]).float()
    area = (picture == green[:, None, None]).all(0).sum()
    assert int(area) == 100, "a square of 10 x 10 on whole pixels"
    assert picture[:, 5, 60].tolist() == picture[:, 60, 60].tolist() != ground.tolist()


def test_captions_are_sentences_of_the_grammar_and_true():
    rng = np.random.default_rng(0)
    scenes, state, touched = random_run("all", 200)
    known = set(vocabulary())
    told = captions(state, touched, rng, outcome=0.5)
    assert {word for text in told for word in text.split()} <= known
    assert any("collide" in text for text in told) and any("wall" in text for text in told)
    for row, text in enumerate(told):
        assert ("behind a gray bar" in text) == (scenes.bar[row, 1] > 0)
        if "collide" in text:
            assert touched[row, :, :BODIES].any()
        said = parse(text)
        assert len(said) == scenes.there[row].sum()
        for body in said:
            k = list(scenes.color[row]).index(list(COLORS).index(body.color))
            assert SHAPES[scenes.shape[row, k]] == body.shape
            vx, vy = scenes.velocity[row, k]
            if body.motion == "still":
                assert vx == vy == 0
            elif body.motion:
                ways = {"right": vx > 0, "left": vx < 0, "down": vy > 0, "up": vy < 0}
                assert all(ways[word] for word in body.motion.split())
            if body.pace:
                assert (np.hypot(vx, vy) < 2) == (body.pace == "slowly")
            if body.size:
                assert (scenes.radius[row, k] < 6.5) == (body.size == "small")


def test_a_caption_without_outcome_does_not_depend_on_what_comes():
    _, state, touched = random_run("hit", 20)
    for row in range(20):
        assert caption(state[row]) == caption(state[row, :1].repeat(16, 0))
    told = [caption(state[row], touched[row]) for row in range(20)]
    assert any(text.endswith("and they collide") for text in told)


def test_held_out_combinations_are_not_recorded_and_their_parts_are():
    scenes = sample_scenes(3000, np.random.default_rng(0), "two")
    seen = {
        (list(COLORS)[c], SHAPES[s])
        for row in range(3000)
        for c, s in list(zip(scenes.color[row], scenes.shape[row], strict=True))[:2]
    }  # fmt: skip
    assert len(seen) == len(COLORS) * len(SHAPES) - len(HELD_OUT)
    assert not seen & set(HELD_OUT)
    new = sample_scenes(100, np.random.default_rng(0), "one", combinations="unseen")
    pairs = {
        (list(COLORS)[c], SHAPES[s])
        for c, s in zip(*np.stack([new.color, new.shape])[..., 0], strict=True)
    }
    assert pairs == set(HELD_OUT)


def test_ranges_families_and_wrong_words():
    fast = sample_scenes(50, np.random.default_rng(0), "one", ranges=Ranges(speed=(4, 5)))
    speed = np.linalg.norm(fast.velocity[:, 0], axis=-1)
    assert 4 <= speed.min() and speed.max() <= 5
    with pytest.raises(ValueError, match="no family 'three'"):
        sample_scenes(1, np.random.default_rng(0), "three")
    with pytest.raises(ValueError, match="seen, unseen or any"):
        sample_scenes(1, np.random.default_rng(0), combinations="new")


@pytest.mark.parametrize("name", [*GROSS, *SUBTLE])
def test_what_cannot_be_begins_as_what_can(name):
    _, state, touched = random_run("hit", 40)
    wrong = {**GROSS, **SUBTLE}[name](state, 6)
    assert wrong.shape == state.shape and not np.array_equal(wrong, state)
    if name != "pass through each other":
        np.testing.assert_array_equal(wrong[:, :6], state[:, :6])
        return
    for row in range(40):  # the same up to the collision
        met = touched[row, :, :BODIES].any((1, 2))
        first = int(met.argmax()) if met.any() else 16
        np.testing.assert_allclose(wrong[row, :first, :-2], state[row, :first, :-2], atol=1e-3)


def test_recorded_scenes_carry_their_captions_and_go_on_where_they_stopped(tmp_path):
    store = record("scenes/one", tmp_path / "a", frames=64, size=32, seed=3, progress=False)
    assert len(store) == 4 and store.action_space is None and len(store.captions) == 4
    clip = store.clip([(2, 0), (0, 0)], 16)
    assert clip.text == (store.captions[2], store.captions[0])
    assert clip.state.shape == (2, 16, len(STATE_NAMES))
    np.testing.assert_array_equal(draw(clip.state, (32, 32)), clip.frames)
    store.files[1].unlink()
    again = record("scenes/one", tmp_path / "a", frames=64, size=32, seed=3, progress=False)
    assert torch.equal(again.clip([(1, 0)], 16).frames, store.clip([(1, 0)], 16).frames)
    with pytest.raises(ValueError, match="scenes/bar"):
        record("scenes/many", tmp_path / "b", progress=False)
