"""Lambda-returns against brute force; a policy learns in a dream whose best action is known."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import pytest
import torch
from torch.testing import assert_close

from wmlearn.agents.actor_critic import ActorCritic, ActorCriticConfig, Player
from wmlearn.agents.imagination import ImaginationConfig, ImaginedActorCritic
from wmlearn.agents.returns import lambda_returns
from wmlearn.data.clip import Clip
from wmlearn.world import Step, World

GAMMA = 0.9


def brute_force(rewards, values, terminated, lambda_):
    """The weighted sum of all n-step returns, straight from the definition."""
    horizon = len(rewards)
    result = []
    for t in range(horizon):
        total, weight_left = 0.0, 1.0
        running, discount = 0.0, 1.0
        for k in range(t, horizon):
            running += discount * rewards[k]
            discount *= GAMMA
            last = terminated[k] or k == horizon - 1
            n_step = running + (0.0 if terminated[k] else discount * values[k])
            weight = weight_left if last else weight_left * (1 - lambda_)
            total += weight * n_step
            weight_left -= weight
            if last:
                break
        result.append(total)
    return result


@pytest.mark.parametrize("lambda_", [0.0, 0.5, 0.95, 1.0])
def test_lambda_returns_are_the_mixture_of_n_step_returns(lambda_):
    generator = torch.Generator().manual_seed(0)
    rewards = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    values = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    terminated = torch.zeros(3, 6, dtype=torch.bool)
    terminated[1, 3] = terminated[2, 0] = True
    got = lambda_returns(rewards, values, terminated, GAMMA, lambda_)
    for row in range(3):
        expected = brute_force(
            rewards[row].tolist(), values[row].tolist(), terminated[row].tolist(), lambda_
        )
        assert_close(got[row], torch.tensor(expected, dtype=torch.float64))


class OneGoodAction(World):
    """A world of gray frames in which action 2 pays 1 and the others pay -1."""

    context_frames = 1
    action_space = gymnasium.spaces.Discrete(3)
    frame_shape = (3, 16, 16)

    def reset(self, context):
        return context.frames[:, -1]

    def step(self, state, action, generator=None):
        reward = torch.where(action == 2, 1.0, -1.0)
        return state, Step(state, reward, torch.zeros(len(state), dtype=torch.bool))


def test_the_policy_finds_the_good_action():
    network = ActorCriticConfig(num_actions=3, image_size=16, channels=(32,), lstm_dim=16)
    config = ImaginationConfig(
        actor_critic=network, horizon=5, gamma=0.5, learning_rate=1e-2, warmup_steps=1
    )
    module = ImaginedActorCritic(config, world=OneGoodAction())
    starts = Clip(
        torch.full((16, 2, 3, 16, 16), 128, dtype=torch.uint8),
        actions=torch.zeros(16, 1, dtype=torch.int64),
    )
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        losses, _ = module.losses(module.imagine(starts, generator))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    dream = module.imagine(starts, generator)
    assert (dream.actions == 2).float().mean() > 0.9
    memory = module.actor_critic.initial_memory(16)
    for frame in starts.frames.unbind(1):
        _, value, memory = module.actor_critic(frame, memory)
    # V = 1 + gamma + gamma^2 + ... = 2 for gamma = 0.5
    assert_close(value.mean().item(), 2.0, rtol=0.25, atol=0)


@pytest.mark.parametrize("lstm_skip", [False, True])
def test_at_play_the_memory_begins_as_in_training(lstm_skip):
    """An episode's first frame is repeated, as in clips that begin before their episode."""
    config = ActorCriticConfig(
        num_actions=3, image_size=16, channels=(32,), lstm_dim=16, context_frames=4,
        lstm_skip=lstm_skip,
    )  # fmt: skip
    network = ActorCritic(config)
    torch.manual_seed(0)
    first, second = torch.randint(256, (2, 1, 3, 16, 16), dtype=torch.uint8)
    player = Player(network, greedy=True)
    for _ in range(2):  # a second episode begins like the first
        player.reset(1)
        player.act(first), player.act(second)
        memory = network.initial_memory(1)
        for frame in (first,) * 4 + (second,):
            *_, memory = network(frame, memory)
        assert_close(player.memory[0], memory[0])


def test_the_first_epoch_is_reinforce():
    """The clipped ratio's gradient at the dreaming policy is grad log pi times the advantage."""
    network = ActorCriticConfig(num_actions=3, image_size=16, channels=(32,), lstm_dim=16)
    config = ImaginationConfig(
        actor_critic=network, horizon=4, entropy_weight=0, value_weight=0, lambda_=1.0, gamma=1.0
    )
    module = ImaginedActorCritic(config, world=OneGoodAction())
    starts = Clip(
        torch.randint(256, (8, 1, 3, 16, 16), dtype=torch.uint8),
        actions=torch.zeros(8, 0, dtype=torch.int64),
    )
    dream = module.imagine(starts, torch.Generator().manual_seed(0))
    losses, _ = module.losses(dream)
    sum(losses.values()).backward()
    got = module.actor_critic.actor.bias.grad.clone()
    # At first all logits and values are 0: grad log pi(a) = onehot(a) - 1/3, advantage = return.
    returns = dream.rewards.flip(1).cumsum(1).flip(1)
    onehot = torch.nn.functional.one_hot(dream.actions, 3).float()
    expected = -((onehot - 1 / 3) * returns[..., None]).mean((0, 1))
    assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_steps_after_the_end_do_not_count():
    class EndsAtOnce(OneGoodAction):
        def step(self, state, action, generator=None):
            state, step = super().step(state, action)
            return state, replace(step, terminated=torch.ones(len(state), dtype=torch.bool))

    network = ActorCriticConfig(num_actions=3, image_size=16, channels=(32,), lstm_dim=16)
    config = ImaginationConfig(actor_critic=network, horizon=4)
    module = ImaginedActorCritic(config, world=EndsAtOnce())
    starts = Clip(
        torch.zeros(8, 1, 3, 16, 16, dtype=torch.uint8),
        actions=torch.zeros(8, 0, dtype=torch.int64),
    )
    dream = module.imagine(starts, torch.Generator().manual_seed(0))
    assert dream.alive.tolist() == [[1, 0, 0, 0]] * 8
    _, metrics = module.losses(dream)
    assert metrics["dream_ended"] == 1 and abs(metrics["dream_return"]) <= 1


def test_published_actor_critic_weights_fit():
    """The names of the published actor-critic map onto ours, one to one."""
    from wmlearn.systems.diamond.published import convert_actor_critic

    network = ActorCritic(ActorCriticConfig())
    ours = network.state_dict()
    published = {}
    for name, value in ours.items():
        name = name.replace("critic.", "critic_linear.").replace("actor.", "actor_linear.")
        name = name.replace("encoder.", "encoder.encoder.", 1)
        for mine, theirs in ((".norm.", ".f.0.norm."), (".conv.", ".f.2.")):
            name = name.replace(mine, theirs)
        published["actor_critic." + name.replace(".shortcut.", ".skip_projection.")] = value
    assert convert_actor_critic(published).keys() == ours.keys()
