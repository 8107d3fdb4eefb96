"""WorldEnv keeps Gymnasium's rules, and an unmodified PPO trains in it."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from wmlearn.data.clip import Clip
from wmlearn.evaluation import rollout
from wmlearn.player import PlaySession
from wmlearn.systems.diamond import Diamond
from wmlearn.systems.diamond.recipe import SMOKE
from wmlearn.world import (
    CopyLastFeatures,
    CopyLastFrame,
    FeatureWorld,
    Needs,
    PromptedWorld,
    Step,
    World,
    WorldEnv,
    choose_sampler,
    where_state,
)


class Counter(World):
    """A world whose frame shows its own step number; it ends at ``end``."""

    context_frames = 1
    action_space = gymnasium.spaces.Discrete(3)
    frame_shape = (3, 8, 8)

    def __init__(self, end: int = 10**6) -> None:
        self.end = end

    def reset(self, context: Clip) -> torch.Tensor:
        return torch.zeros(len(context), dtype=torch.int64)

    def step(self, state, action, generator=None):
        state = state + 1
        frame = state.view(-1, 1, 1, 1).expand(-1, *self.frame_shape).to(torch.uint8)
        return state, Step(frame, action.float(), state >= self.end)


def starts(count: int = 5, size: int = 8) -> Clip:
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(256, (count, 4, 3, size, size), generator=generator, dtype=torch.uint8)
    return Clip(frames, actions=torch.zeros(count, 3, dtype=torch.int64))


@pytest.fixture(scope="module")
def diamond():
    config = SMOKE.for_actions(3)
    from dataclasses import replace

    return Diamond(replace(config, reward_end=replace(config.reward_end, image_size=32))).world()


def test_worlds_keep_the_protocol(diamond):
    for world in (diamond, Counter(), CopyLastFrame(gymnasium.spaces.Discrete(3), (3, 8, 8))):
        assert isinstance(world, World)


def test_spaces_shapes_and_types():
    env = WorldEnv(Counter(), starts(), num_envs=4)
    frames, infos = env.reset(seed=0)
    assert env.observation_space.contains(frames) and infos == {}
    frames, rewards, terminated, truncated, infos = env.step(np.array([0, 1, 2, 1]))
    assert env.observation_space.contains(frames) and (frames == 1).all()
    assert rewards.tolist() == [0, 1, 2, 1] and rewards.dtype == np.float64
    assert terminated.dtype == truncated.dtype == np.bool_ and infos == {}
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    assert np.array_equal(np.stack(env.render()), frames)
    env.close()


def test_an_ended_dream_starts_anew_in_the_same_step():
    env = WorldEnv(Counter(end=3), starts(), num_envs=2)
    env.reset(seed=0)
    for _ in range(2):
        assert not env.step(np.zeros(2, int))[2].any()
    frames, _, terminated, truncated, infos = env.step(np.zeros(2, int))
    assert terminated.all() and not truncated.any() and infos["_final_obs"].all()
    assert (infos["final_obs"][0] == 3).all(), "the last frame of the ended episode"
    known = starts().frames[:, -1].permute(0, 2, 3, 1).numpy()
    assert any(np.array_equal(frames[0], start) for start in known), "a real first frame"
    frames = env.step(np.zeros(2, int))[0]
    assert (frames == 1).all(), "the new episode counts from the start"


def test_the_horizon_truncates():
    env = WorldEnv(Counter(), starts(), num_envs=1, horizon=2)
    env.reset(seed=0)
    env.step(np.array([0]))
    _, _, terminated, truncated, _ = env.step(np.array([0]))
    assert truncated[0] and not terminated[0]


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))],
    ids=["deepcopy", "pickle"],
)
def test_a_copy_dreams_on_as_the_original_does(diamond, copied):
    env = WorldEnv(diamond, starts(size=32), num_envs=2, horizon=3)
    copied(env)  # before the first reset, too
    env.reset(seed=3)
    env.step(np.array([1, 2]))
    twin = copied(env)
    for _ in range(4):  # over the end of an episode, which draws another start
        ours, theirs = env.step(np.array([0, 1])), twin.step(np.array([0, 1]))
        assert np.array_equal(ours[0], theirs[0]) and np.array_equal(ours[1], theirs[1])


def test_same_seed_same_dream(diamond):
    env = WorldEnv(diamond, starts(size=32), num_envs=2)

    def dream(seed):
        env.reset(seed=seed)
        return [env.step(np.array([1, 2]))[0] for _ in range(3)]

    first, again, other = dream(7), dream(7), dream(8)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_wrong_use_is_told():
    env = WorldEnv(Counter(), starts(), num_envs=2)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(2, int))
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action space"):
        env.step(np.array([0, 3]))
    with pytest.raises(ValueError, match="action space"):
        env.step(np.zeros(3, int))


def test_where_state_mixes_every_tensor():
    mask = torch.tensor([True, False])
    ones, zeros = torch.ones(2, 3), torch.zeros(2, 3)
    mixed = where_state(mask, (ones, (ones,)), (zeros, (zeros,)))
    assert torch.equal(mixed[0], mixed[1][0]) and mixed[0].tolist() == [[1, 1, 1], [0, 0, 0]]


def test_gymnasium_wrappers_work():
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(
        WorldEnv(Counter(end=3), starts(), num_envs=2)
    )
    env.reset(seed=0)
    for _ in range(3):
        *_, infos = env.step(np.array([1, 2]))
    assert infos["episode"]["r"].tolist() == [3, 6] and infos["episode"]["l"].tolist() == [3, 3]


def test_ppo_trains_unmodified(diamond):
    from stable_baselines3 import PPO

    from wmlearn.agents.sb3 import SB3Env

    env = SB3Env(WorldEnv(diamond, starts(size=32), num_envs=4, horizon=20))
    agent = PPO("MlpPolicy", env, n_steps=32, batch_size=64, n_epochs=1, seed=0, device="cpu")
    before = agent.policy.action_net.weight.detach().clone()
    agent.learn(256)
    assert agent.num_timesteps == 256
    assert not torch.equal(before, agent.policy.action_net.weight)


class Embeddings(FeatureWorld, Counter):
    """A world of features: two tokens of three numbers, and no picture."""

    def encode(self, frames):
        return torch.zeros(*frames.shape[:2], 2, 3)

    def step(self, state, action, generator=None):
        features = state.float().view(-1, 1, 1).expand(-1, 2, 3)
        done = torch.zeros(len(state), dtype=torch.bool)
        return state + 1, Step(None, action.float(), done, features=features)


def test_a_world_of_features_is_a_world_but_no_environment():
    world = Embeddings()
    assert isinstance(world, World)
    state, step = world.step(world.reset(starts()), torch.zeros(5))
    assert step.frame is None and step.features.shape == (5, 2, 3)
    with pytest.raises(ValueError, match="features, not frames"):
        WorldEnv(world, starts(), num_envs=2)
    with pytest.raises(ValueError, match="neither"):
        Step(None, step.reward, step.terminated)


def test_needs_are_told_in_one_sentence():
    needs = Needs(discrete=True, rewards=True, frames=True)
    assert needs.missing(Counter()) == []
    needs.check("A player", Counter())
    still = CopyLastFrame(gymnasium.spaces.Box(0.0, 1.0, (2,)), (3, 8, 8))
    with pytest.raises(ValueError, match="A player needs Discrete actions .* and rewards .*none"):
        needs.check("A player", still)
    with pytest.raises(ValueError, match="needs frames .*gives features"):
        Needs(frames=True).check("A player", Embeddings())
    with pytest.raises(ValueError, match="inherits from wmlearn.world.World; got object"):
        Needs().check("A player", object())


def test_the_last_features_are_a_world_too():
    class Mean(Embeddings):
        def encode(self, frames):
            return frames.float().mean((2, 3, 4))[:, :, None, None]

    world, context = CopyLastFeatures(Mean()), starts()
    state = world.reset(context)
    for _ in range(2):
        state, step = world.step(state, torch.zeros(5))
        assert torch.equal(step.features, Mean().encode(context.frames)[:, -1])
        assert step.frame is None and not step.reward.any()


@dataclass(frozen=True)
class Sampler:
    steps: int = 3
    heat: float = 1.0


def test_a_sampler_is_given_whole_or_by_what_differs():
    own = Sampler(5)
    assert choose_sampler(own, None) is own is choose_sampler(own, {})
    assert choose_sampler(own, {"heat": 0.5}) == Sampler(5, 0.5)
    assert choose_sampler(own, Sampler(1)) == Sampler(1)
    for given, says in (({"step": 1}, "no 'step'; it has steps, heat"), (3, "Sampler with steps")):
        with pytest.raises(ValueError, match=says):
            choose_sampler(own, given)
    with pytest.raises(ValueError, match="draws nothing"):
        choose_sampler(None, {"steps": 1})
    assert choose_sampler(None, None) is None


class Chunks(Counter):
    """Three frames for each action, numbered on."""

    chunk = 3

    def step(self, state, action, generator=None):
        frames = []
        for _ in range(self.chunk):
            state, step = super().step(state, action)
            frames.append(step.frame)
        return state, Step(frames[-1], step.reward, step.terminated, frames=torch.stack(frames, 1))


def test_a_step_may_give_several_frames():
    clip = starts(2)
    held = torch.tensor([[1, 1, 1, 2, 2]]).repeat(2, 1)
    frames = rollout(Chunks(), clip, actions=held)
    assert frames[0, :, 0, 0, 0].tolist() == [1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="held for 3 steps"):
        rollout(Chunks(), clip, actions=torch.tensor([[1, 1, 2]]).repeat(2, 1))
    env = WorldEnv(Chunks(), clip, num_envs=2)
    env.reset(seed=0)
    assert (env.step(np.zeros(2, int))[0] == 3).all()


def test_prompts_reach_the_worlds_that_take_them():
    class Told(PromptedWorld, Counter):
        def reset(self, context, prompt=None):
            self.heard = prompt or context.text
            return super(PromptedWorld, self).reset(context)

    world = Told()
    PlaySession(world, context=starts(), prompt="a red door")
    assert world.heard == ("a red door",)
    with pytest.raises(ValueError, match="takes no prompt"):
        PlaySession(Counter(), context=starts(), prompt="a red door")
