"""A reward that pays for walking to and fro, and other wrong ones."""

from __future__ import annotations

import torch


def _right(left, ended, gamma, zero=True, end_paid=True, stops=True):
    after = left[:, 1:] * (~ended if zero else 1)
    before = (ended.long().cumsum(1) - ended.long() if end_paid else ended.long().cumsum(1)) > 0
    reward = left[:, :-1] - gamma * after
    return reward * ~before if stops else reward


def broken(left, ended, gamma):
    return (left[:, :-1] - left[:, 1:]).clamp(min=0)


def clamped(left, ended, gamma):
    return _right(left, ended, gamma).clamp(min=0)


def not_discounted(left, ended, gamma):
    return _right(left, ended, 1.0)


def now_discounted(left, ended, gamma):
    return gamma * left[:, :-1] - left[:, 1:].masked_fill(ended, 0.0)


def all_discounted(left, ended, gamma):
    return gamma * _right(left, ended, 1.0)


def discounted_twice(left, ended, gamma):
    steps = torch.arange(ended.shape[1])
    return _right(left, ended, gamma) * gamma**steps


def by_nearness(left, ended, gamma):
    return -left[:, 1:].masked_fill(ended, 0.0)


def turned_round(left, ended, gamma):
    return -_right(left, ended, gamma)


def paid_at_the_end_only(left, ended, gamma):
    count = ended.shape[1]
    reward = torch.zeros_like(left[:, 1:])
    reward[:, -1] = (left[:, 0] - gamma**count * left[:, -1]) / gamma ** (count - 1)
    return reward


def head_believed_at_the_end(left, ended, gamma):
    return _right(left, ended, gamma, zero=False)


def end_not_paid(left, ended, gamma):
    return _right(left, ended, gamma, end_paid=False)


def paid_after_the_end(left, ended, gamma):
    return _right(left, ended, gamma, stops=False)


def stops_only_at_the_next_step(left, ended, gamma):
    after = torch.zeros_like(ended)
    after[:, 1:] = ended[:, :-1]
    return _right(left, ended, gamma, stops=False) * ~after


def bonus_at_the_end(left, ended, gamma):
    return _right(left, ended, gamma) + ended.to(left.dtype)


def one_too_long(left, ended, gamma):
    return torch.cat([_right(left, ended, gamma), left[:, -1:]], dim=1)


def in_place(left, ended, gamma):
    left[:, 1:][ended] = 0.0
    return _right(left, ended, gamma)


WRONG = [
    ("broken", (broken,), "to and fro is paid for every step forth"),
    ("not_discounted", (not_discounted,), "ends where it began"),
    ("now_discounted", (now_discounted,), "gamma stands at the wrong one"),
    ("by_nearness", (by_nearness,), "the reward is a difference"),
    ("turned_round", (turned_round,), "sign"),
    ("all_discounted", (all_discounted,), "write down the sum"),
    ("paid_at_the_end_only", (paid_at_the_end_only,), "not step by step"),
    ("head_believed_at_the_end", (head_believed_at_the_end,), "staying near pays"),
    ("end_not_paid", (end_not_paid,), "is not paid at all"),
    ("bonus_at_the_end", (bonus_at_the_end,), "all that was left before it"),
    ("paid_after_the_end", (paid_after_the_end,), "nothing is paid any more"),
    ("one_too_long", (one_too_long,), "should have shape"),
    ("in_place", (in_place,), "changed its argument"),
]
ALSO = [
    ("clamped", (clamped,), "to and fro"),
    ("discounted_twice", (discounted_twice,), "write down the sum"),
    ("stops_only_at_the_next_step", (stops_only_at_the_next_step,), "nothing is paid any more"),
]


# Right answers in other styles.


def dream_by_dream(left, ended, gamma):
    rows = []
    for numbers, over in zip(left.tolist(), ended.tolist(), strict=True):
        row, alive = [], True
        for now, after, ends in zip(numbers[:-1], numbers[1:], over, strict=True):
            row.append((now - gamma * (0.0 if ends else after)) if alive else 0.0)
            alive = alive and not ends
        rows.append(row)
    return torch.tensor(rows)


def with_a_product(left, ended, gamma):
    alive = torch.cat([torch.ones_like(left[:, :1]), (~ended).to(left).cumprod(1)], dim=1)
    reach = left * alive  # 0 from the end on
    return reach[:, :-1] - gamma * reach[:, 1:]


def with_numpy(left, ended, gamma):
    after = (left[:, 1:] * ~ended).numpy()
    gone = ended.numpy().cumsum(1) - ended.numpy()
    return (left[:, :-1].numpy() - gamma * after) * (gone == 0)


RIGHT = [
    ("dream_by_dream", (dream_by_dream,)),
    ("with_a_product", (with_a_product,)),
    ("with_numpy", (with_numpy,)),
]
