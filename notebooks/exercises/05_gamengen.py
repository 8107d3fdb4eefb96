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
# # Exercises: GameNGen
#
# Five exercises for chapter 5, about 80 minutes in all. You write the two pieces that make latents
# into dreams that last, repair a world that fills with monsters, and plan a human study.
#
# How it works: write your code in place of `raise NotImplementedError()`, run the cell, then run
# the check below it. The check tells you which properties hold and gives a hint for the first that
# does not. It looks at properties of your function, so there is more than one right answer.
# Each exercise stands alone: if you are stuck, open its *Help*, or go on with the next one. A warm-up
# repeats a cell of the chapter; the last exercise changes the problem.
#
# | | Exercise | Kind | Difficulty | Importance | Minutes | Points |
# |---|---|---|---|---|---|---|
# | 1 | v, and the way back from it | warm-up, write | 2 of 5 | 4 of 5 | 15 | 3 |
# | 2 | Noise on the past | warm-up, write | 2 of 5 | 5 of 5 | 15 | 3 |
# | 3 | Dreams that fill with monsters | find the bug | 4 of 5 | 4 of 5 | 20 | 4 |
# | 4 | Whom to believe? | judge and write | 2 of 5 | 5 of 5 | 10 | 4 |
# | 5 | How many pairs does it take? | change the problem | 3 of 5 | 4 of 5 | 20 | 4 |

# %% nbgrader={"grade": false, "grade_id": "05-install", "locked": true, "schema_version": 3, "solution": false, "task": false}
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

# %% nbgrader={"grade": false, "grade_id": "05-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import torch

from wmlearn.teach import check

torch.manual_seed(0)  # so that what you try gives the same numbers again

# %% [markdown] nbgrader={"grade": false, "grade_id": "05-1-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 1: v, and the way back from it
#
# *Warm-up: write two functions. Difficulty 2 of 5, importance 4 of 5, 15 minutes, 3 points. It teaches
# what the network is asked for, and why it can be asked at pure noise, too.*
#
# A noisy latent is $z = \alpha x + \sigma \epsilon$ with $\alpha^2 + \sigma^2 = 1$. The network
# predicts $v = \alpha \epsilon - \sigma x$. Write $v$, and the way back from $z$ and $v$ to $x$ and
# $\epsilon$. It must also work where $\alpha$ or $\sigma$ is 0.
#
# <details>
# <summary>Help</summary>
#
# Write $\alpha z$ and $\sigma v$ in $x$ and $\epsilon$, and subtract: what is left of $x$, what of $\epsilon$?
# Nothing has to be divided.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "05-1-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def v_target(x, eps, alpha, sigma):
    """What the network is asked for; all arguments broadcast."""
    ### BEGIN SOLUTION
    return alpha * eps - sigma * x
    ### END SOLUTION


def turn_back(z, v, alpha, sigma):
    """The clean sample, and the noise."""
    ### BEGIN SOLUTION
    return alpha * z - sigma * v, sigma * z + alpha * v
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "05-1-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("05.1", v_target, turn_back)
### BEGIN HIDDEN TESTS
check("05.1", v_target, turn_back, seed=51)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "05-2-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 2: noise on the past
#
# *Warm-up: write a function. Difficulty 2 of 5, importance 5 of 5, 15 minutes, 3 points. It teaches the
# trick that lets dreams last.*
#
# Each sample's past latents `[B, n, c, h, w]` get noise of one strength, `most` times a uniform
# number in 0..1. The network is told the strength as one of `buckets` equal parts of that range,
# counted from 0. All randomness comes in: `uniform` `[B]` and `normal`, of the shape of the past.
#
# <details>
# <summary>Help</summary>
#
# One strength a sample: give `uniform` four more axes of length 1. A bucket is a whole number; which
# function rounds down? And in which bucket is a uniform number of exactly 1?
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "05-2-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def augment(past, uniform, normal, most=0.7, buckets=10):
    """The noisy past, and the bucket int64 [B] of its strength."""
    ### BEGIN SOLUTION
    strength = (most * uniform).view(-1, 1, 1, 1, 1)
    bucket = (uniform * buckets).long().clamp(max=buckets - 1)
    return past + strength * normal, bucket
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "05-2-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("05.2", augment)
### BEGIN HIDDEN TESTS
check("05.2", augment, seed=52)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "05-3-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 3: dreams that fill with monsters
#
# *Find the bug. Difficulty 4 of 5, importance 4 of 5, 20 minutes, 4 points. It teaches what a weight in
# a loss may look at, and what it may not.*
#
# Somebody wants monsters, which are small, to count more in the loss of the next frame. The loss
# below weighs errors where the next frame has a rare color. After some steps of their own, its
# dreams turn red all over: monsters everywhere, because everywhere one would have been *possible*.
# Why? Repair the weight, so that errors around monsters still count more. `rare(frames)` gives the
# weight of each pixel of frames.
#
# <details>
# <summary>Help</summary>
#
# After the same past a monster appears one time in ten. The best prediction under a squared error is
# the mean, a tenth of a monster. What is the best prediction if the one time counts ten times as much?
# What may a weight look at so that this cannot happen?
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "05-3-broken", "locked": true, "schema_version": 3, "solution": false, "task": false}
def broken_loss(prediction, last, following, rare):
    """Weighted squared error of each sample [B]; all frames are [B, C, H, W]."""
    weight = rare(following)
    return (weight * (prediction - following) ** 2).mean((1, 2, 3))

# %% nbgrader={"grade": false, "grade_id": "05-3-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def loss(prediction, last, following, rare):
    """The repaired loss."""
    ### BEGIN SOLUTION
    weight = rare(last)
    return (weight * (prediction - following) ** 2).mean((1, 2, 3))
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "05-3-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("05.3", loss)
### BEGIN HIDDEN TESTS
check("05.3", loss, seed=53)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "05-4-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 4: whom to believe?
#
# *Judge and write. Difficulty 2 of 5, importance 5 of 5, 10 minutes, 1 + 3 points. It teaches that "they
# could hardly tell" is an answer to another question than "can I use it?".*
#
# Three worlds of the same game, with invented numbers. You have five policies and want to know, without
# the engine, which plays best.
#
# | World | PSNR, next frame | raters right, 1.6 s | rank correlation of returns, dream and engine |
# |---|---|---|---|
# | A | 34.4 dB | 54 % | -0.9 |
# | B | 31.0 dB | 75 % | 0.9 |
# | C, copies the last frame | 34.2 dB | 100 % | none: all earn the same |
#
# Fill in the dictionary. `"test_in"` is `"A"`, `"B"` or `"C"`; `"because"` the measure that decides;
# `"fooled"` the measure that speaks loudest for the wrong world. Both are one of `"psnr"`, `"raters"`,
# `"closed loop"`.
#
# <details>
# <summary>Help</summary>
#
# Rank the five policies by what each world pays them. In which world does the best come out on top? And
# which measure is nearest to "nobody can tell" in a world that you may not use?
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "05-4-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose():
    """The choice and two reasons, as a dictionary."""
    ### BEGIN SOLUTION
    return {"test_in": "B", "because": "closed loop", "fooled": "raters"}
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "05-4-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check("05.4", choose)
### BEGIN HIDDEN TESTS
check("05.4", choose, seed=54)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "05-4-question", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Now in your own words, at most 150 words, for a person to read:
#
# 1. Raters were right in 58 % of pairs. Say what this does and does not show about the world. (1 point)
# 2. How can a world with good pictures pay better players less? Name one thing that it could have
#    learned wrongly. (1 point)
# 3. You may show raters longer clips, or let them play. What would you expect of each, and why? (1 point)

# %% [markdown] nbgrader={"grade": true, "grade_id": "05-4-essay", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# 1. In short clips that somebody else played, people told real from dreamed only a little better than by
#    chance: the frames look right and move plausibly for a second or three. It does not show that the
#    world does what the keys say, keeps count, or pays what the engine pays.
# 2. Reward comes from rare, small events: a shot that hits. If monsters fade, or never fall, the hits of
#    good players are not paid, while their shots still cost bullets; or ends are missed, so that those
#    who would die live on.
# 3. Longer clips show drift and missing memory (a turn all the way round, a count of bullets): more
#    pairs are told apart. Playing tells more, since the rater chooses the actions that the data lack.
#
# Marking: one point each. 1 needs both what it shows and what it does not. 2 needs a rare event that the
# reward depends on. 3 needs a reason for each.
# ### END SOLUTION

# %% [markdown] nbgrader={"grade": false, "grade_id": "05-5-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 5: how many pairs does it take?
#
# *Change the problem: write two functions. Difficulty 3 of 5, importance 4 of 5, 20 minutes, 4
# points. It teaches to plan a human study before anybody is asked.*
#
# Raters of GameNGen's clips named the real one in 58 % of pairs. In how many pairs would you believe
# that this is not a coin? **Wilson's interval** of a share $p$ of $n$ pairs holds all true shares for
# which $p$ would be no surprise (none of more than $z$ standard deviations):
#
# $$\frac{p + \frac{z^2}{2n}}{1 + \frac{z^2}{n}} \ \pm\
# \frac{z}{1 + \frac{z^2}{n}} \sqrt{\frac{p\,(1 - p)}{n} + \frac{z^2}{4 n^2}}$$
#
# Write it, and then the smallest $n$ for which the lower end of the interval around a `share` above one
# half (take `share * n` right answers, a whole number or not) lies above one half.
#
# <details>
# <summary>Help</summary>
#
# The second function may simply try 1, 2, 3 ... pairs. Who wants a formula: under a fair coin the share
# of $n$ pairs has the standard deviation $1 / (2 \sqrt n)$, and Wilson's lower end reaches one half
# exactly where the share is $z$ of them away.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "05-5-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def interval(right, pairs, z=1.96):
    """Both ends of Wilson's interval of the share right / pairs."""
    ### BEGIN SOLUTION
    p, more = right / pairs, z**2 / pairs
    middle = (p + more / 2) / (1 + more)
    half = z * (p * (1 - p) / pairs + more / (4 * pairs)) ** 0.5 / (1 + more)
    return middle - half, middle + half
    ### END SOLUTION


def pairs_needed(share, z=1.96):
    """The smallest number of pairs that tells a share above 1/2 from a coin."""
    ### BEGIN SOLUTION
    return int((z / (2 * share - 1)) ** 2) + 1
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "05-5-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("05.5", interval, pairs_needed)
### BEGIN HIDDEN TESTS
check("05.5", interval, pairs_needed, seed=55)
### END HIDDEN TESTS
