"""Each agent lives in each world that it says it can live in; in the others it says why not."""

from __future__ import annotations

import pytest
import torch

from wmlearn import hub
from wmlearn.agents.actor_critic import ActorCriticConfig
from wmlearn.agents.cem import CEMConfig, ImageGoalPlanner
from wmlearn.agents.imagination import ImaginationConfig, ImaginedActorCritic
from wmlearn.agents.planning import PlanningConfig, SearchedPolicy, plan_values
from wmlearn.systems import AGENTS, LOADABLE, SYSTEMS
from wmlearn.world import FeatureWorld, WorldModel

SHIPPED = {hub.read_card(name)["system"] for name in hub.list_checkpoints()}
WORLDS = [
    entry.name
    for entry in SYSTEMS
    if entry.name in SHIPPED and issubclass(LOADABLE[entry.name].load("module"), WorldModel)
]


def checkpoint(system: str) -> str:
    """A shipped checkpoint of this system, the one with the fewest weights."""
    names = [n for n in hub.list_checkpoints() if hub.read_card(n)["system"] == system]
    return min(names, key=lambda n: (hub.find(n) / "model.safetensors").stat().st_size)


@pytest.fixture(scope="module", params=WORLDS)
def place(request):
    """A world, and two real clips to start from."""
    name = checkpoint(request.param)
    return hub.load_world(name), hub.load_starts(name)[:2]


def network(world) -> ActorCriticConfig:
    _, side, _ = world.frame_shape
    actions = int(world.action_space.n)
    return ActorCriticConfig(
        num_actions=actions, image_size=side, channels=(32,), lstm_dim=16, patch_size=4
    )


def live_actor_critic(world, starts) -> None:
    config = ImaginationConfig(actor_critic=network(world), horizon=2)
    agent = ImaginedActorCritic(config, world)
    losses, _ = agent.losses(agent.imagine(starts, torch.Generator().manual_seed(0)))
    assert torch.isfinite(sum(losses.values()))


def live_searched_policy(world, starts) -> None:
    config = PlanningConfig(actor_critic=network(world), keys=(0, 1), first=(1,), then=1)
    SearchedPolicy(config, world)
    recent = starts.time(-world.context_frames, starts.length)
    values = plan_values(world, recent, config, torch.Generator().manual_seed(0))
    assert torch.isfinite(values[:, :2]).all()


LIVES = {
    "actor-critic": (ImaginedActorCritic, ImaginationConfig(), live_actor_critic),
    "searched-policy": (SearchedPolicy, PlanningConfig(), live_searched_policy),
}


def test_no_agent_is_forgotten():
    assert {entry.name for entry in AGENTS} == set(LIVES)
    assert len(WORLDS) >= 3


@pytest.mark.parametrize("agent", LIVES)
def test_an_agent_lives_where_it_says_it_can(agent, place):
    (kind, config, live), (world, starts) = LIVES[agent], place
    lacks = kind.NEEDS.missing(world)
    if not lacks:
        live(world, starts)
        return
    with pytest.raises(ValueError) as told:
        kind(config, world)
    sentence = str(told.value)
    assert all(lack in sentence for lack in lacks) and sentence.count(". ") == 0


def test_some_world_suits_each_agent_and_some_does_not(request):
    """Else the test above would pass without having lived anywhere."""
    worlds = [hub.load_world(checkpoint(system)) for system in WORLDS]
    for kind, *_ in LIVES.values():
        suits = [not kind.NEEDS.missing(world) for world in worlds]
        assert any(suits) and not all(suits)


def test_a_planner_with_a_goal_image_acts_in_every_world(place):
    world, starts = place
    config = CEMConfig(horizon=1, samples=2, elites=1, iterations=1)
    act = ImageGoalPlanner(world, config)
    action = act(starts[:1], starts.frames[:1, -1])
    assert world.action_space.contains(action)
    assert isinstance(world, FeatureWorld) == (world.step(
        world.reset(starts), torch.stack([torch.as_tensor(action)] * 2))[1].frame is None
    )  # fmt: skip
