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
# # Start here: play a learned DOOM
#
# *You will*: play a game that no game engine runs, see what a world model is, find your way
# through the course, and record a game of your own.<br>
# *You need*: a little Python. No GPU.<br>
# *It takes*: about 15 minutes, most of them play.
#
# Run the next two cells (Shift + Enter). Then click the picture and use the keys shown below it.

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

ENV = "doom/defend-the-center-hud-endless"
world = wm.load_world("gamengen-doom")
starts = wm.hub.load_starts("gamengen-doom")  # used where ViZDoom is missing
wm.play(world, env=ENV, context=starts)

# %% [markdown]
# Two pictures move under your keys. The green one, **real**, is the game: the engine of DOOM. You
# stand in the middle of a round room and can turn and shoot; monsters come at you from the walls.
# The orange one, **dream**, is a neural network. It saw the first sixteen frames of the real
# game; every frame after that it made up, from its own last frames and the key that you press.
#
# Try three things, and say what you expect *before* you press:
#
# 1. Turn until a monster leaves the picture, then turn back. Is it still there: in both pictures,
#    in one, in none?
# 2. Shoot. The number on the left counts your bullets. Nobody told the network what a number is:
#    does its counter go down, and by one?
# 3. Keep playing for half a minute. The meter shows how far the dream is from the real game. The
#    two part at the first monster that one of them invents and the other does not, and the dream
#    does not fall to pieces. Then restart from a real frame: the meter keeps what it showed, and
#    marks the restart.
#
# In this variant of the game the green player cannot die, or it would be over in ten seconds. The
# network was trained on games with mortal players, so in the orange picture your health may fall,
# and once in a while the dream dies and starts again.
#
# No widget here, because you are reading this on a web page? This is what it looks like:
#
# ![Two rows of game frames over time. Upper row, green, labelled real: a round room of DOOM with
# monsters, a gun and a status bar, seen by a player who turns and shoots. Lower row, orange,
# labelled dream: the same moments as the world model predicted them from the first frames and the
# player's keys.](../assets/figures/start_here.png)

# %% [markdown]
# ## What is a world model?
#
# A world model is a function that is learned from experience and answers one question: *if I do
# this now, what comes next?* It takes what was seen so far and an action; it gives what will be
# seen, and often a reward. The game engine in the upper loop of the picture answers the same
# question with rules that people wrote. The world model in the lower loop learned its answer
# from recorded play alone. Its own answer goes back in as the next question, so it can go on by
# itself: that is the dream. Look for the arrow that the real loop does not have.

# %%
from wmlearn import course

course.loop()

# %% [markdown]
# The arrow back is both the use and the trouble of a world model. The use: an agent can practise
# in the dream, try what it would never dare in reality, and take a move back. The trouble: every
# small error goes back in as well, and grows. In this course you meet both again and again.
#
# In code, the two loops have one shape. And the state of a dream is a plain value: you can keep it
# and leave it in as many directions as you like. Here the same moment has four futures, in each of
# which one key is held down for eight steps. What will be in the last picture of each row?

# %%
import torch

start = world.reset(starts[:1])
dreams = {}
for name, action in {"wait": 0, "turn left": 1, "turn right": 2, "shoot": 3}.items():
    generator = torch.Generator().manual_seed(0)  # the same noise in each future
    state, frames = start, []
    for _ in range(8):
        state, step = world.step(state, torch.tensor([action]), generator)
        frames.append(step.frame[0])
    dreams[name] = torch.stack(frames)

wm.viz.counterfactual_strip(dreams, starts.frames[0, -1])

# %% [markdown]
# Nobody programmed what a key does. When you turn left, the room slides to the right; when you
# shoot, the gun flashes. The model found that out from recorded frames and key presses. How well
# it did is a question of numbers, and [chapter 5](05_gamengen.ipynb) asks it of this very world.

# %% [markdown]
# ## The way through every chapter: data, system, world, judgment
#
# | Station | The question | In the library | On the command line |
# |---|---|---|---|
# | **data** | What was experienced? | `wmlearn.envs`, `wmlearn.data` | `wmlearn record` |
# | **system** | What is learned from it, and how? | `wmlearn.systems`, `wmlearn.train` | `wmlearn fit` |
# | **world** | Can I act in it? | `wmlearn.world`, `wmlearn.player`, `wmlearn.agents` | |
# | **judgment** | Is it true, does it obey, is it of use, what does it cost? | `wmlearn.evaluation` | `wmlearn evaluate` |
#
# The folders of the library have these names, and each chapter passes the four stations in this
# order.

# %% [markdown]
# ## The map
#
# Two questions sort the systems of this course. *What does it predict?* The picture itself, a
# compressed code of it, or features that are never drawn. *What does it learn from?* Play with its
# actions, video without them, or video with holes. Behind both stands one tension, *fidelity
# against utility*: a faithful picture is expensive and spends capacity on details; an abstract one
# is cheap, but may drop the detail that decides.
#
# Before you look: where would you put a model that has watched a great deal of video, was never
# told which button anyone pressed, and can be *played* all the same?

# %%
course.world_map()

# %% [markdown]
# It is Genie 1, in the middle. The world that you played stands in the upper left corner: pixels,
# learned from actions. Look at the four empty squares too: a system that belongs there may exist,
# but not in this course. We drew the borders. Several systems sit close to one; their cards say
# why. The same map as a table:

# %%
course.table()

# %% [markdown]
# ## Tiers: one code, your machine
#
# Every chapter trains something live. How much depends on the machine: a *tier* changes numbers
# (batch size, steps, precision), never the code. The laptop is the default.

# %%
from wmlearn.recipes.tiers import TIERS, current_tier

print("tier     hardware                 training a chapter")
for tier in TIERS.values():
    mark = "  <- yours" if tier == current_tier() else ""
    print(f"{tier.name:8} {tier.hardware:24} about {tier.minutes:g} min{mark}")

# %% [markdown]
# To choose another, set the environment variable `WMLEARN_TIER` before you start Jupyter, or run
# `%env WMLEARN_TIER=colab` at the top of a notebook. On the command line it is
# `wmlearn fit SYSTEM --tier colab`. The tier `smoke` only tests that everything runs: its models
# learn nothing.
#
# ## Record your own game
#
# Any environment that [Gymnasium](https://gymnasium.farama.org) can make and draw is recorded in
# the same way, and so is a video file. This cell records a short stretch of another scene of DOOM,
# one monster in a square room, by a player that presses keys at random.

# %%
import tempfile

out = Path(tempfile.mkdtemp()) / "doom"
episodes = wm.record("doom/basic", out, frames=200, policy="random", progress=False)
print(f"{len(episodes)} episodes, {episodes.num_frames} frames, in {out.name}/")

# %% [markdown]
# In a terminal it is one line, and `wmlearn record --help` has the rest:
#
# ```
# wmlearn record doom/basic --frames 10000 --policy mixed --out data/doom-basic
# wmlearn record CartPole-v1 --frames 10000 --out data/cartpole
# wmlearn record my_film.mp4 --out data/my-film
# wmlearn fit diamond --tier laptop --data data/doom-basic
# ```
#
# ## Help
#
# - **An error** of this library is one sentence that says what to do. If it is not, that is a bug.
# - **A function**: put a question mark behind its name, as in `wm.play?`.
# - **What is there**: `wmlearn list` shows environments, systems and checkpoints; `wmlearn --help`
#   the commands.
# - **The picture does not move**: some notebook programs hold frames back. Use
#   `wm.play(world, env=ENV, threads=False)`, which has step buttons.
# - **Stuck for good**: open an issue at the repository, with the cell, the message, and the line
#   that the last cell of this notebook prints.
#
# ## Where to go next
#
# [Chapter 4, DIAMOND](04_diamond.ipynb), builds a world of DOOM from the first noisy pixel: in at
# most five minutes of training on a laptop you have one of your own.
# [Chapter 5, GameNGen](05_gamengen.ipynb), then builds the one that you have played, which dreams
# in a compressed code. The exercises are in [notebooks/exercises](exercises).

# %%
import platform

python = platform.python_version()
print(f"wmlearn {wm.__version__}, Python {python}, torch {torch.__version__}")
