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
# # Exercises: Sora
#
# Four exercises for chapter 6, about 70 minutes in all. You cut a video into spacetime patches, write the
# flow that draws one with some of its frames given, repair the guidance by words, and change the
# physics that the chapter's model was judged by.
#
# How it works: write your code in place of `raise NotImplementedError()`, run the cell, then run
# the check below it. The check tells you which properties hold and gives a hint for the first that
# does not. It looks at properties of your function, so there is more than one right answer.
# Each exercise stands alone: if you are stuck, open its *Help*, or go on with the next one. A warm-up
# repeats a cell of the chapter; the last exercise changes the problem.
#
# | | Exercise | Kind | Difficulty | Importance | Minutes | Points |
# |---|---|---|---|---|---|---|
# | 1 | A video as a row of spacetime patches | warm-up, write | 2 of 5 | 5 of 5 | 10 | 3 |
# | 2 | A flow, with a noise level for each frame | write | 3 of 5 | 5 of 5 | 25 | 5 |
# | 3 | Repair the guidance | find the bugs | 3 of 5 | 4 of 5 | 15 | 3 |
# | 4 | Balls that do not bounce as they came | change the problem | 3 of 5 | 3 of 5 | 20 | 4 |

# %% nbgrader={"grade": false, "grade_id": "06-install", "locked": true, "schema_version": 3, "solution": false, "task": false}
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

# %% nbgrader={"grade": false, "grade_id": "06-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import torch

from wmlearn.teach import check

# %% [markdown] nbgrader={"grade": false, "grade_id": "06-1-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 1: a video as a row of spacetime patches
#
# *Warm-up: write two functions. Difficulty 2 of 5, importance 5 of 5, 10 minutes, 3 points. It teaches what
# a token of Sora is: a block of a video, p pixels high and wide and t frames long.*
#
# Cut a video `[T, C, H, W]` into blocks of `t` frames and `p` × `p` pixels, and put them in a row:
# `[N, t C p p]`. Patches are counted by time first, then by row, then by column. Inside a patch the
# numbers run over frame, channel, row and column, the last one fastest. T, H and W are multiples.
#
# And back: `video(rows, shape, t, p)` gives the video of `shape` (T, C, H, W) that the rows came from.
#
# <details>
# <summary>Help</summary>
#
# Split every axis in two with one `reshape`: T/t and t, C, H/p and p, W/p and p. Then `permute` puts
# the three axes that count patches first and the four inside a patch last; a last `reshape` joins them.
# The way back takes the same steps from the last to the first.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "06-1-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def patches(video, t, p):
    """Spacetime patches [N, t C p p] of a video [T, C, H, W]."""
    ### BEGIN SOLUTION
    frames, channels, height, width = video.shape
    x = video.reshape(frames // t, t, channels, height // p, p, width // p, p)
    x = x.permute(0, 3, 5, 1, 2, 4, 6)
    return x.reshape(-1, t * channels * p * p)
    ### END SOLUTION


def video(rows, shape, t, p):
    """The video of this shape (T, C, H, W) whose patches stand in the rows."""
    ### BEGIN SOLUTION
    frames, channels, height, width = shape
    blocks = rows.reshape(frames // t, height // p, width // p, t, channels, p, p)
    blocks = blocks.permute(0, 3, 4, 1, 5, 2, 6)
    return blocks.reshape(shape)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "06-1-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("06.1", patches, video)
### BEGIN HIDDEN TESTS
check("06.1", patches, video, seed=61)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "06-2-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 2: a flow, with a noise level for each frame
#
# *Write three functions. Difficulty 3 of 5, importance 5 of 5, 25 minutes, 5 points. It teaches how one
# network draws a video from words, and another one from given frames: by the noise levels alone.*
#
# Videos are `[B, T, C, H, W]`, and every frame has a level of its own, `t` `[B, T]`: 0 is clean, 1 is
# noise.
#
# **The path** is a straight line, $z = (1 - t)\,x + t\,\epsilon$.
#
# **An Euler step** from `t` to a lower `t_next`, given the network's estimate `x_hat` of the clean
# video: the velocity of the line is $(z - \hat x)/t$, and the step follows it for the time
# `t_next - t`. Frames that are *given* have `t = 0` and `t_next = 0`; they stay as they are.
#
# **The levels** of all frames at all steps, `[steps + 1, frames]`: from 1 down to 0 in equal steps, then
# moved towards noise, $t \leftarrow s\,t / (1 + (s - 1)\,t)$ with `s = shift`; the first `given` frames
# have 0 throughout. Change no argument in place.
#
# <details>
# <summary>Help</summary>
#
# Insert the velocity, and the step becomes $\hat x + \frac{t_{next}}{t}\,(z - \hat x)$. Where t is 0 the
# fraction is 0 / 0: compute it with `t.clamp(min=1e-8)`, and replace it by 1 there with `torch.where`.
# A level `[B, T]` needs three more axes to meet a video: `t[..., None, None, None]`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "06-2-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def noisy(x, eps, t):
    """The noisy video on the line from x to eps; t is [B, T]."""
    ### BEGIN SOLUTION
    t = t[..., None, None, None]
    return (1 - t) * x + t * eps
    ### END SOLUTION


def euler(z, x_hat, t, t_next):
    """The video at t_next [B, T], from z at t [B, T] and the estimate x_hat."""
    ### BEGIN SOLUTION
    share = torch.where(t > 0, t_next / t.clamp(min=1e-8), 1.0)
    return x_hat + share[..., None, None, None] * (z - x_hat)
    ### END SOLUTION


def noise_levels(steps, frames, given, shift):
    """The level of every frame at every step, float [steps + 1, frames]."""
    ### BEGIN SOLUTION
    falling = torch.linspace(1, 0, steps + 1)
    falling = shift * falling / (1 + (shift - 1) * falling)
    levels = falling[:, None].repeat(1, frames)
    levels[:, :given] = 0.0
    return levels
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "06-2-test", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
check("06.2", noisy, euler, noise_levels)
### BEGIN HIDDEN TESTS
check("06.2", noisy, euler, noise_levels, seed=62)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "06-3-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 3: repair the guidance
#
# *Find the bugs. Difficulty 3 of 5, importance 4 of 5, 15 minutes, 3 points. It teaches how a sentence
# is made to count more than it would by itself, and what each scale means.*
#
# Classifier-free guidance asks the network twice, with the words and without them (all words 0), and
# goes `scale` times the way from the second estimate to the first. Scale 0 is the estimate without
# words, 1 the one with them, and above 1 the words count more than in the data. Both come from *one*
# call with every sample twice.
#
# **Three lines are wrong.** Copy the body into `guided` and repair it. Change no argument in place.
#
# <details>
# <summary>Help</summary>
#
# Follow one sample: where in the batch of twice as many does it stand with its words, where without,
# and which of the two is called what? Then put scale = 0 and scale = 1 into the last line.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "06-3-broken", "locked": true, "schema_version": 3, "solution": false, "task": false}
def broken_guided(network, z, t, words, scale):
    """network(z, t, words) -> x_hat; z [B, C, H, W], t [B], words int64 [B, L]."""
    twice = torch.cat([words, words])
    both = network(torch.cat([z, z]), torch.cat([t, t]), twice)
    with_words, without = both[::2], both[1::2]
    return with_words + scale * (with_words - without)

# %% nbgrader={"grade": false, "grade_id": "06-3-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def guided(network, z, t, words, scale):
    """The guided estimate [B, C, H, W]."""
    ### BEGIN SOLUTION
    twice = torch.cat([words, torch.zeros_like(words)])
    both = network(torch.cat([z, z]), torch.cat([t, t]), twice)
    with_words, without = both.chunk(2)
    return without + scale * (with_words - without)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "06-3-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("06.3", guided)
### BEGIN HIDDEN TESTS
check("06.3", guided, seed=63)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "06-4-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 4: balls that do not bounce as they came
#
# *Change the problem: write a function. Difficulty 3 of 5, importance 3 of 5, 20 minutes, 4 points. It
# teaches what a simulator knows that a video model would have to find out.*
#
# The chapter's bodies bounce without loss. Real ones do not: after a contact they part `e` times as
# fast as they met, with `e` from 0 (they stay together) to 1 (the chapter). Write the contact of N
# pairs at once: velocities `[N, 2]`, masses `[N]`, and `n` `[N, 2]`, the direction of length one from
# body 1 to body 2.
#
# - The total momentum $m_1 v_1 + m_2 v_2$ stays.
# - Along `n`, the difference $v_1 - v_2$ becomes $-e$ times what it was; across `n` nothing changes.
# - Pairs that already move apart along `n` are left alone.
#
# Change no argument in place.
#
# <details>
# <summary>Help</summary>
#
# Let $c = (v_1 - v_2)\,n$ be the speed at which they close in; only a positive one counts. The push is
# along n, $j\,n$ on body 2 and $-j\,n$ on body 1, and $j = (1 + e)\,c\,/\,(1/m_1 + 1/m_2)$.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "06-4-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def collide(v1, v2, m1, m2, n, e):
    """The velocities of bodies 1 and 2 after their contact, each [N, 2]."""
    ### BEGIN SOLUTION
    closing = ((v1 - v2) * n).sum(dim=1).clamp(min=0)
    push = ((1 + e) * closing / (1 / m1 + 1 / m2))[:, None] * n
    return v1 - push / m1[:, None], v2 + push / m2[:, None]
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "06-4-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("06.4", collide)
### BEGIN HIDDEN TESTS
check("06.4", collide, seed=64)
### END HIDDEN TESTS
