"""Record scenes: videos of bodies in a box, each with a caption and the simulator's state.

``wmlearn record scenes/all --out data/scenes --frames 48000`` makes 3,000 videos of 16 frames. They
are passive: nobody acts in them. Video i depends on the seed and i alone.
"""

from __future__ import annotations

import os

import numpy as np
import torch

from wmlearn.data.episodes import Episode, EpisodeStore, EpisodeWriter
from wmlearn.data.progress import progress_bar
from wmlearn.envs.scenes import FAMILIES, STATE_NAMES, draw, sample_scenes, simulate
from wmlearn.envs.scenes.captions import captions

PREFIX = "scenes/"
FRAMES = 16  # of a video
TELLING = 0.3  # share of captions that also say how it ends
_AT_ONCE = 64


def record_scenes(
    env_id: str,
    out: str | os.PathLike,
    frames: int = 48_000,
    seed: int = 0,
    size: int = 64,
    progress: bool = True,
) -> EpisodeStore:
    """Records a passive dataset with captions.

    Args:
        env_id: ``scenes/all``, or one family: ``scenes/one``, ``two``, ``hit``, ``bar``.
        out: directory of the dataset; new, or begun by the same call.
        frames: how many at least, in whole videos of 16.
        seed: of everything.
        size: height and width of the box and of the frames.
        progress: show a bar.

    Raises:
        ValueError: there is no such family.
    """
    family = env_id.removeprefix(PREFIX)
    if family not in ("all", *FAMILIES):
        known = ", ".join(PREFIX + name for name in ("all", *FAMILIES))
        raise ValueError(f"There are no scenes {env_id!r}; choose one of {known}.")
    count = -(-frames // FRAMES)
    states, said = [], []
    for number in range(-(-count // _AT_ONCE)):
        rng = np.random.default_rng([seed, number])
        scenes = sample_scenes(_AT_ONCE, rng, family, size=(size, size))
        state, touched = simulate(scenes, FRAMES)
        states.append(state)
        said += captions(state, touched, rng, TELLING)
    writer = EpisodeWriter(
        out, None, (3, size, size), env=env_id, policy="nobody", seed=seed,
        state_names=STATE_NAMES, captions=said[:count],
    )  # fmt: skip
    videos = np.concatenate(states)[:count]
    with progress_bar(count, writer.next_index, f"record {env_id}", progress) as bar:
        while (number := writer.next_index) < count:
            pictures = draw(torch.from_numpy(videos[number]), (size, size)).numpy()
            writer.write(Episode(frames=pictures, state=videos[number]))
            bar.update(1)
    return EpisodeStore(out)
