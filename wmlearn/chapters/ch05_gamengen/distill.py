"""One step instead of three: a student learns in one pass what its teacher draws in several.

    python -m wmlearn.chapters.ch05_gamengen.distill gamengen-doom runs/defend/agent \\
        student.safetensors

DDIM draws no numbers of its own: the first noise decides the frame. So the way from noise to frame
is a function, and a copy of the network can learn it by squared errors (Salimans and Ho 2022
halve the steps again and again; this goes to one at once). Half of a batch has a past of real
frames, half one of the student's own.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from wmlearn import hub
from wmlearn.chapters.ch05_gamengen.ablations import windows_of
from wmlearn.chapters.ch05_gamengen.ship_denoiser import Latents, OwnPast, Windows, encode_all
from wmlearn.recipes.average import Average
from wmlearn.systems.gamengen.config import SamplerConfig
from wmlearn.systems.gamengen.denoiser import Denoiser
from wmlearn.systems.gamengen.network import GameNGenNetwork
from wmlearn.systems.gamengen.system import GameNGen

FILE = "gamengen-doom-one-step/student.safetensors"  # in the folder of all checkpoints


def at_once(denoiser: Denoiser, noise: Tensor, past: Tensor, actions: Tensor) -> Tensor:
    """The frame that a single step makes of noise: [B, c, h, w] -> [B, c, h, w]."""
    batch = len(noise)
    full = noise.new_full((batch,), float(denoiser.full_noise))
    v = denoiser.v(noise, full, past, noise.new_zeros(batch), actions)
    return denoiser.prediction.x_hat(v, noise, full)


def distill(
    teacher: Denoiser,
    windows: Windows,
    sampler: SamplerConfig,
    seconds: float,
    batch: int,
    rate: float = 4e-4,
) -> tuple[Denoiser, int]:
    """The student, with averaged weights, and how many steps it took.

    Args:
        teacher: trained.
        windows: recorded play.
        sampler: how the teacher draws.
        seconds: of the processor.
        batch: of which half has a past of its own.
        rate: learning rate at the start; it falls to zero along a cosine.
    """
    device = windows.device
    student = copy.deepcopy(teacher).train()
    teacher.requires_grad_(False)
    parameters = list(student.parameters())
    average = Average(parameters, 0.99)
    optimizer = torch.optim.AdamW(parameters, rate, betas=(0.9, 0.99), weight_decay=1e-2)
    dreams = OwnPast(windows, batch // 2)
    begin, step = time.process_time(), 0
    while (share := (time.process_time() - begin) / seconds) < 1:
        for group in optimizer.param_groups:
            fall = max(0.01, 0.5 * (1 + math.cos(math.pi * share)))
            group["lr"] = rate * min(1, (step + 1) / 50) * fall
        real, actions, _, _, weight = windows(windows.draw(batch - batch // 2))
        _, own_actions, _, _, own_weight = windows(dreams.last)
        past = torch.cat([real[:, :-1], dreams.past])
        actions = torch.cat([actions, own_actions])
        noise = torch.randn(past[:, 0].shape, generator=windows.generator, device=device)
        with torch.autocast(device.type, torch.bfloat16):
            with torch.no_grad():
                wanted = teacher.sample(past, actions, lambda *shape, z=noise: z, sampler).float()
            drawn = at_once(student, noise, past, actions)
            loss = (torch.cat([weight, own_weight]) * (drawn - wanted).square()).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        dreams.step(drawn.detach()[batch - batch // 2 :].float(), 15)
        step += 1
        average.update(step)
        if step % 50 == 0:
            spent = time.process_time() - begin
            print(f"student {step}, {spent:.0f} s, error {loss.item():.4f}", flush=True)
    average.use()
    return student.eval(), step


def load_student(system: GameNGenNetwork, file: Path) -> GameNGenNetwork:
    """The system with the student of a file as its denoiser; its world draws in one step."""
    weights = {name: value.float() for name, value in hub.read_tensors(file).items()}
    student = copy.deepcopy(system)
    student.denoiser.load_state_dict(weights)
    student.config = replace(system.config, sampler=replace(system.config.sampler, num_steps=1))
    return student


def facts_of(file: Path) -> dict:
    """How a student was trained."""
    with safe_open(file, "pt") as content:
        return json.loads(content.metadata()["facts"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=4e-4)
    parser.add_argument("--num-steps", type=int, help="of the teacher; default: its own")
    parser.add_argument("--latents", type=Path, help="kept by ablations; spares the encoding")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    if args.device == "cpu":
        torch.set_num_threads(1)
    system: GameNGen = hub.load(args.checkpoint).to(args.device)
    generator = torch.Generator(args.device).manual_seed(0)
    n = system.config.denoiser.context_frames
    if args.latents:
        data = Latents(*torch.load(args.latents, weights_only=True, map_location=args.device))
    else:
        data = encode_all(system, args.data)
    sampler = replace(
        system.config.sampler, num_steps=args.num_steps or system.config.sampler.num_steps
    )
    windows = windows_of(data, n, generator)
    student, steps = distill(system.denoiser, windows, sampler, args.seconds, args.batch, args.rate)
    facts = {
        "steps": steps, "seconds": args.seconds, "batch": args.batch,
        "teacher's steps": sampler.num_steps,
    }  # fmt: skip
    weights = {k: v.half().cpu() for k, v in student.state_dict().items()}
    save_file(weights, args.out, {"facts": json.dumps(facts)})
    print(f"{args.out}: {steps} steps")


if __name__ == "__main__":
    main()
