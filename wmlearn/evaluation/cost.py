"""Cost: parameters, arithmetic per frame, frames per second here."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from wmlearn.data.clip import Clip
from wmlearn.metrics import Estimate
from wmlearn.world import World


@dataclass(frozen=True)
class Cost:
    """Cost of a world; ``None`` is "not measured".

    Attributes:
        parameters: of the networks that the world holds.
        flops_per_frame: of one step at batch 1 by the plain algorithms; matrix products and
            convolutions only, one multiply-add is 2 FLOPs.
        frames_per_second: at batch 1, the speed of play; the median of ``n`` runs.
        frames_per_second_batch: frames of all dreams together, at ``batch`` dreams side by side.
        training_minutes: as written in the checkpoint's card.
        machine: processor or accelerator on which the speed was measured.
        threads: CPU threads that torch used.
    """

    parameters: int | None
    flops_per_frame: int | None
    frames_per_second: Estimate
    frames_per_second_batch: Estimate
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

    def run(count: int, steps: int) -> Callable[[], Tensor]:
        """The timed part: ``steps`` steps of ``count`` dreams, without the reset."""
        with torch.inference_mode():
            state = world.reset(context[:count])
        generator = torch.Generator().manual_seed(0)

        def play() -> Tensor:
            nonlocal state
            for _ in range(steps):
                state, step = world.step(state, action[:count], generator)
            return step.features if step.frame is None else step.frame

        return play

    return measure_calls(
        run(1, 1),
        run(1, 8),
        run(batch, 2),
        frames=(world.chunk, 8 * world.chunk, 2 * batch * world.chunk),
        batch=batch,
        parameters=count_parameters(world),
        repeats=repeats,
        training_minutes=training_minutes,
    )


def measure_calls(
    once: Callable[[], Tensor],
    alone: Callable[[], Tensor],
    together: Callable[[], Tensor],
    *,
    frames: tuple[int, int, int],
    batch: int,
    parameters: int | None,
    repeats: int = 5,
    training_minutes: float | None = None,
) -> Cost:
    """The cost of any computation on frames.

    Args:
        once: is counted: FLOPs of one call.
        alone, together: are timed, at batch 1 and at ``batch``.
        frames: how many each of the three handles in a call.
        batch: of ``together``.
        parameters: of the networks.
        repeats: timed runs, after one run to warm up.
        training_minutes: as the checkpoint says.
    """
    with torch.inference_mode():
        flops, device = _flops(once)
        speeds = _speed(alone, frames[1], repeats), _speed(together, frames[2], repeats)
    return Cost(
        parameters=parameters,
        flops_per_frame=flops // frames[0] or None,
        frames_per_second=speeds[0],
        frames_per_second_batch=speeds[1],
        batch=batch,
        machine=machine_name(device),
        threads=torch.get_num_threads(),
        training_minutes=training_minutes,
    )


def count_parameters(world: World | nn.Module) -> int | None:
    """Parameters of the networks that a world holds, or of a module; ``None`` if none."""
    modules = world.modules() if isinstance(world, World) else [world]
    parameters = {p: p.numel() for module in modules for p in module.parameters()}
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


def _flops(call: Callable[[], Tensor]) -> tuple[int, torch.device]:
    """FLOPs of one call, and the device that it ran on."""
    lstm = torch.ops.aten.lstm
    formulas = {lstm: _lstm_flops, lstm.input: _lstm_flops}
    # The counter sees an LSTM before autocast has cast its weights, which fails: count in float32.
    with (
        patch.object(torch, "autocast", lambda *args, **options: nullcontext()),
        FlopCounterMode(display=False, custom_mapping=formulas) as counter,
    ):
        result = call()
    return counter.get_total_flops(), result.device


def _lstm_flops(x: torch.Size, state: list, weights: list, *args, **kwargs) -> int:
    """Two FLOPs for each weight (the biases have one axis) at each of the B x T steps."""
    return 2 * x[:-1].numel() * sum(shape.numel() for shape in weights if len(shape) == 2)


def _speed(call: Callable[[], Tensor], frames: int, repeats: int) -> Estimate:
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call().cpu()  # waits for an accelerator
        seconds.append(time.perf_counter() - start)
    return Estimate(frames / statistics.median(seconds[1:]), n=repeats)
