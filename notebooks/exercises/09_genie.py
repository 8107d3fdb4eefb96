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
# # Exercises: Genie
#
# Six exercises for chapter 9, about two hours in all. You write the pieces that make a playable
# world out of silent video, repair a broken one, and measure whether a world listens.
#
# How it works: write your code in place of `raise NotImplementedError()`, run the cell, then run
# the check below it. The check tells you which properties hold and gives a hint for the first that
# does not. It looks at properties of your function, so there is more than one right answer.
# Each exercise stands alone: if you are stuck, open its *Help*, or go on with the next one. A warm-up
# repeats a cell of the chapter; the last exercise changes the problem.
#
# | | Exercise | Kind | Difficulty | Importance | Minutes | Points |
# |---|---|---|---|---|---|---|
# | 1 | A quantiser that lets gradients through | warm-up, write | 3 of 5 | 5 of 5 | 20 | 4 |
# | 2 | Is the codebook alive, and what do its codes mean? | write | 2 of 5 | 4 of 5 | 20 | 4 |
# | 3 | Repair the masked loss | find the bugs | 3 of 5 | 5 of 5 | 15 | 4 |
# | 4 | Attention over time | warm-up, write | 3 of 5 | 4 of 5 | 20 | 3 |
# | 5 | Does the world listen? | experiment, judge and write | 3 of 5 | 4 of 5 | 20 | 6 |
# | 6 | Whose action is it? | change the problem | 4 of 5 | 4 of 5 | 25 | 4 |

# %% nbgrader={"grade": false, "grade_id": "09-install", "locked": true, "schema_version": 3, "solution": false, "task": false}
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

# %% nbgrader={"grade": false, "grade_id": "09-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import torch
import torch.nn.functional as F

from wmlearn.evaluation import psnr
from wmlearn.teach import check

# %% [markdown] nbgrader={"grade": false, "grade_id": "09-1-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 1: a quantiser that lets gradients through
#
# *Warm-up: write a function. Difficulty 3 of 5, importance 5 of 5, 20 minutes, 4 points. It teaches how
# a network can learn through a choice that has no gradient.*
#
# Each vector $x_i$ is replaced by the nearest code $e_k$ of a codebook. To pick the nearest one is a
# step: its derivative is zero almost everywhere. Two tricks make it trainable (van den Oord and
# others, 2017):
#
# - **Straight through**: the value is the code's, the gradient is $x$'s, unchanged. With `.detach()`
#   both can be had in one line. The codebook gets no gradient on this way.
# - **A loss of its own**, in which $\mathrm{sg}$ means "no gradient":
#
# $$\frac1N \sum_i \|\mathrm{sg}(x_i) - e_{k(i)}\|^2
# + \beta\, \frac1N \sum_i \|x_i - \mathrm{sg}(e_{k(i)})\|^2$$
#
# The first term draws the codes to the vectors, the second keeps the vectors near their codes. The
# chapter's cell first brings all of them to length one; here they stay as they are, and the nearest
# code is that with the smallest Euclidean distance.
#
# <details>
# <summary>Help</summary>
#
# `x + (code - x).detach()` has the value of the code and the gradient of `x`. Of the two terms of the
# loss, each must be able to move one side only: detach the other.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "09-1-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def quantize(x, codebook, beta=0.25):
    """x [N, D], codebook [K, D] -> vectors [N, D], codes int64 [N], loss (a scalar)."""
    ### BEGIN SOLUTION
    codes = torch.cdist(x, codebook).argmin(dim=1)
    chosen = codebook[codes]
    pull = (x.detach() - chosen).square().sum(dim=1).mean()
    commit = (x - chosen.detach()).square().sum(dim=1).mean()
    return x + (chosen - x).detach(), codes, pull + beta * commit
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "09-1-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("09.1", quantize)
### BEGIN HIDDEN TESTS
check("09.1", quantize, seed=91)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "09-2-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 2: is the codebook alive, and what do its codes mean?
#
# *Write two functions. Difficulty 2 of 5, importance 4 of 5, 20 minutes, 4 points. It teaches the two
# numbers that say whether a latent action model has learned anything.*
#
# **Perplexity**: over all the codes in a batch (any shape), take the share $p_k$ of each, and
# give $\exp(-\sum_k p_k \ln p_k)$. It is $K$ if all codes are used alike, and 1 if the codebook has
# collapsed to a single one.
#
# **What a latent means**: nobody named the latent actions, so name each by the true action that goes
# with it *most often in the training data*; several may mean the same. A latent that never occurred
# there gets the most frequent action of all. The accuracy counts how often these names are right in
# the *test data*.
#
# <details>
# <summary>Help</summary>
#
# `torch.bincount` counts. For the second function count *pairs*: `latent * num_actions + action` is one
# number for each, and a view makes a table of it, a row for each latent.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "09-2-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def perplexity(codes, num_codes):
    """int64 codes of any shape, 0 .. num_codes - 1 -> a number from 1 to num_codes."""
    ### BEGIN SOLUTION
    share = torch.bincount(codes.flatten(), minlength=num_codes) / codes.numel()
    return torch.special.entr(share).sum().exp()
    ### END SOLUTION


def mapped_accuracy(
    train_latents, train_actions, test_latents, test_actions, num_latents, num_actions
):
    """All data int64 [N]; the share of test actions that is named right."""
    ### BEGIN SOLUTION
    pairs = train_latents * num_actions + train_actions
    table = torch.bincount(pairs, minlength=num_latents * num_actions)
    table = table.view(num_latents, num_actions)
    names = table.argmax(dim=1)
    names[table.sum(dim=1) == 0] = table.sum(dim=0).argmax()
    return (names[test_latents] == test_actions).float().mean()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "09-2-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("09.2", perplexity, mapped_accuracy)
### BEGIN HIDDEN TESTS
check("09.2", perplexity, mapped_accuracy, seed=92)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "09-3-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 3: repair the masked loss
#
# *Find the bugs. Difficulty 3 of 5, importance 5 of 5, 15 minutes, 4 points. It teaches to distrust a
# loss that falls: this one rewards a model that has learned to say "mask".*
#
# The function below should compute the loss of Genie's dynamics model. In clip `b`, each token is
# hidden behind the mask token with probability `rate[b]`, except in the first frame, which is always
# given. The model sees the rest and names the hidden tokens; the loss is the mean cross entropy over
# the hidden tokens. (This model has a logit for the mask token as well, which is never right.)
#
# **Three things are wrong.** Write the repaired version into `loss`. Change no argument in place.
#
# <details>
# <summary>Help</summary>
#
# Ask of each line: is the truth still there when it is needed? Are the tokens that count those that
# were hidden? And what is the first frame for, when somebody plays?
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "09-3-broken", "locked": true, "schema_version": 3, "solution": false, "task": false}
def broken_loss(model, tokens, actions, rate, uniform, mask_token):
    """tokens int64 [B, T, S], actions [B, T - 1], rate [B], uniform [B, T, S] in [0, 1);
    model(tokens, actions) -> logits [B, T, S, K + 1]; a scalar."""
    tokens = tokens.clone()
    mask = uniform < rate[:, None, None]
    tokens[mask] = mask_token
    logits = model(tokens, actions)
    return F.cross_entropy(logits.flatten(0, 2), tokens.flatten())

# %% nbgrader={"grade": false, "grade_id": "09-3-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def loss(model, tokens, actions, rate, uniform, mask_token):
    """The repaired loss."""
    ### BEGIN SOLUTION
    mask = uniform < rate[:, None, None]
    mask[:, 0] = False
    hidden = torch.where(mask, mask_token, tokens)
    logits = model(hidden, actions)
    return F.cross_entropy(logits[mask], tokens[mask])
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "09-3-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("09.3", loss)
### BEGIN HIDDEN TESTS
check("09.3", loss, seed=93)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "09-4-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 4: attention over time
#
# *Warm-up: write a function. Difficulty 3 of 5, importance 4 of 5, 20 minutes, 3 points. It teaches the
# half of a spatio-temporal block that makes a world causal.*
#
# A video has $T$ frames of $S$ tokens. In the temporal half of an ST block each *place* of the picture
# looks only at itself, in this frame and the earlier ones:
#
# $$y_{t,s} = \sum_{t' \le t} \mathrm{softmax}_{t'} \Big(
# \frac{q_{t,s} \cdot k_{t',s}}{\sqrt D} \Big)\, v_{t',s}$$
#
# Write it for one head, with PyTorch's basic operations. Inputs and output are `[B, T, S, D]`.
#
# <details>
# <summary>Help</summary>
#
# Bring time next to the channels, so that `q @ k.transpose(-1, -2)` is `[B, S, T, T]`: a row for each
# frame that looks, a column for each that is looked at. `torch.ones(T, T).triu(1).bool()` marks the
# later ones, for `masked_fill`.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "09-4-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def temporal_attention(q, k, v):
    """Causal attention over time at each place; all [B, T, S, D]."""
    ### BEGIN SOLUTION
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))  # [B, S, T, D]
    products = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    later = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(1)
    weights = products.masked_fill(later, -torch.inf).softmax(dim=-1)
    return (weights @ v).transpose(1, 2)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "09-4-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("09.4", temporal_attention)
### BEGIN HIDDEN TESTS
check("09.4", temporal_attention, seed=94)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "09-5-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 5: does the world listen?
#
# *Run an experiment, judge and write. Difficulty 3 of 5, importance 4 of 5, 20 minutes, 3 + 3 points. It
# teaches how to tell a world from a film.*
#
# The paper's measure of controllability: dream from the first real frame under the latent actions
# that were *inferred* from the real clip, and again under *random* ones (each drawn alone, all codes
# equally likely). Then
#
# $$\Delta_t\mathrm{PSNR} = \mathrm{PSNR}(x_t, \hat x_t) - \mathrm{PSNR}(x_t, \hat x'_t),$$
#
# where $x_t$ is the real frame, $\hat x_t$ the dreamed one and $\hat x'_t$ that of the second dream,
# as the mean over the clips. The paper takes $t = 4$. Step 1 is the first dreamed frame.
# `psnr(a, b)` gives the PSNR of each frame. Draw with the `generator`.
#
# <details>
# <summary>Help</summary>
#
# `torch.randint(num_actions, inferred.shape, generator=generator)` draws a latent for each clip and
# step. Step 1 is `[:, 0]` of a dream and `[:, 1]` of the real frames.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "09-5-psnr", "locked": true, "schema_version": 3, "solution": false, "task": false}
black = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
print(f"An exact copy: {psnr(black, black).item():.1f} dB")
print(f"Ten levels off: {psnr(black, black + 10).item():.1f} dB")

# %% nbgrader={"grade": false, "grade_id": "09-5-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def delta_psnr(dream, frames, inferred, step, num_actions, generator):
    """dream(first uint8 [B, C, H, W], latents int64 [B, T]) -> frames [B, T, C, H, W];
    frames: real, [B, T + 1, C, H, W]; inferred [B, T]; a number in dB."""
    ### BEGIN SOLUTION
    other = torch.randint(num_actions, inferred.shape, generator=generator)
    real = frames[:, step]
    right = dream(frames[:, 0], inferred)[:, step - 1]
    wrong = dream(frames[:, 0], other)[:, step - 1]
    return (psnr(right, real) - psnr(wrong, real)).mean()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "09-5-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("09.5", delta_psnr)
### BEGIN HIDDEN TESTS
check("09.5", delta_psnr, seed=95)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "09-5-question", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Now in your own words, at most 150 words, for a person to read:
#
# 1. A colleague trained a latent action model whose decoder reproduces the next frame almost perfectly,
#    with eight codes and a perplexity of 1.02. What has happened, and why can the frames still look
#    good? (1 point)
# 2. With 200 labelled samples you find that three of the eight latents mean "right". Is that a fault?
#    Name something in the pictures by which the model may have told the three apart. (1 point)
# 3. Genie saw no actions in training. Name one thing that it can never learn to distinguish from video
#    alone, and say why. (1 point)

# %% [markdown] nbgrader={"grade": true, "grade_id": "09-5-essay", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# 1. The codebook collapsed: one code carries no information. The decoder predicts the next frame from
#    the past alone, and as most of a frame stays as it is, or goes on moving as before, that is
#    nearly right. A player would find that no key does anything.
# 2. No fault: the model was asked to explain the *change*, not the button. Running right at full
#    speed, speeding up, and running into a wall look different, and so may the same button with
#    different backgrounds or in the air. The map from latents to actions may be many to one.
# 3. Anything that leaves no trace in the pictures: two buttons with the same effect here (jumping
#    while in the air, and nothing), a button pressed against a wall, or a move that happened by chance
#    and not by the player (an enemy's).
#
# Marking: one point each. 1 needs "no information passes" *and* a reason for good frames. 2 needs a
# visible difference between the three. 3 needs an example without a visible trace, or with another
# cause, and the reason.
# ### END SOLUTION

# %% [markdown] nbgrader={"grade": false, "grade_id": "09-6-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 6: whose action is it?
#
# *Change the problem: write two functions. Difficulty 4 of 5, importance 4 of 5, 25 minutes, 4 points. It
# teaches that a latent action explains a change in the picture, whoever made it.*
#
# Genie's actions were inferred from changes. In a game with an enemy some of these changes are the enemy's,
# so some codes move the *enemy*. Whoever pressed such a key would play both. Which codes may be keys?
#
# **`changed`**: the mean absolute difference of two videos over all pixels of a mask (every pixel of the
# mask counts the same, the channels are averaged). 0 where the mask is empty. The frames are uint8.
#
# **`players_codes`**: for each code dream from the first frames with that code held at all steps, beside a
# dream with the code `idle` held. Measure the change in the player's pixels and in the enemy's. A code may
# be a key if it changes the player at all, and at least `ratio` times as much as the enemy. The world is
# random: the enemy also moves by chance. Chance must not count as control, so give every dream the same
# `seed`.
#
# <details>
# <summary>Help</summary>
#
# `(a.float() - b.float()).abs().mean(2)` is `[B, T, H, W]`, as the mask is; what about `3 - 5` in uint8?
# The latents of a dream are `[B, T]`: `B` starts, and `T` from the masks' second axis.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "09-6-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def changed(a, b, mask):
    """a, b uint8 [B, T, C, H, W], mask bool [B, T, H, W]; a number of levels."""
    ### BEGIN SOLUTION
    error = (a.float() - b).abs().mean(dim=2)
    return error[mask].mean() if mask.any() else 0.0
    ### END SOLUTION


def players_codes(dream, first, player, enemy, num_codes, idle, ratio, seed):
    """dream(first [B, C, H, W], latents int64 [B, T], seed) -> frames [B, T, C, H, W];
    player, enemy: masks [B, T, H, W]. Bool [num_codes]: which codes may be keys."""
    ### BEGIN SOLUTION
    def held(code):
        return dream(first, torch.full(player.shape[:2], code), seed)

    rest = held(idle)
    moved = [[changed(held(code), rest, mask) for mask in (player, enemy)]
             for code in range(num_codes)]
    mine, theirs = torch.tensor(moved).T
    return (mine > 0) & (mine >= ratio * theirs)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "09-6-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("09.6", changed, players_codes)
### BEGIN HIDDEN TESTS
check("09.6", changed, players_codes, seed=96)
### END HIDDEN TESTS
