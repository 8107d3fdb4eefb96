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
# # Exercises: UniSim
#
# Five exercises for chapter 7, about 110 minutes in all. You write the piece that lets one world take
# sentences, motions and keys, make labels out of a recording, repair a reward, measure what a policy
# that was trained inside is worth outside, and find out how hard one may search.
#
# How it works: write your code in place of `raise NotImplementedError()`, run the cell, then run
# the check below it. The check tells you which properties hold and gives a hint for the first that
# does not. It looks at properties of your function, so there is more than one right answer.
# Each exercise stands alone: if you are stuck, open its *Help*, or go on with the next one. A warm-up
# repeats a cell of the chapter; the last exercise changes the problem.
#
# | | Exercise | Kind | Difficulty | Importance | Minutes | Points |
# |---|---|---|---|---|---|---|
# | 1 | One vector, whatever was done | warm-up, write | 2 of 5 | 5 of 5 | 20 | 3 |
# | 2 | How long did it take? | write | 3 of 5 | 5 of 5 | 25 | 4 |
# | 3 | A policy that walks to and fro | find the bugs | 3 of 5 | 5 of 5 | 20 | 4 |
# | 4 | Inside and outside | measure and write | 2 of 5 | 5 of 5 | 20 | 6 |
# | 5 | How hard may one search? | change the problem | 4 of 5 | 4 of 5 | 25 | 4 |

# %% nbgrader={"grade": false, "grade_id": "07-install", "locked": true, "schema_version": 3, "solution": false, "task": false}
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

# %% nbgrader={"grade": false, "grade_id": "07-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import torch

from wmlearn.teach import check

torch.manual_seed(0)  # so that what you try gives the same numbers again

# %% [markdown] nbgrader={"grade": false, "grade_id": "07-1-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 1: one vector, whatever was done
#
# *Warm-up: write two functions. Difficulty 2 of 5, importance 5 of 5, 20 minutes, 3 points. It teaches
# how one network reads actions of all formats, and video of which nobody knows what was done.*
#
# An action is a sentence, a key or a motion of up to $A$ numbers, or several of them at once. Each row
# of a batch has the number of its sentence and of its key, -1 where it has none, and says which numbers
# of the motion are `valid`. In place of one that is not, any finite number may stand.
#
# `join` puts side by side: the sentence's row of the table `sentences`, the key's row of `keys`, the
# motion, and `valid` as numbers 0 or 1. What is absent, or not valid, is zero. Then `withhold` makes a
# passive video of some rows: no sentence, no key, no valid number, a motion of 0. The other rows stay
# as they are.
#
# <details>
# <summary>Help</summary>
#
# What does `table[-1]` give in Python? Look up first, then multiply by what says whether there was
# anything to look up. `masked_fill` is the quick way to write the second function.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "07-1-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def join(sentence, key, motion, valid, sentences, keys):
    """sentence, key int64 [B]; motion, valid [B, A]; tables [S, D], [K, D].

    Returns [B, 2 D + 2 A]: sentence, key, motion, valid.
    """
    ### BEGIN SOLUTION
    said = sentences[sentence] * (sentence >= 0)[:, None]
    pressed = keys[key] * (key >= 0)[:, None]
    return torch.cat([said, pressed, motion * valid, valid], dim=1)
    ### END SOLUTION


def withhold(sentence, key, motion, valid, rows):
    """The same four, with nothing known of what was done in `rows` (bool [B])."""
    ### BEGIN SOLUTION
    said, pressed = sentence.masked_fill(rows, -1), key.masked_fill(rows, -1)
    return said, pressed, motion.masked_fill(rows[:, None], 0.0), valid & ~rows[:, None]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "07-1-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("07.1", join, withhold)
### BEGIN HIDDEN TESTS
check("07.1", join, withhold, seed=71)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "07-2-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 2: how long did it take?
#
# *Write two functions. Difficulty 3 of 5, importance 5 of 5, 25 minutes, 4 points. It teaches how a
# recording without any rewards tells how many steps a task takes.*
#
# UniSim's reward is a network that reads off a picture how many steps are left to a goal. Its labels
# come from what was recorded, in hindsight.
#
# **Goals that are pictures.** Whatever came later in an episode was reached. For frame number `start`
# the goal is `ahead` frames later (1 or more), or the last frame of its episode, number `end`, if that
# comes first. Give the goal's number, the steps from start to goal, and whether the goal is `known`: a
# frame is no goal of itself.
#
# **Goals that are sentences.** In one episode of $T$ steps, a sentence is said before each step, the same
# one again and again until it is done or something else is said. How many steps does the sentence that
# is said before step $t$ take from there? Three things tell:
#
# - `still[t]`: step $t$ changed nothing. Then what was said is done already: 0.
# - `done`: the episode ended because its *last* step did what was said. If `done` is false, the time
#   ran out.
# - The same sentence was said again before the next step: then it takes one step more than from there.
#
# Where the recording does not show it, the label is -1.
#
# <details>
# <summary>Help</summary>
#
# Walk backward through the episode, and carry the number of the step after. What may it be for the last
# step? When must you forget it?
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "07-2-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def hindsight(start, ahead, end):
    """All int64 [B] -> goal, steps, known, each [B]."""
    ### BEGIN SOLUTION
    goal = torch.minimum(start + ahead, end)
    return goal, goal - start, goal > start
    ### END SOLUTION


def steps_left(said, still, done):
    """said int64 [T], still bool [T], done True or False -> steps [T], -1: unknown."""
    ### BEGIN SOLUTION
    steps = torch.full_like(said, -1)
    if done:
        steps[-1] = 1
    steps[still] = 0
    for t in reversed(range(len(said) - 1)):
        goes_on = said[t + 1] == said[t] and steps[t + 1] >= 0
        if goes_on and not still[t]:
            steps[t] = steps[t + 1] + 1
    return steps
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "07-2-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("07.2", hindsight, steps_left)
### BEGIN HIDDEN TESTS
check("07.2", hindsight, steps_left, seed=72)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "07-3-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 3: a policy that walks to and fro
#
# *Find the bugs. Difficulty 3 of 5, importance 5 of 5, 20 minutes, 4 points. It teaches how a
# number of steps to go becomes a reward that no loop can milk.*
#
# The head gives the steps to go at every frame of a dream, `left`. Somebody pays each step for how many
# of them it has saved. The policy that learns from this walks to and fro in front of the goal, and never
# arrives: it is paid for every step forth, and arriving is worth little more than being near. Repair it, so
# that
#
# - in a dream that does not end, the **discounted return** $\sum_{t=0}^{T-1} \gamma^t r_t$ is
#   $l_0 - \gamma^T l_T$, whatever way it took ($l_t$ is `left[:, t]`, and $r_t$ may look at $l_t$ and
#   $l_{t+1}$ only);
# - where step $t$ ended the task (`ended[:, t]`), nothing is left to do after it, whatever the head says
#   of that frame, and the steps behind it pay nothing, whatever the dream shows there.
#
# <details>
# <summary>Help</summary>
#
# Write the sum for $T = 2$. Which terms have to cancel, and what must stand before $l_1$ in $r_0$ so that
# they do? For the end: count, along the steps, how many ends there were *before* each step.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "07-3-broken", "locked": true, "schema_version": 3, "solution": false, "task": false}
def broken_rewards(left, ended, gamma):
    """Rewards [B, T] of dreams: left [B, T + 1], ended bool [B, T]."""
    saved = left[:, :-1] - left[:, 1:]
    return saved.clamp(min=0)

# %% nbgrader={"grade": false, "grade_id": "07-3-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rewards(left, ended, gamma):
    """The repaired rewards."""
    ### BEGIN SOLUTION
    after = left[:, 1:].masked_fill(ended, 0.0)
    none_before = ended.cumsum(dim=1) == ended
    return (left[:, :-1] - gamma * after) * none_before
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "07-3-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("07.3", rewards)
### BEGIN HIDDEN TESTS
check("07.3", rewards, seed=73)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "07-4-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 4: inside and outside
#
# *Measure and write. Difficulty 2 of 5, importance 5 of 5, 20 minutes, 3 + 3 points. It teaches
# what a return inside the simulator is worth, and how sure one may be of it.*
#
# One policy played $E$ episodes inside the simulator and, from the same starts, $E$ episodes outside, in
# the real environment. Episode $i$ of both begins alike. The **gap** of an episode is its return inside
# minus its return outside; a return is the sum of the episode's rewards.
#
# Give the mean gap, and a 95 % interval around it by the **bootstrap**: as if other episodes had been
# played, each row of `picks` names $E$ of the episodes, some twice and some not at all. Take the mean gap
# of each row; `low` and `high` are the 2.5 % and the 97.5 % quantile of these means.
#
# <details>
# <summary>Help</summary>
#
# `x[picks]` has the shape of `picks`. What is drawn again is a start, with all that happened from there on,
# inside and outside.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "07-4-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gap(inside, outside, picks):
    """Rewards inside, outside [E, T]; picks int64 [R, E] -> mean, low, high."""
    ### BEGIN SOLUTION
    gaps = (inside - outside).sum(dim=1)
    means = gaps[picks].mean(dim=1)
    return gaps.mean(), means.quantile(0.025), means.quantile(0.975)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "07-4-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("07.4", gap)
### BEGIN HIDDEN TESTS
check("07.4", gap, seed=74)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "07-4-question", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Now in your own words, at most 150 words, for a person to read. All numbers are invented.
#
# 1. Trained inside, a policy succeeds in 84 % of episodes *inside*, and the cloned policy, from which it
#    began, in 61 %. (The paper's own gains are measured inside, too.) What does this show, and what does
#    it not? (1 point)
# 2. Outside, the same two succeed in 47 % and 52 %. Name one thing that the policy may have learned
#    inside, and what you would watch to see whether it did. (1 point)
# 3. For another policy the interval of the gap is -9 to 13 points, from 20 episodes. A colleague writes:
#    "no gap". What would you write? (1 point)

# %% [markdown] nbgrader={"grade": true, "grade_id": "07-4-essay", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# 1. That training works: the policy got better at what the simulator shows and the reward head pays. Not
#    that it is better at the task: simulator and head may be wrong together, and the policy has chosen
#    what they are wrong about.
# 2. It may use results that the simulator invents (an object that comes nearer although the arm missed
#    it), or frames for which the head says "nearly there" and which are not. Watch its best dreams beside
#    real episodes from the same starts and with the same actions; or ask a second head that no policy saw.
# 3. "Anything from 9 points below to 13 above is possible: 20 episodes do not tell." Play more episodes.
#    That an interval holds 0 does not show that the gap is 0.
#
# Marking: one point each. 1 needs both what it shows and what it does not. 2 needs an error of simulator or
# reward, and something that can be watched. 3 needs that the interval leaves large gaps open.
# ### END SOLUTION

# %% [markdown] nbgrader={"grade": false, "grade_id": "07-5-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 5: how hard may one search?
#
# *Change the problem: write two functions. Difficulty 4 of 5, importance 4 of 5, 25 minutes, 4
# points. It teaches how a search exploits the errors of its reward, and how a second head catches it.*
#
# In the chapter a search tries a fixed number of candidates and takes the one after which the reward
# head sees the fewest steps to go. Here the number is what you choose.
#
# **Errors alone.** Suppose that all `count` candidates are equally good, and that the head's errors are
# independent and uniform between $-e$ and $+e$ (`error`). The search takes the least. By how much is its
# promise too good, in the mean? (The exact number, 0 or more.)
#
# **Promise and verdict.** For $B$ starts and $K$ candidates of each, `reward` and `judge` hold the steps to go
# by two heads that were trained on different episodes. A search with `count` candidates takes, at each
# start, the best of the *first* `count` by the reward. Its `promise` is the mean of the reward's steps to go for
# what was taken, its `verdict` the mean of the judge's for the same. Give both for every number in `counts`,
# in the order that these have there, whatever it is, and the number with the lowest verdict.
#
# <details>
# <summary>Help</summary>
#
# $n$ points thrown at random onto an interval cut it into $n + 1$ pieces, which are equally long in the
# mean. For the second function: `min(dim=1)` gives what is least and where, and `gather` fetches the
# judge's opinion from there.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "07-5-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def too_good(count, error):
    """By how many steps the promise of the best of `count` is too good, in the mean."""
    ### BEGIN SOLUTION
    return error * (count - 1) / (count + 1)
    ### END SOLUTION


def how_many(reward, judge, counts):
    """Steps to go [B, K] by two heads -> promise [N], verdict [N], best (of counts)."""
    ### BEGIN SOLUTION
    promise, verdict = [], []
    for count in counts:
        least, taken = reward[:, :count].min(dim=1)
        promise.append(least.mean())
        verdict.append(judge.gather(1, taken[:, None]).mean())
    return promise, verdict, counts[torch.stack(verdict).argmin()]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "07-5-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("07.5", too_good, how_many)
### BEGIN HIDDEN TESTS
check("07.5", too_good, how_many, seed=75)
### END HIDDEN TESTS
