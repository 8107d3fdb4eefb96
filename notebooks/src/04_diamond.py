# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4 · DIAMOND: a world drawn out of noise
#
# *You will*: play a DOOM that a neural network draws frame by frame; derive the diffusion model
# behind it from a world with two possible futures; build it in about 120 lines; train one live;
# break it in four ways and mend it; and send a policy that has only ever dreamed into the real
# game.<br>
# *You need*: Python, a little PyTorch, what a convolution is.
# [Chapter 0](00_start_here.ipynb) helps. No GPU.<br>
# *It takes*: about 90 minutes to read and try.
#
# | Tier | Your machine | The whole notebook computes for | of it live training | Memory |
# |---|---|---|---|---|
# | `laptop` | 2 CPU cores | about 9 minutes | at most 5 | 2 GB |
# | `colab` | one GPU with 16 GB | hours (section 9) | the paper's model | 12 GB of the GPU |
# | `smoke` | any; a test | a minute | seconds, and learns nothing | 1 GB |
#
# *On the map of the course*: it predicts **pixels**, and learns from **actions**, that is from
# recorded play. DIAMOND is by Alonso, Jelley, Micheli, Kanervisto, Storkey, Pearce and Fleuret
# ([NeurIPS 2024](https://arxiv.org/abs/2405.12399)); "the paper" means theirs, "EDM" is Karras,
# Aittala, Aila and Laine ([2022](https://arxiv.org/abs/2206.00364)), on which it stands.
#
# Run the next two cells, click on the picture, and play.

# %%
# Setup: does nothing where wmlearn is installed. Colab and Kaggle take a few minutes.
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

if not all(map(find_spec, ["wmlearn", "anywidget"])):
    here = Path.cwd()
    folders = [here, *here.parents, *here.iterdir()]
    root = next((f for f in folders if (f / "wmlearn/world.py").is_file()), None)
    if root is None:
        raise SystemExit("Run !git clone ADDRESS first, with this repository's address.")
    install = [sys.executable, "-m", "pip", "install", "-q", "-e", f"{root}[notebook]"]
    subprocess.run(install, check=True)
    sys.path.insert(0, str(root))

# %%
import wmlearn as wm

world = wm.load_world("diamond-doom-basic")
starts = wm.hub.load_starts("diamond-doom-basic")  # used where ViZDoom is missing
wm.play(world, env="doom/basic", context=starts)

# %% [markdown]
# Green is DOOM's engine. Orange is the network, and it has no engine: four frames and your key go
# in, one frame comes out, and goes in again. Look at the gun when you shoot, at the wall when you
# walk into it, and at the monster when you hit it. By the end of this notebook you will have
# written the part that draws.
#
# Everything below is sized by one table. A tier changes its numbers, never the code.

# %%
import tempfile
import time

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from torch import nn

from wmlearn.recipes.tiers import current_tier

SIZES = {
    "laptop": dict(frames=10_000, holdout=0.1, toy=600, overfit=200, small=250, clips=24,
                   horizon=32, long=200, episodes=12),
    "smoke": dict(frames=400, holdout=0.4, toy=300, overfit=40, small=2, clips=2,
                  horizon=4, long=6, episodes=1),
}
SIZES["colab"] = SIZES["node"] = SIZES["pod"] = SIZES["laptop"] | dict(frames=100_000)
tier = current_tier().name
size = SIZES[tier]
runs = Path(tempfile.mkdtemp())  # of this session; name your own folder to keep them
began = time.monotonic()

# %% [markdown]
# # 1 · What was experienced
#
# A world model is learned from play, so somebody has to play. Nobody good: this player presses a
# key at random and holds it for three steps on average. What it sees and does is written to disk,
# and the last tenth of its episodes will never be trained on.

# %%
from wmlearn.data.datamodule import ClipDataModule

folder = f"data/doom-basic-chapter-{size['frames']}"
store = wm.record("doom/basic", folder, frames=size["frames"], policy="random", seed=4)
data = ClipDataModule(store, batch_size=16, length=6, holdout=size["holdout"])
print(f"{store.num_frames} frames of play in {len(store)} episodes,")
print(f"of which the last {len(data.splits['val'])} are held out.")

# %% [markdown]
# Four frames and the four keys between them and the next frame: that is all that DIAMOND may look
# at when it predicts. Is it enough? A single picture would not be: it does not show whether the
# gun has just been fired. With four pictures you see what moves, and how fast.

# %%
clip = data.clips("val", count=1, length=5, seed=2)
names = store.info["action_space"]["names"]
titles = [f"then: {names[a]}" for a in clip.actions[0]] + ["to predict"]
wm.viz.strip({"real": clip.frames[0]}, titles, colors={"real": wm.viz.REAL},
             alt="Five real frames in a row; each but the last is named by the key that "
                 "was pressed after it, and the last one is to be predicted.")

# %% [markdown]
# The key of the second frame is *attack*, and the flash is in the fourth: what was pressed shows later, so
# the past keys have to be known as well. The monster, left of the middle, stands still.
#
# # 2 · The idea: recognise a frame in noise
#
# Take the next frame of the game and bury it in noise. A network that knows the past is asked for
# the frame that lies under it. With little noise the task is easy, and what it learns is how the
# game *looks*. With much noise nothing is left to see, and the only way to answer is to know what
# *comes next*. Train one network on all noise levels. Then, to dream, start with nothing but
# noise, ask what lies under it, take away a part of the noise, and ask again.
#
# Here is the network that you have just played, at this task. Upper row: what it is given (and
# the four frames before). Lower row: its answer. **Look for** the point where you can no longer
# see the room, and whether the answer changes there.

# %%
diamond = world.system
frames = clip.frames / 127.5 - 1
past, truth = frames[:, :4].expand(5, -1, -1, -1, -1), frames[:, 4]
levels = torch.tensor([0.3, 0.6, 1.2, 2.5, 5.0])
noise = torch.randn(5, 3, 64, 64, generator=torch.Generator().manual_seed(0))
noisy = truth + noise * levels.view(-1, 1, 1, 1)
with torch.no_grad():
    change = noisy - past[:, -1]  # what this network removes noise from
    guess = diamond.denoiser.estimate(change, levels, past, clip.actions.expand(5, -1))
picture = lambda x: ((x.clamp(-1, 1) + 1) * 127.5).round().byte()
rows = {"noisy": picture(noisy), "answer": picture(guess)}
wm.viz.strip(rows, [f"σ = {s:g}" for s in levels], colors={"noisy": wm.viz.NEUTRAL},
             alt="One real frame under five rising levels of noise, and below each the "
                 "network's guess of the frame without noise.")

# %% [markdown]
# The eye is easily pleased, so here is the same in numbers. The peak signal-to-noise ratio (PSNR)
# measures the squared error in decibels. Six decibels more mean a quarter of the squared error: a
# typical pixel is off by half as much.

# %%
from wmlearn.evaluation import psnr

real = clip.frames[:, 4].expand(5, -1, -1, -1)
for sigma, db in zip(levels, psnr(rows["answer"], real)):
    print(f"σ = {sigma:3.1f}: the answer has a PSNR of {db:.1f} dB")

# %% [markdown]
# At σ = 5 the noise is ten times as strong as the picture (its standard deviation is about ½), and
# the answer is still a picture of the game: by then it comes from the past and the key alone.
#
# ## 2.1 · A world with two futures
#
# What *is* the best answer? Take the smallest world that has a choice: a monster that
# will stand at $x^0 = -\tfrac12$ or at $+\tfrac12$, each as likely. We see
# $x = x^0 + \sigma\,\epsilon$ with $\epsilon \sim \mathcal N(0, 1)$ and have to name $x^0$ with
# the least squared error. That is the paper's denoising objective:
#
# $$\mathcal L = \mathbb E\,\big\| D(x; \sigma) - x^0 \big\|^2 .$$
#
# The best answer to a squared error is the mean of what is possible. By Bayes' rule the odds
# for $+\tfrac12$ are $e^{x/\sigma^2}$, and so
#
# $$D^\star(x; \sigma) = \mathbb E\,[x^0 \mid x] = \tfrac12 \tanh \frac{x}{2\sigma^2} .$$

# %%
def ideal(x, sigma):
    """The best denoiser of a world whose next frame is -1/2 or +1/2."""
    return 0.5 * torch.tanh(x / (2 * sigma**2))


x = torch.linspace(-1.5, 1.5, 101)
curves = {f"σ = {s:g}": ideal(x, s) for s in (0.2, 0.5, 1.0, 2.0)}
wm.viz.curves(curves, x, xlabel="noisy x", ylabel="D*(x; σ)")

# %% [markdown]
# With little noise the answer snaps to one of the two futures. With much noise it is near 0: *in
# the middle, where the monster never stands*. Keep this in mind; it is where the blur in
# one-step dreams comes from. Is the formula right? Nothing else may have a smaller error:

# %%
draw = torch.Generator().manual_seed(0)
future = torch.randint(0, 2, (200_000,), generator=draw) - 0.5
seen = future + 0.7 * torch.randn(200_000, generator=draw)
rivals = {"D*": ideal(seen, 0.7), "the nearer future": seen.sign() / 2, "0": 0 * seen,
          "D* for a wrong σ": ideal(seen, 1.0), "D* + 0.02": ideal(seen, 0.7) + 0.02}
errors = {name: (answer - future).square().mean() for name, answer in rivals.items()}
for name, error in errors.items():
    print(f"{name:18} squared error {error:.4f}")
assert min(errors, key=errors.get) == "D*"

# %% [markdown]
# ## 2.2 · From answers to dreams
#
# A denoiser gives the mean of the futures. We want *one* of them, drawn with the right odds. The
# bridge is this: the direction in which noisy points get likelier, the **score**, is the
# direction towards the denoiser's answer (EDM, eq. 3),
#
# $$\nabla_x \log p(x; \sigma) = \frac{D(x; \sigma) - x}{\sigma^2},$$
#
# and points that follow it while the noise falls end up distributed as the data are. That is the
# probability-flow ODE (an ordinary differential equation: it says how x changes as σ falls, and no chance is left in it; EDM, eq. 1, with time counted in σ):
#
# $$\frac{\mathrm d x}{\mathrm d \sigma} = \frac{x - D(x; \sigma)}{\sigma} .$$
#
# **Euler's method** takes it in steps from $\sigma$ to a lower $\sigma'$. Insert the ODE, and a
# step becomes a weighted average: move from $x$ towards the answer $D$, but keep the fraction
# $\sigma'/\sigma$ of the distance,
#
# $$x \leftarrow D + \frac{\sigma'}{\sigma}\,(x - D) .$$
#
# With a single step from $\sigma_{\max}$ to 0 nothing is kept: the dream *is* the first answer.
#
# Now a world with two numbers in its frame. The **player** goes where the key says: to
# $+\tfrac12$, for sure. The **monster** goes to $\pm\tfrac12$ by chance. Dream it 400 times, in
# 1, 3 and 10 steps. **Before you look**: where will one step put the monster?

# %%
from wmlearn.systems.diamond.config import SamplerConfig
from wmlearn.systems.diamond.sampler import noise_levels


def two_numbers(x, sigma):
    """Ideal denoiser: x[:, 0] is the player, sent to +1/2; x[:, 1] the monster."""
    return torch.stack([torch.full_like(x[:, 0], 0.5), ideal(x[:, 1], sigma)], 1)


def follow(denoise, x, levels):
    """Euler's method from the first noise level to the last; all points on the way."""
    path = [x]
    for sigma, lower in zip(levels, levels[1:]):
        answer = denoise(x, sigma)
        x = answer + lower / sigma * (x - answer)
        path.append(x)
    return torch.stack(path)


points = 5 * torch.randn(400, 2, generator=torch.Generator().manual_seed(1))
paths = {n: follow(two_numbers, points, noise_levels(SamplerConfig(num_steps=n)))
         for n in (1, 3, 10)}

# %% [markdown]
# Grey lines are the ways of 40 of the dreams, from noise far outside the picture to where they end.
# **Look for** the ends: are they where a player and a monster can be?

# %%
with wm.viz.style():
    figure, axes = plt.subplots(1, 3, figsize=(8, 2.6), sharey=True)
    plt.close(figure)
    for axis, (n, path) in zip(axes, paths.items()):
        axis.plot(*path[:, :40].unbind(-1), color=wm.viz.NEUTRAL, alpha=0.4, lw=0.7)
        axis.scatter(*path[-1].T, color=wm.viz.DREAM, s=14, alpha=0.3, zorder=3)
        title = f"{n} step{'s' * (n > 1)}"
        axis.set(xlim=(-1, 1.5), ylim=(-1, 1), title=title, xlabel="player")
    axes[0].set_ylabel("monster")
wm.viz.Figure(figure, "Three panels, 400 dreams in 1, 3 and 10 steps. The player ends "
                      "at one half in all of them. The monster ends near 0 after one "
                      "step, at plus or minus one half after three and after ten.")

# %% [markdown]
# How far are they from a possible future, and are both futures dreamed equally often?

# %%
for n, path in paths.items():
    player, monster = path[-1].T
    off = (monster.abs() - 0.5).abs().mean()
    print(f"{n:2} steps: player off by {(player - 0.5).abs().max():.3f}, "
          f"monster {off:.3f} from a possible future, "
          f"{(monster > 0).float().mean():.0%} right")

# %% [markdown]
# One step gets the player exactly right and puts every monster in the middle, where it never is.
# More steps commit to one future or the other, half of the dreams to each. The paper shows this
# on the game Boxing: the fighter whose keys are known is sharp at any number of steps, the
# opponent is a blur of places after one. That is why its authors dream in three steps. So the rule
# of this chapter is: **what the past and the action decide needs one step; what chance decides
# needs several.**
#
# ## 2.3 · What the network should be asked
#
# $D$ must work from σ = 0.002, where it should return its input, to σ = 20, where it should ignore
# it. A bare network, with inputs between 0.5 and 20 in size, would spend its loss on the noisiest
# images, whose errors are up to 40 times as large. EDM wraps it (eq. 7 there):
#
# $$D_\theta(x; \sigma) = c_{\text{skip}}\,x + c_{\text{out}}\,F_\theta(c_{\text{in}}\,x;\,
# c_{\text{noise}})$$
#
# with three demands, $\sigma_{\text{data}}$ being the standard deviation of the data.
# The input of $F$ shall have variance 1:
# $c_{\text{in}} = 1/\sqrt{\sigma^2 + \sigma_{\text{data}}^2}$. Its target
# $(x^0 - c_{\text{skip}}\,x)/c_{\text{out}}$ shall have variance 1. And of all choices that do
# this, take the one with the smallest $c_{\text{out}}$, because $c_{\text{out}}$ multiplies the
# network's errors (EDM, appendix B.6):
#
# $$c_{\text{skip}} = \frac{\sigma_{\text{data}}^2}{\sigma^2 + \sigma_{\text{data}}^2}, \qquad
# c_{\text{out}} = \frac{\sigma\,\sigma_{\text{data}}}{\sqrt{\sigma^2 + \sigma_{\text{data}}^2}},
# \qquad c_{\text{noise}} = \tfrac14 \ln \sigma .$$
#
# DDPM, the older recipe, lets the network name the noise: $D = x - \sigma F$, that is
# $c_{\text{skip}} = 1$ and $c_{\text{out}} = -\sigma$. For little noise the two agree. For much
# noise DDPM must say *x minus something almost equal to x*, and the network's error counts
# σ-fold. **Look for** where the two curves part.

# %%
sigma = torch.logspace(-2, 1, 60)
gain = {"EDM": sigma * 0.5 / (sigma**2 + 0.25).sqrt(), "DDPM": sigma}
wm.viz.curves(gain, sigma, xlabel="noise level σ", ylabel="|c_out|", log="xy")

# %% [markdown]
# They part at σ ≈ σ_data = ½; above, EDM's error stays under ½ and DDPM's grows with σ.
# A long sampler starts at high σ but corrects itself later. A sampler of few steps does not get
# the chance, and a world model wants few. Since our toy has a known answer $D^\star$, we can
# measure it: the same small network, trained for the same time, once as EDM, once as DDPM.

# %%
def train_toy(c_skip, c_out, steps):
    """A small network for the two futures, as D(x, sigma) with these coefficients."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(),
                        nn.Linear(64, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    ask = lambda x, s: net(torch.stack([x / (s**2 + 0.25).sqrt(), s.log() / 4], 1))[:, 0]
    for _ in range(steps):
        x0 = torch.randint(0, 2, (512,)) - 0.5
        s = (torch.randn(512) * 1.2 - 0.4).exp().clamp(0.002, 20)
        x = x0 + s * torch.randn(512)
        loss = F.mse_loss(ask(x, s), (x0 - c_skip(s) * x) / c_out(s))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return lambda x, s: c_skip(s) * x + c_out(s) * ask(x, s).detach()


edm = train_toy(lambda s: 0.25 / (s**2 + 0.25), lambda s: 0.5 * s / (s**2 + 0.25).sqrt(),
                size["toy"])
ddpm = train_toy(torch.ones_like, lambda s: -s, size["toy"])

# %% [markdown]
# **Look for** the right end of the curves, the noise level at which a dream begins.

# %%
def toy_error(denoise, sigma):
    """Root mean square distance to the ideal denoiser at each noise level."""
    generator = torch.Generator().manual_seed(0)
    x0 = torch.randint(0, 2, (2000,), generator=generator) - 0.5
    noise = torch.randn(2000, generator=generator)
    pairs = [(x0 + s * noise, s.expand(2000)) for s in sigma]
    return [(denoise(x, s) - ideal(x, s)).square().mean().sqrt() for x, s in pairs]


sigma = torch.logspace(-1.5, 0.7, 30)
errors = {"EDM": toy_error(edm, sigma), "DDPM": toy_error(ddpm, sigma)}
wm.viz.curves(errors, sigma, xlabel="noise level σ", ylabel="distance to D*", log="xy")

# %% [markdown]
# To the right the two part, as their $c_{out}$ did. At the last point:

# %%
for name, error in errors.items():
    print(f"{name:4} at sigma = 5, where a dream begins: {error[-1]:.3f} from the ideal")

# %% [markdown]
# Same network, same data, same number of steps, and the error is the network's times $c_{out}$.
# A dream of one step takes its only answer there. Section 6.2 asks whether the same happens to a
# whole DOOM.

# %% [markdown]
# # 3 · Build it
#
# Six pieces, each followed by a check. All shapes are `[B, C, H, W]`: batch, channels, height,
# width; frames are numbers from -1 to 1.
#
# ## 3.1 · Preconditioning
#
# The three demands of section 2.3, for a batch of noise levels.

# %%
def precondition(sigma, sigma_data):
    """c_skip, c_out, c_in [B, 1, 1, 1] and c_noise [B] for noise levels sigma [B]."""
    s = sigma.view(-1, 1, 1, 1)
    scale = torch.hypot(s, torch.tensor(sigma_data))  # of the noisy image
    return (sigma_data / scale) ** 2, s * sigma_data / scale, 1 / scale, sigma.log() / 4


# %% [markdown]
# *Check.* Input and target have variance 1 at every noise level, and no other $c_{skip}$ leaves a
# smaller rest.

# %%
sigma = torch.tensor([0.01, 0.3, 4.0])
clean = 0.2 * torch.randn(3, 1, 500, 500)
noisy = clean + sigma.view(-1, 1, 1, 1) * torch.randn_like(clean)
c_skip, c_out, c_in, c_noise = precondition(sigma, 0.2)
for x in (c_in * noisy, (clean - c_skip * noisy) / c_out):
    assert torch.allclose(x.var(dim=(1, 2, 3)), torch.ones(3), atol=0.02)
for other in (0.9, 1.1):
    rest = clean - other * c_skip * noisy
    assert (rest.var((1, 2, 3)) > c_out.flatten() ** 2 * 0.99).all()

# %% [markdown]
# ## 3.2 · A residual block that listens
#
# The noise level and the actions are not pictures. They are put into one vector `cond`, and every
# block hears it through its normalisation: *adaptive group norm* brings each group of 32 channels
# to mean 0 and variance 1, and then lets `cond` choose gain and bias of every channel. An action
# can thus turn a whole feature on or off, anywhere in the picture.

# %%
class AdaGroupNorm(nn.Module):
    def __init__(self, channels, cond):
        super().__init__()
        self.linear = nn.Linear(cond, 2 * channels)

    def forward(self, x, cond):
        gain, bias = self.linear(cond)[:, :, None, None].chunk(2, dim=1)
        return F.group_norm(x, max(1, x.shape[1] // 32)) * (1 + gain) + bias


# %% [markdown]
# The block itself: twice norm, activation and convolution, beside a shortcut. The second
# convolution starts at zero, so that a new block does nothing yet. (The self-attention is the
# textbook's; only the two blocks at the bottom of the U-Net have it.)

# %%
from wmlearn.nn.blocks import SelfAttention2d


class ResBlock(nn.Module):
    def __init__(self, before, after, cond, attention=False):
        super().__init__()
        self.shortcut = nn.Conv2d(before, after, 1) if before != after else nn.Identity()
        self.norm1 = AdaGroupNorm(before, cond)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.norm2 = AdaGroupNorm(after, cond)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.attention = SelfAttention2d(after) if attention else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x, cond):
        h = self.conv1(F.silu(self.norm1(x, cond)))
        h = self.conv2(F.silu(self.norm2(h, cond)))
        return self.attention(self.shortcut(x) + h)


# %% [markdown]
# *Check.* Another `cond`, another output; and with a gain of 1 and a bias of 7 every group has
# mean 7 and variance $(1 + 1)^2 = 4$, whatever came in.

# %%
norm, x = AdaGroupNorm(64, 16), 3 + 5 * torch.randn(2, 64, 8, 8)
assert not torch.allclose(norm(x, torch.randn(2, 16)), norm(x, torch.randn(2, 16)))
nn.init.zeros_(norm.linear.weight)
norm.linear.bias.data = torch.tensor([1.0] * 64 + [7.0] * 64)  # gain 1, bias 7
y = norm(x, torch.randn(2, 16)).reshape(2, 2, 32, 64)  # the two groups of 32 channels
assert torch.allclose(y.mean((2, 3)), torch.tensor(7.0), atol=1e-3)
assert torch.allclose(y.var((2, 3)), torch.tensor(4.0), atol=1e-2)  # (1 + gain) squared

# %% [markdown]
# ## 3.3 · A small U-Net
#
# A shot is decided by the whole picture (is the monster in front of the gun?) and drawn in a few
# pixels. A U-Net has both: the left side halves the picture again and again, so that the bottom
# sees all of it; the right side doubles it again, and at every size gets the left side's feature
# maps, so that no pixel loses its place.

# %%
class UNet(nn.Module):
    def __init__(self, widths, cond):
        super().__init__()
        conv = lambda c, stride: nn.Conv2d(c, c, 3, stride, 1)
        outer, top = [widths[0], *widths[:-1]], widths[-1]
        self.down = nn.ModuleList([nn.Identity(), *(conv(c, 2) for c in widths[:-1])])
        self.left = nn.ModuleList(ResBlock(a, b, cond) for a, b in zip(outer, widths))
        self.middle = nn.ModuleList(ResBlock(top, top, cond, True) for _ in range(2))
        self.up = nn.ModuleList([nn.Identity(), *(conv(c, 1) for c in widths[-2::-1])])
        self.right = nn.ModuleList()
        for a, b in reversed(list(zip(outer, widths))):
            self.right += [ResBlock(2 * b, b, cond), ResBlock(a + b, a, cond)]

    def forward(self, x, cond):
        skips, right = [], iter(self.right)
        for down, block in zip(self.down, self.left):
            skips.append(x := down(x))
            skips.append(x := block(x, cond))
        for block in self.middle:
            x = block(x, cond)
        for level, up in enumerate(self.up):
            x = up(F.interpolate(x, scale_factor=2.0) if level else x)
            for _ in range(2):
                x = next(right)(torch.cat([x, skips.pop()], 1), cond)
        return x


# %% [markdown]
# *Check.* What goes in comes out in the same shape, and the first pixel of the output depends on the
# opposite corner of the input.

# %%
unet, cond = UNet([32, 32, 64], 16), torch.randn(1, 16)
for block in [*unet.left, *unet.middle, *unet.right]:
    nn.init.normal_(block.conv2.weight, std=0.1)  # new blocks do nothing; these do
x = torch.randn(1, 32, 16, 16, requires_grad=True)
y = unet(x, cond)
assert y.shape == x.shape
y[0, :, 0, 0].sum().backward()
assert x.grad[0, :, 15, 15].abs().sum() > 0

# %% [markdown]
# ## 3.4 · The network F
#
# Around the U-Net: the past frames are stacked on the noisy one as further channels; noise level
# and actions become `cond`. And one trick that makes it fit a laptop, which the paper does not
# use: 4 × 4 pixels become the channels of one, so that all convolutions run on a picture with a
# sixteenth of the positions.

# %%
class Network(nn.Module):
    def __init__(self, num_actions=4, n=4, widths=(64, 64, 128), cond=128, patch=4):
        super().__init__()
        pixels = 3 * patch**2
        self.register_buffer("frequencies", torch.randn(1, cond // 2))
        self.action = nn.Embedding(num_actions, cond // n)
        self.mix = nn.Sequential(nn.Linear(cond, cond), nn.SiLU(), nn.Linear(cond, cond))
        self.first = nn.Conv2d((n + 1) * pixels, widths[0], 3, 1, 1)
        self.unet = UNet(list(widths), cond)
        self.norm = nn.GroupNorm(max(1, widths[0] // 32), widths[0])
        self.last = nn.Conv2d(widths[0], pixels, 3, 1, 1)
        self.shrink, self.grow = nn.PixelUnshuffle(patch), nn.PixelShuffle(patch)
        nn.init.zeros_(self.last.weight)

    def forward(self, noisy, c_noise, context, actions):
        angles = 2 * torch.pi * c_noise[:, None] @ self.frequencies
        waves = torch.cat([angles.cos(), angles.sin()], 1)
        cond = self.mix(waves + self.action(actions).flatten(1))
        stack = torch.cat([context.flatten(1, 2) / 0.5, noisy], 1)  # 0.5: std of frames
        x = self.unet(self.first(self.shrink(stack)), cond)
        return self.grow(self.last(F.silu(self.norm(x))))


# %% [markdown]
# *Check.* The last convolution starts at zero, so an untrained network must say the same whatever
# it is shown.

# %%
net = Network()
many = sum(p.numel() for p in net.parameters())
context, actions = torch.rand(2, 4, 3, 64, 64) * 2 - 1, torch.randint(4, (2, 4))
out = net(torch.randn(2, 3, 64, 64), torch.zeros(2), context, actions)
assert out.shape == (2, 3, 64, 64)
assert torch.equal(out[0], out[1])
print(f"{many / 1e6:.2f} million parameters")

# %% [markdown]
# ## 3.5 · The loss
#
# As in EDM (eq. 8): $F$ shall hit its target of variance 1, at a noise level drawn anew for each
# picture. Two things are ours, for a small budget. The network predicts the *change* from the last
# frame, since most of a frame stays as it is. And a clip has two frames to predict, the second of
# them from a past that holds *the model's own answer* to the first: at play time the past is
# nothing but its own answers, so let it learn to live with them. (The authors do the same in their
# CS:GO model.) The answer is cut to 8 bits, as real frames are, and no gradient flows through it.
#
# One thing of the paper is left out here: **offset noise**, one number for each color channel, the same
# at all pixels, with standard deviation 0.3. Independent noise averages out over a picture, so its
# brightness shines through at every level, and the network need never learn to say how bright the next
# frame is; offset noise hides that, too, and the coefficients then count σ² + 0.3² in place of σ². A
# *change* of a frame has hardly any brightness of its own. Exercise 1 puts offset noise back in.

# %%
SIGMA_DATA, SIGMA_LOC, SIGMA_SCALE = 0.2, 1.1, 0.6


def eight_bits(x):
    """Clamps to [-1, 1] and cuts to the 256 levels that a picture has."""
    return (x.clamp(-1, 1) + 1).mul(127.5).floor() / 127.5 - 1


def denoising_loss(net, frames, actions, noise, n=4):
    """frames [B, n + k, C, H, W], actions [B, n + k - 1]; noise(*shape) draws it."""
    context, losses = frames[:, :n], []
    for t in range(n, frames.shape[1]):
        change = frames[:, t] - context[:, -1]
        sigma = (noise(len(frames)) * SIGMA_SCALE + SIGMA_LOC).exp().clamp(0.002, 20)
        noisy = change + noise(*change.shape) * sigma.view(-1, 1, 1, 1)
        c_skip, c_out, c_in, c_noise = precondition(sigma, SIGMA_DATA)
        output = net(c_in * noisy, c_noise, context, actions[:, t - n : t])
        losses.append(F.mse_loss(output, (change - c_skip * noisy) / c_out))
        answer = context[:, -1] + c_skip * noisy + c_out * output.detach()
        context = torch.cat([context[:, 1:], eight_bits(answer)[:, None]], 1)
    return torch.stack(losses).mean()


# %% [markdown]
# *Check.* Two clips must be learned by heart in seconds, or something is wrong. At half the
# resolution it is quicker still.

# %%
def small(frames):
    """Halves the resolution: uint8 [..., 64, 64] -> float [..., 32, 32], -1 to 1."""
    halved = F.avg_pool2d(frames.flatten(0, 1) / 127.5 - 1, 2)
    return halved.unflatten(0, frames.shape[:2])


torch.manual_seed(0)
batch, net = data.train_batch(0)[:2], Network(widths=(64, 64), cond=64)
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
by_heart = []
for _ in range(size["overfit"]):
    loss = denoising_loss(net, small(batch.frames), batch.actions, torch.randn)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    by_heart.append(loss.item())
first, last = (sum(part) / 5 for part in (by_heart[:5], by_heart[-5:]))
print(f"loss {first:.2f} -> {last:.2f}")
assert last < 0.9 * first

# %% [markdown]
# ## 3.6 · The sampler, and a world
#
# To draw a frame, start with pure noise and take Euler's steps of section 2.2. To dream, draw a
# frame, push it into the past, and draw the next.
#
# Between which noise levels? EDM's **schedule** (eq. 5 there) spaces $N$ of them evenly in
# $\sigma^{1/\rho}$, from $\sigma_{\max}$ to $\sigma_{\min}$, with $\rho = 7$: small steps where
# the noise is small and details are settled, large ones where it is large. **Heun's method** spends
# a second look for each step: it asks again where Euler's step ends, and goes on with the mean of
# both directions. The error of a step falls from second to third order; the cost doubles. DIAMOND's
# authors found Euler good enough, and so do we.

# %%
@torch.no_grad()
def draw_frame(net, context, actions, noise, levels):
    """The next frame [B, C, H, W] after context [B, n, C, H, W] and actions [B, n]."""
    base, x = context[:, -1], noise * levels[0]
    for sigma, lower in zip(levels, levels[1:]):
        c_skip, c_out, c_in, c_noise = precondition(sigma.expand(len(x)), SIGMA_DATA)
        output = net(c_in * x, c_noise, context, actions)
        answer = eight_bits(base + c_skip * x + c_out * output) - base
        x = answer + lower / sigma * (x - answer)
    return base + x


def dream(net, context, actions, levels, generator):
    """Frames [B, T, C, H, W]; actions [B, n - 1 + T] begin with those of the context."""
    n, frames = context.shape[1], []
    for t in range(actions.shape[1] - n + 1):
        noise = torch.randn(context[:, -1].shape, generator=generator)
        frame = draw_frame(net, context, actions[:, t : t + n], noise, levels)
        context = torch.cat([context[:, 1:], frame[:, None]], 1)
        frames.append(frame)
    return torch.stack(frames, 1)


# %% [markdown]
# *Check.* A network that knows the true change gives the true frame, in one step as in five.

# %%
frames = small(batch.frames)[:, :5]
context, actions, truth = frames[:, :4], batch.actions[:, :4], frames[:, 4]


def knows(x, c_noise, context, actions):
    c_skip, c_out, c_in, _ = precondition((4 * c_noise).exp(), SIGMA_DATA)
    return (truth - context[:, -1] - c_skip * x / c_in) / c_out


for levels in ([2.0, 0.0], [2.0, 1.0, 0.5, 0.1, 0.01, 0.0]):
    noise = torch.randn(truth.shape)
    drawn = draw_frame(knows, context, actions, noise, torch.tensor(levels))
    assert (drawn - truth).abs().max() < 1 / 127  # one of 256 levels

# %% [markdown]
# A world is more than frames: it also says what an action *earned*, and whether the game is over.
# DIAMOND keeps this apart, in a second, small network: a CNN with an LSTM (a long short-term memory: a layer that carries numbers from step to step and learns what to keep) that reads the frames as
# they come and names the sign of the reward and the end. It is plain classification with
# cross-entropy, 30 lines in `wmlearn/systems/diamond/reward_end.py`, and we use it from there.

# %% [markdown]
# ## 3.7 · Yours and the library's are the same function
#
# The same weights, the same inputs: the outputs of your network, your loss and your sampler must
# be the library's.

# %%
from wmlearn.systems.diamond import Denoiser, DenoiserConfig, sample

OURS = DenoiserConfig(
    predict="change", sigma_data=SIGMA_DATA, sigma_offset_noise=0.0, sigma_loc=SIGMA_LOC,
    sigma_scale=SIGMA_SCALE, patch_size=4, depths=(1, 1, 1), channels=(64, 64, 128),
    attention=(False, False, False), cond_channels=128,
)
ONE_STEP = SamplerConfig(num_steps=1, sigma_max=3.0, initial_scale=3.0)
library, mine = Denoiser(OURS), Network()
for parameter in library.parameters():
    nn.init.normal_(parameter, std=0.05)
theirs = list(library.inner_model.state_dict().values())
mine.load_state_dict(dict(zip(mine.state_dict(), theirs, strict=True)))

# %% [markdown]
# (The numbers above are those of the `laptop` tier; section 6.6 sets them beside the paper's. The
# weights are drawn at random, so that no layer is hidden behind zeros.)

# %%
def noise(*shape):  # the same numbers whenever the same shape is asked for
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


clips = data.train_batch(1)[:4]
frames, actions = clips.frames / 127.5 - 1, clips.actions
context, first = frames[:, :4], actions[:, :4]
levels, draw = noise_levels(ONE_STEP), noise(4, 3, 64, 64)
pairs = {
    "loss": (denoising_loss(mine, frames, actions, noise),
             library.loss(frames, actions, noise)[0]),
    "network": (mine(draw, noise(4), context, first),
                library.inner_model(draw, noise(4), context.flatten(1, 2) / 0.5, first)),
    "frame": (draw_frame(mine, context, first, draw, levels),
              sample(library, context, first, draw, ONE_STEP)),
}
for name, (a, b) in pairs.items():
    print(f"{name:8} largest difference {(a - b).abs().max().item():.1e}")
    assert torch.allclose(a, b, atol=1e-5)

# %% [markdown]
# From here on we use the library's: the same function, with faster convolutions, checkpoints that
# survive a power cut, and several processes at once.

# %% [markdown]
# # 4 · Train it
#
# One line. It trains the denoiser and the reward model on the episodes that were recorded above,
# for at most five minutes at the laptop's tier; from `colab` on, the same line trains the paper's
# model. Stop it whenever you like: run the cell again and it goes on from its last checkpoint.

# %%
import logging
import warnings

from wmlearn.train.fit import fit

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # leave only the bar
warnings.filterwarnings("ignore", module="lightning")

run = fit("diamond", data=folder, frames=size["frames"], holdout=size["holdout"],
          out=f"{runs}/diamond")

# %% [markdown]
# While it trained, it was asked for the next frame of held-out clips. The grey line is the
# baseline that every world model must beat: *nothing moves*, copy the last frame. It is a hard
# one, because in a ninth of a second little happens. **Look for** where the lines cross.

# %%
steps, dream_db = zip(*run.history["val/psnr"])
copy_db = [db for _, db in run.history["val/psnr_copy"]]
wm.viz.curves({"dream": dream_db, "copy last frame": copy_db}, steps,
              xlabel="training step", ylabel="PSNR of the next frame (dB)",
              colors={"copy last frame": wm.viz.NEUTRAL})

# %% [markdown]
# Here they do not cross: the dream was ahead at the first measurement, and is still rising at the end.
#
# How much went into your world, and into the one that you played at the start?

# %%
minutes = run.history["seconds"][-1][1] / 60
card = wm.hub.read_card("diamond-doom-basic")
print(f"yours:   steps {steps[-1]}, minutes {minutes:.1f}, frames {store.num_frames}")
facts = [name for name in ("steps", "minutes", "frames", "hardware") if name in card]
print("shipped:", ", ".join(f"{name} {card[name]}" for name in facts))
print("        ", card.get("note", ""))

# %% [markdown]
# The next frame is the easy part. A world is there to be lived in, so let both dream on from
# held-out clips, under the true actions, and compare each dreamed frame with the real one. The
# shipped world comes from the same code with more time, and a somewhat larger network. It also
# dreams under the *wrong* actions,
# those of another clip: if that does not hurt, it is a film and not a world.

# %%
from wmlearn.evaluation import rollout
from wmlearn.evaluation.controllability import derangement

clips = data.clips("val", size["clips"], 4 + size["horizon"])
target, true_actions = clips.frames[:, 4:], clips.actions[:, 3:]
wrong_actions = true_actions[derangement(len(clips), seed=0)]


def dream_on(world, clips, actions=None, seed=0):
    """The frames that the world dreams after the first four of each clip."""
    return rollout(world, clips, torch.Generator().manual_seed(seed), actions)


dreams = {
    "shipped": dream_on(world, clips),
    "yours": dream_on(run.system.world(), clips),
    "shipped, wrong actions": dream_on(world, clips, wrong_actions),
    "copy last frame": clips.frames[:, 3:4].expand_as(target),
}
scores = {name: psnr(frames, target).mean(0) for name, frames in dreams.items()}

# %% [markdown]
# **Look for** three things: where a dream falls below the dashed line (there it is better to
# believe that nothing moves), how far yours is from the shipped one, and what wrong keys cost.

# %%
colors = {"shipped": wm.viz.DREAM, "copy last frame": wm.viz.NEUTRAL}
wm.viz.curves(scores, xlabel="steps ahead", ylabel="PSNR (dB)", colors=colors)

# %% [markdown]
# The shipped world is above the dashed line at every step. Yours begins above it, is no better than a copy
# for some ten steps, and ends above it. Wrong keys bring the shipped world down to the copy, or below. At
# three distances:

# %%
for h in (1, 8, 32):
    h = min(h, size["horizon"])
    row = {name: float(score[h - 1]) for name, score in scores.items()}
    print(f"{h:2} steps ahead:", *(f"{name} {db:.1f} dB;" for name, db in row.items()))

# %% [markdown]
# And as differences:

# %%
def gain(name, other):
    """By how many dB `name` is better than `other` eight steps ahead."""
    h = min(8, size["horizon"]) - 1
    return float(scores[name][h] - scores[other][h])


Markdown(f"""Eight steps ahead, on {len(clips)} held-out clips with one seed of noise:
the shipped world is **{gain("shipped", "copy last frame"):+.1f} dB** against copying,
yours **{gain("yours", "copy last frame"):+.1f} dB**. Wrong actions cost the shipped
world **{gain("shipped", "shipped, wrong actions"):.1f} dB**: so much does it listen.
Intervals and more seeds come in section 7.""")

# %% [markdown]
# # 5 · Look at it
#
# Numbers hide what is wrong, pictures hide how much. Here is the clip in which most moves (that
# for which copying is worst): real above, dream below, and what differs. **Look for** the walls,
# the gun and the monster: what is lost first?

# %%
worst = int(psnr(dreams["copy last frame"], target).mean(1).argmin())
wm.viz.filmstrip(target[worst], dreams["shipped"][worst])

# %% [markdown]
# Walls, gun and flash are large, or always in one place: they hold. What is small, and somewhere
# else after every step, is the first to blur. That is the monster. Hold on to this; section 6.4
# asks what it costs. The same clip as a film, with the world that you have trained:

# %%
film = wm.viz.side_by_side(target[worst], dreams["yours"][worst])
wm.viz.gif(film, fps=8, alt="A short film: the real game on the left, beside it the "
                            "dream of the world trained here, under the same keys.")

# %% [markdown]
# Its room turns as the real one does, and the flash comes when it should. But grain gathers on walls and
# gun from frame to frame, and nothing takes it away again.
#
# Now what no recording can show: one moment, four futures. The noise is the same in each row,
# only the key differs. **Look for** the first step in which the rows differ. And follow the monster
# in the rows in which you move: does it come along?

# %%
def future(world, clip, action, steps):
    """Frames [T, C, H, W] and rewards [T] when one key is held down."""
    generator, state = torch.Generator().manual_seed(0), world.reset(clip)
    seen = []
    for _ in range(steps):
        state, step = world.step(state, torch.tensor([action]), generator)
        seen.append(step)
    return torch.cat([s.frame for s in seen]), torch.cat([s.reward for s in seen])


keys = {"wait": 0, "left": 1, "right": 2, "shoot": 3}
futures = {name: future(world, clip.time(0, 4), key, 8) for name, key in keys.items()}
wm.viz.counterfactual_strip({name: frames for name, (frames, _) in futures.items()},
                            clip.frames[0, 3])

# %% [markdown]
# The rows differ from the first step on, in the side walls. Waiting and shooting keep the room sharp, and
# only the shooter's gun flashes again. Walking left brings the left wall into view, walking right the
# right one, and both blur what they move. The monster is shifted a little and fades.
#
# What does the dream say that these four futures earn?

# %%
for name, (_, rewards) in futures.items():
    print(f"{name:6} dreamed rewards: {[round(r) for r in rewards.tolist()]}")

# %% [markdown]
# Left slides the room to the right; shooting lights the gun and nothing else moves. Where the
# monster fades, no reward will ever be dreamed again: there is nothing left to hit. Now compare the
# dreamed rewards with those that were recorded:

# %%
recorded = data.clips("train", 2000, 2).rewards.unique().tolist()
print("recorded rewards:", [round(r) for r in recorded])
print("the dream pays:  ", [round(r) for r in diamond.config.reward_end.reward_values])

# %% [markdown]
# DIAMOND predicts only the *sign* of a reward, as the paper clips all rewards to -1, 0 and 1; the
# world then pays, for each sign, the average reward of that sign in the recordings (the line
# above). So in the dream a shot that misses costs no more than waiting. A policy that is trained
# in there has no reason to save bullets. The pictures alone would never have told us.
#
# # 6 · What breaks

# %% [markdown]
# ## 6.1 · Three details
#
# To have an answer in seconds we go down to 32 × 32 pixels and a smaller network, and train it
# with one detail changed at a time: with **no answers of its own** in the past (one predicted
# frame a clip instead of two); on the **whole frame** instead of the change; on the **paper's
# noise** (which is lower: log σ around -0.4, where ours is around 1.1). All dream in one step, as
# the player does, and from the mean of the noise, 0, instead of a draw (6.3 says why). Here is the
# whole training loop; what `fit` adds is comfort. **Before you look**:
# which of the three will cost the most?

# %%
from dataclasses import replace

SMALL = replace(OURS, depths=(1, 1), channels=(32, 64), attention=(False,) * 2,
                cond_channels=64)


def train(config, steps, k=2):
    """A denoiser trained on `steps` batches of 16 clips with k frames to predict."""
    torch.manual_seed(0)
    denoiser = Denoiser(config)
    optimizer = torch.optim.AdamW(denoiser.parameters(), lr=2e-3)
    for step in range(steps):
        clip = data.train_batch(step)
        frames, actions = small(clip.frames)[:, : 4 + k], clip.actions[:, : 3 + k]
        loss, _ = denoiser.loss(frames, actions, torch.randn)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 20) * (1 - step / steps)
        optimizer.step()
    return denoiser


# %% [markdown]
# Four networks, the same clips in the same order, the same first weights.

# %%
variants = {
    "all in place": (SMALL, 2),
    "no answers of its own": (SMALL, 1),
    "whole frame": (replace(SMALL, predict="frame", sigma_data=0.5), 2),
    "paper's noise": (replace(SMALL, sigma_loc=-0.4, sigma_scale=1.2), 2),
}
denoisers = {name: train(c, size["small"], k) for name, (c, k) in variants.items()}

# %% [markdown]
# Let each dream on from the held-out clips of section 4, at the small size.

# %%
from wmlearn.pixels import to_uint8


def dream_small(denoiser, context, actions):
    """Context [B, 4, C, H, W], actions [B, 3 + T] -> dreamed uint8 [B, T, C, H, W]."""
    frames = []
    for t in range(actions.shape[1] - 3):
        zero = torch.zeros_like(context[:, -1])
        frame = sample(denoiser, context, actions[:, t : t + 4], zero, ONE_STEP)
        context = torch.cat([context[:, 1:], frame[:, None]], 1)
        frames.append(to_uint8(frame))
    return torch.stack(frames, 1)


real = small(clips.frames)
small_target = to_uint8(real[:, 4:])
dreams = {name: dream_small(denoiser, real[:, :4], clips.actions)
          for name, denoiser in denoisers.items()}
dreams["copy last frame"] = to_uint8(real[:, 3:4]).expand_as(small_target)
ablation = {name: psnr(frames, small_target).mean(0) for name, frames in dreams.items()}
wrong_keys = torch.cat([clips.actions[:, :3], wrong_actions], 1)
misled = {name: dream_small(denoiser, real[:, :4], wrong_keys)
          for name, denoiser in denoisers.items()}

# %% [markdown]
# **Look for** the order of the curves, and whether they keep it to the right.

# %%
wm.viz.curves(ablation, xlabel="steps ahead", ylabel="PSNR (dB)", colors=colors)

# %% [markdown]
# At the first step the three that predict the change lie together, far above the whole frame. The order
# does not last: at the end the whole frame is on top, and *all in place* leads the other two.
#
# The same as pictures: real on top, then the four variants. **Look for** what each of them loses.

# %%
last = size["horizon"] - 1
rows = {"real": small_target[0], **{name: dreams[name][0] for name in variants}}
times = sorted({0, last // 4, last // 2, last})
wm.viz.strip({name: frames[times] for name, frames in rows.items()},
             [f"step {t + 1}" for t in times], colors={"real": wm.viz.REAL},
             alt="Real frames, below them the dreams of four variants, at four times.")

# %% [markdown]
# The whole frame is blurred at once and stays so. The other three are sharp at step 8 and grainy at 32, the
# one that never met its own answers and the one with the paper's noise most of all.
#
# And as a table. The last column asks section 4's question again: what do wrong keys cost? A world
# that loses nothing does not listen.

# %%
h = min(8, size["horizon"]) - 1
rows = []
for name in variants:
    own, wrong = ablation[name], psnr(misled[name], small_target).mean(0)
    cells = (own[0], own[h], own[last], own[h] - wrong[h])
    rows.append(f"| {name} | " + " | ".join(f"{db:.1f}" for db in cells) + " |")
Markdown(f"PSNR in dB, {size['small']} training steps each:\n\n"
         f"| | 1 step ahead | {h + 1} | {last + 1} | wrong keys cost, {h + 1} ahead |\n"
         "|---|---|---|---|---|\n" + "\n".join(rows))

# %% [markdown]
# One seed, a short training (too short to beat copying: the world of section 4 took longer) and a
# few clips, so read the large differences and not the small ones.
#
# - **Whole frame**: predicting the whole frame is worst one step ahead, since everything that
#   stands still must be drawn anew through a narrow network, and best at the longest horizon *in
#   decibels*: it blurs at once, but does not add up errors. Look at its row in the strip, and at
#   the last column, before you call that a better world. (The paper predicts the frame, and with
#   4.4 million parameters at full resolution, three steps and days of training it can.)
# - **No answers of its own**: it has learned from perfect pasts only. At play time the past has
#   errors, and each step adds to them. (A step of its training costs half, too: it has one frame
#   to predict instead of two.)
# - **The paper's noise**: the level at which a one-step dream is drawn is rarer in training. The
#   next frame does not mind; the dream falls behind further ahead.

# %% [markdown]
# ## 6.2 · EDM against DDPM
#
# Section 2.3 predicted trouble for a network that names the noise, when steps are few. The paper
# tests this with long dreams in Breakout. We have two worlds at 32 × 32 that differ in nothing
# but the objective: same network, data, number of training steps, and both predict the whole
# frame, as in the paper. **Before you look**: which of 1, 3 and 10 steps will suffer?

# %%
systems = {name: wm.load(f"diamond-{name.lower()}-32") for name in ("EDM", "DDPM")}
some = clips[: max(2, size["clips"] // 2)]
real32 = replace(some, frames=to_uint8(small(some.frames)))
horizon = min(16, size["horizon"])
print(f"PSNR (dB) at 1 and {horizon} steps ahead, {len(some)} held-out clips")
for name, system in systems.items():
    for n in (1, 3, 10):
        frames = dream_on(system.world({"num_steps": n}), real32.time(0, 4 + horizon))
        db = psnr(frames, real32.frames[:, 4 : 4 + horizon]).mean(0)
        print(f"{name:5} {n:2} denoising steps: {db[0]:5.1f} {db[-1]:5.1f}")

# %% [markdown]
# Now long dreams. There is no truth to compare with after a while (an episode ends after at most
# 75 steps, and small errors part the ways). So we ask another question: *is there any recorded
# frame that looks like this one?* The measure is the PSNR to the most similar of 1,000 recorded
# frames. The dreamer presses keys at random.

# %%
pool = to_uint8(small(data.clips("train", 1000, 1).frames))[:, 0]


def likeness(frames):
    """PSNR (dB) of frames [B, C, H, W] to the most similar recorded one, mean over B."""
    distance = torch.cdist(frames.flatten(1).float(), pool.flatten(1).float())
    mse = (distance.min(1).values ** 2 / frames[0].numel()).clamp(min=1 / 12)
    return float((10 * torch.log10(255**2 / mse)).mean())


def long_dream(world, starts, steps):
    """Frames [T, B, C, H, W] under random keys, each held for three steps."""
    generator, state, frames = torch.Generator().manual_seed(1), world.reset(starts), []
    keys = torch.randint(4, (steps // 3 + 1, len(starts)), generator=generator)
    for t in range(steps):
        state, step = world.step(state, keys[t // 3], generator)
        frames.append(step.frame)
    return torch.stack(frames)


# %% [markdown]
# For scale: how much do *real* frames that were held out resemble the recorded ones? A dream can
# hardly do better.

# %%
fresh = to_uint8(small(data.clips("val", 100, 1, seed=1).frames))[:, 0]
print(f"Real frames that were held out: {likeness(fresh):.1f} dB")

# %% [markdown]
# Six dreams, two worlds times three numbers of denoising steps, from the same four starts and under
# the same keys.

# %%
begin = real32[:4].time(0, 4)
long = {f"{name}, {n} step{'s' * (n > 1)}":
        long_dream(system.world({"num_steps": n}), begin, size["long"])
        for n in (1, 3, 10) for name, system in systems.items()}

# %% [markdown]
# **Look for** curves that sink (drift), and curves that start low (a bad picture from the first
# step on).

# %%
every = max(1, size["long"] // 40)
drift = {name: [likeness(f) for f in frames[::every]] for name, frames in long.items()}
wm.viz.curves(drift, range(1, size["long"] + 1, every),
              xlabel="steps dreamed", ylabel="likeness to real frames (dB)")

# %% [markdown]
# Two curves sink, both within the first tens of steps: DDPM with one step and with three. The other four
# go on at the level at which they began. The first of the four dreams, at six times:

# %%
times = sorted({round(i * (size["long"] - 1) / 5) for i in range(6)})
wm.viz.strip({name: frames[times, 0] for name, frames in long.items()},
             [f"step {t + 1}" for t in times],
             colors={name: wm.viz.NEUTRAL for name in long if name.startswith("DDPM")},
             alt="Long dreams of the EDM and the DDPM world with 1, 3 and 10 denoising "
                 "steps, one row each, at six times from the start to the end.")

# %% [markdown]
# White is what is left of DDPM's dream with few steps; with ten it is a room, as EDM's is with any number.
# In numbers:

# %%
quarter = -(-size["long"] // 4)
ends = [likeness(frames[-quarter:].flatten(0, 1)) for frames in long.values()]
rows = [f"| {n} | {edm:.1f} dB | {ddpm:.1f} dB |"
        for n, edm, ddpm in zip((1, 3, 10), ends[::2], ends[1::2])]
Markdown(f"Likeness over the last quarter of {size['long']} steps:\n\n"
         "| denoising steps | EDM | DDPM |\n|---|---|---|\n" + "\n".join(rows))

# %% [markdown]
# In the paper's Breakout, DDPM drifts away from the game within tens of steps when denoising steps
# are few, and EDM stays with a single one; more steps help both. Compare with your table. Where it
# differs, remember what does: a small network, 32 × 32 pixels, another game, minutes of training.
#
# ## 6.3 · How many steps does this DOOM need?
#
# Section 2 says: several steps are for what *chance* decides. What does chance decide in
# `doom/basic`? The monster does not walk, the walls stand still, the gun always takes the same
# time. So, in theory, one step loses nothing. A test on the shipped world: dream one moment under
# the same keys with several seeds of noise, and see how much the dreams differ and how good they
# are; first in one step from 0, the mean of the noise; then from a draw of the noise; then in
# 3 and 10 steps at the high noise levels of its training; then down to the paper's lowest.
# **Before you look**: which will be best, which worst?

# %%
moment, seeds = clips[:1].time(0, 4), min(8, size["clips"])
moment = moment[torch.zeros(seeds, dtype=torch.int64)]
same_keys = clips.actions[:1, 3 : 3 + horizon].expand(seeds, -1)
truth = clips.frames[0, 3 + horizon].expand(seeds, -1, -1, -1)
print(f"{seeds} dreams of one moment, {horizon} steps ahead")
for n, start, lowest in ((1, 0, 1), (1, 3, 1), (3, 3, 1), (10, 3, 1), (3, 3, 0.002)):
    chosen = diamond.world()
    chosen.sampler = SamplerConfig(n, sigma_max=3, sigma_min=lowest, initial_scale=start)
    ends = dream_on(chosen, moment, same_keys)[:, -1]
    spread, db = ends.float().std(0).mean(), psnr(ends, truth).mean()
    print(f"{n:2} steps from {'noise' if start else '0':5} with σ ≥ {lowest:5}: "
          f"they differ by {spread:4.1f} of 255, PSNR {db:.1f} dB")

# %% [markdown]
# How often did the training meet the noise levels that those steps visit?

# %%
trained = diamond.config.denoiser
log_sigma = torch.distributions.Normal(trained.sigma_loc, trained.sigma_scale)
for sigma in (3.0, 1.0, 0.1, 0.002):
    share = log_sigma.cdf(torch.tensor(sigma).log())
    print(f"σ = {sigma:5}: {share:.1%} of its (last) training was below")

# %% [markdown]
# Three lessons. **One step from 0** gives one dream and no choice, and it is a good one, for here
# there was nothing to choose. **Drawn noise** says nothing about the future, and what
# the network fails to remove stays in the picture as grain: the dreams differ in what does not
# matter (for a single moment the decibels may go either way). **More steps**
# ask the network at lower noise, and where its training never went, they do the most harm: what
# such a step adds is error, and the next frame starts from it. The number of steps and the noise
# of training are *one* decision. The paper decides for three steps and lower noise; for a laptop
# and this game we decided for one step and high noise.
#
# Let us be honest about what that means. Trained as a diffusion model and drawn in one step from
# 0, this world predicts the *mean* next frame. It is the left panel of the toy in section 2.
# Against an opponent who chooses, it would dream a blur, and you would need the other panels.
#
# ## 6.4 · Why pixels can matter
#
# The title of the paper says *visual details matter*. Which details? The monster is what the whole
# game is about. How much of the picture is it?

# %%
real_game = wm.make("doom/basic", labels=True)
shares = []
for seed in range(20):
    real_game.reset(seed=seed)
    for name, *_, width, height in real_game.unwrapped.labels():
        if name == "Cacodemon":
            shares.append(width * height)
real_game.close()
print(f"The monster's box covers {sum(shares) / len(shares):.1%} of the picture.")

# %% [markdown]
# A model that drops the monster would hardly lose in PSNR. So take away detail on purpose: show
# the policy that was trained in a dream (section 6.5; it sees 32 × 32 pixels) the *real* game, with
# all frames coarsened to fewer pixels, and count what it earns. Beside it the PSNR of those coarse
# frames, which is what a fidelity score would say. **Before you look**: at which size does it stop
# hitting?

# %%
from wmlearn.agents.actor_critic import Player
from wmlearn.evaluation import mean_estimate, play_episodes

policy = wm.load("actor-critic-doom-basic")
sees = policy.config.image_size


def coarse(frames, side):
    """uint8 [B, C, H, W] as if seen by a camera of side x side pixels."""
    tiny = F.adaptive_avg_pool2d(frames.float(), side)
    return F.interpolate(tiny, size=frames.shape[-1]).round().byte()


class ShortSighted(Player):
    def __init__(self, network, side):
        super().__init__(network, greedy=True)
        self.side = side

    def act(self, frames):
        return super().act(coarse(frames, self.side))


# %% [markdown]
# At 32 × 32 nothing is coarsened; 58.9 dB is the score of an exact copy.

# %%
episodes = size["episodes"]
sharp = to_uint8(real[:, 0])  # the clips of section 6.1, 32 x 32
for side in (32, 16, 8, 4):
    returns = play_episodes(ShortSighted(policy, side), "doom/basic", episodes, seed=100,
                            size=sees)
    db = psnr(coarse(sharp, side), sharp).mean()
    print(f"{side:2} x {side:<2} pixels: PSNR {db:4.1f} dB, "
          f"mean return {mean_estimate(returns).format(0)}")

# %% [markdown]
# Compare the PSNR of the coarse frames with that of the dreams in section 4, and the returns with
# each other. A picture can be close in decibels and useless to act on, because what decides is
# small. (A fair warning: this policy has only seen sharp pictures. One that is trained on coarse
# ones may do better; what is not in the picture it cannot learn either.)
#
# The same question to the reward model, which judges every dreamed step: can it still see a hit?

# %%
def reward_report(side):
    """What the reward model sees in the last steps of held-out episodes."""
    found = hits = alarms = others = 0
    for episode in data.splits["val"][:40].tolist():
        length = min(12, int(store.lengths[episode]))
        end = store.clip([(episode, int(store.lengths[episode]) - length)], length)
        x = coarse(end.frames[0], side)[None] / 127.5 - 1
        with torch.no_grad():
            logits, _, _ = diamond.reward_end(x[:, :-1], end.actions, x[:, 1:])
        says, hit = logits.argmax(-1) == 2, end.rewards > 0
        found, hits = found + (says & hit).sum(), hits + hit.sum()
        alarms, others = alarms + (says & ~hit).sum(), others + (~hit).sum()
    return f"{found} of {hits} hits seen, {alarms} false alarms in {others} other steps"


for side in (64, 32, 16, 8):
    print(f"{side:2} x {side:<2} pixels: {reward_report(side)}")

# %% [markdown]
# ## 6.5 · Reinforcement learning in imagination
#
# This is what DIAMOND is for: its name is short for *DIffusion As a Model Of eNvironment Dreams*,
# and its agent never learns from a real step, only from dreamed ones. Four ideas make the agent,
# and a toy whose values can be worked out by hand shows each of them.
#
# The toy is a corridor of five places. You stand in one of the first four, go left or right, and
# the fifth pays 1 and ends the episode. **Return** and **discount**: a reward that comes $k$ steps
# later counts $\gamma^k$, with $\gamma$ between 0 and 1, so that a policy that goes straight to the
# right earns $\gamma^{3}, \gamma^{2}, \gamma, 1$ from the four places. That is the **value** $V$ of a
# place under that policy. Under another policy, which presses either key half of the time,
# $V(s) = \tfrac12 V(s-1) + \ldots$ is a small linear system:

# %%
gamma, places = 0.9, 4
best = gamma ** torch.arange(places - 1, -1.0, -1)
half = torch.zeros(places, places)  # half[s, s']: discounted chance of going on to s'
for s in range(places):
    half[s, max(s - 1, 0)] += gamma / 2
    if s + 1 < places:
        half[s, s + 1] += gamma / 2
pays = torch.tensor([0.0, 0.0, 0.0, 0.5])  # from the last, half of the steps arrive
at_random = torch.linalg.solve(torch.eye(places) - half, pays)
print("straight to the right:", [f"{v:.3f}" for v in best.tolist()])
print("either key, at random:", [f"{v:.3f}" for v in at_random.tolist()])

# %% [markdown]
# **The world model's part** is a function from places and keys to what follows. Here it is four
# lines and exact; in DIAMOND it is the denoiser with the reward model. The agent cannot tell.

# %%
def dream_step(place, key):
    """places and keys (0 left, 1 right), both [B] -> the next places, rewards, ends."""
    there = (place + 2 * key - 1).clamp(min=0)
    ends = there == places
    return torch.where(ends, 0, there), ends.float(), ends


def imagine(place, actor, horizon):
    """H steps: places [B, H + 1]; keys, rewards, ends, alive [B, H]."""
    seen, columns, alive = [place], [], torch.ones(len(place))
    for _ in range(horizon):
        key = torch.multinomial(actor[place].softmax(-1), 1).squeeze(1)
        place, reward, ends = dream_step(place, key)
        columns.append((key, reward, ends, alive))
        alive = alive * (~ends).float()
        seen.append(place)
    return torch.stack(seen, 1), *(torch.stack(c, 1) for c in zip(*columns))

# %% [markdown]
# **λ-returns.** A dream stops after its horizon, and its later frames are worth less than its first,
# so the agent also learns a **critic**, its own estimate of $V$, and lets it stand in for what was
# not dreamed. Trust the critic after one step, and its errors are copied; never trust it, and every
# accident of a long dream is in the target. The λ-return mixes all of these: after each step the
# share $1 - \lambda$ asks the critic, the share $\lambda$ dreams on,
#
# $$R_t = r_t + \gamma\,(1 - d_t)\,\big[(1 - \lambda)\,V(s_{t+1}) + \lambda\,R_{t+1}\big], \qquad
# R_T = V(s_T),$$
#
# where $d_t$ is 1 if the episode ended. **Before you look**: a critic that knows nothing says 0
# everywhere. Which λ then has the largest error on average (bias), and which scatters most? And
# with a critic that is right?

# %%
from wmlearn.agents.returns import lambda_returns

torch.manual_seed(0)
start = torch.zeros(4000, dtype=torch.long) + 2  # the third place; the keys are random
visited, _, rewards, ends, _ = imagine(start, torch.zeros(places, 2), horizon=8)
rows = []
for name, critic in (("knows nothing", torch.zeros(places)), ("is right", at_random)):
    for lambda_ in (0.0, 0.5, 0.95, 1.0):
        after = critic[visited[:, 1:]]
        target = lambda_returns(rewards, after, ends, gamma, lambda_)[:, 0]
        bias, scatter = target.mean() - at_random[2], target.std()
        rows.append(f"| {name} | {lambda_:g} | {bias:+.3f} | {scatter:.3f} |")
Markdown(f"The true value is {at_random[2]:.3f}.\n\n"
         "| the critic | λ | bias | scatter |\n|---|---|---|---|\n" + "\n".join(rows))

# %% [markdown]
# A critic that knows nothing biases the target least where it is asked least, at λ = 1; one that is
# right takes the scatter away at no cost, all of it at λ = 0 but for the one step that is dreamed.
# DIAMOND starts with the one and hopes to arrive at the other: λ = 0.95, γ = 0.985, 15 steps.
#
# **The actor-critic loop.** *Actor*: raise the log-probability of a key by how much better it was
# than the critic expected (the **advantage** $R_t - V(s_t)$), plus a little entropy, so that it does
# not stop trying. *Critic*: regress $V(s_t)$ on $R_t$. Both from dreams that start at places which
# were really seen. That is the whole algorithm:

# %%
torch.manual_seed(0)
actor = torch.zeros(places, 2, requires_grad=True)  # logits of the keys, a row a place
critic = torch.zeros(places, requires_grad=True)
optimizer = torch.optim.Adam([actor, critic], lr=0.05)
for _ in range(300):
    start = torch.randint(places, (64,))  # a moment of the recording
    visited, pressed, rewards, ends, alive = imagine(start, actor.detach(), 15)
    values = critic[visited]
    target = lambda_returns(rewards, values[:, 1:], ends, gamma, 0.95)
    log_policy = actor[visited[:, :-1]].log_softmax(-1)
    advantage = (target - values[:, :-1]).detach()
    actor_loss = -(log_policy.gather(2, pressed[..., None])[..., 0] * advantage)
    critic_loss = (values[:, :-1] - target) ** 2
    entropy = -(log_policy.exp() * log_policy).sum(-1)
    loss = actor_loss + 0.5 * critic_loss - 0.003 * entropy
    loss = (loss * alive).sum() / alive.sum()  # not what follows an end
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %% [markdown]
# *Check.* It should go right from everywhere, and its critic should know the best policy's values.

# %%
right = actor.detach().softmax(-1)[:, 1]
print("goes right with probability ", [f"{p:.2f}" for p in right.tolist()])
print("its critic says             ", [f"{v:.3f}" for v in critic.tolist()])
print("the best policy's values are", [f"{v:.3f}" for v in best.tolist()])
assert (critic - best).abs().max() < 0.1 and right.min() > 0.9

# %% [markdown]
# Random keys were worth 0.28 to 0.71 (the first lines); after 300 dreamed batches the agent goes
# right from everywhere, and its critic's values are those of the best policy, to a few hundredths.
# Not one real step was taken. [`imagination.py`](../wmlearn/agents/imagination.py) is this loop with
# a CNN-LSTM for the two tables and a learned world for `dream_step`: `wmlearn fit actor-critic`. The
# toy hides one thing: its world has no errors to find. Exercise 3 asks for $R_t$.
#
# ### A policy that has only ever dreamed
#
# What is a world model good for? This policy was trained inside a learned world and nowhere else.
# Its world is a small sister of the one that you played, `diamond-doom-basic-32`: 32 × 32 pixels,
# where a dream costs less and its monster lasts longer, learned from 20,000 frames in which the
# script and random keys took turns, so that something is hit now and then. From recorded moments
# the world is asked what *would* happen: all plans "hold one key for up to five steps, then
# another" are dreamed, and the network (the paper's actor-critic, made small) learns which first
# key had the best outcome (`wmlearn fit searched-policy`). It never sees what the script did.
# Here it meets the engine, beside random keys and the script, which is told where the monster is.

# %%
players = {"random keys": "random", "trained in the dream": Player(policy, greedy=True),
           "script": "expert"}
for name, player in players.items():
    returns = play_episodes(player, "doom/basic", episodes, seed=200, size=sees)
    print(f"{name:21} mean return {mean_estimate(returns).format(0)}")

# %% [markdown]
# A few episodes are a matter of luck: a policy that hits nine times out of ten loses some 350 at
# the tenth. The checkpoint's own card has more of them (and on another hundred, seeds 1000 to 1099,
# the policy earned 53.5 [36.5, 66.9]):

# %%
metrics = wm.hub.read_card("actor-critic-doom-basic")["metrics"]
rows = [f"| {label} | {metrics[key]:.1f} | {metrics[f'{key}_interval']} |"
        for label, key in (("random keys", "random"), ("trained in the dream", "return"),
                           ("script", "script"))]
share = (metrics["return"] - metrics["random"]) / (metrics["script"] - metrics["random"])
Markdown(f"{metrics['episodes']} episodes each, seeds {metrics['seeds']}:\n\n"
         "| | mean return | 95% interval |\n|---|---|---|\n" + "\n".join(rows)
         + f"\n\nThat is **{share:.0%}** of the way from random keys to the script.")

# %% [markdown]
# Read this number beside the decibels of section 4: they answer different questions. To learn to
# hit, a policy needs a dream that keeps the monster while it moves, and pays when it is hit. Most
# of the picture may be perfect and be of no help.
#
# **It was not the first policy.** Four others, trained by the paper's actor-critic with λ-returns
# (`wmlearn fit actor-critic`) in the 64 × 64 world, earned no more than random keys. The fading
# monster was the first suspect. Four other things were wrong, and none of them shows in a PSNR:
#
# - *The reward model counted.* Training clips ended where episodes end, so a hit was always the
#   last step of a clip, and the LSTM learned the step's number. On real, held-out clips of five
#   frames it saw 2 of 90 hits. Now clips may reach beyond an end, and what lies there is left out
#   of the loss, as in the authors' code: 67 of 90.
# - *The policy could not see small differences.* A freshly initialized LSTM passes on only a
#   seventh of the difference between two frames' features, so even when a search in the dream
#   taught it 384 answers, it could not learn them. A skip connection around the LSTM fixed this;
#   the paper needs none because it trains for days.
# - *Training and play started the LSTM differently.* It had learned to choose after eight frames
#   (the first one repeated, where an episode had fewer), and began to play after one. For five
#   steps it walked left, wherever the monster stood. The same weights earn 30 that way, and 67
#   with a first frame that is repeated.
# - *Good play misleads a blurred world.* The script walks, then shoots, then hits. Where the dream
#   has lost the monster, the reward model says the same: from 15 of 16 starts a shot "hits" with odds
#   of 0.8 or more after seven steps to *either* side. Up to five steps the world told left from
#   right, so the plans are no longer. The actor-critic had been trained in this world too, without
#   the way past its LSTM: it earned -210 to -322, in 15 or 20 episodes.
#
# An optimiser finds what your model gets wrong before it finds what it gets right.

# %% [markdown]
# ## 6.6 · Where this laptop's DIAMOND departs from the paper's
#
# The differences, from the two configurations themselves, and what each was worth above. (*Offset noise* is one more random number for each channel, added to all its pixels alike; *σ_data* is the data's standard deviation.)

# %%
from wmlearn.systems.diamond import PAPER
from wmlearn.systems.diamond.recipe import LAPTOP

h = min(8, size["horizon"]) - 1
worth = lambda name: " and ".join(
    f"{ablation['all in place'][k] - ablation[name][k]:+.1f}" for k in (0, h)) + " dB"
a, b, p, q = LAPTOP.denoiser, LAPTOP.sampler, PAPER.denoiser, PAPER.sampler
count = lambda config: sum(x.numel() for x in Denoiser(config).parameters()) / 1e6
Markdown(f"""
| | here | paper | worth here, 1 and {h + 1} steps ahead (6.1) |
|---|---|---|---|
| predicts | the {a.predict} | the {p.predict} | {worth("whole frame")} |
| log σ in training | {a.sigma_loc} ± {a.sigma_scale} | {p.sigma_loc} ± {p.sigma_scale} \
| {worth("paper's noise")} |
| frames predicted per clip | {LAPTOP.autoregressive_steps} \
| {PAPER.autoregressive_steps} | {worth("no answers of its own")} |
| σ_data | {a.sigma_data} | {p.sigma_data} | goes with the change |
| offset noise | {a.sigma_offset_noise} | {p.sigma_offset_noise} | not measured |
| pixels to a position, each way | {a.patch_size} | {p.patch_size} | speed |
| widths of the U-Net | {a.channels} | {p.channels} | speed |
| parameters | {count(a):.1f} M | {count(p):.1f} M | speed |
| denoising steps | {b.num_steps} | {q.num_steps} | see 6.3 |
| first σ, and scale of the start | {b.sigma_max}, {b.initial_scale} \
| {q.sigma_max}, {q.initial_scale} | see 6.3 |
""")

# %% [markdown]
# # 7 · Measure it
#
# One dream that looks good is an anecdote. The card below judges the shipped world on all its
# held-out episodes, with several seeds and with intervals: *fidelity* (does it look like the
# truth?), *controllability* (does it do what the keys say?), *utility* (can one learn in it?),
# *cost*. It was made by `wmlearn evaluate` and lies beside the checkpoint.

# %%
from wmlearn.evaluation import EvaluationCard

evaluation = EvaluationCard.load(wm.hub.find("diamond-doom-basic") / "evaluation.json")
evaluation

# %% [markdown]
# The same card as a picture. **Look for** overlapping intervals before you believe a difference.

# %%
evaluation.figure()

# %% [markdown]
# The dream's band is clear of the copy's at every step, and under other actions the dream is no better than
# a copy: it listens. The probe names the action in dreamed frames nearly as often as in real ones, also
# where that action is not the clip's.
#
# The dream over the horizon once more: **point at** a step to read all three lines there, with their
# intervals in the table below.

# %%
from wmlearn.evaluation.figures import horizon_curve

horizon_curve(evaluation)

# %% [markdown]
# The two lower lines fall within ten steps and stay down; the dream's own loses three decibels on the way to
# step 32.
#
# **The paper's own figure.** On Atari 100k (26 games, 100,000 real steps each), the mean
# human-normalised score of agents trained only in DIAMOND is **1.46**, where 0 is random play and
# 1 a human tester; the same table lists DreamerV3, which dreams in codes instead of pixels, at
# 1.097 (the paper, table 1). DreamerV3's own paper gives about 1.12 for the same benchmark: two
# reports of one method differ by this much, so read no gap of that size as a difference.
#
# **What differs here.** One room of one game instead of 26 games. A world trained on recorded
# play, once; DIAMOND goes back to the real game a thousand times with what its policy has
# learned. A policy trained for minutes, by imitation of a search and not by λ-returns. And the
# score of DOOM's `basic` is no human-normalised score: the line to compare with is the script's,
# which is told where the monster stands. What carries over is the question: how much of what is
# learned in the dream holds in the game? The paper's 1.46 is its answer, the share in section 6.5
# is ours.

# %% [markdown]
# # 8 · Playground
#
# **Predict first.** What changes when you go from 1 to 10 denoising steps, in *this* world: (a) the
# picture, and for better or worse; (b) the reward that the dream pays for a shot; (c) the
# milliseconds that a frame takes? Write your answers down; then move the slider.

# %%
from ipywidgets import Dropdown, IntSlider, interact


def explore(steps, key):
    started = time.perf_counter()
    chosen = diamond.world({"num_steps": steps})
    frames, rewards = future(chosen, clip.time(0, 4), keys[key], 8)
    took = (time.perf_counter() - started) / 8
    print(f"{1000 * took:.0f} ms a frame; dreamed return {rewards.sum():.0f}")
    return wm.viz.counterfactual_strip({key: frames}, clip.frames[0, 3])


_ = interact(explore, steps=IntSlider(1, 1, 10), key=Dropdown(options=list(keys)))

# %% [markdown]
# <details><summary>What we saw</summary>
#
# (a) not for the better: section 6.3 says why. If you expected "more steps, more quality", that is
# true of a model whose training met all the levels that the steps visit, in a world with choices.
# (b) may change with (a): the reward model judges the dreamed picture. (c) for certain: every step
# is one more pass through the network.
#
# </details>
#
# Now with your hands: the world that **you** have trained, in the player. Play it for a minute
# before you read on, and note three things that it gets wrong. Then try to name, for each, which
# of the pieces of section 3 would have to be better.

# %%
wm.play(run.system.world(), env="doom/basic", context=starts)

# %% [markdown]
# # 9 · Scale it
#
# The change is one word. From `colab` on the word also switches to the paper's own configuration.
#
# ```
# wmlearn fit diamond --tier colab --env atari/boxing    # one GPU
# wmlearn fit diamond --tier node                        # eight GPUs in one machine
# wmlearn fit diamond --tier pod                         # several machines, or a TPU
# ```
#
# What that word means, from the library's own table:

# %%
from wmlearn.systems.diamond.recipe import RECIPE

lines = ["| tier | parameters | frames of play | joint batch | steps | devices |",
         "|---|---|---|---|---|---|"]
for name in ("laptop", "colab", "node", "pod"):
    numbers, config = RECIPE.preset(name)
    lines.append(f"| {name} | {count(config.denoiser):.1f} M | {numbers.frames:,} "
                 f"| {numbers.batch_size} | {numbers.max_steps:,} | {numbers.devices} |")
Markdown("\n".join(lines))

# %% [markdown]
# What the authors spent: about 12 GB of GPU memory and 2.9 days on one RTX 4090 for each run, that
# is for each game and seed, with policy and all (the paper, section on the experimental setup);
# 12 days on the same card for their Counter-Strike world, from 87 hours of play
# ([their repository](https://github.com/eloialonso/diamond)). Our `colab` tier takes an eighth of
# the paper's 400,000 training steps, and trains no policy.
#
# # 10 · Exercises, and where to read on
#
# [The exercises](exercises/release/04_diamond.ipynb): write the coefficients with the paper's offset
# noise, the noise schedule and its sampler, λ-returns; repair a loss that can fall to zero without
# learning anything; find out what few steps do to *unequal* odds; choose a world to train in; and see when Heun's second look pays.
#
# - The paper: Alonso and others (2024),
#   [Diffusion for World Modeling: Visual Details Matter in Atari](https://arxiv.org/abs/2405.12399),
#   with [code and films](https://diamond-wm.github.io).
# - Karras and others (2022),
#   [Elucidating the Design Space of Diffusion-Based Generative
#   Models](https://arxiv.org/abs/2206.00364): the coefficients, the schedule, the sampler.
# - Ho, Jain and Abbeel (2020),
#   [Denoising Diffusion Probabilistic Models](https://arxiv.org/abs/2006.11239): naming the noise.
# - Valevski and others (2024),
#   [Diffusion Models Are Real-Time Game Engines](https://arxiv.org/abs/2408.14837): DOOM again, all
#   of it, with noise on the past as another cure for drift.
# - Hafner and others (2023), [DreamerV3](https://arxiv.org/abs/2301.04104): the other answer, codes
#   instead of pixels.

# %%
from wmlearn import course

course.footer(began, minutes=9, gigabytes=2)
