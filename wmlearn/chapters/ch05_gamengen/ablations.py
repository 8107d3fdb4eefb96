"""Small twins of the chapter's world that differ in one thing, trained for equally many steps.

    python -m wmlearn.chapters.ch05_gamengen.ablations gamengen-doom runs/defend OUT --steps 2000

Noise on the past in training, or none, with three seeds; an agent's play or random play, equally
many frames; a past of 1, 2, 4, 8 or 16 frames. All dream in the shipped autoencoder's latents, and
none has dreams with a past of their own in its batches, unlike the shipped world: what keeps them
on the road is noise alone. They are asked for held-out clips of the learning agent.
``OUT/ablations.npz`` keeps the PSNR of every clip and step, ``OUT/ablations.json`` what was run,
``OUT/twins.safetensors`` some frames of the first two runs, with noise and without.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from wmlearn import hub
from wmlearn.chapters.ch05_gamengen.judge import VIEW
from wmlearn.chapters.ch05_gamengen.measure import draw_clips
from wmlearn.chapters.ch05_gamengen.ship_denoiser import Latents, Windows, encode_all
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.metrics import Estimate, mean_estimate, psnr
from wmlearn.pixels import to_uint8
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

    context: int = 8
    noise: float = 0.7
    play: str = "agent"
    seed: int = 0


PLAN = (
    *(Twin(noise=noise, seed=seed) for seed in range(3) for noise in (0.7, 0.0)),
    Twin(play="random"),
    *(Twin(context) for context in (1, 2, 4, 16)),
    *(Twin(play="random", seed=seed) for seed in (1, 2)),
)


def config_of(twin: Twin, shipped: DenoiserConfig) -> DenoiserConfig:
    """The twin's denoiser: narrower than the shipped one, noise as in the paper."""
    return replace(
        shipped,
        context_frames=twin.context,
        context_noise=twin.noise,
        noise_power=1.0,
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
    config: DenoiserConfig, data: Latents, seed: int, steps: int, batch: int, rate: float = 1.5e-3
) -> Denoiser:
    """A denoiser after so many steps; averaged weights."""
    device = data.latents.device
    torch.manual_seed(seed)
    denoiser = Denoiser(config).to(device)
    windows = windows_of(data, config.context_frames, torch.Generator(device).manual_seed(seed))
    parameters = list(denoiser.parameters())
    average = [p.detach().clone() for p in parameters]
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
        keep = min(0.99, (step + 1) / (step + 10))
        with torch.no_grad():
            for mean, value in zip(average, parameters, strict=True):
                mean.lerp_(value, 1 - keep)
    with torch.no_grad():
        for mean, value in zip(average, parameters, strict=True):
            value.copy_(mean)
    return denoiser.eval()


@torch.inference_mode()
def dream(system: GameNGen, denoiser: Denoiser, clip: Clip, n: int, seed: int = 0) -> Tensor:
    """Own steps uint8 ``[B, T - n, 3, H, W]`` after the first ``n`` frames of clips of T frames.

    Args:
        system: whose latents and decoder it dreams in.
        denoiser: with a past of at most n frames.
        clip: real clips with the actions to be followed.
        n: real frames that are given.
        seed: of the noise.
    """
    k, draw = denoiser.config.context_frames, torch.Generator().manual_seed(seed)
    sampler, frames = SamplerConfig(num_steps=2, guidance=1.0), []
    past = system.encode(clip.frames[:, n - k : n]).float()

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw).to(past.device)

    for t in range(n, clip.frames.shape[1]):
        latent = denoiser.sample(past, clip.actions[:, t - k : t], noise, sampler).float()
        frames.append(to_uint8(system.decode(latent)))
        past = torch.cat([past[:, 1:], latent[:, None]], 1)
    return torch.stack(frames, 1)


# --- what is said of them ----------------------------------------------------------------------


def at(curves: Tensor, episodes: Tensor, seeds=()) -> dict[str, Estimate]:
    """Means of PSNR curves ``[clips, steps]`` at the steps ``AT``; episodes are drawn again."""
    return {
        str(h): mean_estimate(curves[:, h - 1], episodes, seeds=seeds)
        for h in AT
        if h <= curves.shape[1]
    }


def summary(runs: list[dict], curves: Tensor, copied: Tensor, episodes: Tensor) -> dict:
    """The chapter's tables from the runs' facts and PSNR curves ``[runs, clips, steps]``.

    Of runs that differ in their seed alone the clips' means are taken first. A difference is that
    of the same clips.
    """

    def of(**facts) -> tuple[Tensor, tuple[int, ...]] | None:
        rows = [i for i, run in enumerate(runs) if all(run[k] == v for k, v in facts.items())]
        seeds = tuple(runs[i]["seed"] for i in rows)
        return (curves[rows].double().mean(0), seeds) if rows else None

    def beside(one: dict, other: dict) -> dict | None:
        """The two, and how far the first is ahead; over the seeds that both have."""
        common = {r["seed"] for r in runs if all(r[k] == v for k, v in one.items())}
        common &= {r["seed"] for r in runs if all(r[k] == v for k, v in other.items())}
        if not common:
            return None
        pairs = [(of(**one, seed=s)[0], of(**other, seed=s)[0]) for s in sorted(common)]
        a, b = (torch.stack(side).mean(0) for side in zip(*pairs, strict=True))
        seeds = tuple(sorted(common))
        return {
            "first": at(a, episodes, seeds),
            "second": at(b, episodes, seeds),
            "ahead": at(a - b, episodes, seeds),
            "ahead by seed": [round(float((x - y)[:, -1].mean()), 2) for x, y in pairs],
            "curves": [[round(v, 2) for v in side.mean(0).tolist()] for side in (a, b)],
        }

    usual = {"context": 8, "noise": 0.7, "play": "agent"}
    found: dict = {
        "clips": len(episodes),
        "episodes": len(episodes.unique()),
        "copy": at(copied, episodes),
        "copy curve": [round(v, 2) for v in copied.double().mean(0).tolist()],
        "noise": beside(usual, usual | {"noise": 0.0}),
        "play": beside(usual, usual | {"play": "random"}),
        "contexts": {},
    }
    for length in (1, 2, 4, 8, 16):
        one = of(**(usual | {"context": length, "seed": 0}))
        if one is not None:
            found["contexts"][str(length)] = at(*one[:1], episodes, one[1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("data", type=Path, help="what record_agent wrote; random play in random/")
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=192)
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    system, n = hub.load(args.checkpoint).to(args.device), 16
    agent = EpisodeStore(args.data / "agent")
    data = {play: encode_all(system, [args.data / play]) for play in ("agent", "random")}
    most = min(len(some.latents) for some in data.values())
    data = {play: Latents(*(part[:most] for part in some)) for play, some in data.items()}
    clip, episodes = draw_clips(agent, n + OWN, args.clips, 1)
    clip = clip.to(args.device)
    real = clip.frames[:, n:]
    copied = psnr(clip.frames[:, n - 1 : n].expand_as(real), real).cpu()
    runs, curves, shown = [], [], {"real": real[:PICTURES, [h - 1 for h in AT]].contiguous()}
    args.out.mkdir(parents=True, exist_ok=True)
    for twin in PLAN:
        begin = time.monotonic()
        config = config_of(twin, system.config.denoiser)
        denoiser = train_twin(config, data[twin.play], twin.seed, args.steps, args.batch)
        frames = dream(system, denoiser, clip, n)
        curves.append(psnr(frames, real).cpu())
        if len(shown) < 3:
            shown[f"noise {twin.noise}"] = frames[:PICTURES, [h - 1 for h in AT]].contiguous()
            save_file({k: v.cpu() for k, v in shown.items()}, args.out / PICTURE_FILE)
        seconds = time.monotonic() - begin
        runs.append(asdict(twin) | {"steps": args.steps, "seconds": round(seconds, 1)})
        print(runs[-1], curves[-1].mean(0)[[0, 7, OWN - 1]].tolist(), flush=True)
        np.savez(
            args.out / "ablations.npz",
            curves=torch.stack(curves).half().numpy(), copy=copied.half().numpy(),
            episodes=episodes.numpy(),
        )  # fmt: skip
        facts = {"batch": args.batch, "frames": most, "runs": runs}
        (args.out / "ablations.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
