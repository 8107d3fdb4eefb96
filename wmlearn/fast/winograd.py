"""3x3 convolutions that need about half of the time on a CPU, with the same result.

Winograd's minimal filtering computes a tile of 6x6 outputs of a 3x3 filter with 8 * 8
multiplications a channel instead of 6 * 6 * 9, between cheap linear transforms of tile and filter
(Lavin & Gray 2016). PyTorch's CPU builds contain an implementation (NNPACK), but do not choose it
for float32 on x86. Its rounding error is about 3e-5 of the outputs' standard deviation, where the
plain convolution has 1e-6.

Whether it is used depends on device, dtype, shapes, build and processor only, never on the data nor
on a clock: the same seed gives the same bytes.
"""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MIN_SIDE = 32  # below this, most of a tiling with 6x6 is border and transforms of filters
PIXELS_PER_CALL = 64 * 64  # of a column of images; fewer cost transforms of filters, more the cache


@cache
def has_nnpack() -> bool:
    """Whether this build and this processor have NNPACK (asking for it also starts it)."""
    try:
        return torch._nnpack_available() and callable(torch._nnpack_spatial_convolution)
    except AttributeError:
        return False


@cache
def nnpack_is_faster() -> bool:
    """Whether NNPACK beats the plain convolution on this processor.

    NNPACK knows vectors of 256 bits, so it has fewer multiplications to do and no less to do them
    with where AVX2 is the widest. With AVX-512 it was measured: on AMD's processors it needs about
    half of the plain convolution's time, on Intel's half as much again. Processors of other
    families have PyTorch's own choice.
    """
    vectors = torch.backends.cpu.get_cpu_capability()
    if vectors == "AVX512":
        return has_nnpack() and "GenuineIntel" not in _vendor()
    return has_nnpack() and vectors == "AVX2"


def _vendor() -> str:
    """Text that names the processor's maker."""
    info = Path("/proc/cpuinfo")
    return info.read_text() if info.exists() else platform.processor()


def is_eager_cpu(x: Tensor, weight: Tensor) -> bool:
    """Whether ``x`` is a plain float32 CPU tensor, with nobody tracing what is done to it."""
    return (
        not (torch.compiler.is_compiling() or torch.jit.is_tracing())
        and type(x) is Tensor
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.ndim == 4
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()
        and torch._C._len_torch_dispatch_stack() == 0  # e.g. a FlopCounterMode
    )


def winograd_is_faster(x: Tensor, weight: Tensor) -> bool:
    """Whether :class:`FastConv3x3` leaves the plain convolution; see the module's text."""
    large = min(x.shape[2:]) >= MIN_SIDE
    return large and is_eager_cpu(x, weight) and nnpack_is_faster()


def winograd_conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``F.conv2d(x, weight, bias, padding=1)`` by NNPACK, without gradient.

    NNPACK has Winograd's algorithm for a single image only. So small images are put together to
    one: a column of images, with a row of zeros below each, which is also the next one's padding.
    """
    batch, channels, height, width = x.shape
    if batch == 1:
        return torch._nnpack_spatial_convolution(x, weight, bias, [1, 1])
    together = max(1, PIXELS_PER_CALL // (height * width))
    out = x.new_empty(batch, len(weight), height, width)
    for images, outputs in zip(x.split(together), out.split(together), strict=True):
        if together > 1:
            images = F.pad(images, (0, 0, 0, 1)).transpose(0, 1)
        column = images.reshape(1, channels, -1, width)
        y = torch._nnpack_spatial_convolution(column, weight, bias, [1, 1])
        if together > 1:
            y = y.view(len(weight), -1, height + 1, width)[:, :, :height].transpose(0, 1)
        outputs.copy_(y)
    return out


class _WinogradConv3x3(torch.autograd.Function):
    """The gradient by the input is again such a convolution: with flipped, transposed filters."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return winograd_conv3x3(x, weight, bias)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, *needs_parameters = ctx.needs_input_grad
        grad_x = grad_weight = grad_bias = None
        if needs_x:
            flipped = weight.flip(2, 3).transpose(0, 1).contiguous()
            grad_x = _WinogradConv3x3.apply(grad, flipped, None)
        if any(needs_parameters):
            _, grad_weight, grad_bias = torch.ops.aten.convolution_backward(
                grad, x, weight, [len(weight)], [1, 1], [1, 1], [1, 1], False, [0, 0], 1,
                [False, *needs_parameters],
            )  # fmt: skip
        return grad_x, grad_weight, grad_bias


class FastConv3x3(nn.Conv2d):
    """``nn.Conv2d`` with 3x3 filters, stride 1 and padding 1: same parameters, less CPU time."""

    @staticmethod
    def fits(conv: nn.Conv2d) -> bool:
        """Whether a convolution is one of those."""
        shape = (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
        same = shape == ((3, 3), (1, 1), (1, 1), (1, 1))
        return same and conv.groups == 1 and conv.padding_mode == "zeros"

    def forward(self, x: Tensor) -> Tensor:
        """[B, C_in, H, W] -> [B, C_out, H, W]."""
        if winograd_is_faster(x, self.weight):
            return _WinogradConv3x3.apply(x, self.weight, self.bias)
        return super().forward(x)
