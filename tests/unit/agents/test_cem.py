"""The planner finds what is known to be best, in worlds of pixels and of features."""

from dataclasses import replace

import pytest
import torch
from plane_world import Plane

from wmlearn.agents.cem import (
    CEMConfig,
    ImageGoalPlanner,
    expand_state,
    feature_distance,
    pixel_distance,
    plan,
    rollout_energy,
)
from wmlearn.data.clip import Clip


def start(x=100, y=100):
    return Clip(torch.tensor([x, y], dtype=torch.uint8).view(1, 1, 1, 1, 2))


def goal(x, y):
    return torch.tensor([[[x, y]]], dtype=torch.float32)


def test_it_finds_the_optimum_of_a_known_world():
    config = CEMConfig(horizon=3, samples=200, elites=20, iterations=12, sum_over_steps=False)
    found = plan(Plane(), start(), feature_distance(goal(101.5, 99.2)), config)
    assert torch.allclose(found.actions.sum(0), torch.tensor([1.5, -0.8]), atol=0.06)
    assert found.energy < 0.05 and found.history[-1] < found.history[0] / 4


def test_out_of_reach_it_goes_as_fast_as_the_action_space_allows():
    found = plan(Plane(), start(), feature_distance(goal(150, 50)), CEMConfig(iterations=10))
    assert torch.allclose(found.actions, torch.tensor([1.0, -1.0]).expand(2, 2), atol=0.1)


def test_summing_over_steps_hurries():
    target, config = (
        feature_distance(goal(101, 100)),
        CEMConfig(horizon=4, samples=300, iterations=10),
    )
    hurried = plan(Plane(), start(), target, config).actions
    assert hurried[0, 0] > 0.8 and hurried[1:, 0].abs().max() < 0.3


def test_discrete_actions_and_pixels():
    world = Plane(discrete=True, pixels=True)
    energy = pixel_distance(torch.tensor([70, 100], dtype=torch.uint8).view(1, 1, 1, 2))
    found = plan(world, start(), energy, CEMConfig(horizon=3, sum_over_steps=False))
    assert found.actions.tolist() == [2, 2, 2] and found.energy == 0


def test_the_same_seed_gives_the_same_plan_and_another_one_another():
    def once(seed):
        generator = torch.Generator().manual_seed(seed)
        energy = feature_distance(goal(101, 100))
        return plan(Plane(), start(), energy, CEMConfig(iterations=2), generator).actions

    assert torch.equal(once(1), once(1)) and not torch.equal(once(1), once(2))


def test_a_guess_is_where_the_search_begins():
    config = CEMConfig(horizon=2, samples=3, elites=1, iterations=1, least_spread=0.0)
    guess = torch.tensor([[0.75, -0.5]])
    found = plan(Plane(), start(), feature_distance(goal(100.75, 99.5)), config, guess=guess)
    # its third sample is random, so the mean itself must have been tried, and won
    assert torch.allclose(found.actions, torch.tensor([[0.675, -0.45], [0, 0]]), atol=0.08)


def test_later_rounds_draw_fewer_plans():
    assert CEMConfig(samples=100, elites=10, iterations=4, decay=2).counts() == [100, 50, 25, 20]
    assert CEMConfig(samples=100, iterations=3, decay=1).counts() == [100] * 3
    assert sum(CEMConfig().counts()) == 336  # instead of 500


def test_energy_of_given_plans():
    actions = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    state = expand_state(Plane().reset(start()), 2)
    energy = feature_distance(goal(102, 100))
    assert rollout_energy(Plane(), state, actions, energy, False).tolist() == [0.0, 1.0]
    assert rollout_energy(Plane(), state, actions, energy).tolist() == [0.25, 1.0]


def test_the_planner_arrives():
    world = Plane(pixels=True)
    act, at = ImageGoalPlanner(world, CEMConfig(samples=60)), torch.tensor([100.0, 100.0])
    target = torch.tensor([104, 97], dtype=torch.uint8).view(1, 1, 1, 2)
    for _ in range(7):
        at = at + torch.from_numpy(act(start(*at.round().int().tolist()), target))
    assert (at - torch.tensor([104.0, 97.0])).abs().max() < 1


@pytest.mark.parametrize(
    ("world", "clip", "energy", "says"),
    [
        (Plane(), Clip(start().frames.repeat(2, 1, 1, 1, 1)), feature_distance(goal(0, 0)), "one"),
        (Plane(), start(), pixel_distance(torch.zeros(1, 1, 1, 2)), "feature_distance"),
    ],
)
def test_bad_input_says_what_to_do(world, clip, energy, says):
    with pytest.raises(ValueError, match=says):
        plan(world, clip, energy)


def test_a_world_of_frames_says_so():
    class Frames(Plane):
        def step(self, state, action, generator=None):
            state, step = super().step(state, action)
            return state, replace(step, features=None)

    with pytest.raises(ValueError, match="pixel_distance"):
        plan(Frames(pixels=True), start(), feature_distance(goal(0, 0)))


@pytest.mark.parametrize("wrong", [dict(elites=200), dict(horizon=0), dict(decay=0.5)])
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(ValueError):
        CEMConfig(**wrong)
