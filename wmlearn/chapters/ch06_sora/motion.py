"""Trains a Sora to go on from given frames, a few at a time, starting from a checkpoint.

    python -m wmlearn.chapters.ch06_sora.motion runs/motion --minutes 20

What the shipped model lacks (chapter 6, section 6.1) is treated by its diet: every clip has given
frames, most are very noisy after them, and each is a window of eight frames, so that the rest is
near what is given; an error k frames ahead counts 1 / k. A video of sixteen is then drawn window by
window (``SamplerConfig.window``). Words are dropped: the model that obeys them stays as it is, and
this one goes beside it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch06_sora import ship
from wmlearn.chapters.ch06_sora.measure import GIVEN
from wmlearn.envs.scenes import draw
from wmlearn.systems.sora.config import SamplerConfig, SoraConfig
from wmlearn.systems.sora.system import Sora

WINDOW, OVERLAP = 8, 5
SAMPLER = SamplerConfig(num_steps=1, guidance=1.0, window=WINDOW, overlap=OVERLAP)
ONE = 0.85  # share of clips of a single body; the rest is of all families
JUST_THREE = 0.55  # share of windows with three given frames; the rest has up to OVERLAP
VERY_NOISY = 4.0, 1.5  # mean and spread of the level's logit, for three windows in four
BLUR = 0.12  # highest spread of the noise in given frames, where there are more than three
KEPT = 0.008  # how fast the averaged weights follow


def beginnings(count: int) -> tuple[Tensor, Tensor]:
    """How many frames of each window are given, int64 ``[count]``; and the others' levels."""
    more = torch.randint(GIVEN, OVERLAP + 1, (count,))
    given = torch.where(torch.rand(count) < JUST_THREE, GIVEN, more)
    mean, spread = VERY_NOISY
    normal = torch.randn(count)
    most = torch.arange(count) < 3 * count // 4
    return given, torch.where(most, normal * spread + mean, normal + 1.5).sigmoid()


def blurred(x: Tensor, given: Tensor) -> Tensor:
    """Latents ``[B, T, c, h, w]`` as later windows find them: never quite right."""
    rows = torch.arange(x.shape[1], device=x.device) < (given * (given > GIVEN))[:, None]
    spread = torch.rand(len(x), 1, device=x.device) * BLUR * rows
    return x + spread[..., None, None, None] * torch.randn_like(x)


def errors(system: Sora, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Errors ``[B]`` of windows with states ``[B, T, S]``, their given frames and levels."""
    count, length = states.shape[:2]
    device = system.device
    given, level = (part.to(device) for part in beginnings(count))
    with torch.no_grad():
        x = system.encode(draw(states.to(device))).float()
    ahead = torch.arange(1, length + 1, device=device) - given[:, None]
    weight = (ahead > 0) / ahead.clamp(min=1)
    levels = level[:, None] * (ahead > 0)
    z = system.prediction.path.mix(blurred(x, given), torch.randn_like(x), levels)
    none = torch.zeros(count, system.config.text.length, dtype=torch.long, device=device)
    text, mask = system.words(none)
    off = (system.output(z, levels, text, mask) - x).square().mean((2, 3, 4))
    return (off * weight).sum(1) / weight.sum(1), given.clamp(max=GIVEN), level


def train(
    system: Sora, states: Tensor, seconds: float, batch: int, top: float, save: Callable
) -> tuple[dict[str, Tensor], int]:
    """The averaged weights after so many seconds, and the steps; states ``[N, T, S]``."""
    both, balance = ship.optimizers(system, top), ship.Balance(system.device)
    tops = [optimizer.param_groups[0]["lr"] for optimizer in both]
    trained = [*system.words.parameters(), *system.transformer.parameters()]
    average = {name: value.detach().clone() for name, value in system.state_dict().items()}
    began = saved = time.monotonic()
    step = 0
    while (passed := (time.monotonic() - began) / seconds) < 1:
        for optimizer, highest in zip(both, tops, strict=True):
            optimizer.param_groups[0]["lr"] = highest * ship.rate(passed, step, warmup=40)
        rows = torch.randint(len(states), (batch, 1))
        start = torch.randint(states.shape[1] - WINDOW + 1, (batch, 1))
        with torch.autocast(system.device.type, torch.bfloat16):
            loss = balance(*errors(system, states[rows, start + torch.arange(WINDOW)]))
        ship.descend(both, loss, trained)
        step += 1
        with torch.no_grad():
            for name, value in system.state_dict().items():
                average[name].lerp_(value, max(KEPT, 20 / (step + 40)))
        if step == 1 or time.monotonic() - saved > 120:
            saved = time.monotonic()
            print(f"step {step}, {passed:.0%} of the time, loss {loss.item():.4f}", flush=True)
            save(average, step)
    return average, step


def configuration(shipped: SoraConfig) -> SoraConfig:
    """The checkpoint's, whose frames are told their number, and whose videos grow by windows."""
    return replace(shipped, frame_features=32, sampler=SAMPLER)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("run", type=Path, help="folder to write to")
    parser.add_argument("--init", default="sora-scenes", help="checkpoint to start from")
    parser.add_argument("--minutes", type=float, default=20.0, help="default: %(default)s")
    parser.add_argument("--clips", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="default: %(default)s")
    parser.add_argument("--processes", type=int, default=2, help="that simulate")
    args = parser.parse_args()

    began = time.monotonic()
    config = configuration(hub.load(args.init).config)
    make = lambda share, seed, family: ship.simulate_all(  # noqa: E731
        round(share * args.clips), ship.SQUARE, config, args.processes, seed, family
    )
    states = torch.cat([make(ONE, 500_000, "one")[0], make(1 - ONE, 0, "all")[0]])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    system = ship.started(config, args.init).to(device)
    system.autoencoder.requires_grad_(False)

    def save(weights: dict[str, Tensor], step: int) -> None:
        plain = Sora(config)
        plain.load_state_dict({name: value.float().cpu() for name, value in weights.items()})
        facts = {
            "env": "scenes/all", "steps": step, "batch_size": args.batch,
            "minutes": round((time.monotonic() - began) / 60, 1),
            "hardware": torch.cuda.get_device_name() if device.type == "cuda" else "CPU",
        }  # fmt: skip
        hub.save(args.run, plain, "sora", facts)

    left = 60 * args.minutes - (time.monotonic() - began)
    save(*train(system, states, left, args.batch, args.rate, save))


if __name__ == "__main__":
    main()
