# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises: V-JEPA 2-AC
#
# Five exercises for chapter 12, about 90 minutes in all. You write the mask, the losses and the
# search that let a robot arm plan towards a picture, mend a broken planner, and find out where a
# planner must not trust its model.
#
# How it works: write your code in place of `raise NotImplementedError()`, run the cell, then run
# the check below it. The check tells you which properties hold and gives a hint for the first that
# does not. It looks at properties of your function, so there is more than one right answer.
# Each exercise stands alone: if you are stuck, go on with the next one.
#
# | | Exercise | Kind | Difficulty | Minutes | Points |
# |---|---|---|---|---|---|
# | 1 | Tokens in order, and who may see whom | write | 2 of 5 | 15 | 3 |
# | 2 | Teacher forcing and rollout | write | 3 of 5 | 20 | 4 |
# | 3 | The cross-entropy method | write | 3 of 5 | 20 | 4 |
# | 4 | Mend the planner | find the bugs | 3 of 5 | 15 | 4 |
# | 5 | The planner finds the hole | experiment and write | 2 of 5 | 20 | 6 |

# %% nbgrader={"grade": false, "grade_id": "12-install", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Setup: does nothing where wmlearn is installed. Colab and Kaggle take a few minutes.
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("wmlearn") is None:
    here = Path.cwd()
    folders = [here, *here.parents, *here.iterdir()]
    root = next((f for f in folders if (f / "wmlearn/world.py").is_file()), None)
    if root is None:
        raise SystemExit("Run !git clone ADDRESS first, with this repository's address.")
    install = [sys.executable, "-m", "pip", "install", "-q", "-e", str(root)]
    subprocess.run(install, check=True)
    sys.path.insert(0, str(root))

# %% nbgrader={"grade": false, "grade_id": "12-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import torch

from wmlearn.teach import check

# %% [markdown] nbgrader={"grade": false, "grade_id": "12-1-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 1: tokens in order, and who may see whom
#
# *Write two functions. Difficulty 2 of 5, 15 minutes, 3 points. It teaches how one transformer can
# guess the next frame at every frame of a clip at once.*
#
# The predictor reads one sequence of tokens. For each frame it holds, in this order, one token of
# the action that was taken *after* the frame was seen, one of the arm's state *at* the frame, and
# the $N$ patches of the frame:
#
# $$a_0,\ s_0,\ z_0^1 \dots z_0^N,\quad a_1,\ s_1,\ z_1^1 \dots z_1^N,\quad \dots$$
#
# The **mask** is causal in blocks of one frame: a token may look at *every* token of its own frame
# and of all frames before, and at none of a later frame. It is a bool tensor with a row for each
# token that looks and a column for each that is looked at; true means that it may.
#
# *First hint, if you want one*: give each token the number of its frame, and compare.

# %% nbgrader={"grade": false, "grade_id": "12-1-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def interleave(actions, states, patches):
    """actions, states [B, T, D], patches [B, T, N, D] -> tokens [B, T * (2 + N), D]."""
    ### BEGIN SOLUTION
    condition = torch.stack([actions, states], dim=2)
    return torch.cat([condition, patches], dim=2).flatten(1, 2)
    ### END SOLUTION


def frame_mask(frames, tokens):
    """bool [frames * tokens, frames * tokens], for `tokens` tokens in each frame."""
    ### BEGIN SOLUTION
    frame = torch.arange(frames * tokens) // tokens
    return frame[:, None] >= frame[None, :]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "12-1-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("12.1", interleave, frame_mask)
### BEGIN HIDDEN TESTS
_draw = torch.Generator().manual_seed(121)
_a, _s = torch.randn(2, 3, 4, 6, generator=_draw)
_p = torch.randn(3, 4, 5, 6, generator=_draw)
_x = interleave(_a, _s, _p).unflatten(1, (4, 7))
assert torch.equal(_x[:, :, 0], _a) and torch.equal(_x[:, :, 1], _s), "condition"
assert torch.equal(_x[:, :, 2:], _p), "patches"
_mask = frame_mask(4, 3)
assert _mask.dtype == torch.bool and _mask.shape == (12, 12)
for _i in range(12):
    for _j in range(12):
        assert bool(_mask[_i, _j]) == (_j // 3 <= _i // 3), "who sees whom"
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "12-2-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 2: teacher forcing and rollout
#
# *Write a function. Difficulty 3 of 5, 20 minutes, 4 points. It teaches the difference between
# guessing from what happened and guessing from one's own guesses.*
#
# `predict(z, actions, states)` gets $k$ frames with $k$ actions and $k$ states, and gives at each
# frame the guess of the *next* one. All losses are L1: the mean absolute difference over clips,
# frames, patches and features.
#
# - **Teacher forcing**: every guess is made from real frames, in one call.
# - **Rollout**: begin with the real frame 0 alone. Guess frame 1, append the guess, guess
#   frame 2 from both, and so on up to frame `ahead`. The error counts for frames 2 to `ahead` (frame 1
#   is in the other loss already), as a mean over them. The gradient flows through all guesses.
#
# *First hint, if you want one*: `predict(...)[:, -1:]` is the newest guess.

# %% nbgrader={"grade": false, "grade_id": "12-2-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def losses(predict, z, actions, states, ahead=2):
    """z [B, T, N, D], actions [B, T - 1, A], states [B, T, S]: two scalars."""
    ### BEGIN SOLUTION
    guess = predict(z[:, :-1], actions, states[:, :-1])
    teacher_forcing = (guess - z[:, 1:]).abs().mean()
    path, errors = z[:, :1], []
    for k in range(1, ahead + 1):
        newest = predict(path, actions[:, :k], states[:, :k])[:, -1:]
        path = torch.cat([path, newest], dim=1)
        if k > 1:
            errors.append((newest - z[:, k : k + 1]).abs().mean())
    return teacher_forcing, torch.stack(errors).mean()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "12-2-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("12.2", losses)
### BEGIN HIDDEN TESTS
_draw = torch.Generator().manual_seed(122)
_z = torch.randn(2, 4, 3, 2, generator=_draw)
_acts, _poses = torch.randn(2, 3, 1, generator=_draw), torch.zeros(2, 4, 1)
_gain, _seen = torch.tensor(0.5, requires_grad=True), []


def _predict(z, actions, states):
    assert z.shape[1] == actions.shape[1] == states.shape[1]
    _seen.append(z.shape[1])
    return _gain * z + actions[..., None]


_forced, _rolled = losses(_predict, _z, _acts, _poses, 3)
_step = lambda z, t: 0.5 * z + _acts[:, t, :, None]
_one = _step(_z[:, 0], 0)
_two = _step(_one, 1)
_three = _step(_two, 2)
_want = [(_step(_z[:, t], t) - _z[:, t + 1]).abs().mean() for t in range(3)]
assert abs((_forced - sum(_want) / 3).item()) < 1e-5, "teacher forcing"
_want = ((_two - _z[:, 2]).abs().mean() + (_three - _z[:, 3]).abs().mean()) / 2
assert abs((_rolled - _want).item()) < 1e-5, "rollout"
assert max(_seen) == 3 and 2 in _seen, "the whole rollout"
_rolled.backward()
_slow = []
for _value in (0.499, 0.501):
    _gain = torch.tensor(_value)
    _slow.append(losses(_predict, _z, _acts, _poses, 3)[1].item())
_gain = torch.tensor(0.5, requires_grad=True)
losses(_predict, _z, _acts, _poses, 3)[1].backward()
assert abs(float(_gain.grad) - (_slow[1] - _slow[0]) / 0.002) < 0.01, "gradient"
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "12-3-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 3: the cross-entropy method
#
# *Write a function. Difficulty 3 of 5, 20 minutes, 4 points. It teaches how to search for a plan
# with nothing but the energy of plans that you try.*
#
# A plan is `[H, A]`: $H$ actions of $A$ numbers, each from -1 to 1. In each of `iterations` rounds:
#
# 1. draw `samples` plans as `mean + std * noise`, with standard normal noise from `generator`, and
#    clamp them to the range of the actions,
# 2. ask `energy(plans)` for all of them at once: one number for each plan, low is good,
# 3. the `elites` plans of least energy give the new mean and the new standard deviation (divide by
#    the number of elites: `correction=0`), which never falls below `least`.
#
# *First hint, if you want one*: `topk` has an argument `largest`.

# %% nbgrader={"grade": false, "grade_id": "12-3-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cem(energy, mean, std, samples, elites, iterations, least, generator):
    """From mean and std [H, A] of the plans to those after the last round."""
    ### BEGIN SOLUTION
    for _ in range(iterations):
        noise = torch.randn(samples, *mean.shape, generator=generator, dtype=mean.dtype)
        plans = (mean + std * noise).clamp(-1, 1)
        elite = plans[energy(plans).topk(elites, largest=False).indices]
        mean = elite.mean(0)
        std = elite.std(0, correction=0).clamp(min=least)
    return mean, std
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "12-3-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("12.3", cem)
### BEGIN HIDDEN TESTS
_rounds = []


def _slope(plans):
    _rounds.append(plans.clone())
    return plans.sum((1, 2))


_mean, _std = cem(
    _slope, torch.zeros(3, 1), torch.ones(3, 1), 40, 4, 2, 0.1,
    torch.Generator().manual_seed(3),
)  # fmt: skip
assert [len(plans) for plans in _rounds] == [40, 40]
assert all(plans.abs().max() <= 1 for plans in _rounds)
_sorted = _rounds[1][_rounds[1].sum((1, 2)).argsort()][:4]
assert torch.allclose(_mean, _sorted.mean(0), atol=1e-5), "mean of the elites"
_spread = _sorted.std(0, correction=0).clamp(min=0.1)
assert torch.allclose(_std, _spread, atol=1e-5), "spread"
_one = cem(
    lambda plans: (plans - 0.3).square().sum((1, 2)),
    torch.zeros(1, 1), torch.ones(1, 1), 30, 1, 5, 0.02,
    torch.Generator().manual_seed(4),
)  # fmt: skip
assert abs(float(_one[0]) - 0.3) < 0.1 and abs(float(_one[1]) - 0.02) < 1e-6, "one elite"
_far = cem(
    lambda plans: (plans - 0.9).abs().sum((1, 2)),
    torch.zeros(1, 1), torch.full((1, 1), 0.1), 50, 5, 20, 0.1,
    torch.Generator().manual_seed(5),
)  # fmt: skip
assert abs(float(_far[0]) - 0.9) < 0.1, "each round goes on from the last"
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "12-4-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 4: mend the planner
#
# *Find the bugs. Difficulty 3 of 5, 15 minutes, 4 points. It teaches that a planner with a bug still
# gives plans, and they look like plans.*
#
# The function below should roll `plans` out in a world and give the mean of the `elites` best ones.
# `step(state, action)` takes one action for each plan, `[K, A]`, and gives the next state and its
# features `[K, N, D]`. The energy of a plan is the L1 distance of its *last* features to those of the
# goal `[1, N, D]`: the mean absolute difference.
#
# **Three lines are wrong.** Copy the body into `choose` and mend it.

# %% nbgrader={"grade": false, "grade_id": "12-4-broken", "locked": true, "schema_version": 3, "solution": false, "task": false}
def broken_choose(step, start, goal, plans, elites):
    """The mean of the best plans: plans [K, H, A] -> [H, A]."""
    for t in range(plans.shape[1]):
        _, features = step(start, plans[:, t])
    energy = (features - goal).mean((1, 2)).abs()
    best = energy.topk(elites).indices
    return plans[best].mean(0)

# %% nbgrader={"grade": false, "grade_id": "12-4-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose(step, start, goal, plans, elites):
    """The mended planner."""
    ### BEGIN SOLUTION
    state = start
    for t in range(plans.shape[1]):
        state, features = step(state, plans[:, t])
    energy = (features - goal).abs().mean((1, 2))
    best = energy.topk(elites, largest=False).indices
    return plans[best].mean(0)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "12-4-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("12.4", choose)
### BEGIN HIDDEN TESTS
_plans = torch.randn(20, 4, 3, generator=torch.Generator().manual_seed(124))
_weights = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(125))


def _step(state, action):
    assert action.shape == (20, 3)
    state = 0.5 * state + torch.einsum("ka,and->knd", action, _weights)
    return state, state


_state = torch.ones(20, 5, 2)
for _t in range(4):
    _state, _ = _step(_state, _plans[:, _t])
_goal = torch.full((1, 5, 2), 0.3)
_order = (_state - _goal).abs().mean((1, 2)).argsort()
for _elites in (1, 3):
    _answer = choose(_step, torch.ones(20, 5, 2), _goal, _plans, _elites)
    assert torch.allclose(_answer, _plans[_order[:_elites]].mean(0), atol=1e-5)
_mixed = torch.randn(20, 5, 2, generator=torch.Generator().manual_seed(126))
_mixed[4] = torch.tensor([9.0, -9.0])
_least = _mixed.abs().mean((1, 2)).argmin()
_answer = choose(lambda s, a: (_mixed, _mixed), _mixed, torch.zeros(1, 5, 2), _plans, 1)
assert torch.allclose(_answer, _plans[_least]), "L1"
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "12-5-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 5: the planner finds the hole
#
# *Run an experiment, and write. Difficulty 2 of 5, 20 minutes, 3 + 3 points. It teaches that a planner
# looks for the plans that its model is wrong about.*
#
# An arm on a line moves by its action, but its motor saturates: more than 1 to either side gives 1.
# The model below was fitted to recordings with small actions. Inside that range it is nearly right;
# outside it knows nothing, and is wrong in a wavy way. A planner may use actions up to `limit` and
# plans `horizon` steps ahead. **Before you run anything, guess**: what happens to the distance that
# the plan promises, and to the one at which the arm ends, when the limit grows?

# %% nbgrader={"grade": false, "grade_id": "12-5-episode", "locked": true, "schema_version": 3, "solution": false, "task": false}
def motor(x, a):
    """The real arm."""
    return x + a.clamp(-1, 1)


def model(x, a):
    """What was learned from actions between -1 and 1."""
    outside = (a.abs() - 1).clamp(min=0)
    return x + a + outside * torch.sin(7 * a)


def episode(limit, horizon, starts=200, plans=300):
    """Distances to the goal x = 2, promised by the best plan and real: each [starts]."""
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(starts, 1, generator=draw) * 4 - 2
    tried = (torch.rand(starts, plans, horizon, generator=draw) * 2 - 1) * limit
    dreamed = x.expand(starts, plans)
    for t in range(horizon):
        dreamed = model(dreamed, tried[:, :, t])
    promised, best = (dreamed - 2).abs().min(dim=1)
    chosen = tried[torch.arange(starts), best]
    for t in range(horizon):
        x = motor(x, chosen[:, t : t + 1])
    return promised, (x[:, 0] - 2).abs()

# %% [markdown] nbgrader={"grade": false, "grade_id": "12-5-task", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Write `experiment`. For every limit and every horizon run one `episode(limit, horizon)` and note the
# *means* over its starts: `promised` and `real`, each `[len(limits), len(horizons)]`. Then name the
# largest limit that can be trusted: a limit can be trusted if `real - promised` is at most `tolerance`
# at *every* horizon, and if all smaller limits can be trusted too. If there is none, `None`. The limits
# come in rising order.

# %% nbgrader={"grade": false, "grade_id": "12-5-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def experiment(episode, limits, horizons, tolerance):
    """The tables promised and real, and the largest trusted limit (or None)."""
    ### BEGIN SOLUTION
    rows = [[episode(limit, horizon) for horizon in horizons] for limit in limits]
    promised = torch.tensor([[float(p.mean()) for p, _ in row] for row in rows])
    real = torch.tensor([[float(r.mean()) for _, r in row] for row in rows])
    trusted = None
    for limit, gaps in zip(limits, real - promised, strict=True):
        if gaps.max() > tolerance:
            break
        trusted = limit
    return promised, real, trusted
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "12-5-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("12.5", experiment)
### BEGIN HIDDEN TESTS
_asked = []


def _fake(limit, horizon):
    _asked.append((limit, horizon))
    away = torch.tensor([0.0, 0.0, 3.0]) * (limit > 1.5) * (horizon > 1)
    return torch.full((3,), limit), torch.full((3,), limit) + away


_p, _r, _trusted = experiment(_fake, [1.0, 1.2, 2.0, 3.0], [1, 2], 0.5)
assert sorted(_asked) == [(a, h) for a in (1.0, 1.2, 2.0, 3.0) for h in (1, 2)]
_p, _r = torch.as_tensor(_p).float(), torch.as_tensor(_r).float()
assert torch.allclose(_p[:, 0], torch.tensor([1.0, 1.2, 2.0, 3.0]))
assert torch.allclose(_r[:, 1], torch.tensor([1.0, 1.2, 3.0, 4.0])), "deeds"
assert _trusted == 1.2, "every horizon"
_hole = lambda a, h: (torch.zeros(2), torch.full((2,), float(a == 2.0)))
assert experiment(_hole, [1.0, 2.0, 3.0], [1], 0.5)[2] == 1.0, "a hole ends the trust"
assert experiment(_hole, [2.0, 3.0], [1], 0.5)[2] is None
### END HIDDEN TESTS

# %% [markdown]
# Look at your tables. Was your guess right?

# %%
def show(limits=(0.5, 1.0, 1.5, 2.0, 4.0), horizons=(1, 2, 4)):
    """Prints both tables as text."""
    promised, real, trusted = experiment(episode, list(limits), list(horizons), 0.05)
    for name, table in [("promised", promised), ("real", real)]:
        print(name.ljust(11), *(f"{n:>5} steps" for n in horizons))
        for limit, row in zip(limits, table, strict=True):
            print(f"limit {limit:<5}", *(f"{float(x):11.2f}" for x in row))
    print("trusted up to", trusted)


show()

# %% [markdown] nbgrader={"grade": false, "grade_id": "12-5-question", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Now in your own words, at most 150 words, for a person to read:
#
# 1. Why does the promised distance get *smaller* when the real one gets larger? (1 point)
# 2. A colleague says that more samples in the search will mend it. Right or wrong, and why? (1 point)
# 3. Name two things that one could do about it without a better network. (1 point)

# %% [markdown] nbgrader={"grade": true, "grade_id": "12-5-essay", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# 1. A larger limit lets the planner choose among more plans, so the least energy that it finds in the
#    model can only fall. Those new plans lie where the model has seen nothing, and the lowest energies
#    there belong to its errors, not to good plans. The arm obeys the motor and not the model.
# 2. Wrong: more samples find the model's errors more surely. The promise gets better and the deed
#    gets worse, or stays.
# 3. Two of: keep plans where data is (limit actions, penalise large ones, start from recorded actions);
#    look again after each action and plan anew; plan fewer steps; several models, and pay for their
#    disagreement; record the actions that the planner likes, and train on them.
#
# Marking: one point each. 1 needs "it chooses the plans that the model is wrong about". 2 needs the
# answer "wrong" *and* a reason. 3 needs two different measures; one gives half a point.
# ### END SOLUTION
