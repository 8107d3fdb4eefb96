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
# Three exercises for chapter 5, about 50 minutes in all. You write the two pieces that make latents
# into dreams that last, and repair a world that fills with monsters.
#
# How it works: write your code in place of `raise NotImplementedError()`, run the cell, then run
# the check below it. The check tells you which properties hold and gives a hint for the first that
# does not. Each exercise stands alone.
#
# | | Exercise | Kind | Difficulty | Minutes | Points |
# |---|---|---|---|---|---|
# | 1 | v, and the way back from it | write | 2 of 5 | 15 | 3 |
# | 2 | Noise on the past | write | 2 of 5 | 15 | 3 |
# | 3 | Dreams that fill with monsters | find the bug | 4 of 5 | 20 | 4 |

# %% nbgrader={"grade": false, "grade_id": "05-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import torch

from wmlearn.teach import check

# %% [markdown] nbgrader={"grade": false, "grade_id": "05-1-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 1: v, and the way back from it
#
# *Write two functions. Difficulty 2 of 5, 15 minutes, 3 points. It teaches what the network is asked
# for, and why it can be asked at pure noise, too.*
#
# A noisy latent is $z = \alpha x + \sigma \epsilon$ with $\alpha^2 + \sigma^2 = 1$. The network
# predicts $v = \alpha \epsilon - \sigma x$. Write $v$, and the way back from $z$ and $v$ to $x$ and
# $\epsilon$. It must also work where $\alpha$ or $\sigma$ is 0.

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
_x, _eps = torch.randn(2, 50, generator=torch.Generator().manual_seed(51), dtype=torch.float64)
for _angle in (0.0, 0.3, 1.1, torch.pi / 2):
    _a, _s = torch.tensor([_angle]).double().cos(), torch.tensor([_angle]).double().sin()
    _v = v_target(_x, _eps, _a, _s)
    _back = turn_back(_a * _x + _s * _eps, _v, _a, _s)
    assert (_v - (_a * _eps - _s * _x)).abs().max() < 1e-6
    assert (_back[0] - _x).abs().max() < 1e-6 and (_back[1] - _eps).abs().max() < 1e-6
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "05-2-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 2: noise on the past
#
# *Write a function. Difficulty 2 of 5, 15 minutes, 3 points. It teaches the trick that lets dreams
# last.*
#
# Each sample's past latents `[B, n, c, h, w]` get noise of one strength, `most` times a uniform
# number in 0..1. The network is told the strength as one of `buckets` equal parts of that range,
# counted from 0. All randomness comes in: `uniform` `[B]` and `normal`, of the shape of the past.

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
_draw = torch.Generator().manual_seed(52)
_past, _normal = torch.randn(2, 40, 2, 3, 2, 2, generator=_draw)
_uniform = torch.rand(40, generator=_draw)
_noisy, _bucket = augment(_past, _uniform, _normal, 0.5, 4)
_expected = _past + 0.5 * _uniform[:, None, None, None, None] * _normal
assert (_noisy - _expected).abs().max() < 1e-5
assert (torch.as_tensor(_bucket) == (_uniform * 4).floor()).all()
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "05-3-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 3: dreams that fill with monsters
#
# *Find the bug. Difficulty 4 of 5, 20 minutes, 4 points. It teaches what a weight in a loss may look
# at, and what it may not.*
#
# Somebody wants monsters, which are small, to count more in the loss of the next frame. The loss
# below weighs errors where the next frame has a rare color. After some steps of their own, its
# dreams turn red all over: monsters everywhere, because everywhere one would have been *possible*.
# Why? Repair the weight, so that errors around monsters still count more. `rare(frames)` gives the
# weight of each pixel of frames.

# %% nbgrader={"grade": false, "grade_id": "05-3-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def loss(prediction, last, following, rare):
    """Mean of weight times squared error for each sample [B]; all frames are [B, C, H, W]."""
    ### BEGIN SOLUTION
    weight = rare(last)
    ### END SOLUTION
    return (weight * (prediction - following) ** 2).mean((1, 2, 3))

# %% nbgrader={"grade": true, "grade_id": "05-3-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("05.3", loss)
### BEGIN HIDDEN TESTS
_rare = lambda frames: 1.0 + 4.0 * (frames > 0.5)
_last = torch.tensor([[[[0.0, 1.0]]]]).expand(4, 1, 1, 2)
_next = torch.tensor([0.0, 0.0, 0.0, 1.0]).view(4, 1, 1, 1).expand(4, 1, 1, 2)
_guess = torch.full((4, 1, 1, 2), 0.25, requires_grad=True)
(_slope,) = torch.autograd.grad(loss(_guess, _last, _next, _rare).sum(), _guess)
assert _slope.sum(0).abs().max() < 1e-5, "one time in four should be predicted as a quarter"
_one = loss(torch.tensor([[[[0.5, 0.0]]]]), _last[:1], _next[:1], _rare)
_two = loss(torch.tensor([[[[0.0, 0.5]]]]), _last[:1], _next[:1], _rare)
assert abs(float(_two[0] / _one[0]) - 5) < 1e-4
### END HIDDEN TESTS
