"""How long did it take, wrong."""

from __future__ import annotations

import numpy as np
import torch


def pictures(start, ahead, end):
    """A right one, to go with wrong counts of sentences."""
    goal = torch.minimum(start + ahead, end)
    return goal, goal - start, goal > start


def sentences(said, still, done):
    """A right one, to go with wrong goals."""
    return _count(said, still, done)


def _count(said, still, done, across=False, unknown=-1, at_still=0, at_end=1, restart=False):
    left, steps = [], unknown
    for t in reversed(range(len(said))):
        last = t + 1 == len(said)
        goes_on = not last and (across or said[t + 1] == said[t])
        if still[t]:
            steps = at_still
        elif last and done:
            steps = at_end
        elif goes_on and (steps >= 0 or restart):
            steps += 1
        else:
            steps = unknown
        left.append(steps)
    return torch.tensor(left[::-1])


def into_the_next_episode(start, ahead, end):
    goal = start + ahead
    return goal, ahead, goal <= end


def steps_not_cut(start, ahead, end):
    goal = torch.minimum(start + ahead, end)
    return goal, ahead, goal > start


def all_known(start, ahead, end):
    goal, steps, known = pictures(start, ahead, end)
    return goal, steps, known | True


def cut_ones_thrown_away(start, ahead, end):
    goal, steps, _ = pictures(start, ahead, end)
    return goal, steps, start + ahead <= end


def one_before_the_end(start, ahead, end):
    goal = torch.minimum(start + ahead, end - 1)
    return goal, goal - start, goal > start


def back_to_front(start, ahead, end):
    goal, steps, known = pictures(start, ahead, end)
    return goal, -steps, known


def goal_itself_known(start, ahead, end):
    goal, steps, known = pictures(start, ahead, end)
    return goal, steps, steps > 1


def only_the_goal(start, ahead, end):
    return torch.minimum(start + ahead, end)


def time_out_is_done(said, still, done):
    return _count(said, still, True)


def never_done(said, still, done):
    return _count(said, still, False)


def last_step_alone(said, still, done):
    left = _count(said, still, False)
    return torch.cat([left[:-1], left.new_tensor([1 if done else -1])])


def across_sentences(said, still, done):
    return _count(said, still, done, across=True)


def still_is_one(said, still, done):
    return _count(said, still, done, at_still=1)


def done_is_zero(said, still, done):
    return _count(said, still, done, at_end=0)


def counts_on_from_unknown(said, still, done):
    return _count(said, still, done, restart=True)


def zero_for_unknown(said, still, done):
    return _count(said, still, done).clamp(min=0)


def last_still_overlooked(said, still, done):
    """The last step is set before the loop, which begins at the one before it."""
    left = torch.full_like(said, -1)
    left[-1] = 1 if done else -1
    for t in range(len(said) - 2, -1, -1):
        if still[t]:
            left[t] = 0
        elif said[t] == said[t + 1] and left[t + 1] >= 0:
            left[t] = left[t + 1] + 1
    return left


def last_still_overlooked_alone(said, still, done):
    left = _count(said, still, done)
    return left if done else torch.cat([left[:-1], left.new_tensor([-1])])


def one_counter_a_sentence(said, still, done, while_others=True):
    left = {int(said[-1]): 0} if done else {}
    steps = []
    for now, nothing_moved in zip(said.flip(0).tolist(), still.flip(0).tolist(), strict=True):
        for sentence in left:
            left[sentence] += while_others or sentence == now
        if nothing_moved:
            left[now] = 0
        steps.append(left.get(now, -1))
    return steps[::-1]


def counter_waits_meanwhile(said, still, done):
    return one_counter_a_sentence(said, still, done, while_others=False)


def up_to_the_next_time(said, still, done):
    """The same sentence counts on, however much later it is said again."""
    left = [-1] * len(said)
    for t in reversed(range(len(said))):
        later = [u for u in range(t + 1, len(said)) if said[u] == said[t]]
        if still[t]:
            left[t] = 0
        elif t + 1 == len(said):
            left[t] = 1 if done else -1
        elif later and left[later[0]] >= 0:
            left[t] = left[later[0]] + later[0] - t
    return left


def _without(said, still, done, change=-1, still_counts=True, cut=-1):
    left = [0 if still_counts and still[-1] else 1 if done else cut]
    for t in reversed(range(len(said) - 1)):
        if still_counts and still[t]:
            left.append(0)
        elif said[t] == said[t + 1]:
            left.append(left[-1] + 1 if left[-1] >= 0 else -1)
        else:
            left.append(change)
    return left[::-1]


def new_sentence_is_done(said, still, done):
    return _without(said, still, done, change=1)


def new_sentence_is_zero(said, still, done):
    return _without(said, still, done, change=0)


def still_overlooked(said, still, done):
    return _without(said, still, done, still_counts=False)


def length_of_the_run(said, still, done):
    return _without(said, still, done, still_counts=False, change=1)


def still_is_unknown(said, still, done):
    return torch.where(still, -1, _count(said, still, done))


def time_out_is_zero(said, still, done):
    return _without(said, still, done, cut=0)


def zero_is_unknown(said, still, done):
    left = []
    for t in reversed(range(len(said))):
        if still[t]:
            left.append(0)
        elif t + 1 == len(said):
            left.append(1 if done else -1)
        else:
            left.append(left[-1] + 1 if said[t] == said[t + 1] and left[-1] > 0 else -1)
    return left[::-1]


def turned_round(said, still, done):
    return _count(said, still, done).flip(0)


def one_too_many(said, still, done):
    left = _count(said, still, done)
    return torch.where(left > 0, left + 1, left)


def capped(said, still, done):
    return _count(said, still, done).clamp(max=2)


def one_step_only(said, still, done):
    left = _count(said, still, done)
    return torch.where(left > 1, -1, left)


def in_place(said, still, done):
    still[-1] = still[-1] | done
    return _count(said, still, done)


WRONG = [
    ("into_the_next_episode", (into_the_next_episode, sentences), "another episode"),
    ("steps_not_cut", (steps_not_cut, sentences), "count to the goal that you give"),
    ("all_known", (all_known, sentences), "that teaches nothing"),
    ("cut_ones_thrown_away", (cut_ones_thrown_away, sentences), "is as good as any"),
    ("one_before_the_end", (one_before_the_end, sentences), "never one behind `end`"),
    ("back_to_front", (back_to_front, sentences), "from start to goal"),
    ("only_the_goal", (only_the_goal, sentences), "three: goal"),
    ("time_out_is_done", (pictures, time_out_is_done), "the time ran out"),
    ("never_done", (pictures, never_done), "it took that one step"),
    ("across_sentences", (pictures, across_sentences), "across a change"),
    ("still_is_one", (pictures, still_is_one), "0 steps are left, not 1"),
    ("done_is_zero", (pictures, done_is_zero), "1 step is left before it"),
    ("counts_on_from_unknown", (pictures, counts_on_from_unknown), "-1 + 1"),
    ("zero_for_unknown", (pictures, zero_for_unknown), "unknown is -1"),
    ("last_still_overlooked", (pictures, last_still_overlooked), "also when time ran out"),
    ("one_counter_a_sentence", (pictures, one_counter_a_sentence), "forget the count"),
    ("new_sentence_is_done", (pictures, new_sentence_is_done), "does not say that the old one"),
    ("still_overlooked", (pictures, still_overlooked), "a step that changes nothing: 0"),
    ("zero_is_unknown", (pictures, zero_is_unknown), "0 is a known number"),
    ("turned_round", (pictures, turned_round), "wrong way round"),
    ("one_too_many", (pictures, one_too_many), "it should be"),
    ("in_place", (pictures, in_place), "changed its argument"),
]
ALSO = [
    ("last_step_alone", (pictures, last_step_alone), "it took that one step"),
    ("overlooked_alone", (pictures, last_still_overlooked_alone), "also when time ran out"),
    ("counter_waits_meanwhile", (pictures, counter_waits_meanwhile), "forget the count"),
    ("up_to_the_next_time", (pictures, up_to_the_next_time), "forget the count"),
    ("new_sentence_is_zero", (pictures, new_sentence_is_zero), "does not say that the old one"),
    ("length_of_the_run", (pictures, length_of_the_run), "a step that changes nothing: 0"),
    ("still_is_unknown", (pictures, still_is_unknown), "a step that changes nothing: 0"),
    ("time_out_is_zero", (pictures, time_out_is_zero), "the time ran out"),
    ("goal_itself_known", (goal_itself_known, sentences), "known should be true"),
    ("capped", (pictures, capped), "it should be"),
    ("one_step_only", (pictures, one_step_only), "it should be"),
]


# Right answers in other styles.


def pictures_one_by_one(start, ahead, end):
    goals = [min(int(s + a), int(e)) for s, a, e in zip(start, ahead, end, strict=True)]
    steps = [g - int(s) for g, s in zip(goals, start, strict=True)]
    return goals, steps, [step > 0 for step in steps]


def pictures_by_steps(start, ahead, end):
    steps = np.minimum(ahead.numpy(), (end - start).numpy())
    return start.numpy() + steps, steps, steps != 0


def forward(said, still, done):
    """For each step, look ahead for the first one at which it is over."""
    left = []
    for t in range(len(said)):
        answer = -1
        for k in range(t, len(said)):
            if said[k] != said[t]:
                break
            if still[k]:
                answer = k - t
                break
            if done and k == len(said) - 1:
                answer = k - t + 1
        left.append(answer)
    return left


def without_a_loop_over_pairs(said, still, done):
    """As the library does it: up to where something else is said, the first end of all."""
    T = len(said)
    now, then = torch.arange(T)[:, None], torch.arange(T)[None]
    same = (said[:, None] == said) | (then < now)
    same = same.long().cumprod(1).bool() & (then >= now)
    over = torch.where(same & still, then - now, 10 * T)
    if done:
        over[:, -1] = torch.minimum(over[:, -1], torch.where(same[:, -1], T - now[:, 0], 10 * T))
    first = over.amin(1)
    return torch.where(first < 10 * T, first, -1).double()


RIGHT = [
    ("pictures_one_by_one", (pictures_one_by_one, sentences)),
    ("pictures_by_steps", (pictures_by_steps, sentences)),
    ("forward", (pictures, forward)),
    ("without_a_loop_over_pairs", (pictures, without_a_loop_over_pairs)),
    ("backward", (pictures, sentences)),
]
