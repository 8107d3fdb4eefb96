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
# # Exercises: DIAMOND
#
# Seven exercises for chapter 4, about two hours in all. You write the pieces that make a
# diffusion model a world model, repair a broken one, and run an experiment.
#
# How it works: write your code in place of `raise NotImplementedError()`, run the cell, then run
# the check below it. The check tells you which properties hold and gives a hint for the first that
# does not. It looks at properties of your function, so there is more than one right answer.
# Each exercise stands alone: if you are stuck, open its *Help*, or go on with the next one. A warm-up
# repeats a cell of the chapter; the last exercise changes the problem.
#
# | | Exercise | Kind | Difficulty | Importance | Minutes | Points |
# |---|---|---|---|---|---|---|
# | 1 | EDM's four coefficients | warm-up, write | 2 of 5 | 5 of 5 | 15 | 3 |
# | 2 | The noise schedule and an Euler sampler | warm-up, write | 3 of 5 | 4 of 5 | 20 | 4 |
# | 3 | Lambda-returns | write | 3 of 5 | 5 of 5 | 20 | 4 |
# | 4 | Repair the training loss | find the bugs | 4 of 5 | 5 of 5 | 20 | 4 |
# | 5 | Two futures, few steps | experiment | 2 of 5 | 3 of 5 | 15 | 3 |
# | 6 | Which world would you train in? | judge and write | 2 of 5 | 5 of 5 | 10 | 4 |
# | 7 | Heun's second look, and its cost | change the problem | 3 of 5 | 3 of 5 | 20 | 3 |

# %% nbgrader={"grade": false, "grade_id": "04-install", "locked": true, "schema_version": 3, "solution": false, "task": false}
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

# %% nbgrader={"grade": false, "grade_id": "04-setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
import torch
import torch.nn.functional as F

from wmlearn.nn import diffusion
from wmlearn.systems.diamond.config import SamplerConfig
from wmlearn.systems.diamond.sampler import sample
from wmlearn.teach import check

# %% [markdown] nbgrader={"grade": false, "grade_id": "04-1-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 1: EDM's four coefficients
#
# *Warm-up: write a function. Difficulty 2 of 5, importance 5 of 5, 15 minutes, 3 points. It teaches why
# one network can work at all noise levels.*
#
# The network never sees the noisy image $x$ itself. It sees $c_{in}\,x$, is told $c_{noise}$, and its
# output $F$ is turned into an estimate of the clean image:
#
# $$D(x) = c_{skip}\,x + c_{out}\,F(c_{in}\,x;\ c_{noise})$$
#
# The clean image has standard deviation `sigma_data`. Two independent noises were added: one for
# each pixel with standard deviation `sigma`, and one for the whole image with `sigma_offset`. Choose
# the coefficients so that, for every `sigma`:
#
# - the input $c_{in}\,x$ has variance 1,
# - $c_{skip}\,x$ is the best linear guess of the clean image (then $c_{out}$ is as small as it can be),
# - the target $(\text{clean} - c_{skip}\,x) / c_{out}$ has variance 1,
# - $c_{noise}$ is a quarter of the natural logarithm of the whole noise's standard deviation.
#
# <details>
# <summary>Help</summary>
#
# Call the variance of the whole noise $s^2 = \sigma^2 + \sigma_{offset}^2$; $x$ then has the variance
# $\sigma_{data}^2 + s^2$. The best linear guess of one part of a sum of independent parts is its share
# of the *variance*. What is left after it has variance $s^2 \sigma_{data}^2 / (\sigma_{data}^2 + s^2)$, and
# $c_{out}$ is the root of that.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "04-1-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def coefficients(sigma, sigma_data=0.5, sigma_offset=0.3):
    """c_in, c_out, c_skip, c_noise for noise levels sigma [B]; each is [B]."""
    ### BEGIN SOLUTION
    total = (sigma**2 + sigma_offset**2).sqrt()
    c_in = 1 / (total**2 + sigma_data**2).sqrt()
    c_skip = sigma_data**2 / (total**2 + sigma_data**2)
    c_out = total * sigma_data * c_in
    return c_in, c_out, c_skip, total.log() / 4
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "04-1-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("04.1", coefficients)
### BEGIN HIDDEN TESTS
check("04.1", coefficients, seed=41)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "04-2-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 2: the noise schedule and an Euler sampler
#
# *Warm-up: write two functions. Difficulty 3 of 5, importance 4 of 5, 20 minutes, 4 points. It teaches
# how a frame is drawn, and why one step can do.*
#
# **The schedule**: `num_steps` noise levels from `sigma_max` down to `sigma_min`, equally spaced in
# $\sigma^{1/\rho}$, and then a last level 0. That makes `num_steps + 1` numbers.
#
# **The sampler** goes from each level to the next one. At level $\sigma$ the denoiser gives the
# estimate $D(x, \sigma)$, the slope is $(x - D) / \sigma$, and Euler's step follows it to the next
# level. Change no argument in place.
#
# <details>
# <summary>Help</summary>
#
# `torch.linspace(0, 1, num_steps)` gives the ramp between the two roots; one more number makes the
# schedule one longer than `num_steps`. In the sampler `zip(levels[:-1], levels[1:])` gives the pairs, and
# the step, `sigma_next - sigma`, is negative.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "04-2-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def noise_levels(num_steps, sigma_min=2e-3, sigma_max=5.0, rho=7.0):
    """The schedule, float [num_steps + 1]: from sigma_max to sigma_min, then 0."""
    ### BEGIN SOLUTION
    ramp = torch.linspace(0, 1, num_steps)
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, torch.zeros(1)])
    ### END SOLUTION


def euler_sample(denoise, x, levels):
    """From noise x to a sample; denoise(x, sigma) estimates the clean x."""
    ### BEGIN SOLUTION
    for sigma, sigma_next in zip(levels[:-1], levels[1:], strict=True):
        slope = (x - denoise(x, sigma)) / sigma
        x = x + slope * (sigma_next - sigma)
    return x
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "04-2-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("04.2", noise_levels, euler_sample)
### BEGIN HIDDEN TESTS
check("04.2", noise_levels, euler_sample, seed=42)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "04-3-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 3: lambda-returns
#
# *Write a function. Difficulty 3 of 5, importance 5 of 5, 20 minutes, 4 points. It teaches what the
# critic learns from in imagination, and the difference between an end and a cut.*
#
# $$R_t = r_t + \gamma \left[(1 - \lambda)\, V_{t+1} + \lambda\, R_{t+1}\right]$$
#
# `next_values[:, t]` is $V_{t+1}$, the critic's value *after* step `t`. Three cases:
#
# - **terminated** at `t`: the episode is over, nothing comes after $r_t$,
# - **truncated** at `t`: the episode was cut here, and step `t + 1` belongs to another one. The value
#   stands for all that would have come,
# - the last step: there is no $R_{t+1}$, so it is treated like a cut.
#
# A step can be both; then it is terminated. The result is a target for the critic: no gradient
# flows through it. Change no argument in place. (In imagination only the horizon cuts, so the
# library's own version does without `truncated`.)
#
# <details>
# <summary>Help</summary>
#
# Go backwards from the last step, and keep the return of the step after. Make the mixture first, then
# let a cut replace it by the value alone, then let an end replace that by 0: in this order a step that
# is both counts as terminated.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "04-3-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lambda_returns(rewards, next_values, terminated, truncated, gamma, lam):
    """Lambda-returns [B, T]; all inputs are [B, T], the two flags are bool."""
    ### BEGIN SOLUTION
    later, returns = next_values[:, -1], []
    for t in reversed(range(rewards.shape[1])):
        mixed = (1 - lam) * next_values[:, t] + lam * later
        following = torch.where(truncated[:, t], next_values[:, t], mixed)
        following = torch.where(terminated[:, t], 0.0, following)
        later = rewards[:, t] + gamma * following
        returns.append(later)
    return torch.stack(returns[::-1], dim=1).detach()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "04-3-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("04.3", lambda_returns)
### BEGIN HIDDEN TESTS
check("04.3", lambda_returns, seed=43)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "04-4-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 4: repair the training loss
#
# *Find the bugs. Difficulty 4 of 5, importance 5 of 5, 20 minutes, 4 points. It teaches to distrust a
# loss that falls: this one can go to zero in a world model that has learned nothing.*
#
# The function below should compute DIAMOND's loss on a clip. For each frame after the first `n`, the
# model sees the `n` frames before it and the `n` actions that led up to it, and denoises the frame.
# The estimate is then put in the frame's place, in 8 bits (256 levels from -1 to 1), so that the
# next prediction learns to live with it. No gradient flows back through the estimate.
#
# **Three lines are wrong.** Copy the body into `loss` and repair it. Change no argument in place.
#
# <details>
# <summary>Help</summary>
#
# Read three lines against the text: *which* frames the context takes, *what* the target is made of,
# and what is put into the history. Then ask of the last one: is it a picture that a screen could show,
# and can a gradient walk through it?
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "04-4-broken", "locked": true, "schema_version": 3, "solution": false, "task": false}
def broken_loss(model, precondition, frames, actions, sigma, noise, n):
    """frames [B, T, C, H, W] in [-1, 1], actions [B, T - 1], sigma [B],
    noise [B, T - n, C, H, W] with variance 1; a scalar."""
    c_in, c_out, c_skip, c_noise = precondition(sigma)
    history, losses = frames, []
    for i in range(frames.shape[1] - n):
        context = history[:, i + 1 : i + n + 1]
        noisy = frames[:, i + n] + sigma.view(-1, 1, 1, 1) * noise[:, i]
        output = model(c_in * noisy, c_noise, context, actions[:, i : i + n])
        target = (noisy - c_skip * noisy) / c_out
        losses.append(F.mse_loss(output, target))
        estimate = c_skip * noisy + c_out * output
        before, after = history[:, : i + n], history[:, i + n + 1 :]
        history = torch.cat([before, estimate[:, None], after], dim=1)
    return torch.stack(losses).mean()

# %% nbgrader={"grade": false, "grade_id": "04-4-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def loss(model, precondition, frames, actions, sigma, noise, n):
    """The repaired loss."""
    ### BEGIN SOLUTION
    c_in, c_out, c_skip, c_noise = precondition(sigma)
    history, losses = frames, []
    for i in range(frames.shape[1] - n):
        context = history[:, i : i + n]
        clean = frames[:, i + n]
        noisy = clean + sigma.view(-1, 1, 1, 1) * noise[:, i]
        output = model(c_in * noisy, c_noise, context, actions[:, i : i + n])
        target = (clean - c_skip * noisy) / c_out
        losses.append(F.mse_loss(output, target))
        estimate = (c_skip * noisy + c_out * output.detach()).clamp(-1, 1)
        estimate = ((estimate + 1) * 127.5).round() / 127.5 - 1
        before, after = history[:, : i + n], history[:, i + n + 1 :]
        history = torch.cat([before, estimate[:, None], after], dim=1)
    return torch.stack(losses).mean()
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "04-4-test", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
check("04.4", loss)
### BEGIN HIDDEN TESTS
check("04.4", loss, seed=44)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "04-5-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 5: two futures, few steps
#
# *Run an experiment. Difficulty 2 of 5, importance 3 of 5, 15 minutes, 3 points. It teaches what is lost
# with few denoising steps, and when nothing is.*
#
# A monster goes right (+1) with probability `p`, else left (-1). For this world the perfect denoiser
# is known, and `dream` draws samples with it: DIAMOND's own sampler, started from the full noise of
# standard deviation `sigma_max = 5`. **Before you run anything, guess**: what does one step give for
# `p = 0.5`? And two steps for `p = 0.8`?
#
# <details>
# <summary>Help</summary>
#
# `dream` once for each pair, all samples kept: comparing gives bools, and their mean is a share. Take
# the mean over the samples only, so that a table is left.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "04-5-dream", "locked": true, "schema_version": 3, "solution": false, "task": false}
class TwoFutures:
    """The perfect denoiser of a next frame that is +1 with probability p, else -1."""

    def __init__(self, p):
        self.prior = torch.logit(torch.tensor(float(p))) / 2

    def denoise(self, x, sigma, context, actions):
        return torch.tanh(x / sigma.view(-1, 1) ** 2 + self.prior)

    def base(self, context):
        return 0.0


def dream(p, num_steps, samples):
    """Samples of the next frame, float [samples]."""
    noise = torch.randn(samples, 1, generator=torch.Generator().manual_seed(0))
    config = SamplerConfig(num_steps=num_steps, initial_scale=5.0)
    return sample(TwoFutures(p), None, None, noise, config)[:, 0]

# %% [markdown] nbgrader={"grade": false, "grade_id": "04-5-task", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Write `experiment`. For each `p` in `ps` and each number of steps in `steps`, draw `samples` samples
# with `dream(p, num_steps, samples)` and note two shares (from 0 to 1):
#
# - `between`: samples near neither future, $|x| < 0.5$ (a blur),
# - `rare`: samples near the future -1, $x < -0.5$ (it should be $1 - p$ of them).

# %% nbgrader={"grade": false, "grade_id": "04-5-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def experiment(dream, ps, steps, samples):
    """The tables between and rare, each float [len(ps), len(steps)]."""
    ### BEGIN SOLUTION
    x = torch.stack([torch.stack([dream(p, n, samples) for n in steps]) for p in ps])
    return (x.abs() < 0.5).float().mean(dim=-1), (x < -0.5).float().mean(dim=-1)
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "04-5-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("04.5", experiment)
### BEGIN HIDDEN TESTS
check("04.5", experiment, seed=45)
### END HIDDEN TESTS

# %% [markdown]
# Look at your tables. Was your guess right? Compare the columns for 1, 2 and 20 steps.

# %%
def show(ps=(0.5, 0.8, 1.0), steps=(1, 2, 3, 5, 10, 20)):
    """Prints both tables as text."""
    between, rare = experiment(dream, ps, steps, 4000)
    for name, table in [("between", between), ("rare", rare)]:
        print(name.ljust(8), *(f"{n:>5} steps" for n in steps))
        for p, row in zip(ps, table, strict=True):
            print(f"p = {p:<4}", *(f"{float(x):11.2f}" for x in row))


show()

# %% [markdown] nbgrader={"grade": false, "grade_id": "04-6-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 6: which world would you train in?
#
# *Judge and write. Difficulty 2 of 5, importance 5 of 5, 10 minutes, 1 + 3 points. It teaches that a
# good picture is not yet a good world.*
#
# Three worlds of the same game, with invented numbers. All were measured on the same held-out
# episodes. You want to train a policy inside one of them and use it in the real game.
#
# | World | fidelity: PSNR at horizon 8 | controllability: PSNR lost with shuffled actions | cost: frames/s |
# |---|---|---|---|
# | A | 30.1 dB | 0.1 dB | 60 |
# | B | 27.4 dB | 3.2 dB | 40 |
# | C, copies the last frame | 28.0 dB | 0.0 dB | 100,000 |
#
# Fill in the dictionary. `"train_in"` is `"A"`, `"B"` or `"C"`. `"because"` is the measure in the
# table that decides, and `"settled_by"` the measure that would prove you right or wrong in the end.
# Both are one of `"fidelity"`, `"controllability"`, `"utility"`, `"cost"`.
#
# <details>
# <summary>Help</summary>
#
# Look at the column in which the worlds differ most *for a player*. What would a policy learn in a
# world where each action has the same effect? And what is the sum that we want to be large in the end?
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "04-6-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def choose():
    """The choice and two reasons, as a dictionary."""
    ### BEGIN SOLUTION
    return {"train_in": "B", "because": "controllability", "settled_by": "utility"}
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "04-6-test", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
check("04.6", choose)
### BEGIN HIDDEN TESTS
check("04.6", choose, seed=46)
### END HIDDEN TESTS

# %% [markdown] nbgrader={"grade": false, "grade_id": "04-6-question", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Now in your own words, at most 150 words, for a person to read:
#
# 1. How can world A have the best PSNR of the three, although it ignores the actions? (1 point)
# 2. Name one thing in the picture that hardly changes the PSNR but decides whether a policy trained
#    in the dream is any good. (1 point)
# 3. How would you measure utility so that luck does not decide? Say what is trained, what is tested,
#    and what it is compared with. (1 point)

# %% [markdown] nbgrader={"grade": true, "grade_id": "04-6-essay", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# 1. PSNR counts the squared error over all pixels. Most pixels do not depend on the action (walls,
#    floor), so a model that averages over the actions does well, and blur is rewarded: the mean of
#    the possible futures has the smallest squared error.
# 2. Something small that the reward depends on: the muzzle flash, a distant monster, the ball in
#    Breakout. A few pixels of 4,096 can vanish and the PSNR hardly moves.
# 3. Train several policies (several seeds) only inside each world, test each in the *real* game for
#    many episodes, and give the mean return with an interval, beside a random policy, a scripted
#    expert, and the same training in another world.
#
# Marking: one point each. 1 needs "most pixels do not depend on the action" or "the mean wins in
# squared error". 2 needs something small *and* linked to reward. 3 needs the real game, more than
# one seed or an interval, and a baseline; without a baseline half a point.
# ### END SOLUTION

# %% [markdown] nbgrader={"grade": false, "grade_id": "04-7-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# ## Exercise 7: Heun's second look, and its cost
#
# *Change the problem: write two functions. Difficulty 3 of 5, importance 3 of 5, 20 minutes, 3 points. It
# teaches that a better step is not a cheaper one, and how to compare samplers fairly.*
#
# DIAMOND takes Euler's steps. The paper that it builds on, EDM, takes Heun's: after Euler's step to the
# next level $\sigma'$ it looks *again*, at the guess $x'$, and goes the way anew with the mean of the two
# slopes:
#
# $$x' = x + (\sigma' - \sigma)\, d,\qquad
# d' = \frac{x' - D(x', \sigma')}{\sigma'},\qquad
# x \leftarrow x + (\sigma' - \sigma)\, \frac{d + d'}{2}.$$
#
# At $\sigma' = 0$ there is no second look (the slope would divide by 0): the last step stays Euler's.
#
# **The cost** is the number of calls of the denoiser, the only thing that takes time. `steps_within` says
# how many steps of each sampler fit into a budget of `calls` calls. Change no argument in place.
#
# <details>
# <summary>Help</summary>
#
# Keep Euler's step as the guess, and only where `sigma_next > 0` mend the slope before you use it. For
# the cost write down the calls of one, two and three of Heun's steps.
#
# </details>

# %% nbgrader={"grade": false, "grade_id": "04-7-answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def heun_sample(denoise, x, levels):
    """From noise x to a sample; denoise(x, sigma) estimates the clean x."""
    ### BEGIN SOLUTION
    for sigma, sigma_next in zip(levels[:-1], levels[1:], strict=True):
        slope = (x - denoise(x, sigma)) / sigma
        if sigma_next > 0:
            guess = x + slope * (sigma_next - sigma)
            again = (guess - denoise(guess, sigma_next)) / sigma_next
            slope = (slope + again) / 2
        x = x + slope * (sigma_next - sigma)
    return x
    ### END SOLUTION


def steps_within(calls):
    """How many steps of Euler's and of Heun's sampler `calls` calls are enough for."""
    ### BEGIN SOLUTION
    return calls, (calls + 1) // 2
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "04-7-test", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
check("04.7", heun_sample, steps_within)
### BEGIN HIDDEN TESTS
check("04.7", heun_sample, steps_within, seed=47)
### END HIDDEN TESTS

# %% [markdown]
# Which sampler is better at the same price? Below both draw from the same noise for data $N(0.3, 0.2^2)$,
# where the exact answer is known; Euler's steps and the levels are the library's. Guess before you run
# it: who wins with 5 calls, who with 29?

# %%
def show(budgets=(1, 5, 11, 19, 29)):
    """Prints the largest error of both samplers, at the same number of calls."""
    noise = 5 * torch.randn(500, 1, generator=torch.Generator().manual_seed(0))
    exact = 0.3 + (noise - 0.3) * 0.2 / (0.2**2 + 5**2) ** 0.5

    def denoise(x, sigma):
        sigma = torch.as_tensor(sigma).view(-1, 1)
        return (0.2**2 * x + sigma**2 * 0.3) / (0.2**2 + sigma**2)

    def euler(denoise, x, levels):
        return diffusion.sample(denoise, diffusion.VarianceExploding(), x, levels, 1)

    print("calls   Euler    Heun")
    for calls in budgets:
        steps = zip((euler, heun_sample), steps_within(calls), strict=True)
        runs = [(run, diffusion.karras_schedule(n, 2e-3, 5.0, 7.0)) for run, n in steps]
        errors = [(run(denoise, noise, x) - exact).abs().max() for run, x in runs]
        print(f"{calls:5}", *(f"{float(error):7.3f}" for error in errors))


show()
