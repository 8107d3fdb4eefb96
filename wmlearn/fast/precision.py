"""Whether a device has native bfloat16."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def bfloat16_is_fast(device: torch.device | str) -> bool:
    """Whether the device computes in bfloat16 natively.

    Elsewhere it is emulated: on a laptop's processor without AVX-512 BF16 a training step then
    takes five times as long as in float32, and a T4, Colab's usual GPU, emulates it too.
    """
    device = torch.device(device)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported()
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "xla"


def half_weights(module: Module) -> Module:
    """A copy whose products keep their weights in bfloat16, to be run under autocast.

    Autocast would cast them at every call, which is a sixth of the time of a small network's. What
    it computes in float32 (norms, embeddings, Fourier features) stays float32 here, so numbers are
    those of autocast but for the order of sums.
    """
    module = copy.deepcopy(module)
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.to(torch.bfloat16)
        if isinstance(layer, nn.Conv2d):
            layer.to(memory_format=torch.channels_last)
    return module
