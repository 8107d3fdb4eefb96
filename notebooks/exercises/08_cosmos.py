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
# # Exercises: Cosmos
#
# Five exercises for chapter 8, about 95 minutes in all. You write both ends of a tokenizer, repair one
# that looks into the future, read a table of drives, and throw away copies as one must when there are
# very many clips.
#
# How it works: write your code in place of `raise NotImplementedError()`, run the cell, then run
# the check below it. The check tells you which properties hold and gives a hint for the first that
# does not. It looks at properties of your function, so there is more than one right answer.
# Each exercise stands alone: if you are stuck, open its *Help*, or go on with the next one. A warm-up
# repeats a cell of the chapter; the last exercise changes the problem.
#
# | | Exercise | Kind | Difficulty | Importance | Minutes | Points |
# |---|---|---|---|---|---|---|
# | 1 | Haar patches, and the way back | warm-up, write | 2 of 5 | 3 of 5 | 15 | 3 |
# | 2 | A few levels a number | write | 3 of 5 | 5 of 5 | 20 | 4 |
# | 3 | An encoder that looks ahead | find the bug | 3 of 5 | 5 of 5 | 20 | 4 |
# | 4 | What a table shows | judge and write | 3 of 5 | 5 of 5 | 15 | 4 |
# | 5 | A hundred million clips | change the problem | 3 of 5 | 4 of 5 | 25 | 4 |

# %% nbgrader={"grade": false, "grade_id": "08-install", "locked": true, "schema_version": 3, "solution": false, "task": false}
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

# %% nbgrader={"grade": false, "grade_id": "08-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import torch

from wmlearn.teach import check

torch.manual_seed(0)  # so that what you try gives the same numbers again

# %% [markdown] nbgrader={"grade": false, "grade_id": "08-1-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 1: Haar patches, and the way back
#
# *Warm-up: write two functions. Difficulty 2 of 5, importance 3 of 5, 15 minutes, 3 points. It teaches how
# a tokenizer can make pictures smaller before it has learned anything, and lose nothing.*
#
# The chapter's wavelets take 2 × 2 × 2 pixels of a video. Here are those of pictures. Four neighbors, $a$
# and $b$ above, $c$ and $d$ below,
#
# $$\begin{pmatrix} a & b \\ c & d \end{pmatrix}$$
#
# become four numbers: the sum $(a + b + c + d) / 2$, left minus right $(a - b + c - d) / 2$, top
# minus bottom $(a + b - c - d) / 2$, and the diagonal $(a - b - c + d) / 2$. Pictures `[B, C, H, W]`
# (H and W even) become patches `[B, 4 C, H / 2, W / 2]`: first the sums of all C channels, then all
# left-right, all top-bottom, and all diagonal differences. Write this, and its inverse for any patches.
#
# <details>
# <summary>Help</summary>
#
# `pictures[..., ::2, 1::2]` holds every $b$. For the way back: the table of signs is its own inverse, up
# to a factor; and an empty tensor can be filled in four steps, with the same slices on the left.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "08-1-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def haar(pictures):
    """Pictures [B, C, H, W] to patches [B, 4 C, H / 2, W / 2]."""
    ### BEGIN SOLUTION
    a, b = pictures[..., ::2, ::2], pictures[..., ::2, 1::2]
    c, d = pictures[..., 1::2, ::2], pictures[..., 1::2, 1::2]
    mixed = [a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d]
    return torch.cat(mixed, dim=1) / 2
    ### END SOLUTION


def inverse(patches):
    """Patches [B, 4 C, h, w] back to pictures [B, C, 2 h, 2 w]."""
    ### BEGIN SOLUTION
    mean, across, down, diagonal = patches.unflatten(1, (4, -1)).unbind(dim=1)
    a, b = mean + across + down + diagonal, mean - across + down - diagonal
    c, d = mean + across - down - diagonal, mean - across - down + diagonal
    rows = [torch.stack([a, b], dim=-1), torch.stack([c, d], dim=-1)]
    return torch.stack(rows, dim=-3).flatten(-2).flatten(-3, -2) / 2
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "08-1-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("08.1", haar, inverse)
### BEGIN HIDDEN TESTS
check("08.1", haar, inverse, seed=81)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "08-2-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 2: a few levels a number
#
# *Write two functions. Difficulty 3 of 5, importance 5 of 5, 20 minutes, 4 points. It teaches how a vector
# becomes one of a thousand words with no codebook to learn, and how a gradient gets through.*
#
# Here is finite scalar quantization in its plainest form (the chapter's rounds a little differently).
# `levels` is a list of whole numbers, $L_0, L_1, \dots$, one for each of the D coordinates of `x`
# `[..., D]`. For each coordinate:
#
# 1. squash it: $y = \tanh x$, between -1 and 1;
# 2. cut -1 ... 1 into $L$ equal cells, counted from 0, and find the one that $y$ lies in (a $y$ of exactly
#    1 lies in the last);
# 3. take that cell's middle. The gradient is that of $\tanh$, as if nothing had been rounded.
#
# The code of a vector of cells $n_0, n_1, n_2, \dots$ is $n_0 + L_0 n_1 + L_0 L_1 n_2 + \dots$, a whole
# number. `vectors` gives the middles for codes of any shape.
#
# <details>
# <summary>Help</summary>
#
# With 4 levels the cells' middles are -0.75, -0.25, 0.25 and 0.75; which cell holds $y = 0.1$, and by which
# formula? For the gradient: `y + (rounded - y).detach()` has the value of `rounded`. Codes are read like
# digits: the remainder by $L_0$ is $n_0$; the rest is divided by $L_0$, and so on.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "08-2-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def quantize(x, levels):
    """Numbers [..., D] to the cells' middles [..., D], and codes int64 [...]."""
    ### BEGIN SOLUTION
    count = torch.tensor(levels)
    y = x.tanh()
    cells = ((y + 1) / 2 * count).floor().minimum(count - 1)
    middle = (2 * cells + 1) / count - 1
    code, place = 0, 1
    for n, level in zip(cells.long().unbind(dim=-1), levels, strict=True):
        code, place = code + place * n, place * level
    return y + (middle - y).detach(), code
    ### END SOLUTION


def vectors(codes, levels):
    """Codes int64 [...] to the cells' middles [..., D]."""
    ### BEGIN SOLUTION
    found = []
    for level in levels:
        found.append((2 * (codes % level) + 1) / level - 1)
        codes = codes // level
    return torch.stack(found, dim=-1)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "08-2-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("08.2", quantize, vectors)
### BEGIN HIDDEN TESTS
check("08.2", quantize, vectors, seed=82)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "08-3-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 3: an encoder that looks ahead
#
# *Find the bug. Difficulty 3 of 5, importance 5 of 5, 20 minutes, 4 points. It teaches where a
# tokenizer's future leaks in, and what a first frame has before it.*
#
# The encoder below normalizes frames, mixes every frame with its neighbors in time, and keeps every second
# result. On recorded clips a world model over it would look brilliant, and fail in play: what it sees of the past
# has told it what comes. It has more than one fault. Repair it so that
#
# - features number $j$ mix the frames $2j - 2$, $2j - 1$ and $2j$ (by `weight[0]`, `weight[1]`, `weight[2]`)
#   and depend on no later frame in any way,
# - each frame is normalized, by one mean and one deviation,
# - a picture is a video of one frame, and gets the features that it has as the first frame of any video,
# - a video in which nothing moves has features that do not change.
#
# <details>
# <summary>Help</summary>
#
# Change the last frame and see which features change: over what are mean and deviation taken? Then
# write down, for $j = 1$, which frames the broken encoder mixes. And what stands in the place of
# frames -2 and -1: is it like anything that a camera sees?
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "08-3-broken", "locked": true, "schema_version": 3, "solution": false, "task": false}
def broken_encode(video, weight):
    """Video [B, T, C, H, W], T odd, to features [B, (T + 1) / 2, D, H, W].

    weight is [3, D, C]: of the oldest, the middle and the newest of three frames.
    """
    mean = video.mean((1, 2, 3, 4), keepdim=True)
    x = (video - mean) / video.std((1, 2, 3, 4), keepdim=True)
    empty = torch.zeros_like(x[:, :1])
    x = torch.cat([empty, x, empty], dim=1)
    frames = torch.stack([x[:, i : i + video.shape[1] : 2] for i in range(3)])
    return torch.einsum("kbtchw,kdc->btdhw", frames, weight)

# %% nbgrader={"grade": false, "grade_id": "08-3-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def encode(video, weight):
    """The repaired encoder."""
    ### BEGIN SOLUTION
    mean = video.mean((2, 3, 4), keepdim=True)
    x = (video - mean) / video.std((2, 3, 4), keepdim=True)
    x = torch.cat([x[:, :1], x[:, :1], x], dim=1)
    frames = torch.stack([x[:, i : i + video.shape[1] : 2] for i in range(3)])
    return torch.einsum("kbtchw,kdc->btdhw", frames, weight)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "08-3-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("08.3", encode)
### BEGIN HIDDEN TESTS
check("08.3", encode, seed=83)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "08-4-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 4: what a table shows
#
# *Judge and write. Difficulty 3 of 5, importance 5 of 5, 15 minutes, 1 + 3 points. It teaches to draw from
# a table of policies what it holds, and no more.*
#
# Five policies, with invented numbers: meters of road that each drives in four seconds, in reality and in
# two dreams, the mean of many drives, each give or take 2. *late* and *reckless* leave the road in reality;
# the others stay on it. Dream 2 was trained on 50,000 frames of an expert; dream 1 on the same and on
# 50,000 more of hazards: cars that skid, turn round, and stand in the grass.
#
# | Policy | in reality | in dream 1 (with hazards) | in dream 2 (expert alone) |
# |---|---|---|---|
# | careful | 40 | 42 | 41 |
# | steady | 62 | 60 | 61 |
# | fast | 81 | 74 | 83 |
# | late | 35 | 38 | 66 |
# | reckless | 22 | 29 | 97 |
#
# Fill in a dictionary. `"lost"`: how many real meters you lose against the best policy if you choose
# by dream 2. `"rho"`: the rank correlation of dream 2 with reality, $1 - 6 \sum d^2 / (n (n^2 - 1))$, where
# $d$ is the difference of a policy's two ranks. `"shown"`: a list of the letters of those statements that
# the table shows:
#
# - A: Who chooses among these five by dream 1 gets the best one.
# - B: It is the hazards, not the number of frames, that make dream 1 the better judge.
# - C: Of the policies that stay on the road, dream 2 has the right order.
# - D: Dream 1 says of each of the five how many meters it really drives.
# - E: Dream 2 is kind to the policies that leave the road, and to no others.
# - F: A new policy that is trained in dream 1 can be judged in dream 1, too.
#
# <details>
# <summary>Help</summary>
#
# Rank 1 is the largest number of a column. For each statement: which numbers of the table would have to be
# others for it to be false? If none, the table does not show it. And "give or take 2" is meant.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "08-4-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def conclude():
    """Two numbers and some letters, as a dictionary."""
    ### BEGIN SOLUTION
    return {"lost": 59, "rho": -0.3, "shown": ["A", "C", "E"]}
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "08-4-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check("08.4", conclude)
### BEGIN HIDDEN TESTS
check("08.4", conclude, seed=84)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "08-4-question", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Now in your own words, at most 150 words, for a person to read:
#
# 1. Why does a dream that has only seen an expert forgive a driver who leaves the road? (1 point)
# 2. Describe the dream, and what you would do with it, that would decide statement B. (1 point)
# 3. The order of dream 1 is right for five policies. Why should you not yet trust it to tell apart two
#    policies that differ by 5 meters, and what would you measure? (1 point)

# %% [markdown] nbgrader={"grade": true, "grade_id": "08-4-essay", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# 1. No frame of its data shows what comes after the road is left. Asked for it, it draws what is likely in
#    its data, a car on the road that drives on; so speed is paid and leaving the road costs nothing.
# 2. A third dream with as many frames as dream 1, 100,000, all of the expert (or 50,000, half of them
#    hazards, beside dream 2), otherwise trained alike. Rank the five policies in it as before: if it errs as
#    dream 2 does, the hazards are what counts.
# 3. The five are far apart, and dream 1 is wrong by up to 7 meters (fast 74 for 81, reckless 29 for 22), so
#    it may exchange two that differ by 5. Measure pairs of close policies in both, with intervals: how often
#    is the better one named?
#
# Marking: one point each. 1 needs that the data lack what follows. 2 needs equal numbers of frames, with
# the hazards as the only difference. 3 needs the size of dream 1's own errors (or that they are as large as the
# difference), and a measurement on policies that are close.
# ### END SOLUTION

# %% [markdown] nbgrader={"grade": false, "grade_id": "08-5-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 5: a hundred million clips
#
# *Change the problem: write two functions. Difficulty 3 of 5, importance 4 of 5, 25 minutes, 4
# points. It teaches how copies are found where nobody can compare all pairs, and what a score of that counts.*
#
# The chapter compares each clip with those kept so far, and of copies the first stays. For 100 million clips
# these are up to 5,000 million million pairs. So clips are first put into 10,000 groups of similar ones, *clusters*,
# and compared inside each: ten thousand times fewer pairs. And what stays is not the first copy but the
# one of the best quality.
#
# `deduplicate` gets `vectors` `[N, D]` of any length, `cluster` and `quality` `[N]` (no two qualities are
# equal), and a number `nearer`. Two clips are alike if they are in one cluster and the **cosine** of their
# vectors is at least `nearer`. Go through the clips from the highest quality to the lowest; a clip goes if it
# is like one that stays. The result is a mask, bool `[N]`: True where a clip stays.
#
# `score` judges such a mask where the truth is known: `group` `[N]`, in which clips of the same number are
# copies of each other. Of each group **one** should stay. *Precision* is the share of the clips thrown away
# that are rightly gone, *recall* the share of the surplus copies that are gone. Of a group that is thrown away
# whole, one is gone wrongly. With nothing thrown away precision is 1; without surplus copies recall is 1.
#
# <details>
# <summary>Help</summary>
#
# All cosines at once are a matrix product of vectors of length 1. A clip is like itself, so ask only
# those that stay already. `score`: for each group, how many are gone, and how many of these may be?
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "08-5-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def deduplicate(vectors, cluster, quality, nearer):
    """Which clips stay, bool [N]."""
    ### BEGIN SOLUTION
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    alike = (unit @ unit.T >= nearer) & (cluster[:, None] == cluster)
    stays = torch.zeros(len(vectors), dtype=torch.bool)
    for i in quality.argsort(descending=True):
        stays[i] = not (alike[i] & stays).any()
    return stays
    ### END SOLUTION


def score(stays, group):
    """Precision and recall of what was thrown away."""
    ### BEGIN SOLUTION
    gone = right = surplus = 0
    for number in group.unique():
        own = (~stays[group == number]).tolist()
        gone += sum(own)
        right += min(sum(own), len(own) - 1)
        surplus += len(own) - 1
    return right / gone if gone else 1.0, right / surplus if surplus else 1.0
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "08-5-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("08.5", deduplicate, score)
### BEGIN HIDDEN TESTS
check("08.5", deduplicate, score, seed=85)
### END HIDDEN TESTS
