"""A Genie's dynamics learns to come down again: on tokens alone, six minutes of one processor.

    python -m wmlearn.chapters.ch09_genie.ship record play --frames 320000 --seed 171
    python -m wmlearn.chapters.ch09_genie.ship tokens genie-coinrun play tokens.npz
    python -m wmlearn.chapters.ch09_genie.landing genie-coinrun tokens.npz out --seconds 330

Where a dream leaves its world, it nearly always shows the hero in an empty sky. Of the recorded
frames 0.3 % do, and never more than three in a row: by then a jump is over. In a dream the key may
be held on; and once all the frames that the dynamics remembers are empty, nothing in them says
where the ground was, and no recording shows what comes then. So half of what it learns here are
clips that no recording holds: a true past whose key is held on beyond what it did, or an empty sky
of any length, copied or dreamed, under any key. After either comes what came after a real jump: the
fall, and the ground. The other half are plain clips, as before.

Legend: B clips, T frames, S tokens of a frame, N frames of a recording.
"""

from __future__ import annotations

import argparse
import math
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn import hub
from wmlearn.chapters.ch09_genie.ship import FIRST, clip_places, logits_in_window, put_in
from wmlearn.systems.genie.config import SamplerConfig
from wmlearn.systems.genie.dynamics import Dynamics, training_mask

PAST, FALL = 9, 5  # frames up to the top of a jump, and after it
PLAIN_FRAMES, PLAIN, LANDINGS = 9, 12, 10  # clips of a step, and the plain ones' frames
RATE, EMA, WARMUP = 6e-4, 0.985, 30
TOP, LANDED = (
    0.8,
    0.75,
)  # share of the sky's token: at least, at a jump's top; below, after the fall
HIGH, EMPTY, GROUND = 0.87, 0.93, 0.55  # a high jump's top; only the hero is seen; he stands
HERO = (27, 28, 35, 36)  # his places of 64
UP, STILL = 3, 7  # latent actions of genie-coinrun: the jump's, and that of idle hands


@dataclass(frozen=True)
class Dreams:
    """What stood before, when a dream showed an empty sky.

    Attributes:
        tokens: int64 ``[M, PAST, S]``.
        codes: int64 ``[M, PAST]``, what led to each.
    """

    tokens: Tensor
    codes: Tensor


class Landings:
    """Draws clips that end in a real fall.

    Args:
        tokens: int ``[N, S]`` of a recording.
        codes: int ``[N]``, ``FIRST`` where an episode begins.
        sky: the token of an empty place.
        seed: of what is drawn.
        up: latent action of a jump.
    """

    def __init__(
        self, tokens: Tensor, codes: Tensor, sky: int, seed: int = 0, up: int = UP
    ) -> None:
        self.tokens, self.codes, self.sky, self.up = tokens, codes, sky, up
        self.dreams: Dreams | None = None
        self._draw = np.random.default_rng(seed)
        self._air = air = (tokens == sky).float().mean(1)
        episode = (codes == FIRST).long().cumsum(0)
        at = torch.arange(PAST, len(codes) - FALL - 1)
        at = at[episode[at - PAST + 1] == episode[at + FALL]]
        fall = (air[at] >= TOP) & (air[at + 1] < air[at] - 0.03) & (air[at + FALL] < LANDED)
        over = (codes[at] == up) & (codes[at - 1] == up) & (codes[at + 1] != up)
        turn = (codes[at + 1] != codes[at]) & (air[at + 1] != air[at])
        self.falls, self.high = at[fall], at[fall & (air[at] >= HIGH)]
        self._held = (at[over], self.falls, at[turn])
        self._empty = tokens[air >= EMPTY]

    def __call__(self, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens int64 ``[B, T, S]``, codes ``[B, T - 1]`` and ``kind`` int64 ``[B, T]`` of frames.

        T is ``PAST + FALL``. A frame's kind is 0 where nothing is to be learned, 1 in a true past,
        2 in the fall.
        """
        clips = [self._clip() for _ in range(batch)]
        tokens, codes, kind = (torch.stack(part) for part in zip(*clips, strict=True))
        return tokens, codes, kind

    def _clip(self) -> tuple[Tensor, Tensor, Tensor]:
        kind = torch.ones(PAST + FALL, dtype=torch.int64)
        kind[0], kind[PAST:] = 0, 2
        which = self._draw.random()
        if which < 0.38:  # as it was
            top = self._one(self._held[self._draw.choice(3, p=[0.45, 0.35, 0.2])])
            past, led = self._frames(top - PAST + 1, top + 1)
        else:
            top = self._one(self.high if self._draw.random() < 0.7 else self.falls)
            if self.dreams is not None and len(self.dreams.tokens) and which < 0.75:
                one = int(self._draw.integers(len(self.dreams.tokens)))
                past, led = self.dreams.tokens[one], self.dreams.codes[one]
                kind[:PAST] = 0
            else:
                past, led, seen = self._sky_after(top)
                kind[seen:PAST] = 0
        fall, after = self._frames(top + 1, top + FALL + 1)
        codes = torch.cat([led[1:], self._pressed(after, int(led[-1]), top)])
        return torch.cat([past, fall]), codes, kind

    def _sky_after(self, top: int) -> tuple[Tensor, Tensor, int]:
        """A true past, then the same empty picture up to ``PAST``; how long the true past is."""
        seen = PAST - int(self._draw.integers(1, PAST))
        past, led = self._frames(top - seen + 1, top + 1)
        empty = self._empty[int(self._draw.integers(len(self._empty)))].long().clone()
        if self._draw.random() < 0.7:  # nothing but the hero
            others = torch.ones(len(empty), dtype=torch.bool)
            others[[place for place in HERO if place < len(empty)]] = False
            empty[others] = self.sky
        key = self.up if self._draw.random() < 0.5 else int(self._draw.integers(8))
        key = torch.full((PAST - seen,), key)
        return torch.cat([past, empty.expand(PAST - seen, -1)]), torch.cat([led, key]), seen

    def _pressed(self, codes: Tensor, last: int, top: int) -> Tensor:
        """A fall's latent actions ``[FALL]``: the last key is held on, or any is, or none."""
        which, until = self._draw.random(), int(self._draw.integers(1, FALL + 1))
        stands = (self._air[top + 1 : top + FALL + 1] < GROUND).nonzero()
        if len(stands):  # on the ground a key does what it does
            until = min(until, int(stands[0]) + 1)
        codes = codes.clone()
        if which < 0.8:
            codes[:until] = last if which < 0.55 else int(self._draw.integers(8))
        return codes

    def _frames(self, begin: int, end: int) -> tuple[Tensor, Tensor]:
        return self.tokens[begin:end].long(), self.codes[begin:end]

    def _one(self, places: Tensor) -> int:
        return int(places[int(self._draw.integers(len(places)))])


@torch.no_grad()
def dream(
    model: Dynamics, vectors: Tensor, landings: Landings, count: int, steps: int, idle: int = STILL
) -> Dreams:
    """Dreams on from shortly before real jumps, "up" pressed first, and keeps the empty skies.

    Args:
        model: draws the tokens as at play.
        vectors: ``[8, A]``, of the latent actions.
        landings: of the recording.
        count, steps: dreams, and their frames.
        idle: the latent action under which the likeliest tokens are taken.
    """
    config = model.config
    sampler = SamplerConfig(config.steps, config.temperature, config.least)
    places = landings.falls[torch.randint(len(landings.falls), (count,))]
    first = landings.tokens[places - torch.randint(4, PAST, (count,))].long()
    keys = torch.randint(8, (count, steps // 8 + 1))
    keys[:, 0] = landings.up
    keys = keys.repeat_interleave(8, 1)[:, :steps]
    now = torch.zeros(count, dtype=torch.int64)
    past = model.transformer.empty_past(count, config.window)
    past, film = model.remember(first, None, now, past), []
    for key in keys.unbind(1):
        now, pressed = now + 1, vectors[key]
        least = torch.full((count, 1, 1), sampler.least)
        least = least.masked_fill((key == idle)[:, None, None], 1.0)
        uniform = torch.rand(sampler.steps, count, model.space, 2)
        drawn = model.sample(pressed, now, past, uniform, sampler.steps, sampler.temperature, least)
        past = model.remember(drawn, pressed, now, past)
        film.append(drawn)
    films = torch.stack(film, 1)  # [count, steps, S]
    empty = (films == landings.sky).float().mean(2) >= 0.85
    ends = [(i, t) for i, t in empty.nonzero().tolist() if t >= PAST - 1]
    if not ends:
        none = torch.zeros(0, PAST, dtype=torch.int64)
        return Dreams(none[..., None].expand(-1, -1, model.space), none)
    spans = [(i, slice(t - PAST + 1, t + 1)) for i, t in ends]
    return Dreams(
        torch.stack([films[i, span] for i, span in spans]),
        torch.stack([keys[i, span] for i, span in spans]),
    )


def landing_mask(kind: Tensor, space: int) -> Tensor:
    """Which tokens are to be named: bool ``[B, T, S]`` of frames of these kinds ``[B, T]``.

    Two fifths of the frames of a fall are hidden as a whole, as the next one is at play.
    """
    shape = (*kind.shape, 1)
    rate = 0.5 + 0.5 * torch.rand(shape)
    rate = torch.where((torch.rand(shape) < 0.4) & (kind == 2)[..., None], 1.0, rate)
    whole = torch.tensor([1.1, 0.6, 0.3])[kind]  # share of the frames that stay whole
    return (torch.rand(*kind.shape, space) < rate) & (torch.rand(kind.shape) >= whole)[..., None]


def landing_loss(model: Dynamics, vectors: Tensor, landings: Landings, batch: int) -> Tensor:
    """Cross entropy of the hidden tokens; half of the clips hold some of another clip's tokens."""
    tokens, codes, kind = landings(batch)
    share = 0.1 * torch.rand(batch, 1, 1) * (torch.rand(batch, 1, 1) < 0.5)
    stray = torch.rand(tokens.shape) < share
    seen = torch.where(stray, tokens[torch.randperm(batch)], tokens)
    mask = landing_mask(kind, tokens.shape[-1])
    hidden = torch.where(mask, model.mask_token, seen)
    logits = logits_in_window(model, hidden, vectors[codes])
    return F.cross_entropy(logits[mask].float(), tokens[mask])


def plain_loss(
    model: Dynamics, vectors: Tensor, tokens: Tensor, codes: Tensor, at: Tensor
) -> Tensor:
    """Cross entropy of hidden tokens in clips of the recording that begin ``at`` ``[B]``."""
    span = at[:, None] + torch.arange(PLAIN_FRAMES)
    clip = tokens[span].long()
    uniform = (torch.rand(shape) for shape in (clip.shape[:1], clip.shape[:2], clip.shape))
    mask = training_mask(*uniform, model.config)
    logits = model(torch.where(mask, model.mask_token, clip), vectors[codes[span][:, 1:]])
    return F.cross_entropy(logits[mask].float(), clip[mask])


def train(
    model: Dynamics,
    vectors: Tensor,
    tokens: Tensor,
    codes: Tensor,
    landings: Landings,
    seconds: float,
    dreams: int = 20,
) -> tuple[Dynamics, int]:
    """Trains ``model`` on; the mean of its weights, and the steps taken.

    Args:
        model: the dynamics so far.
        vectors: ``[8, A]``, of the latent actions.
        tokens, codes: the recording, ``[N, S]`` and ``[N]``.
        landings: of the same recording.
        seconds: of processor time, after which the learning rate has come down to zero.
        dreams: that it dreams, at first and at half time, for contexts of its own; 0 for none.
    """
    mean, told, again = deepcopy(model), 0.0, dreams > 0
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, RATE, betas=(0.9, 0.95))
    places = clip_places(codes, PLAIN_FRAMES)
    moved = (tokens[1:] != tokens[:-1]).float().mean(1).cumsum(0)
    moved = torch.cat([moved.new_zeros(1), moved])
    worth = 0.15 + (moved[places + PLAIN_FRAMES - 1] - moved[places]) / (PLAIN_FRAMES - 1)
    odds = worth.double().cumsum(0) / worth.double().sum()
    if dreams:
        landings.dreams = dream(model, vectors, landings, dreams, 36)
    began, step = time.process_time(), 0
    while (share := (time.process_time() - began) / seconds) < 1:
        rate = RATE * min(1.0, (step + 1) / WARMUP) * (0.5 + 0.5 * math.cos(math.pi * share))
        for group in optimizer.param_groups:
            group["lr"] = rate + 1e-6
        if again and share > 0.5:
            new, old, again = dream(model, vectors, landings, dreams, 32), landings.dreams, False
            both = (torch.cat([old.tokens, new.tokens]), torch.cat([old.codes, new.codes]))
            landings.dreams = Dreams(*both)
        drawn = torch.searchsorted(odds, torch.rand(PLAIN, dtype=torch.float64))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            plain = plain_loss(
                model, vectors, tokens, codes, places[drawn.clamp(max=len(places) - 1)]
            )
            landing = landing_loss(model, vectors, landings, LANDINGS)
            loss = (plain + landing) / 2
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay, step = min(EMA, (1 + step) / (10 + step)), step + 1
        with torch.no_grad():
            torch._foreach_lerp_(list(mean.parameters()), list(model.parameters()), 1 - decay)
        if share >= told:
            print(f"{share:.0%} step {step}: plain {float(plain.detach()):.3f}, "
                  f"landing {float(landing.detach()):.3f}", flush=True)  # fmt: skip
            told += 0.05
    return mean.eval(), step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("world", help="a Genie whose dynamics goes on")
    parser.add_argument("tokens", type=Path, help="as ship.py tokens writes them")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=330, help="of processor time")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    system, seen = hub.load(args.world), np.load(args.tokens)
    tokens = torch.from_numpy(seen["tokens"].astype(np.int16))
    codes = torch.from_numpy(seen["codes"].astype(np.int64))
    vectors = system.actions.quantizer.vectors(torch.arange(system.config.actions.num_actions))
    landings = Landings(tokens, codes, int(tokens.mode().values.mode().values), args.seed)
    trained, steps = train(system.dynamics, vectors.detach(), tokens, codes, landings, args.seconds)
    card = {"frames": len(tokens), "steps": steps, "batch_size": PLAIN + LANDINGS}
    card |= {"seed": args.seed, **hub.run_facts()}
    out = put_in(system, trained, system.config.actions.idle)
    hub.save(args.out, out, "genie", card, hub.load_starts(args.world), torch.float16)


if __name__ == "__main__":
    main()
