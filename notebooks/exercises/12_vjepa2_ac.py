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
# Six exercises for chapter 12, about two hours in all. You write the mask, the losses and the
# search that let a robot arm plan towards a picture, mend a broken planner, and find out where a
# planner must not trust its model.
#
# How it works: write your code in place of `raise NotImplementedError()`, run the cell, then run
# the check below it. The check tells you which properties hold and gives a hint for the first that
# does not. It looks at properties of your function, so there is more than one right answer.
# Each exercise stands alone: if you are stuck, open its *Help*, or go on with the next one. A warm-up
# repeats a cell of the chapter; the last exercise changes the problem.
#
# | | Exercise | Kind | Difficulty | Importance | Minutes | Points |
# |---|---|---|---|---|---|---|
# | 1 | Tokens in order, and who may see whom | warm-up, write | 2 of 5 | 4 of 5 | 15 | 3 |
# | 2 | Teacher forcing and rollout | warm-up, write | 3 of 5 | 5 of 5 | 20 | 4 |
# | 3 | The cross-entropy method | warm-up, write | 3 of 5 | 5 of 5 | 20 | 4 |
# | 4 | Mend the planner | find the bugs | 3 of 5 | 4 of 5 | 15 | 4 |
# | 5 | The planner finds the hole | experiment and write | 2 of 5 | 4 of 5 | 20 | 6 |
# | 6 | Stop when promise and deed part | change the problem | 4 of 5 | 5 of 5 | 25 | 4 |

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
# *Warm-up: write two functions. Difficulty 2 of 5, importance 4 of 5, 15 minutes, 3 points. It teaches
# how one transformer can guess the next frame at every frame of a clip at once.*
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
# <details>
# <summary>Help</summary>
#
# Stack action and state to `[B, T, 2, D]`, join them with the patches along the token axis, and flatten
# time and tokens. For the mask give each token the number of its frame, and compare.
#
# </details>

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
    return frame[:, None] >= frame
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "12-1-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("12.1", interleave, frame_mask)
### BEGIN HIDDEN TESTS
check("12.1", interleave, frame_mask, seed=121)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "12-2-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 2: teacher forcing and rollout
#
# *Warm-up: write a function. Difficulty 3 of 5, importance 5 of 5, 20 minutes, 4 points. It teaches the
# difference between guessing from what happened and guessing from one's own guesses.*
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
# <details>
# <summary>Help</summary>
#
# `predict(...)[:, -1:]` is the newest guess. Keep the path, `[B, k, N, D]`, and give the model all of it,
# with `actions[:, :k]` and `states[:, :k]`.
#
# </details>

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
            errors.append((newest - z[:, k : k + 1]).abs())
    return teacher_forcing, torch.stack(errors).mean()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "12-2-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("12.2", losses)
### BEGIN HIDDEN TESTS
check("12.2", losses, seed=122)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "12-3-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 3: the cross-entropy method
#
# *Warm-up: write a function. Difficulty 3 of 5, importance 5 of 5, 20 minutes, 4 points. It teaches how
# to search for a plan with nothing but the energy of plans that you try.*
#
# A plan is `[H, A]`: $H$ actions of $A$ numbers, each from -1 to 1. In each of `iterations` rounds:
#
# 1. draw `samples` plans as `mean + std * noise`, with standard normal noise from `generator`, and
#    clamp them to the range of the actions,
# 2. ask `energy(plans)` for all of them at once: one number for each plan, low is good,
# 3. the `elites` plans of least energy give the new mean and the new standard deviation (divide by
#    the number of elites: `correction=0`), which never falls below `least`.
#
# <details>
# <summary>Help</summary>
#
# `topk` has an argument `largest`, and its `indices` pick the elites' plans. Draw inside the loop.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "12-3-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cem(energy, mean, std, samples, elites, iterations, least, generator):
    """From mean and std [H, A] of the plans to those after the last round."""
    ### BEGIN SOLUTION
    for _ in range(iterations):
        noise = torch.randn(samples, *mean.shape, generator=generator)
        plans = (mean + std * noise).clamp(-1, 1)
        elite = plans[energy(plans).topk(elites, largest=False).indices]
        mean = elite.mean(0)
        std = elite.std(0, correction=0).clamp(min=least)
    return mean, std
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "12-3-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("12.3", cem)
### BEGIN HIDDEN TESTS
check("12.3", cem, seed=123)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "12-4-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 4: mend the planner
#
# *Find the bugs. Difficulty 3 of 5, importance 4 of 5, 15 minutes, 4 points. It teaches that a planner
# with a bug still gives plans, and they look like plans.*
#
# The function below should roll `plans` out in a world and give the mean of the `elites` best ones.
# `step(state, action)` takes one action for each plan, `[K, A]`, and gives the next state and its
# features `[K, N, D]`. The energy of a plan is the L1 distance of its *last* features to those of the
# goal `[1, N, D]`: the mean absolute difference.
#
# **Three lines are wrong.** Copy the body into `choose` and mend it.
#
# <details>
# <summary>Help</summary>
#
# What does each step begin with? Which of `abs` and `mean` comes first? And which end of the list does
# `topk` take?
#
# </details>

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
check("12.4", choose, seed=124)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "12-5-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 5: the planner finds the hole
#
# *Run an experiment, and write. Difficulty 2 of 5, importance 4 of 5, 20 minutes, 3 + 3 points. It
# teaches that a planner looks for the plans that its model is wrong about.*
#
# An arm on a line moves by its action, but its motor saturates: more than 1 to either side gives 1.
# The model below was fitted to recordings with small actions. Inside that range it is nearly right;
# outside it knows nothing, and is wrong in a wavy way. A planner may use actions up to `limit` and
# plans `horizon` steps ahead. **Before you run anything, guess**: what happens to the distance that
# the plan promises, and to the one at which the arm ends, when the limit grows?
#
# <details>
# <summary>Help</summary>
#
# Two tables first, then one loop over the limits that stops at the first that fails. "At every
# horizon" asks about the largest gap of a row.
#
# </details>

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
    promised = torch.tensor([[p.mean() for p, _ in row] for row in rows])
    real = torch.tensor([[r.mean() for _, r in row] for row in rows])
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
check("12.5", experiment, seed=125)
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
# 1. Beyond a limit of 1 the promised distance falls to nearly nothing. The real one does not: with one
#    step it stays as it was, with four it grows. Why do they part? (1 point)
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

# %% [markdown] nbgrader={"grade": false, "grade_id": "12-6-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 6: stop when promise and deed part
#
# *Change the problem: write a function. Difficulty 4 of 5, importance 5 of 5, 25 minutes, 4 points. It
# teaches the middle way between a plan that is carried out blindly and a new plan for every action.*
#
# Planning is dear: chapter 12 asks the network thousands of times for one plan. A plan also *promises* a
# path of features. As long as the arm keeps to it there is no need for another. Write `drive`:
#
# 1. make a plan for the newest real features `z`: `plan(z)` gives `[H, A]` actions,
# 2. take its actions one after another with `act(action)`, which gives the new real `z`. Beside it,
#    `predict(promised, action)` promises the next features; a plan's first promise starts from the `z` that
#    it was made for, each later one from the promise before,
# 3. after each action compare: if the mean absolute difference of promise and deed is *larger* than
#    `tolerance`, give the rest of the plan up. Then, or when the plan has ended, make a new one,
# 4. stop after exactly `budget` actions. Return the last real `z` and the number of plans that were made.
#
# <details>
# <summary>Help</summary>
#
# Keep a list of the actions that are left. One loop over the budget: where the list is empty, plan, and let
# the promise start from `z`; take one action; compare; empty the list if they part.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "12-6-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def drive(plan, predict, act, z, budget, tolerance):
    """The last real features, and how many plans were made."""
    ### BEGIN SOLUTION
    left, promised, plans = [], z, 0
    for _ in range(budget):
        if not left:
            left, promised = list(plan(z)), z
            plans += 1
        action = left.pop(0)
        promised = predict(promised, action)
        z = act(action)
        if (promised - z).abs().mean() > tolerance:
            left = []
    return z, plans
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "12-6-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("12.6", drive)
### BEGIN HIDDEN TESTS
check("12.6", drive, seed=126)
### END HIDDEN TESTS
