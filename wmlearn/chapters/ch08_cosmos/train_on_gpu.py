"""The shipped checkpoints' training: minutes on one GPU, with all frames in its memory.

    wmlearn record driving/car-racing --policy mixed --frames 48000 --max_steps 500 --out data/cars
    python -m wmlearn.chapters.ch08_cosmos.train_on_gpu data/cars runs/cosmos --family cosmos
    python -m wmlearn.chapters.ch08_cosmos.train_on_gpu data/cars runs/ar --family cosmos-ar

The losses are the systems' own; what differs from ``wmlearn fit`` is that no loader stands between:
clips are drawn from one tensor on the device, the model's latents (or codes) are computed once, and
the clock, not a number of steps, ends a stretch.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wmlearn import hub
from wmlearn.data.episodes import EpisodeStore
from wmlearn.nn.autoencoder import rare_color_weights
from wmlearn.pixels import to_float
from wmlearn.recipes.average import Average
from wmlearn.recipes.optim import adamw
from wmlearn.systems import LOADABLE
from wmlearn.systems.cosmos import Cosmos
from wmlearn.systems.cosmos.base import OverTokenizer

SEGMENT, STRIDE = 41, 20  # frames of a segment whose latents are computed; from one to the next
BATCHES = {"tokenizer": 48, "cosmos": 128, "cosmos-ar": 96}
RATES = {"cosmos": 1e-3, "cosmos-ar": 1.5e-3}


class Frames:
    """All frames and actions of some episodes, on one device."""

    def __init__(self, store: EpisodeStore, episodes: range, device: torch.device) -> None:
        own = [store[number] for number in episodes]
        self.lengths = [len(episode.frames) for episode in own]
        self.starts = np.cumsum([0, *self.lengths[:-1]])
        frames = np.concatenate([episode.frames for episode in own])
        # as many actions as frames, the last one repeated: then both have the same index
        actions = np.concatenate([np.append(e.actions, e.actions[-1:], axis=0) for e in own])
        self.frames = torch.from_numpy(frames).to(device)
        self.actions = torch.from_numpy(actions).float().to(device)

    def begins(self, length: int, stride: int = 1) -> Tensor:
        """Where clips of this length can begin: int64 ``[N]``."""
        places = [
            np.arange(start, start + frames - length + 1, stride)
            for start, frames in zip(self.starts, self.lengths, strict=True)
        ]
        return torch.from_numpy(np.concatenate(places)).to(self.frames.device)

    def clips(self, begins: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Frames ``[B, length, C, H, W]``, actions ``[B, length - 1, A]``."""
        index = begins[:, None] + torch.arange(length, device=begins.device)
        return self.frames[index], self.actions[index[:, :-1]]


def grow(
    module: nn.Module,
    loss: Callable[[], Tensor],
    seconds: float,
    rate: float,
    say: Callable[[str], None],
    decay: float = 1e-3,
) -> int:
    """Trains ``module`` for so long and leaves its average in it; returns the number of steps."""
    optimizer = adamw(module.parameters(), rate, decay, (0.9, 0.99))
    average = Average(module.parameters(), 0.998)
    begun = said = time.monotonic()
    steps, total, counted = 0, 0.0, 0
    while (share := (time.monotonic() - begun) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (steps + 1) / 60) * (0.5 + 0.5 * math.cos(math.pi * share))
        optimizer.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        steps, total, counted = steps + 1, total + value.detach(), counted + 1
        average.update(steps)
        if time.monotonic() - said > 10:
            say(f"step {steps}, loss {float(total / counted):.4f}")
            said, total, counted = time.monotonic(), 0.0, 0
    average.use()
    return steps


def train(
    system: OverTokenizer,
    data: Frames,
    seconds: float,
    batches: dict[str, int],
    rate: float,
    tokenizer_share: float = 0.4,
    say: Callable[[str], None] = print,
) -> dict[str, int]:
    """Trains the tokenizer, then the model of what it gives; returns the steps of both.

    Args:
        system: on the data's device.
        data: the training episodes.
        seconds: for both.
        batches: clips of a step, for ``tokenizer`` and ``model``.
        rate: the model's learning rate at its highest.
        tokenizer_share: of the seconds.
        say: called with a line of text now and then.
    """
    device, frames = data.frames.device, 1 + 4 * system.config.tokenizer.time_ratio
    generator = torch.Generator(device).manual_seed(0)

    def random(high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, device=device, generator=generator)

    def half() -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16)

    begins = data.begins(frames)
    sample = data.frames[random(len(data.frames), min(2000, len(data.frames)))]
    system.color_weights.copy_(rare_color_weights(sample.cpu()))

    def tokenizer_loss() -> Tensor:
        clips, _ = data.clips(begins[random(len(begins), batches["tokenizer"])], frames)
        with half():
            return system.tokenizer_loss(clips).mean()

    steps = {
        "tokenizer": grow(system.tokenizer, tokenizer_loss, tokenizer_share * seconds, 2e-3, say)
    }
    system.tokenizer.requires_grad_(False)
    known, actions = _all_segments(system, data, half)
    model, t = getattr(system, system.part), getattr(system.config, system.part).latent_frames
    led = system.actions_of(actions, known.shape[1])

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, device=device, generator=generator)

    def model_loss() -> Tensor:
        rows = random(len(known), batches["model"], 1)
        index = random(known.shape[1] - t + 1, batches["model"], 1) + torch.arange(t, device=device)
        with half():
            if isinstance(system, Cosmos):
                uniform = torch.rand(len(rows), 2, device=device, generator=generator)
                given = system.known(uniform, t)
                return model.loss(known[rows, index], given, noise, led[rows, index])[0].mean()
            return model.loss(known[rows, index].flatten(1), led[rows, index]).mean()

    steps[system.part] = grow(model, model_loss, (1 - tokenizer_share) * seconds, rate, say)
    system.tokenizer.requires_grad_(True)
    return steps


@torch.no_grad()
def _all_segments(system: OverTokenizer, data: Frames, half) -> tuple[Tensor, Tensor]:
    """Latents (or codes) of overlapping segments of all episodes, and the actions between."""
    known, actions = [], []
    for begins in data.begins(SEGMENT, STRIDE).split(64):
        clips, pressed = data.clips(begins, SEGMENT)
        with half():
            video = to_float(clips)
            tokens = system.tokenizer
            known.append(tokens.encode(video) if tokens.quantizer is None else tokens.codes(video))
        actions.append(pressed)
    known = torch.cat(known)
    if isinstance(system, Cosmos):
        system.measure_scale(known.float())
        known = system.scaled(known.float())
    return known, torch.cat(actions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--family", choices=["cosmos", "cosmos-ar"], default="cosmos")
    parser.add_argument("--seconds", type=float, default=270)
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    store, device = EpisodeStore(args.data), torch.device(args.device)
    entry = LOADABLE[args.family]
    _, config = entry.load("recipe").preset("colab")
    system = entry.load("module")(config).to(device)
    data = Frames(store, range(len(store) - max(1, len(store) // 12)), device)
    batches = {"tokenizer": BATCHES["tokenizer"], "model": BATCHES[args.family]}
    steps = train(system, data, args.seconds, batches, RATES[args.family])
    card = {
        "env": store.info["env"],
        "data": store.info,
        "frames": len(data.frames),
        "steps": steps[system.part],
        "steps_before": {"tokenizer": steps["tokenizer"]},
        "minutes": round(args.seconds / 60, 1),
        "seed": 0,
        **hub.run_facts(),
    }
    hub.save(args.out, system.cpu(), args.family, card, dtype=torch.float16)


if __name__ == "__main__":
    main()
