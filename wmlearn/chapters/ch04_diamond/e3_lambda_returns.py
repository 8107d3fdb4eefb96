"""Exercise 04.3: lambda-returns."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer, Leaf
from wmlearn.teach.checks import Hint, close, exercise, normal, require, seeded, tensor

F64 = torch.float64
GAMMA = 0.9


@exercise("04.3", "lambda-returns")
def check_returns(
    lambda_returns: Answer, *, time_first: bool = False, seed: int = 0
) -> Iterator[str]:
    """``lambda_returns(rewards, next_values, terminated, truncated, gamma, lam)``, ``[B, T]``.

    ``time_first``: the variant in which all are ``[T, B]``.
    """
    draw, shape, gamma = seeded(seed), (4, 6), GAMMA
    rewards, values = normal(draw, *shape), normal(draw, *shape)
    never = torch.zeros(shape, dtype=torch.bool)

    def run(
        rewards: Tensor, values: Tensor, terminated: Tensor, truncated: Tensor, lam: float
    ) -> Tensor:
        inputs = [rewards, values, terminated, truncated]
        if time_first:
            turned = lambda_returns(*(x.T.contiguous() for x in inputs), gamma, lam)
            return tensor(turned, shape[::-1], "the result").T
        return tensor(lambda_returns(*inputs, gamma, lam), shape, "the result")

    one_step = run(rewards, values, never, never, 0.0)
    if not close(one_step, rewards + gamma * values):
        require(
            not close(one_step, gamma * (rewards + gamma * values)),
            "the discount is off by one: the reward of this step is not discounted, the value "
            "after it is discounted once.",
        )
        before = torch.cat([torch.zeros(4, 1, dtype=F64), values[:, :-1]], dim=1)
        require(
            not close(one_step[:, 1:], (rewards + gamma * before)[:, 1:]),
            "the values are shifted by one step: next_values[:, t] already is the value after "
            "step t.",
        )
        raise Hint("with lambda = 0 the return of step t is r_t + gamma · next_values[:, t].")
    yield "lambda = 0: one reward, then the value"

    full = run(rewards, values, never, never, 1.0)
    expected = _mixture(rewards, values, never, never, gamma, 1.0)
    if not close(full, expected):
        along_batch = _mixture(rewards.T, values.T, never.T, never.T, gamma, 1.0).T
        require(
            not close(full, along_batch),
            "the recursion runs over the batch: time is the second axis, [B, T].",
        )
        require(
            close(full[:, -1], expected[:, -1]),
            "the last step has no later return to build on: there the value alone continues, "
            "r + gamma · next_values[:, -1], whatever lambda is.",
        )
        raise Hint(
            "with lambda = 1 the return is the discounted sum of all rewards to come, and the "
            "last value: each step back multiplies the later return by gamma once."
        )
    yield "lambda = 1: all rewards to come, then the last value"

    require(
        close(
            run(rewards, values, never, never, 0.7),
            _mixture(rewards, values, never, never, gamma, 0.7),
        ),
        "for lambda between 0 and 1, mix: (1 - lambda) of the next value and lambda of the next "
        "return, the two together discounted by gamma once.",
    )
    yield "lambda = 0.7 is the mixture of all n-step returns"

    ended = never.clone()
    ended[:, 2] = True
    returns = run(rewards, values, ended, never, 0.7)
    require(
        close(returns[:, 2], rewards[:, 2]),
        "a terminated step is the last of its episode: its return is its reward alone. Neither "
        "the next value nor the next return count.",
    )
    require(
        close(returns, _mixture(rewards, values, ended, never, gamma, 0.7)),
        "a termination at step 2 changed other steps in a wrong way: it cuts only what comes "
        "after it off what came before.",
    )
    yield "after a termination there is nothing more to win"

    returns = run(rewards, values, never, ended, 0.7)
    if not close(returns[:, 2], rewards[:, 2] + gamma * values[:, 2]):
        require(
            not close(returns[:, 2], rewards[:, 2]),
            "a truncated episode was cut, it is not over: its last step continues with the value.",
        )
        require(
            not close(returns[:, 2], rewards[:, 2] + gamma * 0.3 * values[:, 2]),
            "at a truncation no later return exists, so the value takes its share as well: all "
            "of next_values, not only (1 - lambda) of it.",
        )
        raise Hint(
            "at a truncated step another episode begins: the return is r_t + gamma · "
            "next_values[:, t], and nothing of the next step."
        )
    yield "at a truncation the value takes over"

    last = never.clone()
    last[:2, -1] = True
    returns = run(rewards, values, last, never, 0.7)
    require(
        close(returns[:2, -1], rewards[:2, -1]),
        "the very last step may end the episode as well: then nothing is added to its reward. "
        "`terminated` counts there as everywhere.",
    )
    returns = run(rewards, values, never, last, 0.7)
    require(
        close(returns, _mixture(rewards, values, never, last, gamma, 0.7)),
        "a cut at the very last step changes nothing: there the value takes over in any case.",
    )
    yield "the last step may end or be cut, too"

    ends, cuts = (torch.rand(shape, generator=draw) < 0.25 for _ in range(2))
    ends[0, 1] = cuts[0, 1] = ends[1, -1] = cuts[1, -1] = True
    require(
        close(
            run(rewards, values, ends, cuts, 0.95),
            _mixture(rewards, values, ends, cuts, gamma, 0.95),
        ),
        "with random ends and cuts the result is wrong: a step can be both terminated and "
        "truncated, and then it is terminated.",
    )
    yield "random ends and cuts agree with the sum over n-step returns"

    inputs = [rewards, values, ends, cuts]
    inputs = [x.T.contiguous() for x in inputs] if time_first else inputs
    leaves = [Leaf(inputs[0]), Leaf(inputs[1]), *inputs[2:]]
    reply = lambda_returns.ask(*leaves, gamma, 0.95, pull=1.0)
    require(
        not getattr(reply.value, "tracked", False),
        "a gradient flows from the returns into the values; they are targets, so a stop-gradient "
        "is missing: `.detach()` the result.",
    )
    yield "no gradient flows through the target"


def _mixture(
    rewards: Tensor,
    values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    """Lambda-returns by their definition: a weighted sum of n-step returns, in plain loops."""
    out = torch.zeros_like(rewards)
    length = rewards.shape[1]
    for b in range(rewards.shape[0]):
        for t in range(length):
            total, reward_sum, discount, weight = 0.0, 0.0, 1.0, 1.0
            for k in range(t, length):
                reward_sum += discount * float(rewards[b, k])
                discount *= gamma
                alive = 0.0 if terminated[b, k] else 1.0
                n_step = reward_sum + alive * discount * float(values[b, k])
                if terminated[b, k] or truncated[b, k] or k == length - 1:
                    total += weight * n_step
                    break
                total += weight * (1 - lam) * n_step
                weight *= lam
            out[b, t] = total
    return out
