"""Lambda-returns, wrong."""

from __future__ import annotations

import torch


def _returns(
    rewards, values, terminated, truncated, gamma, lam, *, cut=None, first=1.0, gradient=False
):
    alive = (~terminated).to(rewards.dtype)
    cut = truncated.to(rewards.dtype) if cut is None else cut
    values = values if gradient else values.detach()
    later, returns = values[:, -1], []
    for t in reversed(range(rewards.shape[1])):
        mixed = (1 - lam) * values[:, t] + lam * later
        following = cut[:, t] * values[:, t] + (1 - cut[:, t]) * mixed
        later = first * rewards[:, t] + gamma * alive[:, t] * following
        returns.append(later)
    return torch.stack(returns[::-1], dim=1)


def discount_off_by_one(rewards, next_values, terminated, truncated, gamma, lam):
    after = gamma * next_values
    return _returns(rewards, after, terminated, truncated, gamma, lam, first=gamma)


def value_of_this_step(rewards, next_values, terminated, truncated, gamma, lam):
    shifted = torch.cat([torch.zeros_like(next_values[:, :1]), next_values[:, :-1]], dim=1)
    return _returns(rewards, shifted, terminated, truncated, gamma, lam)


def time_on_the_wrong_axis(rewards, next_values, terminated, truncated, gamma, lam):
    turned = (x.T for x in (rewards, next_values, terminated, truncated))
    return _returns(*turned, gamma, lam).T


def nothing_after_the_last_step(rewards, next_values, terminated, truncated, gamma, lam):
    later, returns = torch.zeros_like(rewards[:, 0]), []
    for t in reversed(range(rewards.shape[1])):
        following = (1 - lam) * next_values[:, t] + lam * later
        later = rewards[:, t] + gamma * (~terminated[:, t]) * following
        returns.append(later)
    return torch.stack(returns[::-1], dim=1).detach()


def discounted_twice(rewards, next_values, terminated, truncated, gamma, lam):
    later, returns = next_values[:, -1], []
    for t in reversed(range(rewards.shape[1])):
        value, alive = next_values[:, t], (~terminated[:, t]).to(rewards.dtype)
        later = torch.where(truncated[:, t], value, later)
        later = rewards[:, t] + alive * ((1 - lam) * gamma * value + gamma * lam**2 * later)
        returns.append(later)
    return torch.stack(returns[::-1], dim=1).detach()


def termination_ignored(rewards, next_values, terminated, truncated, gamma, lam):
    never = torch.zeros_like(terminated)
    return _returns(rewards, next_values, never, truncated, gamma, lam)


def truncation_taken_for_an_end(rewards, next_values, terminated, truncated, gamma, lam):
    return _returns(rewards, next_values, terminated | truncated, truncated, gamma, lam)


def truncation_drops_part_of_the_value(rewards, next_values, terminated, truncated, gamma, lam):
    alive = (~terminated).to(rewards.dtype)
    later, returns = next_values[:, -1], []
    for t in reversed(range(rewards.shape[1])):
        goes_on = 1 - truncated[:, t].to(rewards.dtype)
        if t == rewards.shape[1] - 1:
            goes_on = torch.ones_like(goes_on)
        mixed = (1 - lam) * next_values[:, t] + lam * goes_on * later
        later = rewards[:, t] + gamma * alive[:, t] * mixed
        returns.append(later)
    return torch.stack(returns[::-1], dim=1).detach()


def truncation_ignored(rewards, next_values, terminated, truncated, gamma, lam):
    never = torch.zeros_like(rewards)
    return _returns(rewards, next_values, terminated, truncated, gamma, lam, cut=never)


def truncation_wins_over_the_end(rewards, next_values, terminated, truncated, gamma, lam):
    over = terminated & ~truncated
    return _returns(rewards, next_values, over, truncated, gamma, lam)


def gradient_through_the_target(rewards, next_values, terminated, truncated, gamma, lam):
    return _returns(rewards, next_values, terminated, truncated, gamma, lam, gradient=True)


WRONG = [
    ("discount_off_by_one", (discount_off_by_one,), "discount is off by one"),
    ("value_of_this_step", (value_of_this_step,), "shifted by one step"),
    ("time_on_the_wrong_axis", (time_on_the_wrong_axis,), "recursion runs over the batch"),
    ("nothing_after_the_last_step", (nothing_after_the_last_step,), "no later return to build on"),
    ("discounted_twice", (discounted_twice,), "lambda between 0 and 1"),
    ("termination_ignored", (termination_ignored,), "its return is its reward alone"),
    ("truncation_taken_for_an_end", (truncation_taken_for_an_end,), "it is not over"),
    ("truncation_drops_part_of_the_value", (truncation_drops_part_of_the_value,), "all of"),
    ("truncation_ignored", (truncation_ignored,), "another episode begins"),
    ("truncation_wins_over_the_end", (truncation_wins_over_the_end,), "random ends and cuts"),
    ("gradient_through_the_target", (gradient_through_the_target,), "stop-gradient is missing"),
]


def the_last_step_never_ends(rewards, next_values, terminated, truncated, gamma, lam):
    over = terminated.clone()
    over[:, -1] = False
    return _returns(rewards, next_values, over, truncated, gamma, lam)


def a_cut_at_the_end_loses_the_value(rewards, next_values, terminated, truncated, gamma, lam):
    over = terminated.clone()
    over[:, -1] |= truncated[:, -1]
    return _returns(rewards, next_values, over, truncated, gamma, lam)


# Right answers in other styles.


def step_by_step(rewards, next_values, terminated, truncated, gamma, lam):
    out = torch.empty_like(rewards, dtype=torch.float64)
    batch, time = rewards.shape
    for b in range(batch):
        for t in reversed(range(time)):
            value = next_values[b, t].item()
            if terminated[b, t]:
                later = 0.0
            elif truncated[b, t] or t == time - 1:
                later = value
            else:
                later = (1 - lam) * value + lam * out[b, t + 1].item()
            out[b, t] = rewards[b, t].item() + gamma * later
    return out


@torch.no_grad()
def by_temporal_differences(rewards, next_values, terminated, truncated, gamma, lam):
    goes_on = (~terminated).to(rewards.dtype)
    joined = (~(terminated | truncated)).to(rewards.dtype)
    joined[:, -1] = 0
    base = rewards + gamma * goes_on * next_values
    out, later = base.clone(), 0.0
    for t in reversed(range(rewards.shape[1])):
        if t + 1 < rewards.shape[1]:
            later = gamma * lam * joined[:, t] * (out[:, t + 1] - next_values[:, t])
            out[:, t] += later
    return out


WRONG += [
    ("the_last_step_never_ends", (the_last_step_never_ends,), "very last step may end"),
    (
        "a_cut_at_the_end_loses_the_value",
        (a_cut_at_the_end_loses_the_value,),
        "a cut at the very last step",
    ),
]
RIGHT = [
    ("step_by_step", (step_by_step,)),
    ("by_temporal_differences", (by_temporal_differences,)),
]
