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
# Five exercises for chapter 11, about 95 minutes in all. You write the pieces that make feature
# prediction work on video, repair a loss that falls and teaches nothing, and find out what holds
# features up.
#
# How it works: write your code in place of `raise NotImplementedError()`, run the cell, then run
# the check below it. The check tells you which properties hold and gives a hint for the first that
# does not. It looks at properties of your function, so there is more than one right answer.
# Each exercise stands alone: if you are stuck, go on with the next one.
#
# | | Exercise | Kind | Difficulty | Minutes | Points |
# |---|---|---|---|---|---|
# | 1 | Rotary positions for time, height and width | write | 3 of 5 | 20 | 4 |
# | 2 | A mask over the full duration | write | 2 of 5 | 15 | 3 |
# | 3 | Two gauges of collapse | write | 3 of 5 | 20 | 4 |
# | 4 | Repair the loss | find the bugs | 4 of 5 | 20 | 4 |
# | 5 | What holds the features up? | experiment, judge and write | 2 of 5 | 20 | 5 |

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
# *Write two functions. Difficulty 3 of 5, 20 minutes, 4 points. It teaches how attention over a video
# knows how far apart two tokens are, on each of three axes.*
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

# %% nbgrader={"grade": false, "grade_id": "11-1-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rotary_angles(positions, d):
    """Angles [N, d] for positions [N, 3]: time, height and width of each token."""
    ### BEGIN SOLUTION
    third = 2 * (d // 6)
    pairs = torch.arange(third // 2, dtype=positions.dtype)
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
_at = torch.tensor([[2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 5.0]])
_angles = rotary_angles(_at, 14)
assert torch.allclose(_angles[0], torch.tensor([2, 2, 0.02, 0.02] + [0.0] * 10)), "time"
assert torch.allclose(_angles[1, 4:8], torch.tensor([3, 3, 0.03, 0.03])), "height"
assert torch.allclose(_angles[2, 8:12], torch.tensor([5, 5, 0.05, 0.05])), "width"
assert _angles[:, 12:].abs().max() == 0 and _angles[2, :8].abs().max() == 0
_draw = torch.Generator().manual_seed(111)
_q, _k = torch.randn(2, 1, 14, generator=_draw)
_x = torch.randn(4, 6, generator=_draw)
_alpha = torch.rand(4, 3, generator=_draw).repeat_interleave(2, 1)
_before, _y = _x.clone(), turn(_x, _alpha)
assert torch.equal(_before, _x), "in place"
_lengths = [z.view(4, 3, 2).norm(dim=-1) for z in (_x, _y)]
assert torch.allclose(*_lengths, atol=1e-5), "lengths"
_turned = _x[:, 0] * _alpha[:, 0].cos() - _x[:, 1] * _alpha[:, 0].sin()
assert torch.allclose(_y[:, 0], _turned, atol=1e-5), "direction"
_products = []
for _move in ([0.0, 0, 0], [4.0, 1, 2]):
    _a = rotary_angles(torch.tensor([[1.0, 2, 3]]) + torch.tensor([_move]), 14)
    _b = rotary_angles(torch.tensor([[0.0, 5, 1]]) + torch.tensor([_move]), 14)
    _products.append(float((turn(_q, _a) * turn(_k, _b)).sum()))
assert abs(_products[0] - _products[1]) < 1e-4, "distance alone"
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "11-2-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 2: a mask over the full duration
#
# *Write a function. Difficulty 2 of 5, 15 minutes, 3 points. It teaches why V-JEPA hides a place at
# all times, and how a mask can leak.*
#
# A clip is a grid of $T \times H \times W$ tubelets, and tubelet $(t, y, x)$ has the number
# $(t\,H + y)\,W + x$. You get some blocks, each as `(top, left, rows, columns)` in places of the
# frame. Hide what *any* block covers, at *all* times. Return the numbers of the visible tubelets
# and those of the hidden ones, each ascending.

# %% nbgrader={"grade": false, "grade_id": "11-2-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def tube_mask(grid, blocks):
    """visible int64 [M] and hidden int64 [K]; grid is (T, H, W)."""
    ### BEGIN SOLUTION
    times, height, width = grid
    covered = torch.zeros(height, width, dtype=torch.bool)
    for top, left, rows, columns in blocks:
        covered[top : top + rows, left : left + columns] = True
    everywhen = covered.flatten().repeat(times)
    return (~everywhen).nonzero()[:, 0], everywhen.nonzero()[:, 0]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "11-2-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("11.2", tube_mask)
### BEGIN HIDDEN TESTS
_visible, _hidden = tube_mask((2, 4, 6), [(1, 2, 2, 3), (0, 4, 2, 1)])
_want = [4, 8, 9, 10, 14, 15, 16]
assert list(map(int, _hidden)) == _want + [24 + i for i in _want]
assert list(map(int, _visible)) == sorted(set(range(48)) - set(map(int, _hidden)))
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "11-3-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 3: two gauges of collapse
#
# *Write two functions. Difficulty 3 of 5, 20 minutes, 4 points. It teaches to see a collapse that the
# loss hides.*
#
# `features` is `[n, D]`: n tokens with D channels.
#
# - **The spread**: the standard deviation *over tokens* of each channel, then the mean over channels.
# - **The effective rank**: let $\lambda_1, \dots, \lambda_D$ be the eigenvalues of the covariance of
#   the channels (subtract the mean over tokens first), and $p_i = \lambda_i / \sum_j \lambda_j$. Then
#   it is $\exp\big(-\sum_i p_i \ln p_i\big)$, where $0 \ln 0$ counts as 0.

# %% nbgrader={"grade": false, "grade_id": "11-3-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def feature_std(features):
    """The spread of features [n, D], a scalar."""
    ### BEGIN SOLUTION
    return features.std(dim=0).mean()
    ### END SOLUTION


def effective_rank(features):
    """How many directions features [n, D] fill, a scalar from 1 to D."""
    ### BEGIN SOLUTION
    centerd = features - features.mean(dim=0)
    values = torch.linalg.eigvalsh(centerd.T @ centerd).clamp(min=0)
    share = values / values.sum()
    return torch.exp(-(share * share.clamp(min=1e-20).log()).sum())
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "11-3-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("11.3", feature_std, effective_rank)
### BEGIN HIDDEN TESTS
_two = torch.tensor([[3.0, 0, 0], [-3.0, 0, 0], [0.0, 1, 0], [0.0, -1, 0]])
_p = torch.tensor([0.9, 0.1])
_rank = float(torch.exp(-(_p * _p.log()).sum()))
assert abs(float(effective_rank(_two.double())) - _rank) < 1e-3, "shares 9 to 1"
assert abs(float(effective_rank(_two.double() + 5)) - _rank) < 1e-3, "not centred"
_spread = ((18 / 3) ** 0.5 + (2 / 3) ** 0.5) / 3
assert abs(float(feature_std(_two)) - _spread) < 0.15 * _spread, "spread"
_same = torch.tensor([[1.0, 2.0, 9.0]]).expand(5, 3)
assert float(feature_std(_same)) < 1e-6, "collapse"
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "11-4-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 4: repair the loss
#
# *Find the bugs. Difficulty 4 of 5, 20 minutes, 4 points. It teaches to distrust a loss that falls:
# this one falls beautifully, and its features say nothing.*
#
# `encoder(patches, index)` and `target(patches, index)` give the features `[B, n, D]` of the tubelets
# `index` [B, n], and see nothing else. `predictor(features, visible, hidden)` guesses the features of
# the hidden ones. The loss is the mean L1 distance between the guess and the target network's
# layer-normed features of the hidden tubelets; the target network sees the whole clip and gets no
# gradient. `follow` moves the target a little towards the encoder, in place.
#
# **Three lines are wrong.** Copy the bodies and repair them. (`take` is right.)

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
class _Net(torch.nn.Module):
    """Features that depend on all tubelets that are seen."""

    def __init__(self, seed):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.weight = torch.nn.Parameter(torch.randn(3, 4, generator=draw))

    def forward(self, patches, index):
        x = take(patches, index)
        return torch.sin((x + x.mean(1, keepdim=True)) @ self.weight)


_encoder, _target = _Net(1), _Net(2)
_patches = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(114))
_visible, _hidden = torch.tensor([[0, 2], [5, 1]]), torch.tensor([[4, 1, 3], [0, 2, 3]])
_all = torch.arange(6).expand(2, -1)
_inputs = []


def _guess(features, visible, hidden):
    assert torch.equal(visible, _visible) and torch.equal(hidden, _hidden)
    _inputs.append(features)
    return features.mean(1, keepdim=True).expand(-1, 3, -1)


_value = loss(_encoder, _guess, _target, _patches, _visible, _hidden)
_value.backward()
assert torch.allclose(_inputs[0], _encoder(_patches, _visible), atol=1e-5), "leak"
assert _target.weight.grad is None and _encoder.weight.grad.abs().sum() > 0, "gradients"
_goal = F.layer_norm(_target(_patches, _all), (4,))
_said = _guess(_encoder(_patches, _visible), _visible, _hidden)
_want = _said - take(_goal, _hidden)
assert (_value - _want.abs().mean()).abs() < 1e-5, "value"
_old, _new = _target.weight.detach().clone(), _encoder.weight.detach().clone()
follow(_target, _encoder, 0.8)
assert torch.allclose(_target.weight, 0.8 * _old + 0.2 * _new, atol=1e-5), "average"
assert torch.equal(_encoder.weight, _new), "the encoder stays"
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "11-5-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 5: what holds the features up?
#
# *Run an experiment and judge. Difficulty 2 of 5, 20 minutes, 2 + 3 points. It teaches which part of
# V-JEPA prevents collapse, and what no loss can tell.*
#
# The network of one number from chapter 11, section 2.3: encoder $w$, predictor $p$, average
# $\bar w$; what is seen and what is hidden have the correlation `rho`. `toy` trains it and returns the
# size of the feature, $|w|$. **Before you run anything, guess**: which of the four set-ups below
# collapse? And what if `rho = 1`, so that all can be foreseen?

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
_sizes, _collapsed = experiment(toy, [0.5, 1.0])
assert _collapsed[:, 0].tolist() == [False, False, True, True], "at rho 0.5"
assert _collapsed[2].tolist() == [True, False], "nothing to lose at rho 1"
_asked = []


def _count(predictor, stop_gradient, momentum, rho):
    _asked.append((predictor, stop_gradient, momentum, rho))
    return 0.04 * len(_asked)


_sizes, _collapsed = experiment(_count, [0.6])
assert [a[:3] for a in _asked] == [(True, True, 0.99), (True, True, 0.0),
                                   (False, True, 0.99), (True, False, 0.99)]
assert _collapsed.tolist() == [[True], [False], [False], [False]]
assert (_sizes[:, 0] - torch.tensor([0.04, 0.08, 0.12, 0.16])).abs().max() < 1e-6
### END HIDDEN TESTS

# %% [markdown]
# Look at your tables. Was your guess right?

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
