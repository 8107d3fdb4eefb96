"""WorldEnv keeps Gymnasium's rules, and an unmodified PPO trains in it."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from wmlearn.data.clip import Clip
from wmlearn.systems.diamond import Diamond
from wmlearn.systems.diamond.recipe import SMOKE
from wmlearn.world import CopyLastFrame, Step, World, WorldEnv, where_state


class Counter:
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


class Embeddings(Counter):
    """A world of features: two tokens of three numbers, and no picture."""

    def step(self, state, action, generator=None):
        features = state.float().view(-1, 1, 1).expand(-1, 2, 3)
        done = torch.zeros(len(state), dtype=torch.bool)
        return state + 1, Step(None, action.float(), done, features=features)


def test_a_world_of_features_is_a_world_but_no_environment():
    world = Embeddings()
    assert isinstance(world, World)
    state, step = world.step(world.reset(starts()), torch.zeros(5))
    assert step.frame is None and step.features.shape == (5, 2, 3)
    env = WorldEnv(world, starts(), num_envs=2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="features, not frames"):
        env.step(np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match="neither"):
        Step(None, step.reward, step.terminated)
