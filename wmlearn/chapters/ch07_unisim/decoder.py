"""The last stage of the shipped world: a decoder that draws what is dreamed.

    python -m wmlearn.chapters.ch07_unisim.decoder CHECKPOINT --data FILES --out FOLDER

An autoencoder learns on latents of real frames. At play it is given dreamed ones, which are vaguer,
and go wrong in ways of their own; what it makes of those nobody has taught it. Here the simulator
dreams along recorded clips, under their own actions, and the decoder alone learns to draw the real
frames from dreamed latents, half of the time, and from real ones. Encoder and simulator stay as
they are, so every dream and every policy on latents does, too.

Legend: N frames, c x h x w a latent.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch07_unisim.control import CONTEXT
from wmlearn.chapters.ch07_unisim.mixture import Mixture
from wmlearn.chapters.ch07_unisim.record import load
from wmlearn.chapters.ch07_unisim.train import Stretch, precision, say
from wmlearn.pixels import to_float
from wmlearn.systems.unisim.system import UniSim

SHARES = {"babyai": 0.4, "fetch": 0.2, "doom": 0.35, "passive": 0.05}
AHEAD = {"babyai": 4, "fetch": 8, "doom": 8}  # frames that are dreamed after a clip
DREAMS = {"babyai": 480, "fetch": 200, "doom": 320}


@torch.inference_mode()
def dreamed(
    model: UniSim, mixture: Mixture, name: str, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Dreams along clips to be trained on: latents ``[N, c, h, w]``, and the real frames' numbers.

    Args:
        name: of a domain.
        count: clips.
        generator: of the clips and the dreams.
    """
    world, ahead = model.world({"domain": name, "num_steps": 1}), AHEAD[name]
    latents, numbers = [], []
    for first in range(0, count, 80):
        few = min(80, count - first)
        batch = mixture.draw(few, CONTEXT + ahead, generator, False, {name: 1.0}, whole=True)
        clip = mixture.clip(batch)
        state = world.reset(clip.time(0, CONTEXT))
        for t in range(CONTEXT, CONTEXT + ahead):
            state = world.imagine(state, clip.actions[:, t - 1], generator)
            latents.append(state.latent.float())
            numbers.append(batch.index[:, t])
    return torch.cat(latents), torch.cat(numbers)


@torch.inference_mode()
def real(
    model: UniSim, mixture: Mixture, name: str, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Latents of frames to be trained on, as :func:`dreamed` has them of dreams."""
    numbers = mixture.draw(count, 1, generator, shares={name: 1.0}).index[:, 0]
    parts = [model.encode(mixture.frames[n][:, None])[:, 0].float() for n in numbers.split(200)]
    return torch.cat(parts), numbers


def train_decoder(
    model: UniSim, mixture: Mixture, steps: int = 900, batch: int = 32, rate: float = 1e-3,
    share_of_clips: float = 1.0,
) -> dict[str, float]:  # fmt: skip
    """Trains the decoder alone; see the module.

    Args:
        mixture: recordings; held-out episodes are left alone.
        steps: of ``batch`` frames.
        rate: the highest learning rate.
        share_of_clips: of ``DREAMS``, for a try.

    Returns:
        The loss at the end, and the processor's seconds.
    """
    begin, generator = time.process_time(), torch.Generator().manual_seed(5)
    pools = {}
    for name in (d.name for d in mixture.config.domains):
        count = max(1, int(share_of_clips * DREAMS.get(name, 40)))
        pools[name] = [real(model, mixture, name, 8 * count, generator)]
        if name in DREAMS:
            pools[name].append(dreamed(model, mixture, name, count, generator))
    say("latents", {k: [len(z) for z, _ in v] for k, v in pools.items()})
    odds = torch.tensor([SHARES[name] / len(pools[name]) for name in pools for _ in pools[name]])
    sources = [source for name in pools for source in pools[name]]
    parts = [model.autoencoder.decoder, model.autoencoder.post_quant_conv]
    stretch = Stretch(parts, 1e6, rate, 1e-4, steps)
    for step in stretch:
        latents, targets = [], []
        counts = torch.multinomial(odds, batch, True, generator=generator)
        for (z, numbers), few in zip(
            sources, counts.bincount(minlength=len(sources)).tolist(), strict=True
        ):
            pick = torch.randint(len(z), (few,), generator=generator)
            latents.append(z[pick])
            targets.append(mixture.frames[numbers[pick]])
        with precision(mixture.device):
            drawn = model.decode(torch.cat(latents))
        stretch.step({"decoder": F.mse_loss(drawn, to_float(torch.cat(targets)))})
        if step % 100 == 99:
            say("decoder", stretch.report())
    return {**stretch.report(), "seconds": round(time.process_time() - begin, 1)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="files of `record`")
    parser.add_argument("--all_held_out", nargs="*", default=[], help="worlds to leave alone")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model, card = hub.load(args.checkpoint), hub.read_card(args.checkpoint)
    recordings = {k: v for path in args.data for k, v in load(path).items()}
    mixture = Mixture(recordings, model.config, all_held_out=tuple(args.all_held_out))
    report = train_decoder(model, mixture, args.steps)
    card = {k: v for k, v in card.items() if k not in ("config", "sha256", "files")}
    card["decoder"] = {"steps": args.steps, "batch_size": 32, "seconds": report["seconds"]}
    hub.save(args.out, model.eval(), "unisim", card, dtype=torch.float16)
    say(json.dumps(report))


if __name__ == "__main__":
    main()
