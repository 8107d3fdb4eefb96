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
# # 7 · UniSim: one simulator, actions in any form
#
# *You will*: talk to a room, push a robot arm with sliders and strafe through DOOM, all in one network;
# see how a sentence, a motion and a key become one vector, and what it means to say nothing; build the
# encoder and the simulator and train one live; let an arm try things out inside and do them outside; train a
# policy inside alone, measure it in the real rooms, and the gap; and break the simulator in three ways.<br>
# *You need*: Python, a little PyTorch, what attention is. [Chapter 4](04_diamond.ipynb) helps. No GPU.<br>
# *It takes*: about 80 minutes to read and try.
#
# | Tier | Your machine | The whole notebook computes for | of it live training | Memory |
# |---|---|---|---|---|
# | `laptop` | 2 CPU cores | about 4 minutes | at most 5 | 2.3 GB |
# | `colab` | one GPU with 16 GB | as above; section 9 is for the GPU | as above | not measured |
# | `smoke` | any; a test | a minute | seconds, and learns nothing | 1 GB |
#
# *On the map of the course*: it predicts **latents**, which a decoder draws, and learns from **actions** in
# several forms and from **passive video**. UniSim is by Yang, Du, Ghasemipour, Tompson and others
# ([2023](https://arxiv.org/abs/2310.06114)); "the paper" means theirs. No code of it was published: this is
# a small reconstruction, and where it departs is in section 7.
#
# Run the next cells. One file of weights, three worlds, three ways to act.

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

# %% [markdown]
# **Sentences.** Type `go to the red ball` (or what your room holds) and press Enter; or click on the picture
# and use the arrows, which say `turn left`, `turn right` and `go forward`.

# %%
import wmlearn as wm

NAME = "unisim-three-worlds"
starts = wm.hub.load_starts(NAME)  # eight real frames of each world, never trained on
wm.play(NAME, env="babyai/go-to-local", context=starts[:8], fps=6)

# %% [markdown]
# **Motions.** Click on the picture to play, then hold a slider: the gripper moves along x, y or z while you do.

# %%
wm.play(NAME, env="fetch/reach", context=starts[8:16],
        sampler={"domain": "fetch"}, fps=10)

# %% [markdown]
# **Keys.** The arrows and the space bar.

# %%
wm.play(NAME, env="doom/basic", context=starts[16:], sampler={"domain": "doom"}, fps=20)

# %% [markdown]
# Green is the real environment, orange is dreamed; where a simulator is not installed, the dream is played
# alone. **Before you read on**: in which of the three does the dream stay right for longest, and what goes
# wrong first in the others? Section 5 has the numbers.
#
# Everything below is sized by one table. A tier changes its numbers, never the code.

# %%
import json
import time
from dataclasses import replace

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from torch import nn

from wmlearn.recipes.tiers import current_tier

SIZES = {
    "laptop": dict(episodes=230, steps=3000, batch=24, clips=64),
    "smoke": dict(episodes=4, steps=4, batch=4, clips=4),
}
SIZES["colab"] = SIZES["node"] = SIZES["pod"] = SIZES["laptop"]
tier = current_tier().name
size = SIZES[tier]
began = time.monotonic()

# %% [markdown]
# The slower tables of this chapter were measured beforehand, by
# `python -m wmlearn.chapters.ch07_unisim.tables`, and lie beside the weights. Sentences below say which.

# %%
system = wm.load(NAME)
folder = wm.hub.find(NAME)
tables = json.loads((folder / "tables.json").read_text())


def shown(entry, digits=1, percent=False):
    """A stored number with its interval, as text."""
    scale, unit = (100, " %") if percent else (1, "")
    text = f"{scale * entry['value']:.{digits}f}{unit}"
    if "low" not in entry:
        return text
    low, high = (scale * entry[k] for k in ("low", "high"))
    return f"{text} ({low:.{digits}f} to {high:.{digits}f})"


# %% [markdown]
# # 1 · What was recorded
#
# Three worlds, each with actions of its own kind, and one of which nobody says what was pressed. The
# authors mix internet video, robots, people and simulators in the same way; what people do with their
# hands, the fourth kind of theirs, cannot be had here.

# %%
from wmlearn.chapters.ch07_unisim.record import load

clips = load(folder / "clips.npz")  # BabyAI's rooms, and of the others what is held out
lines = ["| world | its actions | frames trained on | share of a batch |",
         "|---|---|---|---|"]
from wmlearn.chapters.ch07_unisim.mixture import DOMAINS, HELD_OUT, SHARES
from wmlearn.chapters.ch07_unisim.record import FRAMES

KINDS = {"language": "sentences", "motion": "motions of an arm", "keys": "keys",
         "none": "withheld"}
for domain in DOMAINS:
    frames = round((1 - HELD_OUT) * FRAMES[domain.name], -2)
    lines.append(f"| {domain.name} | {KINDS[domain.format]} | about {frames:,.0f} "
                 f"| {SHARES[domain.name]:.0%} |")
Markdown("\n".join(lines))

# %% [markdown]
# (The shares are the recipe's. The shipped world was trained in stages with others, which section 3.6 lists, and on
# 40,000 frames more of BabyAI.) BabyAI (Chevalier-Boisvert and others, 2019) is a room of tiles with a red triangle and eight things. A
# sentence may be a move, or a mission, "go to the green key", which is said again at each step until the
# thing is faced. Fetch is an arm in MuJoCo; DOOM is ViZDoom's room with a monster. The passive clips are of
# another DOOM map. **Look for** what an action changes in each.

# %%
as_frames = lambda frames: torch.from_numpy(frames).permute(0, 3, 1, 2)
rows = {}
for domain in DOMAINS:
    recording = clips[domain.name]
    first = int(recording.starts[-1])
    rows[domain.name] = as_frames(recording.frames[first:first + 12:2])
wm.viz.strip(rows, [f"frame {t}" for t in range(0, 12, 2)],
             colors=dict.fromkeys(rows, wm.viz.REAL),
             alt="Six frames each of BabyAI, the Fetch arm, DOOM and a second DOOM map.")

# %% [markdown]
# In BabyAI one tile changes, or two; the arm moves over a fixed background; DOOM's whole picture shifts.
#
# # 2 · The idea: whatever was done is one vector
#
# A world model asks for $p(x_{t+1} \mid x_{\le t}, a_t)$. Nothing in it asks what an action *is*. So let
# an encoder turn any action into a vector of one width, and let the simulator see only that. **Look for**
# the place where the three kinds meet.

# %%
def box(axis, x, y, text, color):
    axis.text(x, y, text, ha="center", va="center", color=color, fontsize=9,
              bbox=dict(boxstyle="round,pad=0.5", fc="none", ec=color))


with wm.viz.style():
    figure, axis = plt.subplots(figsize=(7.6, 2.8))
    plt.close(figure)
    places = {"“go to the red ball”": (1, 2, wm.viz.REAL),
              "(0.4, −1, 0)": (1, 1.2, wm.viz.REAL),
              "key “left”": (1, 0.4, wm.viz.REAL),
              "nobody says": (1, -0.4, wm.viz.NEUTRAL),
              "encoder of\nactions": (3.4, 0.8, wm.viz.NEUTRAL),
              "which world": (3.4, -0.4, wm.viz.NEUTRAL),
              "past frames": (5.6, 2, wm.viz.REAL),
              "video transformer,\ncausal in time": (5.6, 0.8, wm.viz.NEUTRAL),
              "next frame": (8, 0.8, wm.viz.DREAM)}
    for text, (x, y, color) in places.items():
        box(axis, x, y, text, color)
    for a, b in (((2, 2), (2.7, 1.1)), ((1.8, 1.2), (2.6, 0.9)),
                 ((1.8, 0.4), (2.6, 0.7)),
                 ((1.8, -0.3), (2.7, 0.45)), ((3.4, -0.1), (3.4, 0.4)),
                 ((4.1, 0.8), (4.5, 0.8)), ((5.6, 1.7), (5.6, 1.25)),
                 ((6.7, 0.8), (7.4, 0.8))):
        axis.annotate("", b, a, arrowprops=dict(arrowstyle="->", color=wm.viz.NEUTRAL))
    axis.set(xlim=(0, 8.8), ylim=(-0.8, 2.4))
    axis.axis("off")
wm.viz.Figure(figure, "A sentence, a motion, a key or nothing go into one encoder "
                      "of actions; its vector and the past frames go into a video "
                      "transformer, which "
                      "gives the next frame.")

# %% [markdown]
# They meet before the network knows of any picture: what is learned of pictures is learned once. The
# authors say low-level actions twice, as text and as numbers cut into 4,096 bins; here each is said once.
#
# ## 2.1 · The smallest case: zero is not nothing
#
# A dot on a line. In a third of all clips a motion $m \in \{-1, 0, 1\}$ is given, each as often, and the
# dot moves by $m$. In the other clips nobody says what was done, and the dot moves by $+1$: those who film
# drive to the right. Encode "nobody says" as 0 and ask the best linear model, $w m + b$, what comes after
# the motion 0. With the same number of clips for each case, the four displacements at 0 are one 0 (given)
# and six times $+1$ (not given); no model can tell them apart. A **mask** $v$, 1 where there is a motion,
# makes them two cases: $w m + c v + b$.

# %%
motion = torch.tensor([-1.0, 0, 1, 0, 0, 0, 0, 0, 0])
valid = torch.tensor([1.0, 1, 1, 0, 0, 0, 0, 0, 0])
moved = torch.where(valid > 0, motion, torch.ones(9))
ones = torch.ones(9)
for name, columns in {"without a mask": [motion, ones],
                      "with a mask": [motion, valid, ones]}.items():
    x = torch.stack(columns, 1)
    weights = torch.linalg.lstsq(x, moved[:, None]).solution[:, 0]
    guess = x @ weights
    print(f"{name:15} after the motion 0: {guess[1]:+.2f} (truth 0), "
          f"after silence: {guess[3]:+.2f} (truth +1)")
assert guess[1].abs() < 1e-5 and (guess[3] - 1).abs() < 1e-5

# %% [markdown]
# Without the mask the dot runs away while you hold it still. The mean of all nine displacements is
# $6/9 = 0.67$, and that is what the model says for both. One number more, and both are exact.
#
# # 3 · Build it
#
# Seven pieces, each followed by a check. B clips, T frames, A numbers of a motion, D the vector's width.
#
# ## 3.1 · A sentence as a vector
#
# Words are looked up; each then looks at its neighbours, so that "red" in front of "ball" is not "red" in
# front of "key"; and the mean over the words is the sentence. The language here is finite, 21 sentences, so
# all of it is encoded at once and looked up by number. Number −1 is the empty sentence: a row of zeros.

# %%
class Sentences(nn.Module):
    def __init__(self, sentences, dim):
        super().__init__()
        words = sorted({word for s in sentences for word in s.split()})
        most = max(len(s.split()) for s in sentences)
        table = torch.full((len(sentences), most), len(words))  # last number: no word
        for i, s in enumerate(sentences):
            for j, word in enumerate(s.split()):
                table[i, j] = words.index(word)
        self.register_buffer("table", table)
        self.words = nn.Embedding(len(words) + 1, dim, padding_idx=len(words))
        self.near = nn.Conv1d(dim, dim, 3, padding=1)

    def forward(self, number):
        there = (self.table < self.words.num_embeddings - 1)[..., None]
        x = self.words(self.table)
        x = x + self.near(x.transpose(1, 2)).transpose(1, 2)
        mean = (x * there).sum(1) / there.sum(1)
        return torch.cat([mean, torch.zeros_like(mean[:1])])[number]


# %% [markdown]
# *Check.* All sentences differ, and the empty one is zero. (The library's words look at each other by
# attention; the chapter goes on with its encoder.)

# %%
torch.manual_seed(0)
spoken = system.config.words_of("language")
mine = Sentences(spoken, 16)
vectors = mine(torch.arange(len(spoken)))
assert torch.cdist(vectors, vectors)[~torch.eye(21, dtype=bool)].min() > 0.1
assert mine(torch.tensor([-1])).abs().max() == 0

# %% [markdown]
# ## 3.2 · Any action as a vector
#
# Side by side: the sentence's vector, the motion, which of its numbers are valid, the key's vector. What is
# absent is zero *and said to be absent*. A small network mixes them, and the world's own vector is added:
#
# $$e = \mathrm{MLP}([\,s\,;\ m \odot v\,;\ v\,;\ k\,]) + d$$

# %%
class AnyAction(nn.Module):
    def __init__(self, sentences, keys, numbers, domains, dim):
        super().__init__()
        self.sentences, self.numbers = sentences, numbers
        self.keys = nn.Embedding(keys + 1, dim)  # the last row: no key
        width = 2 * dim + 2 * numbers
        self.mix = nn.Sequential(
            nn.Linear(width, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, dim))
        self.domain = nn.Embedding(domains, dim)

    def forward(self, a):
        """The vectors [B, T, D] of an `Actions`, which holds all parts of B clips."""
        key = torch.where(a.key < 0, self.keys.num_embeddings - 1, a.key)
        parts = [self.sentences(a.sentence), self.keys(key)]
        parts += [a.motion * a.valid, a.valid.float()]
        known = (a.domain >= 0)[:, None]
        world = self.domain(a.domain.clamp(min=0)) * known
        return self.mix(torch.cat(parts, -1)) + world[:, None]


# %% [markdown]
# *Check.* With the shipped weights copied in, it is the library's encoder, on clips of all worlds at once.

# %%
from wmlearn.chapters.ch07_unisim.mixture import DeviceNoise, Mixture

mixture = Mixture(clips, system.config, all_held_out=("fetch", "doom", "passive"))
generator = torch.Generator().manual_seed(0)
batch = mixture.draw(16, 8, generator, held_out=True)
theirs, config = system.simulator.actions, system.config
ours = AnyAction(theirs.sentences, len(config.words_of("keys")), config.dimensions,
                 len(config.domains), config.action.dim)
ours.load_state_dict(theirs.state_dict(), strict=True)
with torch.no_grad():
    assert torch.equal(ours(batch.actions), theirs(batch.actions))
print("vectors [B, T, D]:", list(ours(batch.actions).shape))

# %% [markdown]
# *Check.* A number that is not valid counts for nothing, whatever stands there; and the motion 0 is another
# vector than silence.

# %%
from wmlearn.systems.unisim.actions import Actions

none = torch.full((1, 1), -1)
arm = torch.tensor([config.number_of("fetch")])
make_motion = lambda value, valid: Actions(
    none, torch.full((1, 1, 3), value), torch.full((1, 1, 3), valid), none, arm)
with torch.no_grad():
    rubbish, silence, zero = (ours(make_motion(*a)) for a in
                              ((7.0, False), (0.0, False), (0.0, True)))
assert torch.equal(rubbish, silence) and not torch.allclose(zero, silence)

# %% [markdown]
# ## 3.3 · Some frames are the past, some are to be drawn
#
# The simulator is a video transformer (chapter 6's, here causal in time) on latents: an autoencoder has made
# 8 × 8 × 12 numbers of each frame. It learns by **diffusion forcing** (Chen and others, 2024): every frame of
# a training clip gets a noise level of its own. Some get little, 0 to 0.2, and serve as the past; the others
# are to be drawn, most of them from level 1, pure noise, where a draw begins:
#
# $$z = (1 - l)\,x + l\,\epsilon$$
#
# Only one kind of frame teaches what an action does: pure noise, right after a frame that can be seen. (In
# a frame of little noise one *sees* what was done.) If each frame is past with probability $p$, and $q$ of
# the others are pure noise, that is a share of $p(1-p)q$, at $p = 0.5$, $q = 0.3$ no more than 7.5 %. If every
# other frame is past, it is $q/2$. The shipped world does this in seven clips of ten.

# %%
def levels(batch, frames, generator, p=0.7, q=0.9, alternating=0.7, low=0.2):
    """A noise level [B, T] for each frame of a training clip."""
    draw = lambda *shape: torch.rand(shape, generator=generator)
    past = draw(batch, frames) < p
    turns = (torch.arange(frames) + (draw(batch, 1) < 0.5)) % 2 == 0
    past = torch.where(draw(batch, 1) < alternating, turns, past)
    drawn = torch.where(draw(batch, frames) < q, 1.0, draw(batch, frames))
    return torch.where(past, low * draw(batch, frames), drawn)


def teaches(l):  # noqa: E741
    """The share of the frames that are pure noise after a frame that can be seen."""
    return ((l[:, 1:] == 1) & (l[:, :-1] <= 0.2)).float().mean().item()


# %% [markdown]
# *Check.* Against the closed forms, $p(1-p)q$ and $q/2$. (A frame to be drawn whose level happens to be below
# 0.2 can be seen as well: the measured share is a little higher.)

# %%
many = torch.Generator().manual_seed(0)
for name, (p, q, alternating), exact in (
        ("at random, 0.5", (0.5, 0.3, 0), 0.5 * 0.5 * 0.3),
        ("every other", (0.5, 0.9, 1), 0.9 / 2)):
    share = teaches(levels(6000, 8, many, p, q, alternating))
    print(f"{name:15} {share:.1%} of the frames teach an action, "
          f"exactly {exact:.1%} or more")
    assert -0.01 < share - exact < 0.02
print(f"as shipped      {teaches(levels(6000, 8, many)):.1%}")

# %% [markdown]
# ## 3.4 · Count from the frame before
#
# Most of a picture stays as it is. So the network says only what *changes*, and the frame before is added.
# That frame is noisy, too. Which multiple of a noisy number is the best guess of the clean one? For $x$ and
# $\epsilon$ of mean 0 and variance 1, least squares says
#
# $$c(l) = \frac{\mathbb E[x z]}{\mathbb E[z^2]} = \frac{1 - l}{(1 - l)^2 + l^2}$$

# %%
def best_guess(z, l):  # noqa: E741
    return (1 - l) / ((1 - l) ** 2 + l**2) * z


draw = torch.Generator().manual_seed(0)
x, eps = torch.randn(2, 200_000, generator=draw)
for l in (0.05, 0.2, 0.5):  # noqa: E741
    z = (1 - l) * x + l * eps
    measured = (x * z).mean() / (z * z).mean()
    print(f"level {l}: c = {best_guess(1.0, l):.3f}, measured {measured:.3f}")
    assert abs(measured - best_guess(1.0, l)) < 0.01

# %% [markdown]
# The estimate of all clean latents at once. The transformer sees the noisy ones, each frame's level, and
# the vector of what led to each frame.

# %%
def estimate(transformer, z, level, vectors):
    """Clean latents [B, T, c, h, w] of noisy ones."""
    guess = best_guess(z, level[..., None, None, None])[:, :-1]
    before = torch.cat([torch.zeros_like(guess[:, :1]), guess], 1)
    return before + transformer(z, level, conditioning=vectors)


# %% [markdown]
# *Check.* It is the library's function; and what is done at a frame cannot change an earlier one.

# %%
simulator, few = system.simulator.eval(), batch.index[:4]
with torch.no_grad():
    latents = system.encode(mixture.frames[few]).float()
    vectors = theirs(batch.actions)[:4]
    level = levels(4, 8, generator)
    a = estimate(simulator.transformer, latents, level, vectors)
    b = simulator.estimate(latents, level, vectors)
    other = vectors.clone()
    other[:, 5] += 1
    c = estimate(simulator.transformer, latents, level, other)
assert torch.allclose(a, b, atol=1e-5)
change = (c - a).abs().amax((0, 2, 3, 4))
assert change[:5].max() < 1e-5 < change[5]

# %% [markdown]
# ## 3.5 · Where it changed counts more
#
# A step in BabyAI changes two places of 64. In the mean over all places an action is worth next to nothing,
# and the network learns to draw rooms long before it listens. So a place whose latent has changed by
# $\Delta$ since the frame before weighs $1 + 20 \min(\Delta^2, 1)$, and all weights of a frame are brought to
# the mean 1, so that a world in which everything moves does not count for more.

# %%
def where_it_changed(latents, weight=20.0):
    """Weights [B, T, 1, h, w] of latents [B, T, c, h, w]."""
    change = torch.zeros_like(latents[:, :, :1])
    moved = (latents[:, 1:] - latents[:, :-1]).square().mean(2, keepdim=True)
    change[:, 1:] = moved.clamp(max=1)
    each = 1 + weight * change
    return each / each.mean((3, 4), keepdim=True)


# %% [markdown]
# *Check.* It is the library's; and here is what it does to a real step in a room.

# %%
talk = mixture.draw(64, 8, generator, True, {"babyai": 1.0}, whole=True)
with torch.no_grad():
    z = system.encode(mixture.frames[talk.index]).float()
weight = where_it_changed(z)
assert torch.equal(weight, simulator.where_it_changed(z))
moved = (z[:, 1:] - z[:, :-1]).square().mean(2) > 0.2
print(f"{moved.float().mean():.1%} of the places change; they carry "
      f"{(weight[:, 1:, 0] * moved).sum() / weight[:, 1:].sum():.0%} of the weight")

# %% [markdown]
# ## 3.6 · What the pictures must keep
#
# The same question must be asked one stage earlier. Our first autoencoder was taught to draw rare colours
# well, and drew the red triangle of 64 pixels like a red ball: its direction was lost, and what is lost in
# the latents no simulator of latents can turn. The recording says what matters: *what an action changes*,
# that is, pixels which differ from the frame before or after. They weigh 13 times as much; and tiles that
# are drawn worse than the others weigh more, too.

# %%
from wmlearn.chapters.ch07_unisim.train import what_changes as library_weights


def what_changes(here, before, after, more=12.0):
    """Weights [B, 1, H, W] of mean 1 for frames [B, 3, H, W] between neighbours."""
    here, before, after = (x.short() for x in (here, before, after))
    differs = [(here - x).abs().amax(1, keepdim=True) > 24 for x in (before, after)]
    changed = (differs[0] | differs[1]).float()
    weight = 1 + more * F.max_pool2d(changed, 3, stride=1, padding=1)
    return weight / weight.mean((1, 2, 3), keepdim=True)


# %% [markdown]
# *Check.* It is the library's, on frames that have both neighbours; and the triangle, which is 64 of 4,096
# pixels, gets what it is worth.

# %%
inner = talk.index[:, 3]
inner = inner[(mixture.episode[inner - 1] == mixture.episode[inner + 1])]
mine = what_changes(*(mixture.frames[inner + k] for k in (0, -1, 1)))
assert torch.allclose(mine, library_weights(mixture, inner), atol=1e-6)
moving = (mine > mine.amin((1, 2, 3), keepdim=True) + 1e-6).float()
some_move = moving.sum((1, 2, 3)) > 0
share, worth = (x[some_move].mean() for x in (moving.mean((1, 2, 3)),
                                              (moving * mine).mean((1, 2, 3))))
print(f"where something moves: {share:.1%} of the pixels carry "
      f"{worth:.0%} of the weight")

# %% [markdown]
# None of these tricks was there from the start. What was tried, from the card of the shipped world:

# %%
Markdown("\n".join(f"- {line}" for line in wm.hub.read_card(NAME)["log"]))

# %% [markdown]
# A loss that falls does not say that a world listens. Measure whether it does, and early.
#
# ## 3.7 · The steps that are left
#
# A world has no reward: it depends on what one wants. The authors train a model that reads off a picture
# and a task how many steps are *left*, and give the policy the negative of that. Recordings tell it for
# free: a mission that was said ten steps before it was done took ten steps. Ours looks at latents and at a
# sentence's vector (for the arm: at a second picture, the goal), and is asked for $\log(1 + n)$; its loss is
# the absolute error, whose best answer is the median.

# %%
guesses = torch.linspace(0, 30, 301)
seen = torch.tensor([2.0, 2, 3, 4, 24])  # the same picture and task, five recordings
absolute = (guesses[:, None].log1p() - seen.log1p()).abs().mean(1)
square = (guesses[:, None] - seen).square().mean(1)
print("best under the absolute error of the logarithm: "
      f"{guesses[absolute.argmin()]:.1f}; "
      f"under the squared error: {guesses[square.argmin()]:.1f}")
assert abs(guesses[absolute.argmin()] - 3) < 0.11
assert abs(guesses[square.argmin()] - 7) < 0.11

# %% [markdown]
# One recording in which somebody lost his way does not move the median. There are two such models, each
# trained on its own part of the episodes: the first is the **reward**, and the second, which no policy may
# see, its **judge**. *Inside the shipped network both are untrained*: on its latents they never left the best
# constant. One reason can be seen. A simulator that makes nothing of missions (section 5.1) has little use for
# what tells them apart:

# %%
with torch.no_grad():
    said = theirs.sentences(torch.arange(3, len(spoken)))  # as the model reads them:
    said = F.layer_norm(said, said.shape[-1:])
alike = F.cosine_similarity(said[:, None], said[None], dim=-1)
others = alike[~torch.eye(len(said), dtype=torch.bool)]
print(f"two missions' vectors: cosine {others.mean():.2f} on average, "
      f"{others.min():.2f} at the least")

# %% [markdown]
# All missions are nearly one vector to whoever reads them there. The other reason is how the model reads a room:
# through a softmax over its 64 places, in whose mean the two that matter drown at first. (When we gave it tiles in
# place of latents, with the named thing marked, it was still at the constant after nearly 600 steps. Read where the
# triangle stands, and with a loss that is square near 0, it needed little more than 100 to leave it.) Section 6.3
# has a reward and a judge without these two faults.
#
# ## 3.8 · A decoder that has seen dreams
#
# One stage is left. A decoder learns on latents of *real* frames. At play it is given dreamed ones, which are vaguer,
# and off in ways of their own, and what to make of those nobody has taught it. So let the simulator dream along
# recorded clips, under their own actions, and let the decoder alone learn to draw the real frames from the dreamed
# latents; half of the time from the real ones, so that it does not forget them. Encoder and simulator stay as they
# are, and with them every dream.

# %%
from wmlearn.chapters.ch07_unisim.control import CONTEXT, dream


def along(world, clip, generator):
    """Latents dreamed along a clip, and the real frames that they stand for."""
    state, latents = world.reset(clip.time(0, CONTEXT)), []
    for t in range(CONTEXT, clip.length):
        state = world.imagine(state, clip.actions[:, t - 1], generator)
        latents.append(state.latent.float())
    return torch.stack(latents, 1), clip.frames[:, CONTEXT:]


# %% [markdown]
# *Check.* Drawn, these latents are the dream itself; and its error in the pixels reaches the decoder, nobody else.

# %%
from wmlearn.pixels import to_float, to_uint8

draws = torch.Generator().manual_seed(6)
keys = mixture.draw(8, CONTEXT + 4, draws, True, {"doom": 1.0}, whole=True)
clip = mixture.clip(keys)
world = system.world({"domain": "doom"})
dreamed, stands_for = along(world, clip, torch.Generator().manual_seed(0))
shown_frames = dream(world, clip, clip.actions, seed=0)
drawn = system.decode(dreamed.flatten(0, 1))
apart = to_uint8(drawn).float() - shown_frames.flatten(0, 1)
assert apart.abs().mean() < 2  # it plays in numbers of half the precision
F.mse_loss(drawn, to_float(stands_for.flatten(0, 1))).backward()
touched = {name.split(".")[1] for name, p in system.named_parameters()
           if p.grad is not None}
system.zero_grad()
assert touched == {"decoder", "post_quant_conv"}, touched

# %% [markdown]
# What two and a half minutes of one core did to the same dreams, four frames ahead, on held-out episodes (stored
# tables; PSNR in dB, and what another clip's actions cost):

# %%
lines = ["| world | true actions: before | after "
         "| another clip's cost: before | after |",
         "|---|---|---|---|---|"]
for name, earlier in tables["decoder"]["before"].items():
    cells = []
    for what in ("true", "delta"):
        for rows in (earlier, tables["control"][name]):
            cells.append(shown(next(r for r in rows if r["horizon"] == 4)[what]))
    lines.append(f"| {name} | " + " | ".join(cells) + " |")
Markdown("\n".join(lines))

# %% [markdown]
# Every world gains more than a decibel, and what an action is worth grows with it: a cost in decibels is a *ratio* of
# errors, so part of what looked like a deaf simulator was a decoder whose own error drowned the difference.
#
# # 4 · Train it
#
# Live, on one format: motions. The autoencoder is the shipped one, so that the minutes go to the part this
# chapter is about. First the latents of all frames, once.

# %%
from tqdm.auto import tqdm

from wmlearn.chapters.ch07_unisim.record import Recording
from wmlearn.chapters.ch07_unisim.train import Stretch
from wmlearn.systems.unisim import UniSim
from wmlearn.systems.unisim.config import ActionConfig

every, n = load(folder / "arm.npz")["fetch"], size["episodes"]
k = int(every.lengths[:n].sum())
some = Recording(every.frames[:k], every.actions[:k], every.lengths[:n], every.state[:k],
                 every.reached[:k])
small = replace(config, domains=(config.domains[1],), action=ActionConfig(dim=64),
                simulator=replace(config.simulator, frames=4, dim=96, layers=3))
arm, student = Mixture({"fetch": some}, small), UniSim(small)
student.autoencoder = system.autoencoder
student.latent_mean, student.latent_std = system.latent_mean, system.latent_std
student.color_weights = system.color_weights[1:2]

# %% [markdown]
# And what an error counts at each place, from the frame before:

# %%
with torch.no_grad():
    z = torch.cat([student.encode(x[:, None])[:, 0] for x in arm.frames.split(500)])
    twice = lambda x: x[:, None].expand(-1, 2, -1, -1, -1)
    weigh = torch.cat([student.emphasis(twice(x), torch.zeros(len(x)).long())[:, 1]
                       for x in arm.frames.split(500)])
print(f"{len(arm):,} frames of {len(some.lengths)} episodes, "
      f"{sum(p.numel() for p in student.simulator.parameters()) / 1e6:.2f} "
      "million weights")

# %% [markdown]
# Then the loop: clips, a level for each frame, one step down.

# %%
noise, losses = DeviceNoise("cpu", 2), []
stretch = Stretch([student.simulator], 300.0, 2e-3, 1e-3, size["steps"])
bar = tqdm(stretch, total=size["steps"], desc="steps", disable=tier == "smoke")
for _ in bar:
    clip = arm.draw(size["batch"], 4, noise.generator)
    weight = weigh[torch.cat([clip.index[:, :1], clip.index[:, :-1]], 1)]
    loss = student.simulator.loss(z[clip.index], clip.actions, weight, clip.real, noise)
    stretch.step({"simulator": loss})
    losses.append(float(loss.detach()))

# %% [markdown]
# **Look for** whether it still falls at the end.

# %%
span = max(1, len(losses) // 50)
smooth = torch.tensor(losses[:len(losses) // span * span]).view(-1, span).mean(1)
wm.viz.curves({"loss": smooth.tolist()}, [span * (i + 1) for i in range(len(smooth))],
              xlabel="steps", ylabel="weighted squared error of latents", log="y")

# %% [markdown]
# Beside copying the last frame, and under another clip's motions, on episodes that neither it nor the
# autoencoder has ever seen:

# %%
from wmlearn.chapters.ch07_unisim.control import control, held_out_clips


def judged(model, source, name, count, horizons=(1, 4)):
    """How true and other actions fare, on clips that were never trained on."""
    clip, episode = held_out_clips(source, name, count, 8)
    world = model.world({"domain": name, "num_steps": 1})
    return control(world, clip, episode, horizons)


def table_of(rows):
    lines = ["| frames ahead | true actions (dB) | another clip's (dB) | they cost (dB) "
             "| copy of the last frame (dB) |", "|---|---|---|---|---|"]
    for row in rows:
        lines.append(f"| {row.horizon} | {row.true.format(1)} | {row.other.format(1)} "
                     f"| {row.delta.format(1)} | {row.copy.format(1)} |")
    return Markdown("\n".join(lines))


student.eval()
unseen = Mixture({"fetch": clips["fetch"]}, small, all_held_out=("fetch",))
own, dreams = judged(student, unseen, "fetch", size["clips"])
table_of(own)

# %% [markdown]
# In our runs a small network that has seen only motions listens to them: another clip's motions cost more than two
# decibels, one frame ahead and four, and in the mean it is ahead of a copy of the last frame at both, by more than a
# decibel. After a third of these steps it listened already.
#
# # 5 · Look at it
#
# From here on the shipped checkpoint. It is the same code on all four recordings at once.

# %%
card = wm.hub.read_card(NAME)
eyes, more = card["autoencoder"], card["autoencoder"]["then"]
Markdown(f"The autoencoder was trained for {eyes['steps']:,} steps of "
         f"{eyes['batch_size']} frames, in {eyes['minutes']:.1f} minutes of a GPU "
         f"({eyes['hardware']}), and with section 3.6's weights for {more['steps']:,} "
         f"steps of {more['batch_size']} on one CPU core; the simulator for "
         f"{card['steps']:,} steps of 16 to {card['batch_size']} clips, "
         f"in {card['minutes']:.0f} minutes of one core that it shared with other work; "
         "and the decoder at the end for "
         f"{eyes['decoder then']['steps']} (section 3.8).")

# %% [markdown]
# The same frames, three formats. **Look for** the place where dream and truth part.

# %%
def liveliest(clips, good):
    """Of the good clips, the one in which most steps change something."""
    after, before = clips.frames[:, CONTEXT:], clips.frames[:, CONTEXT - 1:-1]
    changed = (after != before).flatten(2).any(2)
    best = int((changed.sum(1) * good).argmax())
    return clips[best:best + 1]


rows, draws = {}, torch.Generator().manual_seed(3)
for name in ("babyai", "fetch", "doom"):
    drawn = mixture.draw(60, CONTEXT + 6, draws, True, {name: 1.0}, whole=True)
    picked = mixture.clip(drawn)
    clip = picked[:1]
    if name == "babyai":  # moves alone
        clip = liveliest(picked, (picked.actions[:, CONTEXT - 1:] < 3).all(1))
    rows[f"{name}, real"] = clip.frames[0, CONTEXT:]
    world = system.world({"domain": name})
    rows[f"{name}, dream"] = dream(world, clip, clip.actions)[0]
wm.viz.strip(rows, [f"+{t + 1}" for t in range(6)],
             colors={k: wm.viz.REAL if "real" in k else wm.viz.DREAM for k in rows},
             alt="Six frames ahead in BabyAI, Fetch and DOOM: "
                 "real frames over dreamed ones.")

# %% [markdown]
# In the room the triangle turns and walks as it is told for three steps; at the fourth it has become a red thing, and
# is lost. The arm goes where it is told and grows soft; DOOM's gun stays while its walls blur. A draw in one pass is
# a mean over what might come: blur is what a world looks like that is not sure.
#
# ## 5.1 · Does each format steer?
#
# The measured answer: draw the same future under the true actions and under another clip's. If the actions
# do not matter, nothing is lost. (Measured beforehand, on held-out episodes; 95 % intervals over episodes.)

# %%
lines = ["| world | frames ahead | true actions (dB) | another clip's cost (dB) "
         "| copy of the last frame (dB) |", "|---|---|---|---|---|"]
for name, its in tables["control"].items():
    for row in its:
        lines.append(f"| {name} | {row['horizon']} | {shown(row['true'])} "
                     f"| {shown(row['delta'])} | {shown(row['copy'])} |")
Markdown("\n".join(lines))

# %% [markdown]
# All three formats steer, four frames ahead, by more than the decibel that we had asked of each, and with intervals
# above 0: the arm by four times as much, keys and sentences by a little more. The arm's dream is ahead of a copy
# throughout; DOOM's is behind one at first, level with it at four frames and ahead in the end; and a dreamed room is
# *behind* a copy, in which nothing is blurred and with which most of a room agrees.
#
# Moves and missions are not the same to learn. A move changes a tile or two, and which is written on the
# picture; a mission's step must be *found*, by a way around things. So measure them apart, on clips in which
# nothing else is said and something moves in truth:

# %%
lines = ["| said | frames ahead | true sentences (dB) | another clip's cost (dB) "
         "| copy of the last frame (dB) |", "|---|---|---|---|---|"]
for name, its in tables["sentences"].items():
    for row in its:
        lines.append(f"| {name} | {row['horizon']} | {shown(row['true'])} "
                     f"| {shown(row['delta'])} | {shown(row['copy'])} |")
Markdown("\n".join(lines))

# %% [markdown]
# Where something moves, a dreamed room is ahead of a copy, too, after four frames. Moves have what was asked, and
# missions have *nothing*: some hundredths of a decibel, of either sign. Said a mission,
# the network draws what is usually done, whatever thing is named. The words arrive (section 3.1), but one step of a
# shortest way around seven things is a small computation of its own, which a network of this size did not find in its
# half hour. Nor is four frames too soon to see it: said for 16 steps, one mission in place of another still costs
# nothing (section 6.6, which gives missions a meaning in another way). Say "go to the red ball" to the first player of
# this chapter, and then say a colour that is not there: now you know why it makes no difference.
#
# ## 5.2 · What the vector says, and what silence does
#
# Only the last action of each clip is changed: it is another clip's, or withheld; or the world's own vector
# is left out, or is that of another world. **Before you look**: what hurts more, silence or a lie?

# %%
names = list(tables["what is said"])
lines = ["| PSNR of the next frame (dB) | " + " | ".join(names) + " |",
         "|---|---|---|---|"]
for told in tables["what is said"][names[0]]:
    cells = [shown(tables["what is said"][name][told]) for name in names]
    lines.append(f"| {told} | " + " | ".join(cells) + " |")
Markdown("\n".join(lines))

# %% [markdown]
# A lie about the action costs more than silence, if only by a hair in rooms: silence makes the network draw the mean
# over what is usually done. In rooms and in DOOM the world's own vector is worth more than the action: the network has
# learned its three worlds with the name of the world at hand, never without it, and a wrong name takes it into another
# one. (The authors found the same embedding a help within a world and a hindrance across worlds.)
#
# Silence has a use, too. **Guidance** (Ho and Salimans, 2022) asks for each frame twice, with the action and in
# silence, and goes on from the second answer through the first, $\hat x = \hat x_\varnothing + w\,(\hat x_a -
# \hat x_\varnothing)$: the action is said louder. In DOOM, at the price of a second pass a frame:

# %%
lines = ["| $w$ | frames ahead | true keys (dB) | another clip's cost (dB) |",
         "|---|---|---|---|"]
for scale, its in tables["louder"].items():
    for row in its:
        lines.append(f"| {scale} | {row['horizon']} | {shown(row['true'])} "
                     f"| {shown(row['delta'], 2)} |")
Markdown("\n".join(lines))

# %% [markdown]
# Louder keys are heard better one frame ahead. Over four and eight frames a $w$ of 1.5 still helps a little, and
# beyond it an overdrawn frame is remembered, the next one is drawn from it, and the dream leaves the truth altogether.
# The players of this chapter draw once, with $w = 1$.
#
# ## 5.3 · What three choices are worth: the past, the world's name, and company
#
# Each choice costs a network of its own, so these are small: from nothing, on the shipped autoencoder's latents, for
# 1,700 steps of 18 clips, half of the arm and half of DOOM; a world alone has as many clips of its own, in half as many
# steps. They learn one thing, to draw a clip's last frame in one pass, so that each row has had as many targets. All are
# asked for the same futures, of episodes that they were not trained on (the autoencoder was, on most); the differences
# are clip by clip, with 95 % intervals over episodes, and each of two seeds in brackets. The pictures are the
# decoder's of before section 3.8. (A first try had BabyAI as a third world, and 600 steps. One frame ahead no world's
# actions cost more than 0.12 dB in it; it is left out.)
#
# **Before you look**: which costs the arm more, three of its four past frames, or the name of its world? And whom
# does company help, the arm or DOOM?

# %%
choices = tables["choices"]
first = next(iter(choices["variants"]))
lines = ["| world | what is changed | dB, 1 and 4 frames ahead "
         "| more than the first row, 1 | 4 | another clip's actions cost (dB), 1 | 4 |",
         "|---|---|---|---|---|---|---|"]
with_seeds = lambda x: f"{shown(x, 2)} [{', '.join(f'{v:.2f}' for v in x['seeds'])}]"
for world in choices["held-out clips"]:
    for name, variant in choices["variants"].items():
        if world not in variant:  # trained on the other one alone
            continue
        ahead = variant[world]
        cells = [", ".join(f"{row['true']['value']:.1f}" for row in ahead)]
        cells += [with_seeds(row["more"]) if name != first else "" for row in ahead]
        cells += [with_seeds(row["cost"]) for row in ahead]
        lines.append(f"| {world} | {name} | " + " | ".join(cells) + " |")
Markdown("\n".join(lines))

# %% [markdown]
# The past, by far. With one frame of it the arm's next frame loses more than a decibel and the fourth almost two,
# DOOM's about half a decibel each, with both seeds: one picture does not show what is moving already. The authors,
# too, find one frame worst. What another clip's actions cost one frame ahead goes both ways, less for the arm
# and more in DOOM; four frames ahead it is less in both, clearly so in DOOM only.
#
# The name is worth next to nothing: a tenth of a decibel for DOOM's next frame; and without it the arm is, if
# anything, a little better. Motion or key, and the past frames, say already which world it is. The large loss in
# section 5.2 was of a network that had always been told. (The authors find the name a help where a world has little
# data; these two have as much as each other.)
#
# Four past frames of which only every second one is seen are a little worse than four recent ones in DOOM, by a tenth of
# a decibel and with both seeds; for the arm the seeds disagree. That is the authors' order: four recent, four spread,
# one.
#
# **Company.** The arm gains by it: alone, on as many clips of its own, its next frame is half a decibel worse and its
# fourth as well, though there one seed says little; and its motions are heard less. DOOM loses by it: alone it is a
# quarter of a decibel better at both distances, and its keys cost more, with both seeds. Transfer one way and
# interference the other, in one network: what it is worth to be trained together is no one number. (Alone there were
# half as many steps, which should rather have hurt.)
#
# These networks are young: of the arm's four frames ahead, and of DOOM's next one, a copy of the last is the better
# picture in the mean, whatever was changed.
#
# # 6 · Try it inside, do it outside
#
# This is what UniSim is for. The authors train policies inside and measure them, mostly, *inside* as well:
# their tables give the distance to a goal and the success in the simulator; the real robot is shown in
# pictures. Here the real environment is at hand, so both can be measured, in one unit.
#
# ## 6.1 · The arm: a search
#
# The task: a picture of where the arm shall be. The distance to the goal is that of the latents, their mean
# squared difference. The agent is a search: dream some motions, each held for two steps, and do the one that ends
# nearest. Here for one moment:

# %%
world = system.world({"domain": "fetch", "num_steps": 1})
frames = mixture.draw(1, 8, torch.Generator().manual_seed(7), True, {"fetch": 1.0}, True)
pair = system.encode(mixture.frames[frames.index]).float()[0]
now, goal, ways = pair[:1], pair[-1:], torch.cat([torch.eye(3), -torch.eye(3)])
state, draw = world.begin(now.expand(6, -1, -1, -1)), torch.Generator().manual_seed(0)
for _ in range(2):
    state = world.imagine(state, ways, draw)
apart = (state.latent - goal).square().mean((1, 2, 3))
wm.viz.strip({"now, and the goal": mixture.frames[frames.index[0, [0, -1]]]},
             ["now", "goal"], colors={"now, and the goal": wm.viz.REAL},
             alt="The arm now, and where it shall be.")

# %% [markdown]
# And how far from the goal's picture each of six motions ends, in the dream:

# %%
before = (now - goal).square().mean()
names = ["+x", "+y", "+z", "−x", "−y", "−z"]
Markdown(f"Before any motion: {before:.3f}.\n\n| motion | " + " | ".join(names) + " |\n"
         + "|---" * 7 + "|\n| ends at | " + " | ".join(f"{a:.3f}" for a in apart) + " |")

# %% [markdown]
# Now from ten starts, with goals anywhere in the arm's reach: try N random motions in the dream, each held for five
# steps, choose the one that ends nearest to the goal's picture *inside*, and let the real arm do it *outside*.
# With N = 1 nothing is chosen: that is the arm at random. Nothing of the real arm's motions, rewards or
# goals ever reached the choice.

# %%
hunt = tables["exploited"]
lines = ["| ways tried inside, N | inside: promised by the dream "
         "| outside: the real arm "
         "| outside: cm to the goal |", "|---|---|---|---|"]
for i, n in enumerate(hunt["candidates"]):
    cells = [shown(hunt[k][i], 2) for k in ("the dream that chose", "the real arm")]
    cells.append(shown(hunt["centimeters"][i]))
    lines.append(f"| {n} | " + " | ".join(cells) + " |")
Markdown("\n".join(lines))

# %% [markdown]
# What was chosen inside is better outside: at N = 16 dream and arm agree to the second digit, and with 64 ways the
# real arm ends eleven centimetres nearer than at random. Returns inside and outside are in one unit here, so the
# gap can be read off each row; where it opens is section 7.1. This is a search, with the simulator at hand at every
# choice. Can a policy be *trained* inside, and leave it?
#
# ## 6.2 · The rooms: dream one step, and snap it
#
# In a room the task is a mission, and a policy says moves. This world knows nothing of a mission's steps
# (section 5.1), and after a few moves it has lost its triangle. But *one* move it knows well. So dream one move at
# a time, and bring what was dreamed back to what a room can look like. What that is, the recording says: all its
# rooms are put together from a few tiles. And it says more, without anybody who knows the game. **What moves** are
# the tiles that turn up where a frame differs from the last one, and never twice in a room. **What a sentence
# names** is the tile that is there when it is said, more often than otherwise:

# %%
from wmlearn.chapters.ch07_unisim.leave import load_trained
from wmlearn.chapters.ch07_unisim.record import load_tiles

its = load_trained(folder / "rooms.safetensors")  # what section 6 has learned
tiles = its.dictionary
_, talks = load_tiles([folder / "clips.npz"])
rooms = torch.from_numpy(talks.frames[..., 0])  # numbers of tiles [N, 8, 8]
there = torch.stack([(rooms == k).flatten(1).any(1).float()
                     for k in range(len(tiles.looks))], 1)
actions = torch.from_numpy(talks.actions)
for mission in (3, 8, 16):
    more = there[actions == mission].mean(0) - there.mean(0)
    best = more.topk(2)
    print(f"{spoken[mission]:22} tile {int(best.indices[0]):2}, "
          f"there {best.values[0]:+.0%}; the next one {best.values[1]:+.0%}")
    assert best.indices[0] == tiles.named[mission]
print(f"{len(tiles.looks)} tiles, of which {len(tiles.moving)} move")

# %% [markdown]
# No translation was given, and none is in doubt. **Snapping** a dreamed step: a tile that has not changed stays
# what it was; what moves goes where its look explains the most; any other tile becomes the nearest that does not
# move. **Look for** the difference between dreamed and snapped.

# %%
from wmlearn.chapters.ch07_unisim.in_rooms import SnappedRooms

within = SnappedRooms(system.world({"domain": "babyai", "num_steps": 1}), tiles)
number = torch.arange(len(rooms))
ends = torch.from_numpy(talks.lengths.cumsum() - 1)
late = number > ends[-51]  # of the last 50 episodes, which the simulator never saw
some = number[late & (actions < 3) & ~torch.isin(number, ends)]
some = some[torch.randperm(len(some), generator=torch.Generator().manual_seed(1))]
some = some[:150 if tier != "smoke" else 12]
moved = within.after(rooms[some], actions[some])
turns, truth = actions[some] < 2, rooms[some + 1]
stays = (truth == rooms[some]).flatten(1).all(1)
right = (moved == truth).flatten(1).all(1)
for name, kind in {"a turn": turns, "a step ahead": ~turns & ~stays,
                   "a step against something": ~turns & stays}.items():
    print(f"{name:25} all 64 tiles right in {right[kind].float().mean():4.0%} "
          f"of {int(kind.sum())} rooms")

# %%
few = [int(torch.nonzero(kind)[0]) for kind in (turns, ~turns & ~stays)]
few += [int(torch.nonzero(~turns & stays)[0])]
here = tiles.draw(rooms[some[few]])
with torch.no_grad():
    seen = system.encode(here[:, None])[:, 0].float()
    vague = within.world.imagine(within.world.begin(seen), actions[some[few]],
                                 torch.Generator().manual_seed(0)).latent
    vague = system.decode(vague).add(1).mul(127.5).clamp(0, 255).byte()
wm.viz.strip({"the room": here, "dreamed": vague, "snapped": tiles.draw(moved[few]),
              "real": tiles.draw(truth[few])}, ["a turn", "ahead", "against something"],
             colors={"the room": wm.viz.REAL, "dreamed": wm.viz.DREAM,
                     "snapped": wm.viz.DREAM, "real": wm.viz.REAL},
             alt="Three rooms, a dreamed move in each, the same snapped to tiles, and "
                 "what really came.")

# %% [markdown]
# A turn comes out right nearly always, to the last tile, and a step ahead in nine rooms of ten. Against a wall or a
# thing the dream is undecided, and in two rooms of five the triangle walks into it or is drawn beside it: remember that
# for section 6.4.
#
# ## 6.3 · The steps that are left, learned
#
# The reward: a network that is asked how many steps a mission will take. Its input is a map of each tile, and one of
# where the named thing is; eight convolutions carry from place to place how far it is; and it is read **where the
# triangle stands** (Tamar and others, 2016, have such networks plan). Its labels are recorded: a mission that was
# said, and the steps that it took. The judge is its twin from other episodes. On rooms that neither has seen:

# %%
from wmlearn.chapters.ch07_unisim.in_rooms import steps_left
from wmlearn.chapters.ch07_unisim.mixture import said_steps

left = said_steps(talks)
lengths = torch.from_numpy(talks.lengths)
held = torch.arange(len(lengths)).repeat_interleave(lengths) % 20 == 19
known = number[(left >= 0) & (actions >= 3) & ~torch.isin(number, ends) & held]
if tier == "smoke":
    known = known[:40]
wanted = left[known].float()
print(f"{len(known)} rooms with a mission; mean error in steps:")
print(f"the best constant {(wanted - wanted.median()).abs().mean():.2f}")
for name in ("reward", "judge"):
    say = steps_left(getattr(its, name), rooms[known], tiles.named[actions[known]])
    print(f"{name:17} {(say - wanted).abs().mean():.2f}")

# %% [markdown]
# ## 6.4 · The policy, inside and outside
#
# A search that looks one move ahead: dream each of the three, snap it, and ask the reward. What is dreamed does not
# depend on the mission, so one dream serves all missions of a room.

# %%
from wmlearn.chapters.ch07_unisim.in_rooms import move_values


def look_ahead(rooms_now, named):
    """The steps to go through each move [B, 3]."""
    values = []
    for move in range(3):
        said = torch.full((len(rooms_now),), move)
        values.append(1 + steps_left(its.reward, within.after(rooms_now, said), named))
    return torch.stack(values, 1)


twelve = rooms[known[:12]]
names = tiles.named[actions[known[:12]]]
mine = look_ahead(twelve, names)
theirs_too = move_values(within, its.reward, twelve, names[:, None])[:, 0]
apart = (mine - theirs_too).abs().mean()
print(f"the library's search, with other noise: {apart:.2f} steps apart on average")

# %% [markdown]
# In recorded rooms, for missions that were named in them, the search says how good each move is, some ten thousand
# times in a minute of one core. A policy imitates it (softmax of the negative steps): the same network, three outputs.
# It sees real rooms and dreamed consequences; of what was done in the recording, no move. Then it leaves: 200 real
# rooms, 64 moves at most. Beside it: any move; a policy that imitates *recorded* moves, at most ten before a mission
# was done (the bot's steps towards a mission have no moves in the recording, they are called by the mission); and the
# search itself, which dreams at every real move. "Inside" are dreams of the same rooms, snapped at each move, and
# done is what reward and judge believe. (The policies are of before section 3.8; the table is of today's decoder.) **Before you
# look**: where will inside promise too much?

# %%
table = tables["rooms"]
lines = ["| who acts | inside, by the reward | inside, by the judge "
         "| outside: done in the real room | inside less outside |",
         "|---|---|---|---|---|"]
for name, row in table["actors"].items():
    cells = [shown(row[k], 0, True) for k in ("inside, by the reward",
                                              "inside, by the judge", "outside")]
    lines.append(f"| {name} | " + " | ".join(cells)
                 + f" | {shown(row['inside less outside'], 0, True)} |")
Markdown("\n".join(lines))

# %% [markdown]
# Outside, the policy that was trained inside does nineteen missions of twenty, forty more of a hundred than the clone
# of recorded moves, whose moves mostly lead nowhere. It is as good as the search that taught it: it imitates
# what was said in thousands of rooms, and the error of one dream is not that of the next. And what these policies are
# promised inside is kept outside: their gaps in the last column are not clear of 0. Only the search, which asks the
# dream at every move, is promised a little too much.
#
# And this is how it leaves. Above, a real room and what the policy does in it; below, the dream that began at the same
# picture, under the same moves. **Look for** the thing that the mission names.

# %%
from wmlearn.chapters.ch07_unisim.in_rooms import drawn
from wmlearn.envs import make


def acted(seed, most=20):
    """Real frames, dreamed ones, the mission, and whether it was done."""
    env, act, ended = make("babyai/go-to-local"), drawn(its.policy, 1), False
    look = lambda frame: torch.from_numpy(frame.copy()).permute(2, 0, 1)[None]
    frame, _ = env.reset(seed=seed)
    real, mission = [look(frame)], env.unwrapped.mission
    dreamed = [tiles.read(real[0])]
    while not ended and len(real) < most:
        move = act(tiles.read(real[-1]), tiles.named[[mission]])
        frame, _, ended, _, _ = env.step(int(move))
        real.append(look(frame))
        dreamed.append(within.after(dreamed[-1], move))
    return torch.cat(real), tiles.draw(torch.cat(dreamed)), spoken[mission], ended


for seed in range(11_000, 11_020):
    outside, inside, said, ended = acted(seed)
    if ended and 6 <= len(outside) <= 9:
        break
print(f"said: {said}; done after {len(outside) - 1} moves" if ended else said)
wm.viz.strip({"outside": outside, "inside": inside},
             [f"{t}" for t in range(len(outside))],
             colors={"outside": wm.viz.REAL, "inside": wm.viz.DREAM},
             alt="A policy that was trained inside, at work in a real room, and the "
                 "dream of the same moves below.")

# %% [markdown]
# Reward and judge agree throughout. Is there nothing to exploit, then? Ask for what cannot be had: in other dreams
# that begin at real rooms, go to a thing that is *not* in the room.

# %%
absent = tables["rooms"]["absent"]
lines = [f"| who acts, {absent['dreams']} rooms, {absent['moves']} moves "
         "| done, by the reward | done, by the judge | done in truth |",
         "|---|---|---|---|"]
for name, row in absent["actors"].items():
    lines.append(f"| {name} | {shown(row['reward'], 0, True)} "
                 f"| {shown(row['judge'], 0, True)} | 0 % |")
Markdown("\n".join(lines))

# %% [markdown]
# One impossible mission of five is "done", and the judge says so, too. Both are right about the picture: in each of
# these dreams the thing had *appeared*, drawn by a step that was unsure and then snapped to a tile, and the policy
# had walked up to it. A second head finds the errors of the first. It does not find the errors of the world, whose
# pictures are all it sees. Only outside does.

# %% [markdown]
# ## 6.5 · The arm, trained on inside
#
# For the arm a recording is a teacher, too: a motion, and a frame some steps later as the goal that it led to. A
# policy that imitates these motions is the **clone**. It never saw what to do at the goal itself, nor what a motion
# next to the recorded one would have done. The dream shows that: in recorded frames, 32 motions are dreamed, one of
# them to stay, and for goals of up to six frames before or after, those that end nearest are what the policy shall
# do. It goes on from the clone, half of each batch recorded and half dreamed; the clone goes on for as long on the
# recording alone. The table is of real arms: 25 motions, the same starts and goals for all.

# %%
arms = tables["reachers"]
lines = ["| who moves | ends within 5 cm | cm to the goal at the end |", "|---|---|---|"]
for name, row in arms["actors"].items():
    lines.append(f"| {name} | {shown(row['within 5 cm'], 0, True)} "
                 f"| {shown(row['centimeters'])} |")
nearer = arms["actors"]["the clone, trained on inside"]["centimeters less the clone's"]
Markdown("\n".join(lines) + f"\n\nTrained on inside, less the clone, "
         f"in {arms['episodes']} pairs: {shown(nearer, 2)} cm.")

# %% [markdown]
# The clone is good already, which the rooms' clone is not: the arm's recording is full of motions that lead somewhere.
# What it learned inside brings it a quarter of a centimetre nearer still, in pairs, and the interval leaves out 0; the
# share within five centimetres is hardly moved. Where does the gain come from? Ask both to be where they are:

# %%
from wmlearn.chapters.ch07_unisim.leave import load_arm

both = load_arm(folder / "reachers.safetensors", system)
still = as_frames(clips["fetch"].frames[::5])  # held-out frames, each its own goal
with torch.no_grad():
    at = torch.cat([system.encode(x[:, None])[:, 0] for x in still.split(100)])
    for name, policy in both.items():
        size = policy(at, goal=at).tanh().norm(dim=1).mean()
        print(f"{name:6} at its goal: still moves by {6.4 * size:.1f} cm a step")

# %% [markdown]
# In the recording nobody stands still, so the clone walks past its goal and back. In the dream, to stay was one of the
# motions tried. (A second way was tried: to pass the gradient of the distance back through three dreamed steps into
# the policy. In a minute of training it changed nothing that could be measured on held-out frames.)
#
# ## 6.6 · Rooms that do what they are told
#
# To the simulator a mission means nothing. By now there is somebody inside to whom it does, the policy. Put it in
# front: it says which move a mission means here, the simulator dreams the move, and the dream is snapped. Where the
# thing is not in the room, or where the reward says that it is reached, nothing moves.

# %%
def obey(rooms_now, sentence, generator=None):
    """The tiles after one step of what a sentence [B] asks for."""
    named = tiles.named[sentence]
    move = torch.where(named < 0, sentence, its.policy(rooms_now, named).argmax(1))
    there = (rooms_now.long() == named[:, None, None]).flatten(1).any(1)
    to_do = steps_left(its.reward, rooms_now, named) >= 0.5
    after = within.after(rooms_now, move, generator)
    goes = (named < 0) | there & to_do
    return torch.where(goes[:, None, None], after, rooms_now)


# %% [markdown]
# *Check.* It is the library's world, `SpokenRooms`; and a thing that is not there moves nobody.

# %%
from wmlearn.chapters.ch07_unisim.spoken import SpokenRooms

told_rooms = SpokenRooms(within, its.policy, its.reward)
few = rooms[known[:12]]
sentences = torch.arange(3, 15)  # a mission each, whether its thing is there or not
with torch.no_grad():
    mine = obey(few, sentences, torch.Generator().manual_seed(0))
theirs_too, _ = told_rooms.step(few, sentences, torch.Generator().manual_seed(0))
assert torch.equal(mine, theirs_too)
absent = ~(few.long() == tiles.named[sentences][:, None, None]).flatten(1).any(1)
assert torch.equal(mine[absent], few[absent])
print(f"{int(absent.sum())} of {len(few)} missions name a thing that is not there")

# %% [markdown]
# And to be played: type a mission that your room holds, and press Enter.

# %%
wm.play(told_rooms, env="babyai/go-to-local", context=starts[:8], fps=6)

# %% [markdown]
# What sentences are worth then, in rooms that neither simulator nor policy has seen. "One mission" is said over and
# over, and what it costs is that another mission is said, which the room allows as well.

# %%
lines = ["| sentences | frames ahead | who reads them | true sentences (dB) "
         "| another's cost (dB) | copy (dB) |", "|---|---|---|---|---|---|"]
spoken_to = tables["spoken"]
for kind, horizons in {"all sentences": (1, 4, 8), "moves": (4,), "missions": (4,),
                       "one mission": (4, 16)}.items():
    for horizon in horizons:
        for name, kinds in spoken_to.items():
            row = next(r for r in kinds[kind] if r["horizon"] == horizon)
            cells = [shown(row[k]) for k in ("true", "delta", "copy")]
            lines.append(f"| {kind} | {horizon} | {name} | " + " | ".join(cells) + " |")
Markdown("\n".join(lines))

# %% [markdown]
# Said to the network alone, one mission in place of another costs nothing, after one step or after sixteen. Spoken to
# the policy it costs eleven decibels or more, at any distance; and all sentences together steer some ten times as much as
# before, in a dream that is now far ahead of a copy. (These decibels are large because a snapped picture is right to
# the last pixel or wrong by a tile; the PSNR of one that is right is cut off at 59.) Snapping does for moves what the
# policy does for missions: a small error of one step is not carried into the next.
#
# What reads the sentence is not the simulator, though. Here a dictionary, a reward and a policy stand in front of a
# network that knows three moves; the authors have one network that knows what "pick up the block" looks like.
#
# ## 6.7 · Long dreams, and what they led to
#
# The authors chain short rollouts into long ones, say afterwards what each led to, and train a policy of sentences on
# that: **hindsight** (Andrychowicz and others, 2017). Does it help to be long? Take the recording as clips of four
# frames, moves alone. Nobody planned them; but a clip at whose end the reward finds a thing reached was a way to it,
# once its loops are cut out:

# %%
def without_loops(states):
    """The times of a way that are left if it never comes back to where it was."""
    last = {state: t for t, state in enumerate(states)}
    t, kept = 0, []
    while (t := last[states[t]]) < len(states) - 1:
        kept.append(t)
        t += 1
    return kept


assert without_loops("abcbd") == [0, 3]  # from a to b, and at its last time to d

# %% [markdown]
# *Check.* The library's labels of three clips that come to something: each move leads on, from room to room.

# %%
from wmlearn.chapters.ch07_unisim.hindsight import Ways, in_hindsight, short_clips

every = short_clips(talks)
labels = in_hindsight(Ways(every.codes[:60], every.moves[:60]), its.reward, tiles)
print(f"{len(every.moves):,} clips; of the first 60, {len(labels.moves)} moves "
      f"towards {len(set(labels.named.tolist()))} kinds of things")
way = every.codes[0]
kept = without_loops([x.numpy().tobytes() for x in way])
assert all(a < b for a, b in zip(kept, kept[1:]))

# %% [markdown]
# A policy that imitates these moves goes on in the dream: 32 moves, one mission after the other, three of ten moves
# any move, snapped each time. What it came to, it went for. The rivals have the clips alone, or as many dreamed moves,
# but in dreams that are no longer than a clip. In real rooms (two seeds of everything; in brackets each seed's):

# %%
long = tables["hindsight"]
percents = lambda x: (f"{shown(x, 0, True)} "
                      f"[{', '.join(f'{100 * v:.0f}' for v in x['seeds'])}]")
lines = ["| learned from | labels | done in 64 moves | more than short clips "
         "| nearer after 16 moves | more than short clips |",
         "|---|---|---|---|---|---|"]
for name, row in long["actors"].items():
    cells = [percents(row[k]) for k in ("done", "done, more than short clips", "nearer",
                                        "nearer, more than short clips")]
    lines.append(f"| {name} | {sum(row['labels']) / len(row['labels']):,.0f} | "
                 + " | ".join(cells) + " |")
Markdown("\n".join(lines))

# %% [markdown]
# Clips of four frames make a policy that does more than any move does; long dreams add nothing to it. As many missions
# are done in 64 moves; and after 16 it is *less* far on, by an interval below 0. Hindsight says that a move led to a
# thing, not that it was a good way there. In three moves there is no room for a detour. In 32, which were made for
# other missions and in part for none, most of a way is detour even without its loops, and it is imitated like the
# rest. Nor is there much to be won: what a few moves before a thing look like, the policy's convolutions carry through
# a whole room. (A first try had clips of eight frames, one seed: 63 % done, with long dreams and without.)
#
# The authors find the opposite for blocks on a table (section 8), with three to five rollouts in a chain. What brought
# the other policy, section 6.4's, to its nineteen of twenty was not length: a search compares moves.
#
# # 7 · What breaks
#
# ## 7.1 · Who searches harder finds the errors, too
#
# Try N random ways of five motions in a dream, and keep the one whose end looks most like the goal. The
# larger N, the better the end *by the dream that chose it*. Two other opinions: a second dream of the same
# way, with other noise, and the real arm after the same motions. **Look for** the gap, and for who sees it.

# %%
colors = {"the real arm": wm.viz.REAL, "the dream that chose": wm.viz.DREAM,
          "a second dream": wm.viz.NEUTRAL}
wm.viz.curves({name: [v["value"] for v in hunt[name]] for name in colors},
              hunt["candidates"], xlabel="ways tried in the dream, N", log="x",
              ylabel="distance from the goal's picture", colors=colors)

# %% [markdown]
# Up to a dozen ways or so the dream keeps its promise: the real arm ends where it said. Beyond, the dream that chose
# promises more than the arm keeps: the best of many is partly the luckiest error. The second dream sees next to
# nothing of it, as it is the same network: other noise is no second opinion. The centimetres, which nobody
# optimised, still fall. (A network that learned from other episodes is a second opinion of another kind; what it finds
# and what it does not is in section 6.4.)
#
# ## 7.2 · A mission asks for more than it has learned
#
# To the network alone, missions cost nothing, whichever is said (section 5.1). What does such a dream look like?
# **Look for** the triangle: through the autoencoder alone, and in the dream.

# %%
draws = torch.Generator().manual_seed(5)
talk = mixture.draw(200, 12, draws, True, {"babyai": 1.0}, True)
picked = mixture.clip(talk)
clip = liveliest(picked, (picked.actions[:, CONTEXT - 1:] >= 3).all(1))
said = [spoken[i] for i in clip.actions[0, CONTEXT - 1:]]
print("said:", "; ".join(dict.fromkeys(said)))
drawn = dream(system.world({"domain": "babyai"}), clip, clip.actions)[0]
through = system.decode(system.encode(clip.frames)[0]).add(1).mul(127.5).clamp(0, 255)
wm.viz.strip({"real": clip.frames[0, CONTEXT:], "through the autoencoder":
              through[CONTEXT:].byte(), "dream": drawn}, [f"+{t + 1}" for t in range(8)],
             colors={"real": wm.viz.REAL, "through the autoencoder": wm.viz.NEUTRAL,
                     "dream": wm.viz.DREAM},
             alt="A room for eight steps: real, through the autoencoder alone, dreamed.")

# %% [markdown]
# The autoencoder shows the triangle as it is, in every frame. The dream draws a little of every step that might be
# meant; soon there is no triangle any more, but red keys and boxes where nothing was.
#
# The table asks how often a program that knows the triangle's four looks finds the right place *and*
# direction: in the dream after one step, and, as the most that a dream could reach, in the real frame that has
# merely gone through the autoencoder. In the first two rows nothing moves in truth: **impossible actions**.

# %%
lines = ["| what is said | in truth something moves | pose right in the dream "
         "| pose right through the autoencoder |", "|---|---|---|---|"]
for name, row in tables["impossible"].items():
    lines.append(f"| {name} | {row['moves in truth']:.0%} "
                 f"| {shown(row['as in truth'], 0, True)} "
                 f"| {shown(row['read off the autoencoder'], 0, True)} |")
Markdown("\n".join(lines))

# %% [markdown]
# A turn is right in every room, and in four of five nothing moves where something stands in the way, which nobody
# has told it but the recording. A mission's step is right in two of five, little more than a guess among
# three moves; and a mission whose thing is not there moves the triangle nearly *always*. An impossible action gets an
# invented result: this simulator never says no. (The rooms of section 6.6 do, since somebody looks whether the thing
# is there.)
#
# ## 7.3 · A long way, sentence after sentence
#
# The authors chain short predictions into long ones. Here one mission after another is said, eight steps
# each, and beside it single moves, as they are dreamed and snapped at each step (section 6.2). How often does the
# dreamed triangle stand where the real one stands? And are the room's things still there?

# %%
chain, snap = tables["chained"], tables["rooms"]["chain"]
n = len(snap["steps"])
wm.viz.curves({"missions: stands as in truth": chain["missions"][:n],
               "moves: stands as in truth": chain["moves"][:n],
               "moves, snapped at each step": snap["stands as in truth"],
               "things still in their place": chain["things kept"][:n]}, snap["steps"],
              xlabel="steps dreamed", ylabel="share")

# %% [markdown]
# After one move the triangle stands right nearly always, after four in more than half of the rooms, and after ten in one
# of five: an error of one step is carried into all that follow. Snapped at each step, and other moves, six of ten
# still stand right after ten. Missions are wrong from the start. Things outlast the triangle, and two of five are gone
# after sixteen steps, twice the window. Chains are as long as their weakest link lets them be.
#
# # 8 · Measure it, and what differs from the paper

# %%
PAPER_ROWS = [("world", "video of 3 worlds and a fourth, passive one",
               "14 sets: internet, robots, people"),
              ("actions", "sentences, motions, keys", "text, motions, camera, panorama"),
              ("network", "causal video transformer on latents",
               "3-D U-Net, two super-resolutions"),
              ("parameters", "WEIGHTS", "5.6 billion"),
              ("drawn together", "1 frame", "16 frames"),
              ("hardware", "one CPU core, a GPU for the autoencoder",
               "512 TPU v3, 20 days")]
total = sum(p.numel() for p in system.parameters()) / 1e6
lines = ["| | here | the paper |", "|---|---|---|"]
weights = f"{total:.1f} million"
lines += [f"| {a} | {b.replace('WEIGHTS', weights)} | {c} |" for a, b, c in PAPER_ROWS]
Markdown("\n".join(lines))

# %% [markdown]
# The paper's numbers are from inside its simulator, on robot video that was held out: a long-horizon policy
# trained on simulated trajectories brings the blocks nearer to their goal by 0.34 of the distance, against
# 0.11 for one without, and reinforcement learning inside raises the success by the learned reward from
# 0.58 to 0.81 (its tables 2 and 3). They are not comparable with ours, of another world and another scale;
# what compares is the question, and here it has an answer from outside.
#
# How fast it is, in frames a second of one core's time, for one pass a frame and for two:

# %%
Markdown("\n".join(["| world and passes | frames a second |", "|---|---|"]
                   + [f"| {k} | {v:.0f} |" for k, v in tables["speed"].items()]))

# %% [markdown]
# # 9 · Playground, and scaling it
#
# **Predict first.** You say "go to the grey box" in a room without one: what will the dream do? And what
# does an arm do that is told a motion of 0.1? Then try; the world that **you** have trained, too:

# %%
wm.play(student.world({"num_steps": 1}), env="fetch/reach",
        context=wm.Clip(starts.frames[8:16]), fps=10)

# %% [markdown]
# The change to a larger machine is one word; from `colab` on, the model is the shipped one's size and more.
#
# ```
# wmlearn fit unisim --tier colab                     # one GPU
# wmlearn fit unisim --tier node                      # eight GPUs in one machine
# wmlearn fit unisim --tier pod                       # several machines, or a TPU
# python -m wmlearn.chapters.ch07_unisim.ship DATA    # the mixture of this chapter
# ```

# %%
from wmlearn.systems.unisim.recipe import RECIPE

lines = ["| tier | frames of play | joint batch | steps | devices |",
         "|---|---|---|---|---|"]
for name in ("laptop", "colab", "node", "pod"):
    numbers, _ = RECIPE.preset(name)
    lines.append(f"| {name} | {numbers.frames:,} | {numbers.batch_size} "
                 f"| {numbers.max_steps:,} | {numbers.devices} |")
Markdown("\n".join(lines))

# %% [markdown]
# # 10 · Exercises, and where to read on
#
# [The exercises](exercises/release/07_unisim.ipynb): write the encoder for any action; read from a recording how
# long things took; keep a policy from being paid for walking to and fro; compare returns inside and outside; and
# find out how hard one may search.
#
# - The paper: Yang, Du, Ghasemipour, Tompson, Kaelbling, Schuurmans and Abbeel (2023), [Learning Interactive
#   Real-World Simulators](https://arxiv.org/abs/2310.06114).
# - Andrychowicz, Wolski, Ray, Schneider, Fong, Welinder, McGrew, Tobin, Abbeel and Zaremba (2017),
#   [Hindsight Experience Replay](https://arxiv.org/abs/1707.01495).
# - Ho and Salimans (2022), [Classifier-Free Diffusion Guidance](https://arxiv.org/abs/2207.12598).
# - Chen, Monso, Du, Simchowitz, Tedrake and Sitzmann (2024), [Diffusion
#   Forcing](https://arxiv.org/abs/2407.01392): a noise level for each frame.
# - Chevalier-Boisvert, Bahdanau, Lahlou, Willems, Saharia, Nguyen and Bengio (2019),
#   [BabyAI](https://arxiv.org/abs/1810.08272): the rooms and their language.
# - Amodei, Olah, Steinhardt, Christiano, Schulman and Mané (2016), [Concrete Problems in AI
#   Safety](https://arxiv.org/abs/1606.06565): what a policy does to a reward.

# %%
from wmlearn import course

course.footer(began, minutes=4, gigabytes=2.3)
