"""Trains the denoiser of the shipped checkpoint; stopped, it goes on where it was.

    python -m wmlearn.chapters.ch05_gamengen.ship_denoiser runs/ship runs/defend/agent \\
        runs/defend/more/* --seconds 180 --batch 512 --own 256
    python -m wmlearn.chapters.ch05_gamengen.ship_denoiser runs/ship runs/defend/agent \\
        --init denoiser --name tuned --seconds 1200 --batch 8 --own 8 --rate 3e-4 \\
        --enemies 12 --bar 4 --rest 0.3

The losses of ``GameNGen.training_step``, with three differences. Each frame is encoded once, not at
every step. Beside the windows of real frames there are dreams that follow recorded actions: their
past is the model's own, of up to ``LONGEST`` steps, and what it is to predict is the real next
frame, so that it learns to mend what it did. And half of the frames to be predicted are drawn by
what moved just before them, or, with ``--enemies``, three quarters of those that follow a frame
with a monster in it; then errors around monsters of the *last context frame* (by the engine's
labels) and in the status bar count so much more. ``--seconds`` are of the clock.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from wmlearn.chapters.ch05_gamengen.judge import VIEW
from wmlearn.chapters.ch05_gamengen.ship_autoencoder import all_frames
from wmlearn.data.episodes import EpisodeStore
from wmlearn.envs.doom import HUD_STATE, MAX_ENEMIES
from wmlearn.systems.gamengen.config import GameNGenConfig, SamplerConfig
from wmlearn.systems.gamengen.system import GameNGen

LONGEST = 16  # own steps


class Latents(NamedTuple):
    """Every frame's latents, and what goes with them, one episode after the other.

    ``latents`` float16 [N, c, h, w]; ``weights`` float16 and ``enemies`` bool [N, h, w]; ``first``
    and ``end`` int64 [N], where the frame's episode begins and ends; ``actions``, ``rewards``,
    ``terminated`` [N], of the step that led to the frame (0 for an episode's first one).
    """

    latents: Tensor
    weights: Tensor
    enemies: Tensor
    first: Tensor
    end: Tensor
    actions: Tensor
    rewards: Tensor
    terminated: Tensor


def enemy_cells(state: Tensor, cells: int, margin: float = 0.07) -> Tensor:
    """bool ``[T, cells, cells]``: positions at or beside a monster in view, by the engine's labels.

    Args:
        state: float ``[T, S]``, as ``HUD_STATE``.
        cells: h = w of the latents.
        margin: beside its box, in units of the picture.
    """
    begin = HUD_STATE.index("enemy0_x")
    boxes = state[:, begin : begin + 4 * MAX_ENEMIES].unflatten(-1, (MAX_ENEMIES, 4))
    x, y, width, height = (part[..., None] for part in boxes.unbind(-1))
    centres = (torch.arange(cells) + 0.5) / cells
    across = (centres - x).abs() < width / 2 + margin
    down = (centres - y).abs() < height / 2 + margin
    inside = down[..., :, None] & across[..., None, :] & (height > 0)[..., None]
    return inside.any(1)


@torch.inference_mode()
def encode_all(
    system: GameNGen, paths: list[Path], share: float = 1.0, holdout: float = 0.1
) -> Latents:
    """Encodes the training episodes of every dataset, or the first ``share`` of them."""
    parts: list[list[Tensor]] = []
    device, place = system.device, 0
    for path in paths:
        store = EpisodeStore(path)
        for number in range(round(share * (len(store) - round(holdout * len(store))))):
            episode = store[number]
            latents, weights = [], []
            for frames in torch.from_numpy(episode.frames.copy()).split(256):
                frames = frames.to(device)
                with torch.autocast(device.type, torch.bfloat16):
                    drawn = system.encode(frames)
                latents.append(drawn.half())
                weights.append(system.latent_weights(frames)[:, 0].half())
            steps = [torch.zeros(1, dtype=torch.int64), torch.zeros(1), torch.zeros(1).bool()]
            taken = (episode.actions, episode.rewards, episode.terminated)
            length, cells = len(episode.frames), latents[0].shape[-1]
            led = [
                torch.cat([a, torch.from_numpy(b.copy())])
                for a, b in zip(steps, taken, strict=True)
            ]
            rest = [
                enemy_cells(torch.from_numpy(episode.state.copy()), cells),
                torch.full((length,), place),
                torch.full((length,), place + length),
                *led,
            ]
            parts.append([torch.cat(latents), torch.cat(weights), *(x.to(device) for x in rest)])
            place += length
    return Latents(*map(torch.cat, zip(*parts, strict=True)))


class Windows:
    """Windows of n + 1 latents, and how they are drawn and weighed.

    Args:
        data: all latents, on the device of the training.
        n: context frames.
        enemies: how much more errors around monsters count; 0 weighs rare colors alone.
        bar: how much more errors in the status bar count.
        rest: what errors elsewhere count.
        generator: of the draws, on the same device.
    """

    def __init__(
        self,
        data: Latents,
        n: int,
        enemies: float = 0.0,
        bar: float = 0.0,
        rest: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        self.data, self.n, self.generator = data, n, generator
        self.device = data.latents.device
        self.weights = GameNGen.emphasis(data.weights[:, None].float())[:, 0].clamp(max=8)
        if enemies:
            self.weights = rest + enemies * data.enemies.float()
        cells = data.latents.shape[-1]
        self.weights[:, cells * VIEW // 64 :] += bar
        places = torch.arange(len(data.first), device=self.device)
        self.candidates = places[places > data.first]
        self.picked = self.candidates[data.enemies[self.candidates - 1].flatten(1).any(1)]
        self.sums = None if enemies else self._moving().double().cumsum(0)

    def _moving(self) -> Tensor:
        """The change [M] just before each candidate. The change *to* the frame itself must not be
        taken, or the surprising would be learned as the rule."""
        change = []
        for some in self.candidates.split(1024):
            before = torch.maximum(some - 2, self.data.first[some])
            step = self.data.latents[some - 1].float() - self.data.latents[before].float()
            change.append((step.square().mean(1) * self.weights[some - 1]).mean((1, 2)))
        return torch.cat(change)

    def draw(self, count: int) -> Tensor:
        """Frames to be predicted [count]: some uniformly, the others by what is to be seen."""
        alike = count - count // 2 if self.sums is not None else count - 3 * count // 4
        some = self.candidates[self._integers(len(self.candidates), alike)]
        if self.sums is None and len(self.picked):
            others = self.picked[self._integers(len(self.picked), count - alike)]
        elif self.sums is None:
            others = self.candidates[self._integers(len(self.candidates), count - alike)]
        else:
            drawn = torch.rand(
                count - alike, generator=self.generator, device=self.device, dtype=torch.float64
            )
            index = torch.searchsorted(self.sums, drawn * self.sums[-1])
            others = self.candidates[index.clamp(max=len(self.candidates) - 1)]
        return torch.cat([some, others])

    def _integers(self, high: int, count: int) -> Tensor:
        return torch.randint(high, (count,), generator=self.generator, device=self.device)

    def __call__(self, last: Tensor) -> tuple[Tensor, ...]:
        """Latents, actions, reward, end, weight of the windows that end at frames ``last`` [B].

        A window that begins before its episode is continued backwards: its first frame stood still
        under action 0.
        """
        data = self.data
        frames = last[:, None] + torch.arange(-self.n, 1, device=self.device)
        first = data.first[last][:, None]
        inside = torch.maximum(frames, first)
        actions = torch.where(frames[:, 1:] > first, data.actions[inside[:, 1:]], 0)
        weight = self.weights[inside[:, -2]][:, None]
        return (
            data.latents[inside].float(), actions, data.rewards[last], data.terminated[last], weight
        )  # fmt: skip


class OwnPast:
    """Dreams that follow recorded play, one step at each training step.

    Args:
        windows: where they begin, and what is real.
        count: of dreams.
    """

    def __init__(self, windows: Windows, count: int) -> None:
        self.windows = windows
        self.last = windows.draw(count)
        self.past = windows(self.last)[0][:, :-1].clone()
        self.age, self.limit = torch.zeros_like(self.last), torch.zeros_like(self.last)

    def step(self, drawn: Tensor, longest: int) -> None:
        """Takes the dreamed latents [B, c, h, w]; who is too old begins anew, with real frames."""
        windows = self.windows
        self.past = torch.cat([self.past[:, 1:], drawn[:, None]], 1)
        self.age = self.age + 1
        over = (self.age >= self.limit) | (self.last + 1 >= windows.data.end[self.last])
        self.last = torch.where(over, windows.draw(len(self.last)), self.last + 1)
        fresh = windows(self.last)[0][:, :-1]
        self.past = torch.where(over[:, None, None, None, None], fresh, self.past)
        self.age = torch.where(over, 0, self.age)
        limits = windows._integers(longest + 1, len(self.last)) + 1
        self.limit = torch.where(over, limits, self.limit)


def fit(
    system: GameNGen,
    windows: Windows,
    file: Path,
    seconds: float,
    batch: int,
    own: int,
    rate: float,
    ema: float = 0.998,
    max_steps: int = 0,
) -> GameNGen:
    """Trains denoiser and reward_end for so many seconds, or steps; returns averaged weights.

    Args:
        system: with its autoencoder trained.
        windows: the data.
        file: of the training's state, from which it goes on.
        seconds: of the clock.
        batch: windows of real frames.
        own: dreams with a past of their own; 0 for none.
        rate: learning rate; half of the time at full rate, then down to zero.
        ema: of the averaged weights.
        max_steps: ends earlier.
    """
    parts = nn.ModuleDict({"denoiser": system.denoiser, "reward_end": system.reward_end})
    device, k = windows.device, system.config.reward_end.frames
    optimizer = torch.optim.AdamW(
        parts.parameters(), rate, betas=(0.9, 0.99), weight_decay=1e-2, fused=True
    )
    average = {name: value.clone() for name, value in parts.state_dict().items()}
    step, spent = 0, 0.0
    if file.exists():
        state = torch.load(file, weights_only=True, map_location=device)
        parts.load_state_dict(state["parts"])
        optimizer.load_state_dict(state["optimizer"])
        average, step, spent = state["average"], state["step"], state["spent"]
        print(f"goes on at step {step}, {spent:.0f} s", flush=True)

    def save() -> None:
        state = {
            "parts": parts.state_dict(), "optimizer": optimizer.state_dict(), "average": average,
            "step": step, "spent": time.monotonic() - begin,
        }  # fmt: skip
        torch.save(state, file.with_suffix(".partial"))
        os.replace(file.with_suffix(".partial"), file)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=windows.generator, device=device)

    begin, saved, sums = time.monotonic() - spent, time.monotonic(), []
    dreams = OwnPast(windows, own) if own else None
    while True:
        share = (time.monotonic() - begin) / seconds
        share = max(share, step / max_steps) if max_steps else share
        if share >= 1:
            break
        for group in optimizer.param_groups:
            fall = 0.5 * (1 + math.cos(math.pi * max(0.0, 2 * share - 1)))
            group["lr"] = rate * min(1, (step + 1) / 150) * max(fall, 0.01)
        latents, actions, reward, ended, weight = windows(windows.draw(batch))
        past, target = latents[:, :-1], latents[:, -1]
        level = 0.5 * torch.special.ndtr(noise(batch, 1, 1, 1, 1))  # dreams are noisy, too
        seen = latents[:, -k:] + level * noise(*latents[:, -k:].shape)
        with torch.autocast(device.type, torch.bfloat16):
            if dreams is not None:
                real, *more = windows(dreams.last)
                sampler = SamplerConfig(num_steps=1 + step % 2, guidance=1.0)
                drawn = system.denoiser.sample(dreams.past, more[0], noise, sampler).float()
                past = torch.cat([past, dreams.past])
                target = torch.cat([target, real[:, -1]])
                seen = torch.cat([seen, torch.cat([dreams.past[:, 1 - k :], drawn[:, None]], 1)])
                actions, reward, ended, weight = (
                    torch.cat(pair)
                    for pair in zip((actions, reward, ended, weight), more, strict=True)
                )
            denoising = system.denoiser.loss(past, target, actions, noise, weight).mean()
            read = system.reward_end.loss(seen, actions[:, 1 - k :], reward, ended).mean()
        optimizer.zero_grad(set_to_none=True)
        (denoising + 0.5 * read).backward()
        nn.utils.clip_grad_norm_(system.denoiser.parameters(), 1.0)
        optimizer.step()
        if dreams is not None:
            dreams.step(drawn, min(LONGEST - 1, int(share * LONGEST)))
        step += 1
        keep = min(ema, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, value in parts.state_dict().items():
                average[name].lerp_(value, 1 - keep)
        if step % 20 == 0:
            sums.append((denoising.item(), read.item()))
        if step % 200 == 0:
            means = np.mean(sums, 0)
            print(
                f"{step} {time.monotonic() - begin:.0f} s, denoising {means[0]:.4f}, "
                f"reward_end {means[1]:.4f}", flush=True,
            )  # fmt: skip
            sums = []
        if time.monotonic() - saved > 60:
            saved = time.monotonic()
            save()
    save()
    parts.load_state_dict(average)
    return system


def load_autoencoder(config: GameNGenConfig, out: Path, paths: list[Path]) -> GameNGen:
    """The system with the trained autoencoder, its latents' scale measured."""
    system = GameNGen(config)
    state = torch.load(out / "autoencoder.pt", weights_only=True)
    system.autoencoder.load_state_dict(state["model"])
    system.autoencoder.eval().to(memory_format=torch.channels_last)
    scale = out / "scale.pt"
    if not scale.exists():
        frames = all_frames(paths)
        sample = torch.from_numpy(frames[:: max(1, len(frames) // 2000)])
        system.measure_scale(sample)
        system.measure_colors(sample)
        torch.save((system.latent_mean, system.latent_std, system.color_weights), scale)
    for buffer, value in zip(
        (system.latent_mean, system.latent_std, system.color_weights),
        torch.load(scale, weights_only=True),
        strict=True,
    ):
        buffer.copy_(value)
    return system


def main() -> None:
    from wmlearn.systems.gamengen.recipe import SHIPPED

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--own", type=int, default=4, help="dreams with a past of their own")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--name", default="denoiser")
    parser.add_argument("--init", help="name of a finished run to start from")
    parser.add_argument("--share", type=float, default=1.0, help="of the episodes")
    parser.add_argument("--enemies", type=float, default=0.0)
    parser.add_argument("--bar", type=float, default=0.0)
    parser.add_argument("--rest", type=float, default=1.0)
    parser.add_argument("--context", type=int, help="context frames; default: the shipped config's")
    parser.add_argument("--context-noise", type=float, help="default: the shipped config's")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(1)
    changes = {"context_frames": args.context, "context_noise": args.context_noise}
    changes = {name: value for name, value in changes.items() if value is not None}
    config = replace(SHIPPED, denoiser=replace(SHIPPED.denoiser, **changes))
    system = load_autoencoder(config, args.out, args.data).to(args.device)
    store = args.out / "latents.pt"
    if store.exists():
        data = Latents(*torch.load(store, weights_only=True, map_location=args.device))
    else:
        data = encode_all(system, args.data, args.share)
        torch.save(tuple(data), store)
    if args.init:
        state = torch.load(args.out / f"{args.init}.pt", weights_only=True, map_location="cpu")
        parts = nn.ModuleDict({"denoiser": system.denoiser, "reward_end": system.reward_end})
        parts.load_state_dict(state["average"])
    print(f"{len(data.latents)} latents; {asdict(config.denoiser)}", flush=True)
    generator = torch.Generator(args.device).manual_seed(0)
    n = config.denoiser.context_frames
    windows = Windows(data, n, args.enemies, args.bar, args.rest, generator)
    file = args.out / f"{args.name}.pt"
    fit(system, windows, file, args.seconds, args.batch, args.own, args.rate)


if __name__ == "__main__":
    main()
