"""What ``fast.speed_up`` is worth: a training step of each kind of network, before and after.

    python benchmarks/speed_up.py

Ratio of the median processor times of alternating steps, one thread. Below 1 it pays.
"""

from __future__ import annotations

import copy

import torch
from attention import ratio
from torch import nn

from wmlearn.fast import speed_up
from wmlearn.fast.memory import keep_freed_memory
from wmlearn.nn.st_transformer import STTransformer
from wmlearn.nn.unet import UNet

MODELS = {  # name: model and the shapes of its inputs
    "U-Net 64 x 64": (
        UNet((2, 2, 2, 2), (64,) * 4, (False,) * 4, 256),
        [(2, 64, 64, 64), (2, 256)],
    ),
    "ST transformer 160": (STTransformer(160, 2, 5, space=64), [(8, 8, 64, 160)]),
    "ST transformer 96": (STTransformer(96, 2, 3, space=64), [(8, 16, 64, 96)]),
    "ST transformer 32": (STTransformer(32, 2, 2, space=256), [(2, 4, 256, 32)]),
}


def step(model: nn.Module, inputs: list[torch.Tensor], half: bool) -> None:
    model.zero_grad()
    inputs = [x.bfloat16() if half else x for x in inputs]
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        loss = model(*inputs).float().square().mean()
    loss.backward()


def main() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    print(" " * 20, "float32".rjust(10), "bfloat16".rjust(10))
    for name, (model, shapes) in MODELS.items():
        inputs, faster = [torch.randn(shape) for shape in shapes], speed_up(copy.deepcopy(model))
        row = []
        for half in (False, True):
            runs = [lambda m=m, x=inputs, h=half: step(m, x, h) for m in (faster, model)]
            row.append(f"{ratio(runs, 5):10.2f}")
        print(name.ljust(20), *row)


if __name__ == "__main__":
    main()
