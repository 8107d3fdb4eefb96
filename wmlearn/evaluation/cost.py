"""Cost: parameters, arithmetic per frame, frames per second here."""

from __future__ import annotations

import platform
import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from wmlearn.data.clip import Clip
from wmlearn.world import World


@dataclass(frozen=True)
class Cost:
    """What a world costs; ``None`` is "not measured".

    Attributes:
        parameters: of the networks that the world holds.
        flops_per_frame: of one step at batch 1 by the plain algorithms; matrix products and
            convolutions only, one multiply-add is 2 FLOPs.
        frames_per_second: at batch 1, the speed of play.
        frames_per_second_batch: frames of all dreams together, at ``batch`` dreams side by side.
        training_minutes: as written in the checkpoint's card.
        machine: processor or accelerator on which the speed was measured.
        threads: CPU threads that torch used.
    """

    parameters: int | None
    flops_per_frame: int | None
    frames_per_second: float
    frames_per_second_batch: float
    batch: int
    machine: str
    threads: int
    training_minutes: float | None = None


def measure_cost(
    world: World,
    clip: Clip,
    batch: int = 32,
    repeats: int = 5,
    training_minutes: float | None = None,
) -> Cost:
    """Measures a world, continuing ``clip`` (repeated to ``batch`` clips; needs actions).

    Speeds are the median of ``repeats`` runs, after one run to warm up.
    """
    rows = torch.arange(batch) % len(clip)
    context = clip.time(0, world.context_frames)[rows]
    action = clip.require("actions").actions[rows, -1]
    flops, device = _flops(world, context[:1], action[:1])
    return Cost(
        parameters=count_parameters(world),
        flops_per_frame=flops or None,
        frames_per_second=_speed(world, context[:1], action[:1], 8, repeats),
        frames_per_second_batch=_speed(world, context, action, 2, repeats),
        batch=batch,
        machine=machine_name(device),
        threads=torch.get_num_threads(),
        training_minutes=training_minutes,
    )


def count_parameters(world: World) -> int | None:
    """Parameters of the world, or of the modules among its attributes; ``None`` if none."""
    modules = [world] if isinstance(world, nn.Module) else list(vars(world).values())
    parameters = {
        parameter: parameter.numel()
        for module in modules
        if isinstance(module, nn.Module)
        for parameter in module.parameters()
    }
    return sum(parameters.values()) or None


def machine_name(device: torch.device) -> str:
    """The accelerator's name, or the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _flops(world: World, context: Clip, action: torch.Tensor) -> tuple[int, torch.device]:
    """FLOPs of one step, and the device that it ran on."""
    generator = torch.Generator().manual_seed(0)
    lstm = torch.ops.aten.lstm
    formulas = {lstm: _lstm_flops, lstm.input: _lstm_flops}
    # The counter sees an LSTM before autocast has cast its weights, which fails: count in float32.
    with (
        torch.inference_mode(),
        patch.object(torch, "autocast", lambda *args, **options: nullcontext()),
    ):
        state = world.reset(context)
        with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
            _, step = world.step(state, action, generator)
    return counter.get_total_flops(), step.frame.device


def _lstm_flops(x: torch.Size, state: list, weights: list, *args, **kwargs) -> int:
    """Two FLOPs for each weight (the biases have one axis) at each of the B x T steps."""
    return 2 * x[:-1].numel() * sum(shape.numel() for shape in weights if len(shape) == 2)


@torch.inference_mode()
def _speed(world: World, context: Clip, action: torch.Tensor, steps: int, repeats: int) -> float:
    generator = torch.Generator().manual_seed(0)
    state = world.reset(context)
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        for _ in range(steps):
            state, step = world.step(state, action, generator)
        step.frame.cpu()  # waits for an accelerator
        seconds.append(time.perf_counter() - start)
    return len(action) * steps / statistics.median(seconds[1:])
