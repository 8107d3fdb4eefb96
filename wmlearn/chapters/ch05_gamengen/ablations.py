"""Small twins of the chapter's world, with noise on the past in training or without.

    python -m wmlearn.chapters.ch05_gamengen.ablations gamengen-doom runs/defend OUT

Three seeds of either, equally many steps, each some three minutes of one core (twins that differ in
the length of their past, or in whose play they learn from: ``past_and_play``). All dream in the
shipped autoencoder's latents, and none has dreams with a past of their own in its batches, unlike
the shipped world: what keeps them on the road is noise alone. They are asked for held-out clips of
the learning agent. ``OUT/ablations.npz`` keeps the PSNR of every clip and step,
``OUT/ablations.json`` what was run, ``OUT/twins.safetensors`` some frames of the first two runs,
with noise and without.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from wmlearn import hub
from wmlearn.chapters.ch05_gamengen.judge import VIEW
from wmlearn.chapters.ch05_gamengen.measure import draw_clips
from wmlearn.chapters.ch05_gamengen.ship_denoiser import Latents, Windows, encode_all
from wmlearn.data.episodes import EpisodeStore
from wmlearn.metrics import Estimate, mean_estimate, psnr
from wmlearn.pixels import to_uint8
from wmlearn.recipes.average import Average
from wmlearn.systems.gamengen.config import DenoiserConfig, SamplerConfig
from wmlearn.systems.gamengen.denoiser import Denoiser
from wmlearn.systems.gamengen.system import GameNGen

OWN = 64  # steps of the dreams that are judged
AT = (1, 8, 16, 32, 48, 64)
WIDTHS = (48, 96)
PICTURES, PICTURE_FILE = 3, "twins.safetensors"
ENEMIES, BAR = 20.0, 3.0  # what errors around monsters and in the status bar count beside the rest


@dataclass(frozen=True)
class Twin:
    """One run: frames of the past, the most noise on it, whose play, and the seed."""

    context: int = 4
    noise: float = 0.7
    play: str = "agent"
    seed: int = 0


PLAN = tuple(Twin(noise=noise, seed=seed) for seed in range(3) for noise in (0.7, 0.0))


def config_of(twin: Twin, shipped: DenoiserConfig) -> DenoiserConfig:
    """The twin's denoiser, of the size of the chapter's live run; noise as in the paper.

    As minutes are few, only the two noise levels are trained that two DDIM steps visit.
    """
    return replace(
        shipped,
        context_frames=twin.context,
        context_noise=twin.noise,
        noise_power=1.0,
        levels=(1.0, 0.5),
        unet=replace(shipped.unet, channels=WIDTHS),
    )


def windows_of(data: Latents, n: int, generator: torch.Generator) -> Windows:
    """Windows of n + 1 latents; errors count as in the shipped world's last training."""
    windows = Windows(data, n, generator=generator)
    weights = GameNGen.emphasis(data.weights[:, None].float())[:, 0].clamp(max=4)
    weights += ENEMIES * data.enemies.float()
    weights[:, weights.shape[-1] * VIEW // 64 :] += BAR
    windows.weights = weights
    return windows


def train_twin(
    config: DenoiserConfig, data: Latents, seed: int, steps: int, batch: int, rate: float = 1e-3
) -> Denoiser:
    """A denoiser after so many steps; averaged weights."""
    device = data.latents.device
    torch.manual_seed(seed)
    denoiser = Denoiser(config).to(device)
    windows = windows_of(data, config.context_frames, torch.Generator(device).manual_seed(seed))
    parameters = list(denoiser.parameters())
    average = Average(parameters, 0.99)
    optimizer = torch.optim.AdamW(parameters, rate, betas=(0.9, 0.99), weight_decay=1e-2)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, device=device, generator=windows.generator)

    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 100) * min(1, 2 * (1 - step / steps) + 0.01)
        places = torch.randint(
            len(windows.candidates), (batch,), device=device, generator=windows.generator
        )
        latents, actions, _, _, weight = windows(windows.candidates[places])
        with torch.autocast(device.type, torch.bfloat16):
            loss = denoiser.loss(latents[:, :-1], latents[:, -1], actions, noise, weight).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        average.update(step)
    average.use()
    return denoiser.eval()


@torch.inference_mode()
def dream(
    system: GameNGen,
    denoiser: Denoiser,
    past: Tensor,
    actions: Tensor,
    at: Sequence[int] = (),
    seed: int = 0,
) -> Tensor:
    """Own steps, drawn: uint8 ``[B, len(at), 3, H, W]``.

    Args:
        system: whose latents and decoder it dreams in.
        denoiser: with a past of k <= n frames.
        past: latents of the real frames that are given, ``[B, n, c, h, w]``.
        actions: int64 ``[B, n - 1 + T]``, each from a frame to the one after, T of them to follow.
        at: which of the steps 1..T are drawn; empty for all.
        seed: of the noise.
    """
    (n, k), draw = (past.shape[1], denoiser.config.context_frames), torch.Generator()
    draw.manual_seed(seed)
    sampler, frames = SamplerConfig(num_steps=2, guidance=1.0), []
    steps = actions.shape[1] - (n - 1)
    past = past[:, n - k :].float()

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw).to(past.device)

    for step in range(1, max(at, default=steps) + 1):
        t = n - 1 + step
        latent = denoiser.sample(past, actions[:, t - k : t], noise, sampler).float()
        past = torch.cat([past[:, 1:], latent[:, None]], 1)
        if not at or step in at:
            frames.append(to_uint8(system.decode(latent)))
    return torch.stack(frames, 1)


# --- what is said of them ----------------------------------------------------------------------


def at(curves: Tensor, episodes: Tensor, seeds=()) -> dict[str, Estimate]:
    """Means of PSNR curves ``[clips, steps]`` at the steps ``AT``; episodes are drawn again."""
    return {
        str(h): mean_estimate(curves[:, h - 1], episodes, seeds=seeds)
        for h in AT
        if h <= curves.shape[1]
    }


def beside(one: Tensor, other: Tensor, episodes: Tensor, seeds: Sequence[int]) -> dict:
    """Two kinds of twins with the same seeds, and how far the first is ahead, clip by clip.

    Args:
        one, other: PSNR ``[seeds, clips, steps]``.
        episodes: of the clips.
        seeds: which.
    """
    a, b = one.double().mean(0), other.double().mean(0)
    return {
        "first": at(a, episodes, seeds),
        "second": at(b, episodes, seeds),
        "ahead": at(a - b, episodes, seeds),
        "first by seed": {
            str(h): [round(float(d), 2) for d in one[..., h - 1].double().mean(1)] for h in AT
        },
        "ahead by seed": [round(float(d), 2) for d in (one - other)[..., -1].double().mean(1)],
        "curves": [[round(v, 2) for v in side.mean(0).tolist()] for side in (a, b)],
    }


def summary(runs: list[dict], curves: Tensor, copied: Tensor, episodes: Tensor) -> dict:
    """The chapter's table from the runs' facts and PSNR curves ``[runs, clips, steps]``.

    Of runs that differ in their seed alone the clips' means are taken first. A difference is that
    of the same clips; it is taken over the seeds that both have.
    """
    rows = {(run["noise"], run["seed"]): i for i, run in enumerate(runs)}
    seeds = sorted(seed for noise, seed in rows if noise and (0.0, seed) in rows)
    sides = [curves[[rows[noise, seed] for seed in seeds]] for noise in (0.7, 0.0)]
    return {
        "clips": len(episodes),
        "episodes": len(episodes.unique()),
        "copy": at(copied, episodes),
        "copy curve": [round(v, 2) for v in copied.double().mean(0).tolist()],
        "noise": beside(*sides, episodes, seeds),
    }


def data_of(system: GameNGen, plays: set[str], folder: Path, out: Path) -> dict[str, Latents]:
    """Latents of each kind of play, encoded once and kept; as many frames of either."""
    data = {}
    for play in sorted(plays):
        kept = out / f"latents-{play}.pt"
        if not kept.exists():
            torch.save(tuple(encode_all(system, [folder / play])), kept)
        data[play] = Latents(*torch.load(kept, weights_only=True, map_location=system.device))
    most = min(len(some.latents) for some in data.values())
    return {play: Latents(*(part[:most] for part in some)) for play, some in data.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("data", type=Path, help="what record_agent wrote")
    parser.add_argument("out", type=Path)
    parser.add_argument("--most", type=int, default=len(PLAN), help="new runs, then stop")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    system, n = hub.load(args.checkpoint).to(args.device), 16
    data = data_of(system, {twin.play for twin in PLAN}, args.data, args.out)
    clip, episodes = draw_clips(EpisodeStore(args.data / "agent"), n + OWN, args.clips, 1)
    clip = clip.to(args.device)
    real = clip.frames[:, n:]
    copied = psnr(clip.frames[:, n - 1 : n].expand_as(real), real).cpu()
    shown = {"real": real[:PICTURES, [h - 1 for h in AT]].cpu().contiguous()}
    runs, curves = [], []
    if (args.out / "ablations.json").exists():  # a stopped plan goes on
        runs = json.loads((args.out / "ablations.json").read_text())["runs"]
        with np.load(args.out / "ablations.npz") as kept:
            curves = list(torch.from_numpy(kept["curves"]).float())
        shown = load_file(args.out / PICTURE_FILE)
    with torch.inference_mode():
        past = system.encode(clip.frames[:, :n])
    for twin in PLAN[len(runs) :][: args.most]:
        begin = time.monotonic()
        config, some = config_of(twin, system.config.denoiser), data[twin.play]
        denoiser = train_twin(config, some, twin.seed, args.steps, args.batch)
        trained = time.monotonic() - begin
        frames = dream(system, denoiser, past, clip.actions)
        curves.append(psnr(frames, real).cpu())
        if len(shown) < 3:
            few = frames[:PICTURES, [h - 1 for h in AT]]
            shown[f"noise {twin.noise}"] = few.cpu().contiguous()
            save_file(shown, args.out / PICTURE_FILE)
        facts = {"steps": args.steps, "frames": len(some.latents), "seconds": round(trained, 1)}
        runs.append(asdict(twin) | facts)
        print(runs[-1], curves[-1].mean(0)[[h - 1 for h in AT]].tolist(), flush=True)
        np.savez(
            args.out / "ablations.npz",
            curves=torch.stack(curves).half().numpy(), copy=copied.half().numpy(),
            episodes=episodes.numpy(),
        )  # fmt: skip
        content = json.dumps({"batch": args.batch, "runs": runs}, indent=1)
        (args.out / "ablations.json").write_text(content + "\n")


if __name__ == "__main__":
    main()
