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
# # Exercises: V-JEPA
#
# Six exercises for chapter 11, about two hours in all. You write the pieces that make feature
# prediction work on video, repair a loss that falls and teaches nothing, and find out what holds
# features up.
#
# How it works: write your code in place of `raise NotImplementedError()`, run the cell, then run
# the check below it. The check tells you which properties hold and gives a hint for the first that
# does not. It looks at properties of your function, so there is more than one right answer.
# Each exercise stands alone: if you are stuck, open its *Help*, or go on with the next one. A warm-up
# repeats a cell of the chapter; the last exercise changes the problem.
#
# | | Exercise | Kind | Difficulty | Importance | Minutes | Points |
# |---|---|---|---|---|---|---|
# | 1 | Rotary positions for time, height and width | warm-up, write | 3 of 5 | 3 of 5 | 20 | 4 |
# | 2 | A mask over the full duration | warm-up, write | 2 of 5 | 4 of 5 | 15 | 3 |
# | 3 | Two gauges of collapse | write | 3 of 5 | 5 of 5 | 20 | 4 |
# | 4 | Repair the loss | find the bugs | 4 of 5 | 5 of 5 | 20 | 4 |
# | 5 | What holds the features up? | experiment, judge and write | 2 of 5 | 4 of 5 | 20 | 5 |
# | 6 | A mask in time, and what copying is worth | change the problem | 3 of 5 | 4 of 5 | 20 | 3 |

# %% nbgrader={"grade": false, "grade_id": "11-install", "locked": true, "schema_version": 3, "solution": false, "task": false}
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

# %% nbgrader={"grade": false, "grade_id": "11-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import torch
import torch.nn.functional as F

from wmlearn.teach import check

# %% [markdown] nbgrader={"grade": false, "grade_id": "11-1-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 1: rotary positions for time, height and width
#
# *Warm-up: write two functions. Difficulty 3 of 5, importance 3 of 5, 20 minutes, 4 points. It teaches
# how attention over a video knows how far apart two tokens are, on each of three axes.*
#
# A query or key has `d` channels. **Angles**: each axis owns a third of them, `third = 2 * (d // 6)`
# channels (an even number): time the first third, height the second, width the last. What is left over
# is not turned (angle 0). Within a third, channels 0 and 1 are a pair, 2 and 3 are the next, and
# so on: `m = third // 2` pairs. Pair $j$ turns by
#
# $$\text{position} \cdot 10000^{-j / m},$$
#
# the same angle for both channels of the pair. (The published code of V-JEPA 2 gives the two
# channels of a pair different angles; chapter 11 says why we cannot call that an error any more.
# Write the textbook's version here.)
#
# **Turning**: a pair $(a, b)$ turned by $\alpha$ is
# $(a \cos\alpha - b \sin\alpha,\; b \cos\alpha + a \sin\alpha)$.
#
# <details>
# <summary>Help</summary>
#
# Compute the speeds of one axis once, `[third]`, each twice, `repeat_interleave(2)`; broadcast with the
# positions to `[N, 3, third]` and flatten. For the turn, `x[:, ::2]` holds all $a$ and `x[:, 1::2]` all $b$.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "11-1-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rotary_angles(positions, d):
    """Angles [N, d] for positions [N, 3]: time, height and width of each token."""
    ### BEGIN SOLUTION
    third = 2 * (d // 6)
    pairs = torch.arange(third // 2)
    speeds = (10_000 ** (-pairs / (third // 2))).repeat_interleave(2)
    turns = (positions[:, :, None] * speeds).flatten(1)
    return F.pad(turns, (0, d - 3 * third))
    ### END SOLUTION


def turn(x, angles):
    """Turns the pairs of neighbouring channels of x [N, d] by angles [N, d]."""
    ### BEGIN SOLUTION
    swapped = torch.stack([-x[:, 1::2], x[:, ::2]], -1).flatten(1)
    return x * angles.cos() + swapped * angles.sin()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "11-1-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("11.1", rotary_angles, turn)
### BEGIN HIDDEN TESTS
check("11.1", rotary_angles, turn, seed=111)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "11-2-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 2: a mask over the full duration
#
# *Warm-up: write a function. Difficulty 2 of 5, importance 4 of 5, 15 minutes, 3 points. It teaches why
# V-JEPA hides a place at all times, and how a mask can leak.*
#
# A clip is a grid of $T \times H \times W$ tubelets, and tubelet $(t, y, x)$ has the number
# $(t\,H + y)\,W + x$. You get some blocks, each as `(top, left, rows, columns)` in places of the
# frame. Hide what *any* block covers, at *all* times. Return the numbers of the visible tubelets
# and those of the hidden ones, each ascending.
#
# <details>
# <summary>Help</summary>
#
# Mark the places in a bool picture `[H, W]`, block by block, so that an overlap counts once. The same
# picture at all times is `repeat(times)` of the flattened one.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "11-2-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def tube_mask(grid, blocks):
    """visible int64 [M] and hidden int64 [K]; grid is (T, H, W)."""
    ### BEGIN SOLUTION
    times, height, width = grid
    covered = torch.zeros(height, width, dtype=torch.bool)
    for top, left, rows, columns in blocks:
        covered[top : top + rows, left : left + columns] = True
    everywhen = covered.flatten().repeat(times)
    return (~everywhen).nonzero().flatten(), everywhen.nonzero().flatten()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "11-2-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("11.2", tube_mask)
### BEGIN HIDDEN TESTS
check("11.2", tube_mask, seed=112)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "11-3-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 3: two gauges of collapse
#
# *Write two functions. Difficulty 3 of 5, importance 5 of 5, 20 minutes, 4 points. It teaches to see a
# collapse that the loss hides.*
#
# `features` is `[n, D]`: n tokens with D channels.
#
# - **The spread**: the standard deviation *over tokens* of each channel, then the mean over channels.
# - **The effective rank**: let $\lambda_1, \dots, \lambda_D$ be the eigenvalues of the covariance of
#   the channels (subtract the mean over tokens first), and $p_i = \lambda_i / \sum_j \lambda_j$. Then
#   it is $\exp\big(-\sum_i p_i \ln p_i\big)$, where $0 \ln 0$ counts as 0.
#
# <details>
# <summary>Help</summary>
#
# The singular values of the centered features, squared, are in proportion to the eigenvalues; their
# shares are the same. `torch.special.entr(p)` is $-p \ln p$, and 0 for $p = 0$.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "11-3-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def feature_std(features):
    """The spread of features [n, D], a scalar."""
    ### BEGIN SOLUTION
    return features.std(dim=0).mean()
    ### END SOLUTION


def effective_rank(features):
    """How many directions features [n, D] fill, a scalar from 1 to D."""
    ### BEGIN SOLUTION
    centered = features - features.mean(dim=0)
    values = torch.linalg.svdvals(centered).square()  # in proportion to the eigenvalues
    share = values / values.sum()
    return torch.special.entr(share).sum().exp()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "11-3-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("11.3", feature_std, effective_rank)
### BEGIN HIDDEN TESTS
check("11.3", feature_std, effective_rank, seed=113)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "11-4-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 4: repair the loss
#
# *Find the bugs. Difficulty 4 of 5, importance 5 of 5, 20 minutes, 4 points. It teaches to distrust a
# loss that falls: this one falls beautifully, and its features say nothing.*
#
# `encoder(patches, index)` and `target(patches, index)` give the features `[B, n, D]` of the tubelets
# `index` [B, n], and see nothing else. `predictor(features, visible, hidden)` guesses the features of
# the hidden ones. The loss is the mean L1 distance between the guess and the target network's
# layer-normed features of the hidden tubelets; the target network sees the whole clip and gets no
# gradient. `follow` moves the target a little towards the encoder, in place.
#
# **Three lines are wrong.** Copy the bodies and repair them. (`take` is right.)
#
# <details>
# <summary>Help</summary>
#
# Follow what the encoder has *seen* when its features reach the predictor. Follow the gradient of the
# goal. Then put momentum 1 into `follow`: what should happen, and what does?
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "11-4-broken", "locked": true, "schema_version": 3, "solution": false, "task": false}
def take(x, index):
    """The tokens index [B, n] of x [B, N, D]."""
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))


def broken_loss(encoder, predictor, target, patches, visible, hidden):
    everything = torch.arange(patches.shape[1]).expand(len(patches), -1)
    features = take(encoder(patches, everything), visible)
    guess = predictor(features, visible, hidden)
    goal = target(patches, everything)
    goal = F.layer_norm(goal, goal.shape[-1:])
    return F.l1_loss(guess, take(goal, hidden))


@torch.no_grad()
def broken_follow(target, encoder, momentum):
    for old, new in zip(target.parameters(), encoder.parameters()):
        old.lerp_(new, momentum)

# %% nbgrader={"grade": false, "grade_id": "11-4-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def loss(encoder, predictor, target, patches, visible, hidden):
    """The repaired loss, a scalar."""
    ### BEGIN SOLUTION
    everything = torch.arange(patches.shape[1]).expand(len(patches), -1)
    guess = predictor(encoder(patches, visible), visible, hidden)
    with torch.no_grad():
        goal = target(patches, everything)
        goal = F.layer_norm(goal, goal.shape[-1:])
    return F.l1_loss(guess, take(goal, hidden))
    ### END SOLUTION


@torch.no_grad()
def follow(target, encoder, momentum):
    """target <- momentum * target + (1 - momentum) * encoder, in place."""
    ### BEGIN SOLUTION
    for old, new in zip(target.parameters(), encoder.parameters()):
        old.lerp_(new, 1 - momentum)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "11-4-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("11.4", loss, follow)
### BEGIN HIDDEN TESTS
check("11.4", loss, follow, seed=114)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "11-5-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 5: what holds the features up?
#
# *Run an experiment and judge. Difficulty 2 of 5, importance 4 of 5, 20 minutes, 2 + 3 points. It
# teaches which part of V-JEPA prevents collapse, and what no loss can tell.*
#
# The network of one number from chapter 11, section 2.3: encoder $w$, predictor $p$, average
# $\bar w$; what is seen and what is hidden have the correlation `rho`. `toy` trains it and returns the
# size of the feature, $|w|$. **Before you run anything, guess**: which of the four set-ups below
# collapse? And what if `rho = 1`, so that all can be foreseen?
#
# <details>
# <summary>Help</summary>
#
# A list of four tuples for `toy`, a row for each; `torch.tensor` of a list of lists. The second table
# is a comparison of the first.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "11-5-toy", "locked": true, "schema_version": 3, "solution": false, "task": false}
def toy(predictor, stop_gradient, momentum, rho):
    """Size of the feature after training; 0 is a collapse."""
    w, p, average = 1.0, 0.5 if predictor else 1.0, 1.0
    for _ in range(4000):
        error = p * w - rho * average
        slope_w, slope_p = 2 * p * error, 2 * w * error
        if not stop_gradient:
            slope_w += 2 * average - 2 * rho * p * w
        w, p = w - 0.01 * slope_w, p - 0.05 * slope_p * predictor
        average = momentum * average + (1 - momentum) * w if stop_gradient else w
    return abs(w)

# %% [markdown] nbgrader={"grade": false, "grade_id": "11-5-task", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Write `experiment`. Its rows are four set-ups, in this order: *all in place* (with `momentum` 0.99),
# *no average* (`momentum` 0), *no predictor*, *no stop-gradient* (the last two with `momentum` 0.99);
# one thing is taken away at a time. Its columns are the correlations `rhos`. Return two tables: the
# sizes that `toy` gives, and whether each is under 0.05, that is collapsed.

# %% nbgrader={"grade": false, "grade_id": "11-5-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def experiment(toy, rhos):
    """sizes float [4, len(rhos)] and collapsed bool [4, len(rhos)]."""
    ### BEGIN SOLUTION
    setups = [(True, True, 0.99), (True, True, 0.0)]
    setups += [(False, True, 0.99), (True, False, 0.99)]
    sizes = torch.tensor([[toy(*setup, rho) for rho in rhos] for setup in setups])
    return sizes, sizes < 0.05
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "11-5-test", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
check("11.5", experiment)
### BEGIN HIDDEN TESTS
check("11.5", experiment, seed=115)
### END HIDDEN TESTS

# %% [markdown]
# Look at your tables. Was your guess right? And why does nothing collapse at `rho = 1`, whatever is
# taken away?
#
# <details>
# <summary>Answer</summary>
#
# With `rho = 1` what is hidden equals what is seen. With $p = 1$ the error $p\,w - \bar w$ is then 0 at
# *every* size $w = \bar w$: nothing is gained by a smaller feature, so nothing pulls it down. With
# `rho` under 1 a part of the target cannot be foreseen, and that part of the error shrinks with the feature.
# Without the predictor, or with a gradient through the target, training takes this way out.
#
# </details>

# %%
def show(rhos=(0.3, 0.8, 1.0)):
    """Prints the sizes as text; a star marks a collapse."""
    sizes, collapsed = experiment(toy, rhos)
    print(" " * 18, *(f"rho = {rho:<6}" for rho in rhos))
    names = ("all in place", "no average", "no predictor", "no stop-gradient")
    for name, row, fallen in zip(names, sizes, collapsed, strict=True):
        print(f"{name:18}", *(f"{float(x):8.3f}{'*' if y else ' '}   "
                              for x, y in zip(row, fallen, strict=True)))


show()

# %% [markdown] nbgrader={"grade": false, "grade_id": "11-5-question", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Now in your own words, at most 150 words, for a person to read. Four encoders were trained on the
# same clips (invented numbers; pairs are a task and its reversal, guessing gives 50 %):
#
# | Encoder | loss | effective rank, of 128 | probe on pairs, whole clip | probe on pairs, one frame |
# |---|---|---|---|---|
# | A | 0.05 | 1.4 | 52 % | 52 % |
# | B | 0.41 | 38 | 78 % | 58 % |
# | C | 0.36 | 35 | 80 % | 79 % |
# | never trained | 0.82 | 90 | 60 % | 57 % |
#
# 1. Which encoder has collapsed, and how do you see it although its loss is the best? (1 point)
# 2. C has the best probe. Why would you still not say that it knows motion, and what would you
#    look for in its clips? (1 point)
# 3. The one that was never trained has the highest rank. What does that say about the rank as a
#    measure, and which comparison shows that B has learned something? (1 point)

# %% [markdown] nbgrader={"grade": true, "grade_id": "11-5-essay", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# 1. A: its features fill 1.4 directions and the probe is at chance. When all features are equal they
#    are easy to predict, so the loss is low *because* they say nothing.
# 2. A single frame gives nearly the same 79 %: the scene leaks the label (an end state, a goal mark, a
#    camera that differs), and motion adds one point. Look for what differs between the two tasks in a
#    still picture, and cut the clips from the middle.
# 3. A high rank is necessary, not sufficient: random features differ in many directions and mean
#    little. B beats the untrained network by 18 points and its own single frame by 20.
#
# Marking: one point each. 1 needs the rank (or the probe) *and* why the loss is low. 2 needs the
# one-frame probe *and* a place to look. 3 needs "rank is no proof" *and* a comparison with the
# untrained network or the single frame; one of the two is half a point.
# ### END SOLUTION

# %% [markdown] nbgrader={"grade": false, "grade_id": "11-6-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 6: a mask in time, and what copying is worth
#
# *Change the problem: write two functions. Difficulty 3 of 5, importance 4 of 5, 20 minutes, 3 points. It
# teaches how a mask leaks the future, and which baseline a world model has to beat.*
#
# V-JEPA hides *places* at all times. A world model has to guess what comes *later*: now hide times. A clip
# is the grid $T \times H \times W$ of tubelets, each `length` frames long, numbered as in exercise 2. The
# first `seen` *frames* were seen. A tubelet is visible if all its frames were seen, hidden if none was. One
# that is half seen is neither: to show it would leak the future, to ask for it would be too easy.
#
# **`time_mask`** gives the numbers of the visible and the hidden tubelets, each ascending. With fewer frames
# seen than `length` nothing is visible; with all frames seen nothing is hidden: that list is empty.
#
# **`copy_last`** is the baseline: each hidden tubelet gets the feature of the *same place* at the last time
# that was wholly seen. A predictor that is no better than this has learned nothing about motion.
# It is asked only where at least one time was wholly seen and at least one is hidden.
#
# <details>
# <summary>Help</summary>
#
# `seen // length` times were wholly seen, and `-(-seen // length)` at least in part. For the copy a view
# `[B, T, H * W, D]` of the features helps: pick one time, and repeat it.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "11-6-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def time_mask(grid, seen, length):
    """visible int64 [M], hidden int64 [K]; grid is (T, H, W), `seen` counts frames."""
    ### BEGIN SOLUTION
    times, height, width = grid
    tubelets = torch.arange(times * height * width)
    begins = tubelets // (height * width) * length  # the first frame of each tubelet
    return tubelets[begins + length <= seen], tubelets[begins >= seen]
    ### END SOLUTION


def copy_last(features, grid, seen, length):
    """The guess [B, K, D] of the hidden tubelets; features are [B, T * H * W, D]."""
    ### BEGIN SOLUTION
    places = grid[1] * grid[2]
    _, hidden = time_mask(grid, seen, length)
    last = seen // length - 1
    return features[:, last * places + hidden % places]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "11-6-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("11.6", time_mask, copy_last)
### BEGIN HIDDEN TESTS
check("11.6", time_mask, copy_last, seed=116)
### END HIDDEN TESTS
