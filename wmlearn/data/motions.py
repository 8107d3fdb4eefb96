"""Record an arm's motions: Meta-World tasks and their reversals, cut around their middle.

``wmlearn record metaworld/pairs --out data/metaworld --frames 40960`` makes 80 episodes of each of
the 16 classes. Episode i shows class i mod 16 (``classes`` in dataset.json). The object has made
half its way in an episode's middle, so neither the approach nor the finished task gives the label
away. Camera, speed and aim vary from episode to episode.
"""

from __future__ import annotations

import os

import numpy as np

from wmlearn.data.episodes import Episode, EpisodeStore, EpisodeWriter
from wmlearn.data.progress import progress_bar
from wmlearn.envs.metaworld import PAIRS, MetaWorldEnv, View

ENV_ID = "metaworld/pairs"
CLASSES = [task for pair in PAIRS for task in pair]
FRAMES = 32  # of an episode
FRAME_SKIP = 2  # simulator steps (80 a second) between two frames
LONGEST = 150  # frames; the slowest task is half done after about 60
NOISE = 0.2  # standard deviation of the noise on the expert's action
SMALLEST_MOVE = 0.04  # meters that the object must move for the episode to count


def record_motions(
    out: str | os.PathLike,
    frames: int = 80 * len(CLASSES) * FRAMES,
    seed: int = 0,
    size: int = 64,
    progress: bool = True,
) -> EpisodeStore:
    """Records a passive dataset of the motions; it is written when all of them are there.

    Args:
        out: directory of the dataset.
        frames: how many at least; the same number of episodes is recorded of each class.
        seed: of tasks, noise and cameras.
        size: height and width of the frames.
        progress: show a bar.
    """
    each = -(-frames // (len(CLASSES) * FRAMES))
    writer = EpisodeWriter(
        out,
        None,
        (3, size, size),
        env=ENV_ID,
        policy="expert",
        classes=CLASSES,
        seed=seed,
        frame_skip=FRAME_SKIP,
    )
    if writer.num_frames >= frames:
        return EpisodeStore(out)
    clips: list[list[np.ndarray]] = []
    with progress_bar(each * len(CLASSES), 0, f"record {ENV_ID}", progress) as bar:
        for number, task in enumerate(CLASSES):
            env, found, tried = MetaWorldEnv(task, size, FRAME_SKIP), [], 0
            while len(found) < each:
                clip = _record_episode(env, np.random.default_rng([seed, number, tried]))
                tried += 1
                if clip is not None:
                    found.append(clip)
                    bar.update(1)
                if tried > 5 * each + 20:
                    raise RuntimeError(f"{task}: only {len(found)} of {tried} episodes count.")
            env.close()
            clips.append(found)
    for k in range(writer.next_index // len(CLASSES), each):
        for found in clips:
            writer.write(Episode(frames=found[k]))
    return EpisodeStore(out)


def class_names(store: EpisodeStore) -> list[str]:
    """The class of each episode of a dataset of motions.

    Raises:
        ValueError: the dataset has no classes.
    """
    classes = store.info.get("classes")
    if not classes:
        raise ValueError(
            f"The episodes in {store.path} have no classes; use the clips 'clips/metaworld' or "
            f"record {ENV_ID}."
        )
    return [classes[i % len(classes)] for i in range(len(store))]


def random_view(rng: np.random.Generator) -> View:
    """The default view, with the camera moved a little."""
    base = View()
    return View(
        azimuth=base.azimuth + rng.uniform(-12, 12),
        elevation=base.elevation + rng.uniform(-6, 6),
        distance=base.distance * rng.uniform(0.92, 1.12),
        look_at=tuple(np.add(base.look_at, rng.uniform(-0.03, 0.03, 3))),
    )


def _record_episode(env: MetaWorldEnv, rng: np.random.Generator) -> np.ndarray | None:
    """uint8 ``[FRAMES, 3, size, size]`` around the middle of the action; None if nothing moved."""
    env.reset(seed=int(rng.integers(2**31)))
    act, speed = env.expert(), rng.uniform(0.6, 1.0)
    poses, places = [], []
    for _ in range(LONGEST):
        action = act()
        action[:3] = speed * action[:3] + NOISE * rng.standard_normal(3)
        env.simulate(action)
        poses.append(env.pose())
        places.append(env.state()[4:7])
    places = np.array(places)
    moved = np.linalg.norm(places - places[2], axis=1)[2:]  # what is told at reset may be stale
    if moved.max() < SMALLEST_MOVE:
        return None
    middle = 2 + int(np.argmax(moved > moved.max() / 2)) + int(rng.integers(-2, 3))
    start = min(max(0, middle - FRAMES // 2), LONGEST - FRAMES)
    env.view = random_view(rng)
    pictures = [env.draw(pose) for pose in poses[start : start + FRAMES]]
    return np.stack(pictures).transpose(0, 3, 1, 2)
