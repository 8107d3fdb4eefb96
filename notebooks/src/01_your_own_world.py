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
# # Your own world
#
# *You will*: turn a game of ten lines, a game from a package and a film into three worlds that you can
# play and that are judged; and learn what to look at when that fails.<br>
# *You need*: a little Python. [Chapter 0](00_start_here.ipynb) helps. No GPU.<br>
# *It takes*: about 20 minutes to read and try.<br>
# *The way*, three times: **record → look at it → train → judge → play**.
#
# | Tier | Your machine | The whole notebook computes for | of it live training | Memory |
# |---|---|---|---|---|
# | `laptop` | 2 CPU cores | about 9 minutes | about 8 | 2 GB |
# | `smoke` | any; a test | a minute | seconds, and learns nothing | 1 GB |
#
# ## 1 · Which system for which data?
#
# | You have | It knows the actions? | Take | Frames that make a start | What you can do in the end |
# |---|---|---|---|---|
# | an environment or a game with keys | yes, `Discrete` | `diamond` | 3,000 for a picture this simple, 10,000 for a game, 100,000 for Atari | play it beside the real one; train a policy in it |
# | a robot or a car, actions are numbers | yes, a `Box` | `diamond`; for goals `vjepa2-ac` | 10,000 | play rows of numbers; plan towards a picture |
# | films, nobody knows what was pressed | no | `genie` | 1,500 for a picture this simple, 10,000 for a platform game | play with actions that it found itself |
# | films, and you want to recognise motion, not to draw it | no | `vjepa` | 10,000 | ask its features with a few labels |
# | films, and you want them to go on | no | `cosmos`, `sora` | 10,000 | continue a clip; with captions, write one |
# | DOOM, and an afternoon on a GPU | yes | `gamengen` | 100,000 | a sharp picture of a rich game |
#
# Every row is one word in `fit(...)`. This notebook goes through the first and the third.

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
# Run the next cell, too: how much is trained depends on your tier, and nothing else does.

# %%
import logging
import tempfile
import time
import warnings

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

import wmlearn as wm
from wmlearn.data.checkup import checkup
from wmlearn.evaluation.rollout import rollout_batches
from wmlearn.recipes.tiers import current_tier
from wmlearn.train.fit import fit
from wmlearn.world import LatentActionWorld

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # leave only the bar
warnings.filterwarnings("ignore", module="lightning|gymnasium")
began, tier = time.monotonic(), current_tier().name
small = tier == "smoke"
frames, game_steps, film_steps = (600, 4, 6) if small else (3000, 700, 2600)
folder = Path(tempfile.mkdtemp())  # keep yours: Path("data"), Path("runs")
print(f"tier {tier}: {frames:,} frames, {game_steps} and {film_steps:,} steps")

# %% [markdown]
# ## 2 · An environment of ten lines
#
# First a landscape: 32 pixels high, 128 wide, and its right edge goes on at its left one.

# %%
y, x = np.indices((32, 128))
land = np.stack([90 + 3 * y, 140 + 2 * y, np.full_like(y, 200)], -1)  # the sky
land[y > 14 + 5 * np.sin(6 * np.pi * x / 128)] = 110, 110, 150  # far hills
land[y > 21 + 4 * np.sin(10 * np.pi * x / 128)] = 50, 120, 60  # near ones
for at, color in {20: (200, 60, 50), 64: (240, 200, 60), 104: (60, 70, 180)}.items():
    land[12:26, at : at + 8] = color  # three houses
land = land.astype(np.uint8)

# %% [markdown]
# And the game: you look at a window of it and walk left or right. An environment says three things: what
# may be done, what is seen, and what follows. The names of the actions give the player its keys, and
# `noop` is the one that does nothing. You are paid for standing before the yellow house.

# %%
class Walk(gymnasium.Env):
    action_space, observation_space = Discrete(3), Box(0, 255, (32, 32, 3), np.uint8)
    get_action_meanings = lambda self: ["noop", "left", "right"]
    see = lambda self: np.roll(land, -self.x, 1)[:, :32].copy()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = 4 * int(self.np_random.integers(32))
        return self.see(), {}

    def step(self, action):
        self.x = (self.x + (0, -4, 4)[action]) % 128
        return self.see(), float(self.x == 52), False, False, {}


gymnasium.register("Walk-v0", Walk, max_episode_steps=50)

# %% [markdown]
# **Record** and **look at it**. `checkup` says what is in a recording, and with an exclamation mark what
# stands in the way. Each kind of trouble has cost somebody an afternoon: a key that was never pressed,
# episodes too short to follow, a picture in which nothing moves.

# %%
plain = dict(frames=frames, size=32, progress=False)
walk = wm.record("Walk-v0", folder / "walk", **plain)
print(checkup(walk))

# %% [markdown]
# **Train.** DIAMOND, as in chapter 4, on pictures of 32 × 32. Once a few steps are timed, the cell says
# how long all of them take here; in the end it says what the run came to. If your machine is too slow, it
# says so, and what you can do.

# %%
short = dict(max_minutes=3, validate_every=100, image_size=32)
walked = fit("diamond", data=str(folder / "walk"), out=str(folder / "run-walk"),
             max_steps=game_steps, **short)

# %% [markdown]
# **Judge.** One step is easy; a world is to be lived in. Look at the two differences: *dream minus copy*
# (is it better to believe the dream, or that nothing moves?) and *true minus other* (what does it cost to
# press other keys? If nothing, it is a film). A step in which nothing moves is a perfect copy, so the
# copy's mean is high where players often stand.

# %%
def judge(run, store):
    """Two horizons, one seed: a look in seconds. `wmlearn evaluate` does it in full."""
    quick = dict(horizons=(1, 8), clips=32, seeds=(0,), probe_steps=0, cost=False)
    card = wm.evaluate(run.system, store, **quick)
    for at in card.fidelity.at:
        print(f"{at.horizon} ahead: dream minus copy {at.gain.format(1)} dB")
    for at in card.controllability.at if card.controllability else ():
        print(f"{at.horizon} ahead: true minus other {at.delta.format(1)} dB")


judge(walked, walk)

# %% [markdown]
# Numbers in brackets are 95 % intervals over episodes: in the stored run this world is ahead of the copy, and
# obeys its keys, one step and eight steps on. Now see it: the first row is real, the second the
# dream, which got four real frames and the keys. **Look for** the houses: they come into the picture from
# its edge, where no earlier frame showed them.

# %%
def moving(store, place, length):
    """In how many steps of a clip something moves."""
    steps = store.clip([place], length).frames[0].float().diff(dim=0)
    return int((steps.abs().mean((1, 2, 3)) > 1).sum())


def film_strip(run, store, ahead=8):
    """Real above dreamed, where most moves in the last three episodes."""
    world = run.system.world()
    n = world.context_frames
    places = [(int(e), t) for e in np.flatnonzero(store.lengths >= n + ahead)[-3:]
              for t in range(0, int(store.lengths[e]) - n - ahead + 1, 5)]
    liveliest = max(places, key=lambda place: moving(store, place, n + ahead))
    clip = store.clip([liveliest], n + ahead)
    latent = isinstance(world, LatentActionWorld)  # a film's, in section 4
    keys = world.infer_actions(clip)[:, n - 1 :] if latent else None
    return wm.viz.filmstrip(clip.frames[0, n:], rollout_batches(world, clip, 0, keys)[0])


film_strip(walked, walk)

# %% [markdown]
# The hills that come in at the edge were in none of the frames that it was given: it knows the landscape.
#
# **Play.** Beside the real game, with the arrow keys. Hold one down: the landscape should go round.

# %%
wm.play(walked.system, env="Walk-v0")

# %% [markdown]
# ## 3 · A game from a package
#
# Anything that Gymnasium can make and draw is recorded by its name; a package that is not imported yet
# stands before a colon. And here is the first thing that fails: MiniGrid has seven actions, of which four do
# nothing in an empty room. Random keys over all seven stand still most of the time.

# %%
game = "minigrid:MiniGrid-Empty-Random-6x6-v0"
careless = wm.record(game, folder / "careless", **plain)
print(checkup(careless))

# %% [markdown]
# So we say what is pressed. A policy is any function of the frame; this one turns left, turns right or goes
# forward. (There is no action that does nothing: then the player waits for a key.)

# %%
rng = np.random.default_rng(0)


def walker(frame):
    """Left, right or, as often as both, forward."""
    return int(rng.choice([0, 1, 2, 2]))


grid = wm.record(game, folder / "grid", policy=walker, **plain)
print(checkup(grid))

# %% [markdown]
# The warning that is left is meant: four actions are not in there, so do not press them in the dream. From
# here on it is the same three cells.

# %%
gridded = fit("diamond", data=str(folder / "grid"), out=str(folder / "run-grid"),
              max_steps=game_steps, **short)
judge(gridded, grid)

# %% [markdown]
# One step ahead it beats copying and listens to the keys. Eight steps ahead the interval decides, and in the
# stored run it says neither yes nor no. In the strip, **look for** the triangle: does it turn and walk with
# the real one? Does the lighter part of the room, what it sees, follow?

# %%
film_strip(gridded, grid)

# %% [markdown]
# In the stored run the triangle stays where it was, and the light is gray, the mean of all that it could be:
# a world that **failed**, and it stands here on purpose. The reason can be counted: the triangle is a dozen
# pixels of a thousand and hardly matters to a loss over all of them, and the light hangs on where it looks.
#
# So, for a first world of a game, make the picture say less, and larger: no light (`highlight=False`, an option of
# this environment), a room of three by three, and 40 pixels instead of 32, so that a tile has eight. Everything
# else stays: the frames, the player, the steps. **Before you run it**: is that enough?

# %%
simple, option = "minigrid:MiniGrid-Empty-Random-5x5-v0", {"highlight": False}
larger = plain | {"size": 40}
clear = wm.record(simple, folder / "clear", policy=walker, **larger, **option)
cleared = fit("diamond", data=str(folder / "clear"), out=str(folder / "run-clear"),
              max_steps=game_steps, **(short | {"image_size": 40}))
judge(cleared, clear)

# %%
film_strip(cleared, clear)

# %% [markdown]
# In the stored run it is: the triangle turns and walks with the real one to the last step. (On the goal it is yellow:
# there an episode ends, so it was seldom seen.) From here you would go back, a step at a time: a larger room, then the
# light, each with more pixels or more training, and always with the strip before you. Section 5 has the whole list of
# what to look at. Play the one that works:

# %%
wm.play(cleared.system, env=wm.make(simple, 40, **option))

# %% [markdown]
# ## 4 · A film
#
# Put the path of a film of your own here, of a folder of them, or `"films/*.mp4"`. Ours is a film of the
# walk: the same landscape, and nobody tells which keys were pressed.

# %%
FILM = folder / "walk.mp4"


def make_film(path, count, rate=10):
    """A walk without its keys, as an MP4 file, at twice the size."""
    import av

    env, keys = Walk(), np.random.default_rng(1)
    env.reset(seed=1)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=rate, options={"crf": "12"})
        stream.width = stream.height = 64
        for key in np.repeat(keys.integers(0, 3, count // 5), 5):
            picture = env.step(key)[0].repeat(2, 0).repeat(2, 1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        file.mux(stream.encode())


make_film(FILM, frames)

# %% [markdown]
# A film is cut into episodes, here of 75 frames, so that some can be held out (`scene_cut=0.25` also cuts
# where the picture jumps). `fps` thins it out: between two frames something should happen, but not too much.

# %%
film = wm.record(str(FILM), folder / "film", episode_frames=75, **plain)
print(checkup(film))

# %% [markdown]
# **Train** Genie: it finds a code for what happens between two frames, and learns to go on under a code.

# %%
watched = fit("genie", data=str(folder / "film"), out=str(folder / "run-film"),
              max_steps=film_steps, **short)
judge(watched, film)

# %% [markdown]
# Here *true* are the codes that it saw in the film, *other* are random ones. The dream below starts from
# **one** frame, and its codes are those of the real row. **Look for** the houses: do they go where the real
# ones go, and what becomes of the land that comes in at the edge?

# %%
film_strip(watched, film)

# %% [markdown]
# In the stored run the house walks along while the film goes one way, though nobody told it a key. Where the film turns
# back it is torn: some tiles of the picture follow the new code, others do not. Are its codes *keys*? Which is which?
# We made the film, so we can ask: record the walk again, with its keys, and count
# how often each code was seen under each. **Look for** a column of its own for each direction.

# %%
def codes_and_keys(world, store):
    """How often each code was seen under each key, [codes, keys]."""
    clip = store.clip([(e, t) for e in range(4) for t in range(40)], 2)
    table = np.zeros((world.action_space.n, 3), int)
    codes = world.infer_actions(clip)
    np.add.at(table, (codes[:, 0].numpy(), clip.actions[:, 0].numpy()), 1)
    return table


table = codes_and_keys(watched.system.world(), walk)
print("code  stay  left  right")
for code, row in enumerate(table):
    print(f"{code:4}", *(f"{n:5}" for n in row))
known = table.max(1).sum() / table.sum()
print(f"Who knows the code, knows the key in {known:.0%} of the steps (guessing: "
      f"{table.sum(0).max() / table.sum():.0%}).")

# %% [markdown]
# A code that stands for one direction alone is a key; one that mixes two is a guess, and more steps sort it
# out. **Play** it with the digits, from a frame of the film. If two digits do the same, that is no fault:
# eight codes are more than this world needs.

# %%
starts = film.clip([(int(e), 0) for e in range(min(4, len(film)))], 1)
wm.play(watched.system, context=starts)

# %% [markdown]
# ## 5 · When it fails
#
# In this order; each line costs less than the next.
#
# | What you see | Look at | Then |
# |---|---|---|
# | "Not finished" under the training cell | how many steps it made | one of its three choices: longer, smaller, prepared |
# | *dream minus copy* below zero | `checkup`: does anything move? | `frame_skip=4` (`fps=5` for a film), a livelier policy, more steps |
# | *true minus other* at zero | `checkup`: was every key pressed, also from rest? | a policy that presses it; hold keys (`hold=3`) so that what they do is seen |
# | a blur | is what comes next known at all? | more context, tokens (`genie`), a larger sampler (`num_steps=3`) |
# | a small thing vanishes | its size in pixels | `size=64` or more; crop the picture in a wrapper |
# | good for a second, then soup | the strip at 8 and 32 steps | train on its own dreams (`**{"system.autoregressive_steps": 4}`), more episodes |
# | one place is always wrong | was it ever recorded? | start there: a `reset` of your own |
# | held out it is worse than in training | number of episodes | more and shorter ones |
#
# The way to do all of this from a terminal:
#
# ```
# wmlearn record CartPole-v1 --frames 10000 --out data/mine
# wmlearn fit diamond --data data/mine --out runs/mine
# wmlearn evaluate runs/mine --data data/mine
# ```
#
# Next: [chapter 4](04_diamond.ipynb) builds the system of sections 2 and 3, [chapter 9](09_genie.ipynb) that
# of section 4.

# %%
wm.course.footer(began, minutes=9, gigabytes=2)
