"""Small twins of the chapter's world that differ in one thing, trained for equally many steps.

    python -m wmlearn.chapters.ch05_gamengen.ablations gamengen-doom runs/defend OUT --first 6

Noise on the past in training, or none, with three seeds (the first six of ``PLAN``, each some three
minutes of one core); an agent's play or random play, equally many frames; a past of 1, 2, 4, 8 or
16 frames. All dream in the shipped autoencoder's latents, and none has dreams with a past of their
own in its batches, unlike the shipped world: what keeps them on the road is noise alone. They are
asked for held-out clips of the learning agent. ``OUT/ablations.npz`` keeps the PSNR of every clip
and step, ``OUT/ablations.json`` what was run, ``OUT/twins.safetensors`` some frames of the first
two runs, with noise and without.
"""

from __future__ import annotations

import argparse
import json
import time
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
from wmlearn.data.clip import Clip
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


PLAN = (
    *(Twin(noise=noise, seed=seed) for seed in range(3) for noise in (0.7, 0.0)),
    Twin(play="random"),
    *(Twin(context) for context in (1, 2, 8, 16)),
    *(Twin(play="random", seed=seed) for seed in (1, 2)),
)


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

    usual = {"context": 4, "noise": 0.7, "play": "agent"}
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
    parser.add_argument("data", type=Path, help="what record_agent wrote; random play in random/")
    parser.add_argument("out", type=Path)
    parser.add_argument("--first", type=int, default=len(PLAN), help="only so many of the plan")
    parser.add_argument("--most", type=int, default=len(PLAN), help="new runs, then stop")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    plan = PLAN[: args.first]
    system, n = hub.load(args.checkpoint).to(args.device), 16
    data = data_of(system, {twin.play for twin in plan}, args.data, args.out)
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
    for twin in plan[len(runs) :][: args.most]:
        begin = time.monotonic()
        config, some = config_of(twin, system.config.denoiser), data[twin.play]
        denoiser = train_twin(config, some, twin.seed, args.steps, args.batch)
        trained = time.monotonic() - begin
        frames = dream(system, denoiser, clip, n)
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
