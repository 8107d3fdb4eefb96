"""Trains on the mixture by the clock, on whatever device there is; see ``ship.py``.

Two stretches: the autoencoder; then the simulator and the models of steps to go, on latents that
are computed once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.chapters.ch07_unisim.mixture import DeviceNoise, Mixture
from wmlearn.fast.precision import bfloat16_is_fast
from wmlearn.nn.autoencoder import reconstruction_errors
from wmlearn.pixels import to_float
from wmlearn.recipes.average import Average
from wmlearn.recipes.optim import adamw
from wmlearn.systems.unisim.system import UniSim

EMA = 0.998
CLIP = 12  # frames of a training clip, at most
TILE = 8  # pixels: hard places are weighed by tiles of this side


def say(*words: object) -> None:
    """A line of the log, at once."""
    print(f"[{time.strftime('%H:%M:%S')}]", *words, flush=True)


class Stretch:
    """Optimizes some modules until their time is up; the learning rate follows the clock.

    Args:
        modules: what is trained; their averaged weights are put in place at the end.
        seconds: how long.
        rate: the highest learning rate.
        decay: of AdamW.
        most_steps: stop after so many steps, if the time is not up before.
    """

    def __init__(
        self,
        modules: list[nn.Module],
        seconds: float,
        rate: float,
        decay: float = 0.0,
        most_steps: int | None = None,
    ) -> None:
        self.parameters = [p for module in modules for p in module.parameters()]
        self.average = Average(self.parameters, EMA)
        fused = self.parameters[0].is_cuda
        self.optimizer = adamw(self.parameters, rate, decay, (0.9, 0.98), fused=fused)
        self.rate, self.seconds, self.most = rate, seconds, most_steps or 10**9
        self.steps, self.begin, self.sums = 0, time.monotonic(), {}

    def __iter__(self) -> Iterator[int]:
        """The steps' numbers, until the time is up."""
        while (gone := (time.monotonic() - self.begin) / self.seconds) < 1 and (
            self.steps < self.most
        ):
            gone = max(gone, self.steps / self.most)
            factor = min(1, (self.steps + 1) / 50) * 0.5 * (1 + math.cos(math.pi * gone))
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate * factor
            yield self.steps
            self.steps += 1
        self.average.use()

    def step(self, losses: dict[str, Tensor]) -> None:
        """One step down the sum of the losses."""
        self.optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.average.update(self.steps)
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0) + value.detach()

    def report(self) -> dict[str, float]:
        """The mean of each loss since the last report, and steps a second since the begin."""
        done = getattr(self, "_reported", 0)
        count, self._reported = max(1, self.steps + 1 - done), self.steps + 1
        means = {name: round(float(value) / count, 5) for name, value in self.sums.items()}
        self.sums = {}
        rate = (self.steps + 1) / (time.monotonic() - self.begin)
        return {"step": self.steps, **means, "steps_per_second": round(rate, 2)}


class Beat:
    """Calls something every so many seconds, from inside a loop."""

    def __init__(self, seconds: float, what: Callable[[], None]) -> None:
        self.seconds, self.what, self.next = seconds, what, time.monotonic() + seconds

    def __call__(self) -> None:
        if time.monotonic() >= self.next:
            self.what()
            self.next = time.monotonic() + self.seconds


def train_autoencoder(
    model: UniSim,
    mixture: Mixture,
    seconds: float,
    batch: int,
    log: Callable,
    keep: Callable[[], None] = lambda: None,
    rate: float = 2e-3,
    shares: dict[str, float] | None = None,
) -> None:
    """The first stretch: frames of all domains; see :func:`picture_errors` for what counts.

    Args:
        keep: called every half minute: saves.
        rate: the highest learning rate; lower where it goes on from an earlier autoencoder.
        shares: of the domains; by default the mixture's.
    """
    noise = DeviceNoise(mixture.device, 1)
    for number in range(len(model.config.domains)):
        rows = torch.nonzero((mixture.domain == number) & ~mixture.held_out)[:, 0]
        pick = torch.randint(len(rows), (4000,), generator=noise.generator, device=mixture.device)
        model.measure_colors(mixture.frames[rows[pick]], number)
    stretch = Stretch([model.autoencoder], seconds, rate, 1e-4)
    beat, minute = Beat(8, lambda: log("autoencoder", stretch.report())), Beat(30, keep)
    for _ in stretch:
        index = mixture.draw(batch, 1, noise.generator, shares=shares).index[:, 0]
        with precision(mixture.device):
            errors = picture_errors(model, mixture, index, noise)
        stretch.step({"autoencoder": errors.float().mean()})
        beat()
        minute()
    log("autoencoder", stretch.report())


def picture_errors(model: UniSim, mixture: Mixture, index: Tensor, noise: DeviceNoise) -> Tensor:
    """What the autoencoder's errors in some frames cost, ``[B]``; three things count more.

    Rare colors; what an action changes, seen in the recording as what differs from the frame before
    or after; and tiles that are drawn worst. Without the last two a triangle of 64 pixels, red like
    a ball, is drawn like a ball, and no simulator of the latents can turn it.

    Args:
        index: int64 ``[B]``, numbers of frames in the mixture.
        noise: of the latents.
    """
    frames, domain = mixture.frames[index], mixture.domain[index]
    x, c, side = (
        to_float(frames),
        model.config.autoencoder.latent_channels,
        model.config.latent_size,
    )
    drawn, latents = model.autoencoder(x, noise.normal(len(index), c, side, side))
    weight = model.pixel_weights(frames, domain) * what_changes(mixture, index)
    with torch.no_grad():
        each = F.avg_pool2d((weight * (drawn.float() - x) ** 2).mean(1, keepdim=True), TILE)
        hard = 1 + (each / each.mean((1, 2, 3), keepdim=True).clamp(min=1e-8)).clamp(max=8)
        hard = F.interpolate(hard / hard.mean((1, 2, 3), keepdim=True), scale_factor=TILE)
    errors = reconstruction_errors(drawn.float(), x, weight * hard)
    return errors + model.config.kl_weight * latents.kl() / (c * side * side)


def what_changes(mixture: Mixture, index: Tensor, more: float = 12.0) -> Tensor:
    """Weights ``[B, 1, H, W]`` of mean 1: larger where a frame differs from its neighbors in time.

    Args:
        index: int64 ``[B]``, numbers of frames in the mixture.
        more: how much larger.
    """
    here, number = mixture.frames[index].short(), mixture.episode[index]
    changed = torch.zeros_like(here[:, :1], dtype=torch.float32)
    for step in (-1, 1):
        other = (index + step).clamp(0, len(mixture) - 1)
        same = (mixture.episode[other] == number) & (mixture.domain[other] == mixture.domain[index])
        differs = (mixture.frames[other].short() - here).abs().amax(1, keepdim=True) > 24
        changed = torch.maximum(changed, differs * same.view(-1, 1, 1, 1))
    weight = 1 + more * F.max_pool2d(changed, 3, stride=1, padding=1)
    return weight / weight.mean((1, 2, 3), keepdim=True)


@torch.no_grad()
def encode_all(model: UniSim, mixture: Mixture) -> tuple[Tensor, Tensor]:
    """The latents of all frames ``[N, c, h, w]``, and what errors in the *next* frame count."""
    pick = torch.randperm(len(mixture), device=mixture.device)[:4000]
    model.measure_scale(mixture.frames[pick])
    latents, weights = [], []
    for first in range(0, len(mixture), 2000):
        frames = mixture.frames[first : first + 2000]
        with precision(mixture.device):
            latents.append(model.encode(frames[:, None])[:, 0].float())
        each = model.pixel_weights(frames, mixture.domain[first : first + 2000])
        pooled = F.avg_pool2d(each, model.config.autoencoder.factor)
        weights.append(F.max_pool2d(pooled, 3, stride=1, padding=1))
    return torch.cat(latents).contiguous(), torch.cat(weights).contiguous()


def train_simulator(
    model: UniSim,
    mixture: Mixture,
    latents: Tensor,
    weights: Tensor,
    seconds: float,
    batch: int,
    log: Callable,
    keep: Callable[[], None] = lambda: None,
    length: int = CLIP,
    spread: int = 1,
    rate: float = 1.5e-3,
    most_steps: int | None = None,
    seed: int = 2,
    shares: dict[str, float] | None = None,
    heads: bool = True,
) -> dict[str, float]:
    """The second stretch: the simulator, and both models of steps to go.

    Args:
        keep: called every minute: saves.
        length: frames of a clip.
        spread: the past is every so many frames (an ablation), the new one follows the last.
        most_steps: a limit beside the seconds.
        shares: of the domains; by default the mixture's.
        heads: train the models of steps to go, too.
    """
    noise = DeviceNoise(mixture.device, seed)
    trained = [model.simulator, *((model.steps_to_go, model.judge) if heads else ())]
    stretch = Stretch(trained, seconds, rate, 1e-3, most_steps)
    beat, minute = Beat(8, lambda: log("simulator", stretch.report())), Beat(60, keep)
    for _ in stretch:
        clip = mixture.draw(batch, (length - 1) * spread + 1, noise.generator, shares=shares)
        index, real, actions = clip.index, clip.real, clip.actions
        if spread > 1:
            index, real, actions = (spread_out(x, spread) for x in (index, real, actions))
        weight = weights[index]
        weight = torch.cat([weight[:, :1], weight[:, :-1]], dim=1)
        with precision(mixture.device):
            simulator = model.simulator.loss(latents[index], actions, weight, real, noise)
            losses = {"simulator": simulator}
            if heads:
                losses["steps"] = steps_loss(model, mixture, latents, 4 * batch, noise)
        stretch.step(losses)
        beat()
        minute()
    report = stretch.report()
    log("simulator", report)
    return report


def train_heads(
    model: UniSim, mixture: Mixture, latents: Tensor, seconds: float, batch: int, log: Callable,
    rate: float = 1e-3, seed: int = 3,
) -> None:  # fmt: skip
    """Both models of steps to go alone, on the sentences as the simulator has learned them."""
    noise = DeviceNoise(mixture.device, seed)
    stretch = Stretch([model.steps_to_go, model.judge], seconds, rate, 1e-3)
    beat = Beat(8, lambda: log("heads", stretch.report()))
    words = model.simulator.actions.sentences
    if words is not None:
        words.requires_grad_(False)
    for _ in stretch:
        with precision(mixture.device):
            loss = steps_loss(model, mixture, latents, batch, noise)
        stretch.step({"steps": loss.float()})
        beat()
    if words is not None:
        words.requires_grad_(True)
    log("heads", stretch.report())


def steps_loss(
    model: UniSim, mixture: Mixture, latents: Tensor, batch: int, noise: DeviceNoise
) -> Tensor:
    """The loss of what is left to do: half sentences, half pictures of later frames."""
    words = bool(model.steps_to_go.task)
    shares = {d.name: 1.0 for d in mixture.config.domains if d.format != "none"}
    pictures = mixture.draw(batch // 2, 1, noise.generator, shares=shares).index[:, 0]
    most = model.config.steps.most
    ahead = 1 + (noise.uniform(len(pictures)) * most).long()
    goal = torch.minimum(pictures + ahead, mixture.end[pictures])
    rows, goals, steps = pictures, latents[goal], goal - pictures
    known, task = goal > pictures, None
    if words:
        said = mixture.spoken
        pick = torch.randint(
            len(said), (batch // 2,), generator=noise.generator, device=mixture.device
        )
        spoken = said[pick]
        rows = torch.cat([rows, spoken])
        goals = torch.cat([goals, torch.zeros_like(latents[spoken])])
        steps = torch.cat([steps, mixture.said[spoken]])
        known = torch.cat([known, torch.ones_like(spoken, dtype=torch.bool)])
        sentences = model.simulator.actions.sentences
        none = torch.full_like(pictures, -1)
        task = sentences(torch.cat([none, mixture.sentence_after(spoken)]))
    half = mixture.episode[rows] % 2 == 0
    return model.steps_loss(latents[rows], goals, task, steps, known, half, noise)


def spread_out(x, spread: int):
    """Every ``spread``-th frame of ``[B, T, ...]`` and the newest one, the oldest first."""
    if spread == 1:
        return x
    if isinstance(x, Tensor):
        newest = x.shape[1] - 1
        past = list(range(newest - 1, -1, -spread))[::-1]
        return x[:, [*past, newest]]
    parts = {k: v if k == "domain" else spread_out(v, spread) for k, v in vars(x).items()}
    return type(x)(**parts)


def precision(device: torch.device):
    """bfloat16 where it is fast."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16_is_fast(device))
