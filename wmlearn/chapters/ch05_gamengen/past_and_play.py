"""Twins again: how long must the past be, and whose play is worth more?

    wmlearn record doom/defend-the-center-hud --policy random --seed 6 --frames 8000 \\
        --out runs/defend/random-held-out
    python -m wmlearn.chapters.ch05_gamengen.past_and_play gamengen-doom runs/defend OUT

The small denoisers of ``ablations``, all with noise on their past and trained for equally many
steps, with a past of 1, 2, 4, 8 or 16 frames of an agent's play, or with one of 4 and as many
frames of random play. They take the same exams: the next frame of held-out clips, and three seconds
of their own, of the learning agent's play and of random play. Every run is a file of ``OUT``, with
its weights in halves and the PSNR of each clip and step; a stopped plan goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch05_gamengen.ablations import (
    Twin,
    config_of,
    data_of,
    dream,
    train_twin,
)
from wmlearn.chapters.ch05_gamengen.measure import draw_clips
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.metrics import mean_estimate, psnr
from wmlearn.systems.gamengen.denoiser import Denoiser
from wmlearn.systems.gamengen.system import GameNGen

CONTEXTS = (4, 1, 2, 8, 16)
GIVEN = 16  # real frames of every exam, of which a twin sees the last ones
AT = (1, 8, 17, 35, 52)  # own steps: one, half a second, one, two and three seconds
PAPER_CONTEXTS = {1: 20.94, 2: 22.03, 4: 22.26, 8: 22.26, 16: 22.28}  # dB, its table 1
PAPER_PLAY = {"next": (25.06, 24.42), "52": (19.02, 16.84)}  # dB, agent's and random (5.2.3)


def plan(seeds: int) -> list[Twin]:
    """All twins, one seed after the other."""
    first, *others = CONTEXTS
    kinds = [Twin(first), Twin(play="random"), *map(Twin, others)]
    return [Twin(t.context, t.noise, t.play, seed) for seed in range(seeds) for t in kinds]


# --- exams ---------------------------------------------------------------------------------------


class Exam(NamedTuple):
    """Held-out clips: B of them, of ``GIVEN`` frames and what came after.

    ``past`` [B, GIVEN, c, h, w] are latents, ``actions`` int64 [B, GIVEN - 1 + T], ``real`` uint8
    [B, len(at), 3, H, W] the frames at the steps ``at``, ``copied`` [B, len(at)] the PSNR of the
    last given frame, ``episodes`` [B].
    """

    past: Tensor
    actions: Tensor
    real: Tensor
    copied: Tensor
    episodes: Tensor


@torch.inference_mode()
def exam(system: GameNGen, clip: Clip, episodes: Tensor, at: Sequence[int]) -> Exam:
    """Clips of ``GIVEN + max(at)`` frames, as what a twin is asked."""
    clip = clip.to(system.device)
    past = torch.cat([system.encode(some[:, :GIVEN]) for some in clip.frames.split(8)])
    real = clip.frames[:, [GIVEN - 1 + h for h in at]]
    copied = psnr(clip.frames[:, GIVEN - 1 : GIVEN].expand_as(real), real)
    return Exam(past, clip.actions, real, copied, episodes)


def exams_of(system: GameNGen, data: Path, clips: int, frames: int) -> dict[str, Exam]:
    """Four of them: the next frame (``frames`` clips), three seconds (``clips``); whose play."""
    found = {}
    stores = {"agent": ("agent", 0.1), "random": ("random-held-out", 1.0)}
    for play, (folder, share) in stores.items():
        store = EpisodeStore(data / folder)
        for name, count, at in ((f"{play} next", frames, AT[:1]), (play, clips, AT)):
            some = draw_clips(store, GIVEN + max(at), count, 2, share)
            found[name] = exam(system, *some, at)
    return found


def asked(system: GameNGen, twin: Denoiser, one: Exam, at: Sequence[int]) -> Tensor:
    """PSNR of each clip at each step, ``[B, len(at)]``."""
    parts = []
    for some in torch.arange(len(one.past), device=one.past.device).split(64):
        frames = dream(system, twin, one.past[some], one.actions[some], at)
        parts.append(psnr(frames, one.real[some]))
    return torch.cat(parts)


# --- what is said of them ------------------------------------------------------------------------


def summary(runs: list[tuple[dict, dict[str, Tensor]]], exams: dict[str, dict]) -> dict:
    """The chapter's tables.

    Args:
        runs: of each twin its facts (``context``, ``play``, ``seed``) and its PSNR by exam,
            ``[clips, steps]``.
        exams: by name ``copied`` ``[clips, steps]`` and ``episodes`` ``[clips]``.

    Returns:
        ``contexts`` by length, each exam's step with its mean, its gain over a past of one frame
        (clip by clip, seed by seed), and the mean of every seed; ``play`` by exam and step with the
        agent's twin, the random one's, and the difference; ``copy``. A step of the next-frame exams
        is called "next".
    """
    seeds = sorted({facts["seed"] for facts, _ in runs})
    score = {(f["context"], f["play"], f["seed"]): psnrs for f, psnrs in runs}
    complete = [s for s in seeds if all((k, "agent", s) in score for k in CONTEXTS)]

    def of(context: int, play: str, name: str, chosen: Sequence[int]) -> Tensor:
        return torch.stack([score[context, play, s][name] for s in chosen]).double()

    def steps_of(name: str) -> list[tuple[str, int]]:
        return [("next", 0)] if name.endswith("next") else [(str(h), i) for i, h in enumerate(AT)]

    def told(values: Tensor, name: str, chosen: Sequence[int]) -> dict:
        """``[seeds, clips]`` -> an interval over episodes, and each seed's mean."""
        means = [round(v, 3) for v in values.mean(1).tolist()]
        mean = mean_estimate(values.mean(0), exams[name]["episodes"], seeds=chosen)
        return {"mean": mean, "by seed": means}

    both = [s for s in seeds if {(4, "agent", s), (4, "random", s)} <= score.keys()]
    found: dict = {"seeds": len(complete), "seeds play": len(both)}
    found |= {"contexts": {}, "play": {}, "copy": {}}
    for name, facts in exams.items():
        for word, i in steps_of(name):
            copied = mean_estimate(facts["copied"][:, i], facts["episodes"])
            found["copy"].setdefault(name.split()[0], {})[word] = copied
    for context in sorted(CONTEXTS) if complete else ():
        row = found["contexts"][str(context)] = {}
        for name in ("agent next", "agent"):
            values, first = (of(k, "agent", name, complete) for k in (context, 1))
            for word, i in steps_of(name):
                row[word] = told(values[..., i], name, complete)
                row[f"gain {word}"] = told((values - first)[..., i], name, complete)
    for name in exams if both else ():
        sides = [of(4, play, name, both) for play in ("agent", "random")]
        for word, i in steps_of(name):
            a, b = (side[..., i] for side in sides)
            rows = {"agent": a, "random": b, "ahead": a - b}
            found["play"].setdefault(name.split()[0], {})[word] = {
                key: told(value, name, both) for key, value in rows.items()
            }
    return found | {"exams": {name: _size(facts["episodes"]) for name, facts in exams.items()}}


def _size(episodes: Tensor) -> dict[str, int]:
    return {"clips": len(episodes), "episodes": len(episodes.unique())}


def read(folder: Path) -> dict:
    """The tables of all runs in a folder, and the share of each key in either play."""
    kept = load_file(folder / "exams.safetensors")
    exams = {
        name.removesuffix("/copied"): {
            "copied": value, "episodes": kept[name.replace("/copied", "/episodes")]
        }
        for name, value in kept.items()
        if name.endswith("/copied")
    }  # fmt: skip
    runs = []
    for file in sorted(folder.glob("twin-*.safetensors")):
        with safe_open(file, "pt") as content:
            facts = json.loads(content.metadata()["facts"])
            scores = {name: content.get_tensor(f"psnr/{name}") for name in facts["exams"]}
        runs.append((facts, scores))
    seconds = sorted(facts["seconds"] for facts, _ in runs)
    about = {k: runs[0][0][k] for k in ("steps", "batch", "frames")}
    about["keys"] = {
        name.removeprefix("keys/"): [round(share, 3) for share in value.tolist()]
        for name, value in kept.items()
        if name.startswith("keys/")
    }
    return about | {"seconds": seconds[len(seconds) // 2]} | summary(runs, exams)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("data", type=Path, help="agent/, random/ and random-held-out/")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--clips", type=int, default=40, help="of three seconds, of either play")
    parser.add_argument("--frames", type=int, default=256, help="next frames, of either play")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    system = hub.load(args.checkpoint).to(args.device)
    data = data_of(system, {"agent", "random"}, args.data, args.out)
    exams = exams_of(system, args.data, args.clips, args.frames)
    kept = {f"{name}/{part}": getattr(one, part).cpu().contiguous()
            for name, one in exams.items() for part in ("copied", "episodes")}  # fmt: skip
    for play, some in data.items():
        kept[f"keys/{play}"] = some.actions.cpu().bincount().double() / len(some.actions)
    save_file(kept, args.out / "exams.safetensors")
    for twin in plan(args.seeds):
        file = args.out / f"twin-{twin.play}-{twin.context}-{twin.seed}.safetensors"
        if file.exists():
            continue
        begin, some = time.process_time(), data[twin.play]
        config = config_of(twin, system.config.denoiser)
        made = train_twin(config, some, twin.seed, args.steps, args.batch)
        spent = round(time.process_time() - begin, 1)
        names = [name for name in exams if twin.context == 4 or name.startswith("agent")]
        scores = {
            name: asked(system, made, exams[name], AT[: exams[name].real.shape[1]]).cpu()
            for name in names
        }
        facts = asdict(twin) | {
            "steps": args.steps, "batch": args.batch, "frames": len(some.latents),
            "seconds": spent, "exams": names,
        }  # fmt: skip
        weights = {name: value.half().cpu() for name, value in made.state_dict().items()}
        weights |= {f"psnr/{name}": value.contiguous() for name, value in scores.items()}
        save_file(weights, file, {"facts": json.dumps(facts)})
        means = {name: [round(v, 2) for v in x.mean(0).tolist()] for name, x in scores.items()}
        print(twin, spent, f"{time.process_time() - begin:.0f} s", means, flush=True)


if __name__ == "__main__":
    main()
