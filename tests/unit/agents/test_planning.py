"""The search finds the best plan of a corridor; a policy learns the search by heart."""

from __future__ import annotations

import gymnasium
import pytest
import torch
from torch.testing import assert_close

from wmlearn.agents.actor_critic import ActorCriticConfig
from wmlearn.agents.planning import PlanningConfig, SearchedPolicy, plan_values
from wmlearn.data.clip import Clip
from wmlearn.world import Step, World

LEFT, RIGHT, SHOOT = range(3)
GAMMA = 0.9


class Corridor(World):
    """Walk left or right; a shot ends the game where the player stands at 0. Each step costs 1.

    The brightness of the gray frame, counted from 128 in steps of 8, tells where the player is.
    """

    context_frames = 1
    action_space = gymnasium.spaces.Discrete(3)
    frame_shape = (3, 16, 16)

    def __init__(self, knows_probabilities: bool = False) -> None:
        self.knows_probabilities = knows_probabilities

    def reset(self, context: Clip) -> torch.Tensor:
        return (context.frames[:, -1].float().mean((1, 2, 3)) - 128) / 8

    def step(self, state, action, generator=None):
        hit = (action == SHOOT) & (state.abs() < 0.5)
        state = state + (action == RIGHT).float() - (action == LEFT).float()
        frame = (128 + 8 * state).byte()[:, None, None, None].expand(-1, 3, 16, 16)
        reward = torch.where(hit, 5.0, -1.0)
        if self.knows_probabilities:  # a hit counts only with 3 of 4
            odds = hit.float() * 0.75
            signs = torch.stack([1 - odds, torch.zeros_like(odds), odds], 1)
            return state, Step(frame, reward, hit, signs, odds)
        return state, Step(frame, reward, hit)


def starts(*places: int) -> Clip:
    frames = torch.tensor([128 + 8 * place for place in places], dtype=torch.uint8)
    frames = frames[:, None, None, None, None].expand(-1, 3, 3, 16, 16).contiguous()
    return Clip(frames, actions=torch.zeros(len(places), 2, dtype=torch.int64))


def search(places, world=None, **options):
    config = PlanningConfig(gamma=GAMMA, **options)
    return plan_values(world or Corridor(), starts(*places), config, torch.Generator())


def test_the_best_plan_walks_to_the_target_and_shoots():
    values = search([0, 3, -2])
    assert values.argmax(1).tolist() == [SHOOT, LEFT, RIGHT]
    never = -1 / (1 - GAMMA)

    def after(steps):  # each step costs 1, the hit pays 1 (its sign)
        return sum(-(GAMMA**t) for t in range(steps)) + GAMMA**steps

    best = [values[0, SHOOT].item(), values[1, LEFT].item(), values[2, RIGHT].item()]
    assert best == pytest.approx([after(0), after(3), after(2)], rel=1e-5)
    # from 3, no plan that starts to the right comes back and shoots
    assert values[1, RIGHT].item() == pytest.approx(never, rel=1e-5)


def test_known_probabilities_take_the_place_of_a_sample():
    values = search([0], Corridor(knows_probabilities=True))
    # Five shots, the longest first stroke; after it each step costs 1, for ever.
    alive, expected = 1.0, 0.0
    for _ in range(5):
        expected += alive * 0.5
        alive *= GAMMA * 0.25
    expected -= alive / (1 - GAMMA)
    assert_close(values[0, SHOOT].item(), expected, rtol=1e-4, atol=1e-4)


def test_plans_may_leave_out_keys():
    values = search([3], keys=(LEFT, SHOOT))
    assert values[0, RIGHT] == -torch.inf and torch.isfinite(values[0, [LEFT, SHOOT]]).all()


class _Trainer:
    """What ``training_step`` asks of Lightning, without it."""

    def __init__(self, module, monkeypatch):
        self.optimizer = module.configure_optimizers()
        monkeypatch.setattr(module, "optimizers", lambda: self.optimizer)
        monkeypatch.setattr(module, "manual_backward", lambda loss: loss.backward())
        monkeypatch.setattr(module, "log_dict", lambda metrics: self.__dict__.update(metrics))


@pytest.fixture()
def module():
    network = ActorCriticConfig(num_actions=3, image_size=16, channels=(32,), lstm_dim=64)
    config = PlanningConfig(
        actor_critic=network, gamma=GAMMA, updates=30, minibatch=18, learning_rate=5e-3
    )
    return SearchedPolicy(config, world=Corridor())


def test_the_policy_learns_what_the_search_found(module, monkeypatch):
    _Trainer(module, monkeypatch)
    places = list(range(-4, 5)) * 2
    for step in range(6):
        module.training_step(starts(*places), step)
    logits, _, _ = module.actor_critic(
        starts(-3, 0, 3).frames[:, 0], module.actor_critic.initial_memory(3)
    )
    assert logits.argmax(1).tolist() == [RIGHT, SHOOT, LEFT]


def test_searches_survive_a_restart(module, monkeypatch):
    _Trainer(module, monkeypatch)
    module.training_step(starts(0, 1), 0)
    checkpoint: dict = {}
    module.on_save_checkpoint(checkpoint)
    fresh = SearchedPolicy(module.config, world=Corridor())
    fresh.on_load_checkpoint(checkpoint)
    for a, b in ((module._frames, fresh._frames), (module._values, fresh._values)):
        assert_close(torch.stack(a), torch.stack(b))
