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
# # 5 · GameNGen: a game engine that is a neural network
#
# *You will*: play DOOM in a network that dreams *latents* instead of pixels; take an autoencoder
# apart and see what its latents keep; derive v-prediction and DDIM from one line; build noise
# augmentation, the trick that lets dreams last, and watch what happens without it; let policies play
# in dream and engine; and be the rater of the paper's human study.<br>
# *You need*: [chapter 4](04_diamond.ipynb), or an idea of what a diffusion model is. No GPU.<br>
# *It takes*: about 90 minutes to read and try.
#
# *On the map of the course*: it predicts **pixels** (by way of latents), and learns from **actions**.
# "The paper" is Valevski, Leviathan, Arar and Fruchter
# ([2024](https://arxiv.org/abs/2408.14837)); what it stands on, latent diffusion, is Rombach,
# Blattmann, Lorenz, Esser and Ommer ([2022](https://arxiv.org/abs/2112.10752)).
#
# Run the next two cells, click on the picture, and play: arrows turn, the space bar shoots.

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

NAME = "gamengen-doom"
ENV = "doom/defend-the-center-hud"
world = wm.load_world(NAME)
starts = wm.hub.load_starts(NAME)  # used where ViZDoom is missing
wm.play(world, env=ENV, context=starts)

# %% [markdown]
# Green is DOOM's engine, orange the network. The lower quarter of the picture is the status bar:
# bullets on the left, health on the right. **Predict before you look**: when you shoot, will the
# network count your bullets down? Nobody told it what a number is.

# %%
import tempfile
import time

import matplotlib.pyplot as plt
import torch

from wmlearn.metrics import mean_estimate, psnr
from wmlearn.pixels import to_uint8
from wmlearn.recipes.tiers import current_tier

SIZES = {
    "laptop": dict(frames=10_000, holdout=0.1, clips=16, horizon=64, live=None),
    "smoke": dict(frames=600, holdout=0.3, clips=2, horizon=4, live=4),
}
SIZES["colab"] = SIZES["node"] = SIZES["pod"] = SIZES["laptop"]
size = SIZES[current_tier().name]
runs = Path(tempfile.mkdtemp())  # of this session; name your own folder to keep them
began = time.monotonic()

# %% [markdown]
# # 1 · Who plays?
#
# DIAMOND learned from random play. GameNGen's authors want the world that a *player* sees, so they
# let an agent learn the game and record it **while it learns**: from clumsy to skilled, in order.
# The play behind the world above was made so, with PPO on the real engine
# (`wmlearn/chapters/ch05_gamengen/record_agent.py`). For this notebook a script and a random player
# take turns, which needs a minute instead of many.

# %%
from wmlearn.data.datamodule import ClipDataModule

folder = f"data/doom-hud-chapter-{size['frames']}"
store = wm.record(ENV, folder, frames=size["frames"], policy="mixed", seed=5)
n = world.context_frames
data = ClipDataModule(store, length=n + 1 + size["horizon"], holdout=size["holdout"])
print(f"{store.num_frames} frames in {len(store)} episodes;")
print("the engine also tells:", ", ".join(store.info["state_names"][:4]), "and the monsters.")

# %% [markdown]
# # 2 · The idea: dream small, then draw
#
# Most of a picture is texture, and a diffusion model spends most of its work on it. Latent
# diffusion splits the work: an **autoencoder** learns once how DOOM looks, and turns each frame
# into a small stack of numbers; the **diffusion model** only has to know what comes next, in these
# numbers; the **decoder** draws.
#
# $$\text{frame } x \xrightarrow{\ \text{encoder}\ } z \qquad
#   z_{t-n+1..t},\ a_{t-n+1..t} \xrightarrow{\ \text{diffusion}\ } z_{t+1}
#   \xrightarrow{\ \text{decoder}\ } \hat x_{t+1}$$
#
# While it dreams, the latents are fed back, never the pictures.

# %%
system = world.system
clip = data.clips("val", count=6, length=1, seed=1)
with torch.inference_mode(), world._precision():
    latents = system.encode(clip.frames[:, 0])
    drawn = to_uint8(system.decode(latents))
print("a frame:", tuple(clip.frames.shape[2:]), "=", clip.frames[0, 0].numel(), "numbers;",
      "a latent:", tuple(latents.shape[1:]), "=", latents[0].numel())
wm.viz.strip({"real": clip.frames[:, 0], "decoded": drawn},
             alt="Six frames of DOOM, and below them the same after encoder and decoder.")

# %% [markdown]
# **Look for** what is missing in the lower row: the grain of the wall is gone, and far monsters are
# soft. This is the ceiling of everything that follows. No dream can be sharper than its decoder.

# %%
kept = mean_estimate(psnr(drawn, clip.frames[:, 0]))
print(f"{kept.format(1)} dB between frame and decoded latent ({len(drawn)} frames)")

# %% [markdown]
# ## 2.1 · What an autoencoder drops
#
# A far monster is 20 of 4,096 pixels. Leaving it out costs the mean error almost nothing, so an
# autoencoder that is trained for minutes leaves it out. The published ones have a perceptual loss
# for this; ours counts an error more where a color is *rare*: a pixel weighs the share of its color
# to the power −0.6. **Look for** what is bright.

# %%
from wmlearn.nn.autoencoder import color_bins, rare_color_weights

sample = data.clips("train", count=min(200, 2 * len(store)), length=1).frames[:, 0]
weights = rare_color_weights(sample)
weight = weights[color_bins(clip.frames[:, 0])][:, None]
maps = (255 * (weight / weight.max()).sqrt()).byte().expand(-1, 3, -1, -1)
wm.viz.strip({"real": clip.frames[:, 0], "weight": maps},
             alt="Six frames, and below them how much an error counts in each pixel: monsters, "
                 "digits and muzzle flashes are bright, wall and floor are dark.")

# %% [markdown]
# # 3 · The mathematics, on two numbers
#
# A noisy latent is a mixture, $z_t = \alpha_t x + \sigma_t \epsilon$, with
# $\alpha_t^2 + \sigma_t^2 = 1$. The network is asked for
#
# $$v = \alpha_t\, \epsilon - \sigma_t\, x .$$
#
# Think of $(x, \epsilon)$ as the axes of a plane: $z$ is one direction in it, and $v$ is the direction
# at a right angle to $z$. Who knows both can turn back: $\hat x = \alpha z - \sigma v$ and
# $\hat\epsilon = \sigma z + \alpha v$. At $t = 1$ there is nothing but noise, and $v = -x$: the network must
# say what comes next without seeing any of it. Predicting the *noise* there would teach it nothing.

# %%
def turn_back(z, v, alpha, sigma):
    """The clean sample and the noise that z and v belong to."""
    return alpha * z - sigma * v, sigma * z + alpha * v


x, eps = torch.randn(2, 5).unbind(0)
t = torch.linspace(0, 1, 5)
alpha, sigma = (t * torch.pi / 2).cos(), (t * torch.pi / 2).sin()
z, v = alpha * x + sigma * eps, alpha * eps - sigma * x
again = turn_back(z, v, alpha, sigma)
print("largest error:", max((again[0] - x).abs().max(), (again[1] - eps).abs().max()).item())

# %% [markdown]
# A DDIM step (Song, Meng and Ermon 2020) takes the two estimates and mixes them anew, with less
# noise: $z' = \alpha' \hat x + \sigma' \hat\epsilon$. That is all of the sampler.

# %%
def ddim(v_of, z, levels):
    """From noise z to a sample; v_of(z, t) is the network."""
    for t, t_next in zip(levels[:-1], levels[1:], strict=True):
        a, s = torch.cos(t * torch.pi / 2), torch.sin(t * torch.pi / 2)
        x_hat, eps_hat = turn_back(z, v_of(z, t), a, s)
        z = torch.cos(t_next * torch.pi / 2) * x_hat + torch.sin(t_next * torch.pi / 2) * eps_hat
    return z


# %% [markdown]
# The library has the same as one line for all diffusion models of this course
# (`wmlearn/nn/diffusion.py`). Yours and its are the same function:

# %%
from wmlearn.nn.diffusion import Cosine, VPrediction, linear_schedule
from wmlearn.nn.diffusion import sample as library_sample

path = Cosine()
prediction = VPrediction(path)
toy = lambda z, t: torch.tanh(z) * (0.2 + t)  # a "network" that is a formula
noise = torch.randn(2, 8, 16, 16)
levels = linear_schedule(4)
theirs = library_sample(
    lambda z, t: prediction.x_hat(toy(z, t.view(-1, 1, 1, 1)), z, t), path, noise, levels
)
print("largest difference:", (ddim(toy, noise, levels) - theirs).abs().max().item())

# %% [markdown]
# # 4 · Dreams that last: noise on the past
#
# In training the past is real; at play it is the network's own. Small errors enter, look like
# nothing that was ever seen, and grow. GameNGen's cure: in training the past gets **noise** of a
# random strength, and the network is told how much (in ten *buckets*). It learns to use the past,
# but not to trust it.

# %%
def augment(past, most=0.7, buckets=10):
    """Past latents [B, n, c, h, w] with noise, and the bucket [B] of its strength."""
    strength = most * torch.rand(len(past))
    noisy = past + strength.view(-1, 1, 1, 1, 1) * torch.randn_like(past)
    return noisy, (strength / most * buckets).long().clamp(max=buckets - 1)


past = latents[:1].expand(1000, -1, -1, -1)[:, None]
noisy, bucket = augment(past)
added = (noisy - past).flatten(1).std(1)
for b in (0, 4, 9):
    print(f"bucket {b}: noise of {added[bucket == b].min():.2f} to {added[bucket == b].max():.2f}")

# %% [markdown]
# Here is the world that you played, continued on held-out play for many steps of its own, under the
# actions that were really taken. **Look for** the monsters and the numbers.

# %%
from wmlearn.evaluation.rollout import rollout_batches

length = n + size["horizon"]
clips = data.clips("val", count=size["clips"], length=length, seed=3)
dream = rollout_batches(world, clips, seed=0)
real = clips.frames[:, n:]
steps = [h for h in (1, 2, 4, 8, 16, 24, 32, 48, 64) if h <= size["horizon"]]
wm.viz.strip({"real": real[0, [h - 1 for h in steps]], "dream": dream[0, [h - 1 for h in steps]]},
             [f"step {h}" for h in steps],
             alt="Real frames, and below them what the network dreams under the same actions.")

# %%
copy = clips.frames[:, n - 1 : n].expand_as(real)
curves = {"dream": psnr(dream, real), "copy of the last frame": psnr(copy, real)}
for name, values in curves.items():
    plt.plot(range(1, size["horizon"] + 1), values.mean(0), label=name)
plt.xlabel("own steps"), plt.ylabel("PSNR (dB)"), plt.legend()
plt.show()

# %% [markdown]
# # 5 · Train one
#
# The paper starts from Stable Diffusion's autoencoder; this run starts from the one that comes with
# the course, and trains a smaller denoiser from nothing.

# %%
options = {
    "init": NAME, "data": folder, "env": ENV, "out": str(runs / "live"), "seed": 1,
    "system.autoencoder_span": [0.0, 0.0], "system.denoiser_span": [0.0, 1.0],
    "system.decoder_span": [1.0, 1.0],
}
if size["live"]:
    options["max_steps"] = size["live"]
print("wmlearn fit gamengen", *(f"--{k} {v}" for k, v in options.items()))

# %% [markdown]
# # 6 · Measure it
#
# The judge of this chapter reads pictures: monsters with a small network that was trained on the
# engine's labels, bullets and health with the mean picture of every number. What they say of *real*
# frames is the ceiling.

# %%
from wmlearn.chapters.ch05_gamengen.judge import HudReader, in_place, train_finder

every = data.clips("train", count=min(1500, 20 * len(store)), length=1, seed=7)
readers = HudReader(every.frames[:, 0], every.state[:, 0])
finder = train_finder(every.frames[:, 0], every.state[:, 0], 400 if not size["live"] else 5)
for h in [h for h in (1, 8, 32) if h <= size["horizon"]]:
    state = clips.state[:, n + h - 1]
    row = []
    for frames in (dream[:, h - 1], real[:, h - 1], copy[:, h - 1]):
        right, count = in_place(finder, frames, state)
        row.append(f"{right.sum():.0f} of {count.sum():.0f}")
    print(f"step {h}: monsters in their place: dream {row[0]}, real {row[1]}, copy {row[2]}")

# %% [markdown]
# # 7 · The human study: can you tell?
#
# The paper showed people pairs of clips, one real, one dreamed. They named the real one in 58 % of
# pairs of 1.6 seconds, in 60 % of 3.2 seconds. Chance is 50 %: so they were right a little more
# often than a coin. How many pairs does it take to tell 58 % from 50 %?

# %%
def half_width(share, pairs):
    """Half of the 95% interval of a share that was seen in so many pairs."""
    return 1.96 * (share * (1 - share) / pairs) ** 0.5


for pairs in (20, 50, 130, 600):
    print(f"{pairs} pairs: 58 % +- {100 * half_width(0.58, pairs):.0f} %")

# %% [markdown]
# # 8 · Scale it
#
# One word takes the same code to the paper's sizes: Stable Diffusion's U-Net on 64 past frames. With
# Stable Diffusion's own weights in a folder, `wmlearn.systems.gamengen.published.start_from` fills it.

# %%
from wmlearn.systems.gamengen import PAPER, GameNGen

with torch.device("meta"):
    paper = GameNGen(PAPER)
for name, part in (("autoencoder", paper.autoencoder), ("U-Net", paper.denoiser.unet)):
    print(f"{name}: {sum(p.numel() for p in part.parameters()) / 1e6:.0f} million parameters")
print(f"{(time.monotonic() - began) / 60:.1f} minutes")
