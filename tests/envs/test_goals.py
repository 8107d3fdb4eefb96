"""Image goals: films of a push that can be followed, and how success is counted."""

import importlib.util

import numpy as np
import pytest
import torch

from wmlearn.chapters.ch12_vjepa2_ac.goals import RandomActor, draw_goals, pursue
from wmlearn.envs import make
from wmlearn.envs.fetch import STEP

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gymnasium_robotics") is None, reason="no gymnasium-robotics"
)


class Follower:
    """Knows where the gripper is in each picture, and goes there: a planner without an error."""

    def __init__(self, env):
        self.places, self.picture = {}, env.picture
        env.picture = self.remember

    def remember(self, *place):
        image, state = self.picture(*place)
        self.places[image.transpose(2, 0, 1).tobytes()] = state[:3]
        return image, state

    def __call__(self, seen, goal):
        way = self.places[goal[0].numpy().tobytes()] - seen.state[0, -1, :3].numpy()
        return np.clip(way / STEP, -1, 1).astype(np.float32)


@pytest.mark.parametrize(("task", "pictures", "least"), [("reach", 1, 6), ("push", 10, 5)])
def test_who_follows_the_pictures_succeeds_and_random_actions_do_not(task, pictures, least):
    env = make(f"fetch/{task}")
    follower = Follower(env)
    goals = draw_goals(env, 6, seed=40)
    for goal in goals:
        assert len(goal.images) == len(goal.until) == pictures
        assert list(goal.until) == sorted(set(goal.until)) and goal.until[-1] == env.max_steps
        assert torch.equal(goal.image(0)[0], goal.images[0])
        assert torch.equal(goal.image(env.max_steps - 1)[0], goal.images[-1])
    followed = pursue(env, goals, follower)
    assert followed.success.sum() >= least and (followed.start > 0.05).all()
    assert pursue(env, goals, RandomActor(env)).success.sum() <= 1
    env.close()


def test_a_push_can_be_shown_by_its_end_alone():
    env = make("fetch/push")
    (goal,) = draw_goals(env, 1, seed=40, strokes=0)
    assert len(goal.images) == 1 and goal.until == (env.max_steps,)
    (film,) = draw_goals(env, 1, seed=40)
    assert torch.equal(film.images[-1], goal.images[-1]) and film.place == goal.place
    env.close()
