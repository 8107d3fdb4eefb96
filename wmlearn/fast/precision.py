"""Whether a device has native bfloat16."""

from __future__ import annotations

import torch


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
