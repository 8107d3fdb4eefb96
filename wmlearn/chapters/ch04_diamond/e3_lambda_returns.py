"""Exercise 04.3: lambda-returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.teach.checks import Hint, close, exercise, function, require, tensor

F64 = torch.float64


@exercise("04.3", "lambda-returns")
def lambda_returns(answer: Callable, *, time_first: bool = False) -> Iterator[str]:
    """``answer(rewards, next_values, terminated, truncated, gamma, lam)``, all ``[B, T]``.

    ``time_first``: the variant in which all are ``[T, B]``.
    """
    function(answer, "lambda_returns")
    if time_first:
        answer = _turned(answer)
    generator = torch.Generator().manual_seed(0)
    shape = (3, 6)
    rewards = torch.randn(shape, generator=generator, dtype=F64)
    values = torch.randn(shape, generator=generator, dtype=F64)
    never = torch.zeros(shape, dtype=torch.bool)
    gamma = 0.9

    def run(
        rewards: Tensor, values: Tensor, terminated: Tensor, truncated: Tensor, lam: float
    ) -> Tensor:
        inputs = [x.clone() for x in (rewards, values, terminated, truncated)]
        returns = answer(*inputs, gamma, lam)
        require(
            all(map(torch.equal, inputs, (rewards, values, terminated, truncated))),
            "the function changed its inputs in place: work on a new tensor.",
        )
        return tensor(returns, shape, "the result")

    one_step = run(rewards, values, never, never, 0.0)
    if not close(one_step, rewards + gamma * values):
        require(
            not close(one_step, gamma * (rewards + gamma * values)),
            "the discount is off by one: the reward of this step is not discounted, the value "
            "after it is discounted once.",
        )
        before = torch.cat([torch.zeros(3, 1, dtype=F64), values[:, :-1]], dim=1)
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

    ends = torch.rand(shape, generator=generator) < 0.25
    cuts = torch.rand(shape, generator=generator) < 0.25
    require(
        close(
            run(rewards, values, ends, cuts, 0.95),
            _mixture(rewards, values, ends, cuts, gamma, 0.95),
        ),
        "with random ends and cuts the result is wrong: a step can be both terminated and "
        "truncated, and then it is terminated.",
    )
    yield "random ends and cuts agree with the sum over n-step returns"

    weights = values.clone().requires_grad_()
    returns = answer(rewards.clone(), weights, never, never, gamma, 0.95)
    require(
        not getattr(returns, "requires_grad", False),
        "the returns carry a gradient: they are the critic's target, so a stop-gradient is "
        "missing (`torch.no_grad()` or `.detach()`).",
    )
    yield "no gradient flows through the target"


def _turned(answer: Callable) -> Callable:
    """An answer for ``[T, B]`` as one for ``[B, T]``."""

    def turned(*inputs: Tensor | float) -> Tensor:
        given = [x.T if isinstance(x, Tensor) else x for x in inputs]
        result = answer(*given)
        return result.T if isinstance(result, Tensor) and result.ndim == 2 else result

    return turned


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
