"""Does a dream stay in its world while somebody plays? What a player sees first, and no PSNR says.

    python -m wmlearn.evaluation.first_minute NAME --data DATA --fps 10 --strips strips.png

From real starts that the world has not seen, keys are pressed at random, each for about a second;
then, from the same starts, nothing is pressed. The player's guard is off: nothing restarts a dream
that went wrong. A dream is still in its world where its last second is, at the median, as like the
training frames as 95 % of held-out real frames are (``wmlearn.data.likeness``). With idle hands
nothing should move, once the start's own motion has ended.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wmlearn import hub
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.data.likeness import Likeness
from wmlearn.metrics import Estimate, mean_estimate
from wmlearn.world import Needs, World

STILL = 1.0  # gray levels: a dream stands still whose frames change by less, at the mean
SETTLED = 3.0  # seconds after which a start's own motion must have ended


@dataclass(frozen=True)
class FirstMinute:
    """What was seen; each figure over the starts.

    Attributes:
        played, idle: share of starts whose last second is at the bar or above, in 0 .. 1.
        still: share of starts that stand still with idle hands, in 0 .. 1.
        by_second: share of starts at the bar or above in each second of the random play.
        film: uint8 ``[N, T + 1, C, H, W]`` of the random play, the start first.
        rest: the same with idle hands.
    """

    played: Estimate
    idle: Estimate
    still: Estimate
    by_second: tuple[float, ...]
    film: Tensor
    rest: Tensor

    def __str__(self) -> str:
        seconds = len(self.by_second)
        at = ", ".join(f"{self.by_second[s - 1]:.0%}" for s in range(5, seconds + 1, 5))
        return (
            f"in its world after {seconds} s of random keys: {percent(self.played)} of "
            f"{self.played.n} starts (after each 5 s: {at})\n"
            f"in its world after {seconds} s of idle hands: {percent(self.idle)}; "
            f"standing still: {percent(self.still)}"
        )


def percent(share: Estimate) -> str:
    """``67 % [50, 83]``."""
    if share.low is None or share.high is None:
        return f"{100 * share.value:.0f} %"
    return f"{100 * share.value:.0f} % [{100 * share.low:.0f}, {100 * share.high:.0f}]"


def first_minute(
    world: World,
    starts: Clip,
    likeness: Likeness,
    fps: float,
    seconds: int = 20,
    hold: float = 1.0,
    seed: int = 0,
) -> FirstMinute:
    """Plays from each start with random keys, and with none.

    Args:
        world: of frames, with ``Discrete`` actions.
        starts: real clips ``[N, T >= context_frames, C, H, W]`` that it has not seen.
        likeness: of the frames that it was trained on.
        fps: steps that a player sees in a second.
        seconds: of play.
        hold: seconds for which a key is held.
        seed: of the keys and of the dreams.
    """
    Needs(discrete=True, frames=True).check("The first minute", world)
    if world.idle is None:
        raise ValueError("This world does not say which action idle hands press: set world.idle.")
    steps, held = round(fps * seconds), max(1, round(fps * hold))
    draw = np.random.default_rng(seed)
    keys = draw.integers(0, int(world.action_space.n), (len(starts), -(-steps // held)))
    pressed = torch.from_numpy(keys).repeat_interleave(held, dim=1)[:, :steps]
    film = _play(world, starts, pressed, seed)
    rest = _play(world, starts, torch.full_like(pressed, world.idle), seed)
    last = max(1, round(fps))
    like = likeness(film[:, 1:])
    by_second = [
        float((part.median(1).values >= 1).float().mean())
        for part in like.split(last, dim=1)[:seconds]
    ]
    begin = min(round(SETTLED * fps), rest.shape[1] - 2)
    calm = rest[:, begin:].float()
    change = (calm[:, 1:] - calm[:, :-1]).abs().mean((2, 3, 4)).amax(1)
    return FirstMinute(
        played=_share(like[:, -last:].median(1).values >= 1),
        idle=_share(likeness(rest[:, -last:]).median(1).values >= 1),
        still=_share(change < STILL),
        by_second=tuple(by_second),
        film=film,
        rest=rest,
    )


@torch.inference_mode()
def _play(world: World, starts: Clip, pressed: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)  # the CPU's: the same noise on every device
    state, film = world.reset(starts.to(world.device)), [starts.frames[:, -1]]
    for t in range(pressed.shape[1]):
        state, step = world.step(state, pressed[:, t].to(world.device), generator)
        film.append(step.frame.cpu())
    return torch.stack(film, dim=1)


def _share(passed: Tensor) -> Estimate:
    return mean_estimate(passed.double())


def draw_starts(data: str | Path, count: int, length: int, seed: int = 0) -> Clip:
    """``count`` clips of ``length`` frames, each from another episode of a recording."""
    store = EpisodeStore(data)
    long = np.flatnonzero(np.asarray(store.lengths) >= length)
    if len(long) < count:
        raise ValueError(f"{data} has {len(long)} episodes of {length} frames; asked for {count}.")
    draw = np.random.default_rng(seed)
    episodes = draw.choice(long, count, replace=False)
    first = [int(draw.integers(store.lengths[e] - length + 1)) for e in episodes]
    return store.clip(list(zip(episodes.tolist(), first, strict=True)), length)


def strips(film: Tensor, every: int) -> Image.Image:
    """A picture of films uint8 ``[N, T, C, H, W]``: one row each, every so manieth frame."""
    shown = film[:, ::every].permute(0, 3, 1, 4, 2)
    rows, height, columns, width, channels = shown.shape
    return Image.fromarray(shown.reshape(rows * height, columns * width, channels).numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("world", help="a checkpoint that comes with a likeness")
    parser.add_argument("--data", required=True, help="a recording that it has not seen")
    parser.add_argument("--starts", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--fps", type=float, default=10, help="frames a second of the player")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strips", type=Path, help="picture of the random play, a frame a second")
    args = parser.parse_args()
    torch.set_num_threads(1)
    world = hub.load_world(args.world)
    if world.likeness is None:
        raise SystemExit(f"'{args.world}' comes without a likeness: nothing to measure by.")
    starts = draw_starts(args.data, args.starts, world.context_frames, args.seed)
    seen = first_minute(world, starts, world.likeness, args.fps, args.seconds, seed=args.seed)
    print(seen)
    if args.strips:
        strips(seen.film, round(args.fps)).save(args.strips)


if __name__ == "__main__":
    main()
