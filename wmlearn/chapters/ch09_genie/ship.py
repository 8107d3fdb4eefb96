"""A Genie's dynamics learns anew: on tokens alone, on one GPU, by the clock.

    python -m wmlearn.chapters.ch09_genie.ship record play --frames 320000 --seed 171
    python -m wmlearn.chapters.ch09_genie.ship tokens genie-coinrun play tokens.npz
    python -m wmlearn.chapters.ch09_genie.ship train genie-coinrun tokens.npz out --seconds 270

Tokenizer and latent action model stay as they are, so that of each frame only 64 numbers of nine
bits and one latent action are needed: ten bytes a frame, compressed. The recording mixes four kinds
of players, since a world holds only where somebody has been (``players``). The training tells the
dynamics latent actions that do not fit and tokens of its own, as ``systems.genie.hardening`` says.
What came of it so far, and why it is not shipped yet, stands in the card of ``genie-coinrun``.

Legend: B clips, T frames, S tokens of a frame, N frames of a recording.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn import hub
from wmlearn.envs.experts import PlatformerPolicy
from wmlearn.envs.procgen import MOVES
from wmlearn.pixels import to_float
from wmlearn.systems.genie.config import DynamicsConfig
from wmlearn.systems.genie.dynamics import Dynamics
from wmlearn.systems.genie.hardening import draw_own_tokens, press_otherwise
from wmlearn.systems.genie.system import Genie

FIRST = 255  # in place of a latent action: an episode's first frame, to which nothing led
CONFIG = DynamicsConfig(
    dim=192, depth=5, heads=6, any_action=0.08, held_action=0.35, own_tokens=0.5, steps=2,
    temperature=1.0, least=0.3, window=12,
)  # fmt: skip
CLIP, BATCH, RATE, EMA = 24, 64, 1.4e-3, 0.998
STRAY = 0.06  # of a clip's tokens at most are those of another clip at the same place


# --- players --------------------------------------------------------------------------------------


class Uniform:
    """Any of the six moves, each held for a random number of steps (geometric)."""

    def __init__(self, hold: float) -> None:
        self._hold = hold

    def reset(self, seed: int) -> None:
        self._draw, self._left = np.random.default_rng([seed, 3]), 0

    def __call__(self, frame: np.ndarray | None = None) -> int:
        if self._left == 0:
            self._left = int(self._draw.geometric(1 / self._hold))
            self._action = int(self._draw.integers(len(MOVES)))
        self._left -= 1
        return self._action


class Stubborn(PlatformerPolicy):
    """The platform player, who now and then lets go of all keys, or holds one on, wall or not."""

    _ODDS = (0.5, 0.15, 0.15, 0.05, 0.05, 0.1)  # of noop, left, right, jump, left and right jump

    def reset(self, seed: int) -> None:
        super().reset(seed)
        self._busy = 0

    def __call__(self, frame: np.ndarray) -> int:
        if self._busy == 0 and self._rng.random() < 0.03:
            self._busy = int(self._rng.integers(4, 25))
            self._what = int(self._rng.choice(len(MOVES), p=self._ODDS))
        if self._busy:
            self._busy -= 1
            return self._what
        return super().__call__(frame)


@dataclass(frozen=True)
class _Names:
    """What a player of names wants to know of an environment."""

    action_names: tuple[str, ...] = tuple(MOVES)

    @property
    def unwrapped(self) -> _Names:
        return self


def player(draw: np.random.Generator) -> Callable[[np.ndarray], int]:
    """One of four kinds, as often as each was recorded: 35, 25, 25 and 15 %."""
    kind = draw.random()
    if kind < 0.35:
        return PlatformerPolicy(_Names(), 0, 7.0)
    if kind < 0.60:
        return Stubborn(_Names(), 0, 7.0)
    return Uniform(float(draw.choice([4, 6, 10] if kind < 0.85 else [1.5, 2.5])))


def record(out: Path, frames: int, seed: int, games: int = 32, longest: int = 300) -> None:
    """Plays ``games`` levels side by side and writes OUT.frames.npy and OUT.npz (first frames)."""
    import envpool

    draw, buttons = np.random.default_rng([seed, 0]), np.array(list(MOVES.values()))
    env = envpool.make(
        "CoinrunEasy-v0", env_type="gymnasium", num_envs=games, num_threads=1, seed=seed,
        num_levels=0, start_level=0, use_backgrounds=False,
    )  # fmt: skip
    shape = (frames, 3, 64, 64)
    film = np.lib.format.open_memmap(f"{out}.frames.npy", "w+", np.uint8, shape)
    first, seen = np.zeros(frames, bool), 0
    now = env.reset()[0].copy()
    episodes = [[picture.copy()] for picture in now]
    players = [player(draw) for _ in range(games)]
    for one in players:
        one.reset(int(draw.integers(2**31)))
    while seen < frames:
        pressed = np.array([one(x.transpose(1, 2, 0)) for one, x in zip(players, now, strict=True)])
        ended = np.zeros(games, bool)
        for _ in range(3):  # an action lasts for three of the game's own steps
            pictures, _, terminated, truncated, _ = env.step(buttons[pressed])
            ended |= terminated | truncated
        now = pictures.copy()
        for i in range(games):
            if not ended[i] and len(episodes[i]) < longest:
                episodes[i].append(now[i].copy())
                continue
            kept = episodes[i][: frames - seen]
            if len(kept) >= 6:
                film[seen : seen + len(kept)], first[seen] = kept, True
                seen += len(kept)
            episodes[i], players[i] = [now[i].copy()], player(draw)
            players[i].reset(int(draw.integers(2**31)))
    film.flush()
    np.savez(f"{out}.npz", first=first)


# --- tokens ---------------------------------------------------------------------------------------


def stretches(first: np.ndarray, length: int = 12, lead: int = 2) -> Iterator[tuple[int, int, int]]:
    """Clips (begin, from where it is kept, end) that cover all frames and cross no episode's end.

    A clip's first frames are only there to be seen; an episode's own first clip is kept whole.
    """
    starts = np.flatnonzero(first).tolist()
    for start, end in zip(starts, [*starts[1:], len(first)], strict=True):
        kept = start
        while kept < end:
            begin = kept if kept == start else kept - lead
            stop = min(begin + length, end)
            yield begin, kept, stop
            kept = stop


@torch.inference_mode()
def tokenize(system: Genie, film: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tokens uint16 ``[N, S]`` of frames uint8 ``[N, C, H, W]``, and what led to each, uint8."""
    tokens = np.zeros((len(film), system.config.tokens_per_frame), np.uint16)
    codes = np.full(len(film), FIRST, np.uint8)
    for begin, kept, stop in stretches(first):
        frames = torch.from_numpy(np.array(film[begin:stop]))[None]
        tokens[kept:stop] = system.tokenizer.encode(to_float(frames))[0, kept - begin :].numpy()
        if stop - begin > 1:
            inferred = system.infer_actions(frames)[0].numpy()
            led = max(kept, begin + 1)
            codes[led:stop] = inferred[led - begin - 1 :]
    return tokens, codes


# --- training -------------------------------------------------------------------------------------


def clip_places(codes: Tensor, length: int) -> Tensor:
    """Where ``length`` frames of one episode begin: int64 ``[P]``."""
    episode = (codes == FIRST).long().cumsum(0)
    return (episode[length - 1 :] == episode[: len(codes) - length + 1]).nonzero()[:, 0]


def in_window(length: int, window: int, device: torch.device) -> Tensor:
    """Bool ``[T, T]``: a frame looks at itself and at ``window`` earlier ones, as at play."""
    time_ = torch.arange(length, device=device)
    back = time_[:, None] - time_[None]
    return (back >= 0) & (back <= window)


def hidden(batch: int, length: int, space: int, device: torch.device) -> Tensor:
    """Which tokens are to be named: bool ``[B, T, S]``; 40 or 75 % of the frames stay whole."""
    rate = 0.5 + 0.5 * torch.rand(batch, 1, 1, device=device)
    whole = torch.where(torch.rand(batch, 1, 1, device=device) < 0.5, 0.4, 0.75)
    mask = torch.rand(batch, length, space, device=device) < rate
    mask &= torch.rand(batch, length, 1, device=device) >= whole
    mask[:, 0] = False
    return mask


def logits_in_window(model: Dynamics, tokens: Tensor, actions: Tensor) -> Tensor:
    """As ``Dynamics.forward``, but no frame looks further back than at play."""
    mask = in_window(tokens.shape[1], model.config.window, tokens.device)
    for block in model.transformer.blocks:
        block.temporal.forward = _masked(block.temporal, mask)
    try:
        return model(tokens, actions)
    finally:
        for block in model.transformer.blocks:
            del block.temporal.forward


def _masked(layer: nn.Module, mask: Tensor) -> Callable[..., Tensor]:
    plain = type(layer).forward
    return lambda x, table, causal: plain(layer, x, table, mask)


def loss_of(model: Dynamics, tokens: Tensor, codes: Tensor, vectors: Tensor) -> Tensor:
    """Cross entropy of hidden tokens, ``tokens`` ``[B, T, S]``, ``codes`` ``[B, T - 1]``."""
    config, (batch, length, space) = model.config, tokens.shape
    rand = lambda *shape: torch.rand(shape, device=tokens.device)  # noqa: E731
    codes = press_otherwise(codes, rand(batch, 3), rand(batch, length - 1, 2), len(vectors), config)
    actions = vectors[codes]
    seen = draw_own_tokens(
        lambda x: logits_in_window(model, x, actions), tokens, rand(batch, 2),
        rand(batch, length, space, 2), model.mask_token, config,
    )  # fmt: skip
    stray = rand(*tokens.shape) < STRAY * rand(batch, 1, 1)
    seen = torch.where(stray, tokens[torch.randperm(batch, device=tokens.device)], seen)
    mask = hidden(*tokens.shape, tokens.device)
    logits = logits_in_window(model, torch.where(mask, model.mask_token, seen), actions)
    return F.cross_entropy(logits[mask].float(), tokens[mask])


def train(
    tokens: Tensor,
    codes: Tensor,
    vectors: Tensor,
    model: Dynamics,
    seconds: float,
    rate: float = RATE,
    batch: int = BATCH,
    length: int = CLIP,
    say: Callable[[str, Dynamics], None] = lambda line, mean: print(line),
) -> tuple[Dynamics, int]:
    """Trains ``model`` for so many seconds; the mean of its weights, and the steps taken.

    Args:
        tokens: int ``[N, S]``; codes: int ``[N]``, ``FIRST`` where an episode begins.
        vectors: ``[8, A]``, of the latent actions.
        model: new, or trained before.
        seconds: after which the learning rate has come down to zero.
        rate: the highest learning rate.
        batch, length: clips of a step, and their frames.
        say: hears the loss now and then, and gets the mean so far.
    """
    device, mean = tokens.device, deepcopy(model)
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.03},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, rate, betas=(0.9, 0.95))
    places = clip_places(codes, length)
    changed = (tokens[1:] != tokens[:-1]).float().mean(1)
    moved = torch.cat([changed.new_zeros(1), changed]).cumsum(0)
    # where much moves there is more to learn than where somebody stands
    worth = 0.15 + (moved[places + length - 1] - moved[places]) / (length - 1)
    odds = worth.double().cumsum(0) / worth.double().sum()
    began, step, told = time.monotonic(), 0, 0.0
    while (share := (time.monotonic() - began) / seconds) < 1:
        now = rate * min(1.0, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * share))
        for group in optimizer.param_groups:
            group["lr"] = now + 1e-6
        drawn = torch.searchsorted(odds, torch.rand(batch, device=device, dtype=torch.float64))
        at = places[drawn.clamp(max=len(places) - 1)][:, None]
        at = at + torch.arange(length, device=device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            loss = loss_of(model, tokens[at].long(), codes[at][:, 1:].long(), vectors)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay, step = min(EMA, (1 + step) / (20 + step)), step + 1
        with torch.no_grad():
            torch._foreach_lerp_(list(mean.parameters()), list(model.parameters()), 1 - decay)
        if share >= told:
            say(f"{share:.0%} step {step}: loss {float(loss.detach()):.3f}", mean)
            told += 0.05
    return mean.eval(), step


def put_in(
    system: Genie, dynamics: Dynamics, idle: int, longest: tuple[int, ...] | None = None
) -> Genie:
    """A Genie with this dynamics model; ``idle`` and ``longest`` as ``LatentActionConfig`` says."""
    config = replace(
        system.config,
        dynamics=dynamics.config,
        actions=replace(system.config.actions, idle=idle, longest=longest),
    )
    other = Genie(config)
    weights = {k: v for k, v in system.state_dict().items() if not k.startswith("dynamics.")}
    weights |= {f"dynamics.{k}": v.cpu() for k, v in dynamics.state_dict().items()}
    other.load_state_dict(weights)
    return other.eval()


def idle_code(system: Genie, film: np.ndarray, first: np.ndarray, most: int = 2000) -> int:
    """The latent action that is seen most often where two frames of a recording are equal."""
    same = [i for i in range(1, len(film)) if not first[i] and np.array_equal(*film[i - 1 : i + 1])]
    pairs = np.stack([film[i - 1 : i + 1] for i in same[:most]])
    with torch.inference_mode():
        return int(system.infer_actions(torch.from_numpy(pairs)).mode(0).values)


def longest_runs(codes: np.ndarray, num_actions: int, share: float = 0.99) -> tuple[int, ...]:
    """For how many frames on end each latent action is seen in all but the longest of its runs.

    Args:
        codes: uint8 ``[N]`` as :func:`tokenize` gives them.
        num_actions: number of latent actions.
        share: of a code's runs that are no longer than that, 0 .. 1.

    Returns:
        one number a code; 1 for a code that is never seen.
    """
    begins = np.flatnonzero(np.diff(codes.astype(int), prepend=-1))
    lengths, seen = np.diff(begins, append=len(codes)), codes[begins]
    runs = [lengths[seen == code] for code in range(num_actions)]
    return tuple(
        int(np.quantile(run, share, method="inverted_cdf")) if len(run) else 1 for run in runs
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parts = parser.add_subparsers(dest="part", required=True)
    part = parts.add_parser("record", help="play the game")
    part.add_argument("play", type=Path)
    part.add_argument("--frames", type=int, default=320_000)
    part.add_argument("--seed", type=int, default=171)
    part = parts.add_parser("tokens", help="see what was recorded as a Genie sees it")
    part.add_argument("world")
    part.add_argument("play", type=Path)
    part.add_argument("out", type=Path)
    part = parts.add_parser("train", help="teach a new dynamics model")
    part.add_argument("world")
    part.add_argument("tokens", type=Path)
    part.add_argument("out", type=Path)
    part.add_argument("--seconds", type=float, default=270)
    part.add_argument("--rate", type=float, default=RATE, help="the highest learning rate")
    part.add_argument("--go_on", action="store_true", help="from the world's own dynamics")
    args = parser.parse_args()
    if args.part == "record":
        record(args.play, args.frames, args.seed)
        return
    system = hub.load(args.world)
    if args.part == "tokens":
        film = np.load(f"{args.play}.frames.npy", mmap_mode="r")
        first = np.load(f"{args.play}.npz")["first"]
        tokens, codes = tokenize(system, film, first)
        idle = idle_code(system, film[:20_000], first[:20_000])
        longest = longest_runs(codes, system.config.actions.num_actions)
        np.savez_compressed(args.out, tokens=tokens, codes=codes, idle=idle, longest=longest)
        print(f"idle hands: {idle}; each latent action is held for at most {longest} frames")
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    seen = np.load(args.tokens)
    tokens = torch.from_numpy(seen["tokens"].astype(np.int16)).to(device)
    codes = torch.from_numpy(seen["codes"].astype(np.int64)).to(device)
    vectors = system.actions.quantizer.vectors(torch.arange(system.config.actions.num_actions))
    torch.manual_seed(0)
    words, space = system.config.tokenizer.vocabulary, system.config.tokens_per_frame
    model = Dynamics(CONFIG, words, vectors.shape[1], space)
    if args.go_on:
        model.load_state_dict(system.dynamics.state_dict())
    vectors = vectors.detach().to(device)
    dynamics, steps = train(tokens, codes, vectors, model.to(device), args.seconds, args.rate)
    card = {"frames": len(tokens), "steps": steps, "batch_size": BATCH, **hub.run_facts()}
    longest = tuple(seen["longest"].tolist())
    trained = put_in(system, dynamics, int(seen["idle"]), longest)
    hub.save(args.out, trained, "genie", card, hub.load_starts(args.world), torch.float16)


if __name__ == "__main__":
    main()
