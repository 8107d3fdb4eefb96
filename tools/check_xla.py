"""Trains systems for a few steps under XLA, on the CPU, beside PyTorch: what a TPU would run.

    python3 -m venv .xla && .xla/bin/pip install torch==2.9.0 torch_xla==2.9.0 -e ".[envs,procgen]"
    .xla/bin/python tools/check_xla.py [--steps N] [SYSTEM ...]    # all of the registry by default

It takes 7 GB of disk and is therefore no part of the tests. It fails when a step makes XLA compile
anew after the second one (a shape or a branch that depends on data), falls back to PyTorch's own
kernels, or ends elsewhere than PyTorch does from the same weights and clips.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import os
import sys
import tempfile

os.environ.setdefault("PJRT_DEVICE", "CPU")

import torch
import torch_xla
import torch_xla.debug.metrics as xla_metrics

from wmlearn.data.clip import Clip
from wmlearn.data.datamodule import ClipDataModule
from wmlearn.systems import SYSTEMS
from wmlearn.train.data import gather

FETCHES = {"aten::_local_scalar_dense"}  # reading a number out, at the end of a step


SYSTEMS_THAT_TRAIN = {entry.name: entry.load("recipe") for entry in SYSTEMS if entry.recipe}
"""The policies are left out: they take their optimizer steps by themselves, in a learned world."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    names = list(SYSTEMS_THAT_TRAIN)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=", ".join(names))
    parser.add_argument("--steps", type=int, default=6)
    args = parser.parse_args()
    for name in args.systems:
        if name not in names:
            parser.error(f"there is no system '{name}'; choose from {', '.join(names)}")
    passed = [check(name, args.steps) for name in args.systems or names]
    return 0 if all(passed) else 1


def check(name: str, steps: int) -> bool:
    """Whether XLA compiles once, runs everything itself and ends where PyTorch does."""
    xla_metrics.clear_all()  # an earlier system's
    recipe = SYSTEMS_THAT_TRAIN[name]
    run, config = recipe.preset("smoke")
    with tempfile.TemporaryDirectory() as folder:
        store = gather(dataclasses.replace(run, progress=False), folder)
        data = ClipDataModule(
            store,
            batch_size=run.batch_size,
            length=run.clip_frames,
            pad_start=run.pad_start,
            passive=recipe.passive,
        )
        data.setup("fit")
        loader = iter(data.train_dataloader())
        clips = [next(loader) for _ in range(steps)]
        module = recipe.build(recipe.complete(config, run, store))
    torch.manual_seed(0)
    for parameter in module.parameters():  # layers that start at zero would hide those before them
        if parameter.requires_grad and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)

    start = {key: value.clone() for key, value in module.state_dict().items()}
    # XLA first: autograd counts the devices when it first runs.
    theirs, compiled = train(copy.deepcopy(module), clips, torch_xla.device())
    ours, _ = train(module, clips, torch.device("cpu"))
    counters = set(xla_metrics.counter_names())
    fallbacks = {c for c in counters if c.startswith("aten::")} - FETCHES
    moved = sum((ours[k] - start[k].cpu()).square().sum() for k in ours) ** 0.5
    apart = sum((ours[k] - theirs[k]).square().sum() for k in ours) ** 0.5
    print(f"{name}: compilations after each step {compiled}")
    print(f"fallbacks {sorted(fallbacks) or 'none'}")
    print(f"weights moved by {moved:.4g}; XLA's and PyTorch's are {apart:.3g} apart")
    good = len(set(compiled[2:])) == 1 and not fallbacks and apart < 1e-2 * moved
    print("passed" if good else "FAILED")
    return good


def train(module, clips: list[Clip], device: torch.device) -> tuple[dict, list[int]]:
    """Weights after one plain SGD step for each clip, and compilations after each."""
    module = module.to(device).train()
    module.log_dict = module.log = lambda *args, **kwargs: None
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    compiled = []
    for number, clip in enumerate(clips):
        optimizer.zero_grad()
        module.training_step(_to(clip, device), number).backward()
        optimizer.step()
        if device.type == "xla":
            torch_xla.sync()
            compiled.append((xla_metrics.metric_data("CompileTime") or [0])[0])
    return {k: v.detach().cpu().double() for k, v in module.state_dict().items()}, compiled


def _to(clip: Clip, device: torch.device) -> Clip:
    parts = {field.name: getattr(clip, field.name) for field in dataclasses.fields(clip)}
    return Clip(**{k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in parts.items()})


if __name__ == "__main__":
    sys.exit(main())
