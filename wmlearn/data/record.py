"""Record an environment, or a video file, as episodes on disk."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import yaml
from gymnasium.spaces import Discrete

from wmlearn.data import shipped
from wmlearn.data.episodes import Episode, EpisodeStore, EpisodeWriter
from wmlearn.data.progress import progress_bar
from wmlearn.data.video import is_video, record_video
from wmlearn.envs import make
from wmlearn.envs.experts import POLICIES, begin_episode, make_policy, policy_kwargs
from wmlearn.spelling import Parser


def record(
    env_id: str,
    out: str | os.PathLike,
    frames: int = 10_000,
    policy: str | Callable[[np.ndarray], int] = "random",
    seed: int = 0,
    size: int = 64,
    hold: float = 3.0,
    max_steps: int = 2_000,
    progress: bool = True,
    **env_kwargs,
) -> EpisodeStore:
    """Plays until ``frames`` frames are on disk; continues a recording that was interrupted.

    Episode ``i`` depends only on the arguments and ``i``, so an interrupted and continued recording
    is byte for byte the same as an uninterrupted one.

    Args:
        env_id: see ``wmlearn.envs.make``; or the path of a video file (see ``video.record_video``),
            ``metaworld/pairs`` (see ``motions``), ``scenes/all`` (see ``scenes``), or a shipped
            clip set (``clips/metaworld``).
        out: directory of the dataset.
        frames: how many frames the dataset shall hold. The last episode is cut (truncated) there;
            one frame fewer if a lone one, without a step, would be left.
        policy: ``random``, ``expert``, ``mixed``, or a function of the frame uint8 ``[H, W, 3]``
            that gives an action (if it has ``reset(seed)``, that is called before each episode).
        seed: of the whole recording.
        size: height and width of the frames.
        hold: mean number of steps that a random action is held.
        max_steps: longer episodes are truncated here (an episode is held in memory until its end).
        progress: show a bar (never in CI, or where the output is not a terminal or a notebook).
        **env_kwargs: passed to ``make`` (or to ``record_video``: fps, scene_cut, ...).

    Returns:
        The dataset.

    Raises:
        EpisodeError: ``out`` holds something else, or a dataset with other settings.
    """
    if env_id.startswith(shipped.PREFIX):
        return shipped.unpack(env_id, out, progress=progress)
    _check(frames=(frames, 2), seed=(seed, 0), size=(size, 1), hold=(hold, 1))
    _check(max_steps=(max_steps, 1))
    if env_id == "metaworld/pairs":
        from wmlearn.data.motions import record_motions

        return record_motions(out, frames, seed, size, progress)
    if env_id.startswith("scenes/"):
        from wmlearn.data.scenes import record_scenes

        return record_scenes(env_id, out, frames, seed, size, progress)
    if is_video(env_id):
        return record_video(env_id, out, frames, size, progress=progress, **env_kwargs)
    named = isinstance(policy, str)
    env = make(env_id, size, **(policy_kwargs(env_id, policy) if named else {}), **env_kwargs)
    try:
        act = make_policy(policy, env, seed, hold) if named else policy
        writer = EpisodeWriter(
            out,
            env.action_space,
            (3, size, size),
            env=env_id,
            action_names=getattr(env.unwrapped, "action_names", None),
            state_names=getattr(env.unwrapped, "state_names", None),
            policy=policy if named else getattr(policy, "__name__", type(policy).__name__),
            hold=hold if named and policy != "expert" else None,
            seed=seed,
            frame_skip=getattr(env.unwrapped, "frame_skip", 1),
            max_steps=max_steps,
            env_kwargs=env_kwargs,
        )
        with progress_bar(frames, writer.num_frames, f"record {env_id}", progress) as bar:
            while (left := frames - writer.num_frames) >= 2:
                numbers = np.random.SeedSequence([seed, writer.next_index]).generate_state(2)
                steps = min(max_steps, left - 1)
                episode = _play(env, act, *map(int, numbers), steps)
                writer.write(episode)
                bar.update(len(episode.frames))
    finally:
        env.close()
    return EpisodeStore(out)


def _check(**least: tuple[float, float]) -> None:
    """Names what is smaller than its least value, or no number at all."""
    for name, (value, smallest) in least.items():
        if not smallest <= value < float("inf"):
            raise ValueError(f"{name} must be at least {smallest}; got {value}.")


def _play(env, act: Callable, env_seed: int, policy_seed: int, max_steps: int) -> Episode:
    """One episode of at most ``max_steps`` steps."""
    frame, info = env.reset(seed=env_seed)
    begin_episode(act, policy_seed)
    frames, actions, rewards, terminated, truncated = [frame], [], [], [], []
    known = getattr(env.unwrapped, "state_names", None) is not None
    states = [info["state"]] if known else []
    for step in range(1, max_steps + 1):
        action = _checked_action(act(frame), env.action_space, step)
        frame, reward, ended, cut, info = env.step(action)
        if not np.isfinite(reward):
            raise ValueError(
                f"Step {step} of the episode with seed {env_seed} has the reward {reward}: the "
                "environment must give a finite number. Nothing of this episode was kept."
            )
        cut = bool(cut) or (step == max_steps and not ended)
        frames.append(frame)
        actions.append(action)
        rewards.append(reward)
        terminated.append(bool(ended))
        truncated.append(cut)
        if known:
            states.append(info["state"])
        if ended or cut:
            break
    kind = np.int64 if isinstance(env.action_space, Discrete) else np.float32
    return Episode(
        frames=np.stack(frames).transpose(0, 3, 1, 2),
        actions=np.array(actions, kind),
        rewards=np.array(rewards, np.float32),
        terminated=np.array(terminated),
        truncated=np.array(truncated),
        state=np.array(states, np.float32) if known else None,
    )


def _checked_action(action, space: gymnasium.Space, step: int):
    """The action as the environment takes it; one that the space does not hold is refused."""
    if isinstance(space, Discrete):
        whole = np.asarray(action)
        fits = whole.size == 1 and float(whole.reshape(())) == int(whole.reshape(()))
        action = int(whole.reshape(())) if fits else action
        fits = fits and space.contains(action)
    else:
        action = np.asarray(action, space.dtype)
        fits = space.contains(action)
    if not fits:
        raise ValueError(
            f"The policy's action at step {step} is {action}, which {space} does not hold: "
            "nothing of this episode was kept."
        )
    return action


# --- command line ------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``wmlearn record``."""
    parser.add_argument(
        "env",
        help="environment id (doom/basic, atari/pong, ...), a video file, or a folder of them",
    )
    parser.add_argument("--out", type=Path, required=True, help="directory of the dataset")
    parser.add_argument("--frames", type=int, default=10_000, help="total; default: %(default)s")
    parser.add_argument("--policy", choices=POLICIES, default="random", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--size", type=int, default=64, help="height and width in pixels; default: %(default)s"
    )
    parser.add_argument(
        "--hold",
        type=float,
        default=3.0,
        help="mean number of steps of a random action; default: %(default)s",
    )
    parser.add_argument(
        "--max_steps",
        type=int,
        default=2_000,
        help="truncate longer episodes; default: %(default)s",
    )
    parser.add_argument(
        "--env_option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="passed to the environment, e.g. continuous=false (CarRacing); may be repeated",
    )
    video = parser.add_argument_group("video files (frames without actions)")
    video.add_argument("--fps", type=float, help="frames a second to keep; all by default")
    video.add_argument(
        "--scene_cut",
        type=float,
        help="start an episode where the mean change of a pixel exceeds this, 0 to 1; default: off",
    )


def run(args: argparse.Namespace) -> None:
    """``wmlearn record``: records and says what there is now."""
    video = {name: getattr(args, name) for name in ("fps", "scene_cut")}
    video = {name: value for name, value in video.items() if value is not None}
    if video and not is_video(args.env):
        raise ValueError(f"--fps and --scene_cut are for video files; {args.env} is none.")
    store = record(
        args.env,
        args.out,
        frames=args.frames,
        policy=args.policy,
        seed=args.seed,
        size=args.size,
        hold=args.hold,
        max_steps=args.max_steps,
        **video,
        **dict(map(_option, args.env_option)),
    )
    print(f"{args.out}: {store.num_frames:,} frames in {store.episodes:,} episodes.")


def _option(text: str) -> tuple[str, Any]:
    """``"continuous=false"`` -> ``("continuous", False)``; the value as YAML has it."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"--env_option takes NAME=VALUE; got {text!r}.")
    return name, yaml.safe_load(value)


def main() -> None:
    parser = Parser(prog="wmlearn record", description=__doc__)
    add_arguments(parser)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
