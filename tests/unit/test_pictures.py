"""Any usual kind of picture becomes bytes, or is refused; never a black frame."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete

from wmlearn import envs
from wmlearn.envs.pixels import PixelEnv, to_picture

GREY = np.linspace(0, 1, 40 * 50).reshape(40, 50)
BYTES = np.rint(GREY * 255).astype(np.uint8)
RGB = np.repeat(BYTES[..., None], 3, axis=2)


@pytest.mark.parametrize(
    ("array", "scale"),
    [
        (RGB, None),
        (np.dstack([RGB, np.full_like(BYTES, 7)]), None),  # alpha
        (BYTES, None),
        (BYTES[..., None], None),
        (np.repeat(GREY[..., None], 3, 2).astype(np.float32), None),
        (GREY * 2 - 1, (-1.0, 1.0)),
        (GREY * 255, (0.0, 255.0)),
        (np.rint(GREY * 65535).astype(np.uint16), None),
        (BYTES.astype(np.int64), None),
    ],
)
def test_every_usual_kind_gives_the_same_bytes(array, scale):
    picture = to_picture(array, scale)
    assert picture.dtype == np.uint8 and picture.shape == (40, 50, 3)
    assert np.abs(picture.astype(int) - RGB).max() <= 1


def test_booleans_are_black_and_white():
    picture = to_picture(GREY > 0.5)
    assert set(np.unique(picture)) == {0, 255} and picture[-1, -1, 0] == 255


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (GREY * 255, "from 0 to 255 where 0 is black and 1 is white"),
        (GREY * 2 - 1, "from -1 to 1 where 0 is black"),
        (BYTES.astype(np.int32) * 4, "where 0 is black and 255 is white"),
        (GREY * np.nan, "from nan"),
        (np.zeros((3, 40, 50), np.uint8), "no picture"),
        (np.zeros((40, 50, 2), np.uint8), "no picture"),
        (np.zeros(40), "no picture"),
        (None, "no picture"),
        (GREY.astype(complex), "complex128, which is no picture"),
    ],
)
def test_what_cannot_be_told_is_refused(array, words):
    with pytest.raises(ValueError, match=words) as error:
        to_picture(array, source="X-v0: render()")
    assert "X-v0: render() gave" in str(error.value) and "return uint8" in str(error.value)


class Painted(gymnasium.Env):
    """Shows one picture, as its observation or by ``render``."""

    metadata = {"render_modes": ["rgb_array"]}
    action_space = Discrete(2)

    def __init__(self, picture, space=None, reward=1.0, render_mode=None):
        self.picture, self.reward, self.render_mode = picture, reward, render_mode
        self.observation_space = space or Box(-np.inf, np.inf, (2,), np.float32)
        self.seen = picture if space else np.zeros(2, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.seen, {}

    def step(self, action):
        return self.seen, self.reward, False, False, {}

    def render(self):
        return self.picture


gymnasium.register("wmlearn-test/Painted-v0", entry_point=Painted, disable_env_checker=True)


@pytest.mark.parametrize(
    ("picture", "space"),
    [
        (GREY, None),
        (np.repeat(GREY[..., None], 3, 2) * 2 - 1, Box(-1, 1, (40, 50, 3), np.float64)),
        (np.repeat(GREY[..., None], 3, 2), Box(0, 1, (40, 50, 3), np.float64)),
        (BYTES, Box(0, 255, (40, 50), np.uint8)),
    ],
)
def test_an_environment_shows_it_by_its_declared_range(picture, space):
    env = PixelEnv("wmlearn-test/Painted-v0", size=16, picture=picture, space=space)
    frame, _ = env.reset(seed=0)
    assert frame.shape == (16, 16, 3) and frame[0].mean() < 20 and frame[-1].mean() > 235


def test_rewards_may_be_arrays_of_one_number():
    env = PixelEnv("wmlearn-test/Painted-v0", picture=RGB, reward=np.array([2.5]))
    env.reset(seed=0)
    assert env.step(0)[1] == 2.5
    env = PixelEnv("wmlearn-test/Painted-v0", picture=RGB, reward=np.ones(2))
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"reward of shape \[2\]: it must be one number"):
        env.step(0)


def test_an_installed_package_is_suggested_and_an_unknown_option_refused():
    with pytest.raises(ValueError, match="installed: try torch:Torch-Game-v0"):
        envs.make("Torch-Game-v0")
    with pytest.raises(ValueError, match="does not take these options"):
        envs.make("CartPole-v1", colour="red")


class Joystick(gymnasium.Env):
    """Shows what was pressed: one column of pixels for each part of the action."""

    metadata = {"render_modes": ["rgb_array"]}
    observation_space = Box(0, 255, (32, 36, 3), np.uint8)

    def __init__(self, space: gymnasium.Space) -> None:
        self.action_space = space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros((32, 36, 3), np.uint8), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.pressed = tuple(np.ravel(action).tolist())
        return np.zeros((32, 36, 3), np.uint8), 0.0, False, False, {}


@pytest.mark.parametrize(
    ("space", "parts"),
    [
        (MultiDiscrete([2, 3]), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]),
        (MultiDiscrete([2, 2], start=[5, -1]), [(5, -1), (5, 0), (6, -1), (6, 0)]),
        (MultiDiscrete([[2], [2]]), [(0, 0), (0, 1), (1, 0), (1, 1)]),
        (MultiBinary(2), [(0, 0), (0, 1), (1, 0), (1, 1)]),
    ],
    ids=["sizes", "starts", "table", "binary"],
)
def test_several_choices_are_recorded_as_one(space, parts):
    gymnasium.register("Joystick-v0", entry_point=Joystick, kwargs={"space": space})
    try:
        env = PixelEnv("Joystick-v0", size=32)
        assert env.action_space == Discrete(len(parts))
        env.reset(seed=0)
        for action, pressed in enumerate(parts):
            env.step(action)
            assert env.env.unwrapped.pressed == pressed
    finally:
        del gymnasium.registry["Joystick-v0"]


def test_too_many_combinations_are_refused():
    gymnasium.register("Joystick-v0", entry_point=Joystick, kwargs={"space": MultiBinary(9)})
    try:
        with pytest.raises(ValueError, match="at most 256 combinations"):
            PixelEnv("Joystick-v0", size=32)
    finally:
        del gymnasium.registry["Joystick-v0"]
