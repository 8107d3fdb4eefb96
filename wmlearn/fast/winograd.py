"""3x3 convolutions that need about half of the time on a CPU, with the same result.

Two old tricks, both exact but for rounding:

* Winograd's minimal filtering computes a tile of 6x6 outputs of a 3x3 filter with 8 * 8
  multiplications a channel instead of 6 * 6 * 9, between cheap linear transforms of tile and
  filter (Lavin & Gray 2016). PyTorch's CPU builds contain an implementation (NNPACK), but do not
  choose it for float32 on x86. Its rounding error is about 3e-5 of the outputs' standard
  deviation, where the plain convolution has 1e-6.
* After repeating every pixel 2x2 times, a 3x3 filter sees only 2x2 different pixels. So its
  weights are added up first, and four 2x2 convolutions run on the small map.

Whether they are used depends on device, dtype, shapes, build and processor only, never on the data.
NNPACK knows vectors of 256 bits: where the plain convolution runs on twice as many, it is faster
without any trick. So the two are timed against each other once, when they are first needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.fast.memory import keep_freed_memory

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
    """Whether NNPACK beats the plain convolution here; measured once, in a twentieth of a second.

    On AMD's processors it needs about half of the time, on Intel's with AVX-512 half as much again;
    the best of seven runs is far from the border on either, so a busy machine decides the same.
    """
    if not has_nnpack():
        return False
    with torch.inference_mode():
        x, weight = torch.ones(1, 64, 64, 64), torch.ones(64, 64, 3, 3)
        plain = _best_time(lambda: F.conv2d(x, weight, padding=1))
        return _best_time(lambda: winograd_conv3x3(x, weight, None)) < plain


def _best_time(function: Callable[[], Tensor], runs: int = 7) -> float:
    """Seconds of the fastest run; the first one, which also prepares, does not count."""
    function()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _is_eager_cpu(x: Tensor, weight: Tensor) -> bool:
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


def winograd_pays(x: Tensor, weight: Tensor) -> bool:
    """Whether :class:`FastConv3x3` leaves the plain convolution; see the module's text."""
    large = min(x.shape[2:]) >= MIN_SIDE
    return large and _is_eager_cpu(x, weight) and nnpack_is_faster()


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
        if any(ctx.needs_input_grad):
            keep_freed_memory()
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

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C_in, H, W] -> [B, C_out, H, W]."""
        if winograd_pays(x, self.weight):
            return _WinogradConv3x3.apply(x, self.weight, self.bias)
        return super().forward(x)


# Row k of a 3x3 filter on repeated pixels is a part of row y of a 2x2 filter on the small map:
# _MERGE[parity of the output's row][y][k].
_MERGE = (((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)), ((1.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
_PARITIES = ((0, 0), (0, 1), (1, 0), (1, 1))  # of (row, column)


class _Weave(torch.autograd.Function):
    """Four maps, one for each parity of (row, column), each H + 1 x W + 1 -> one 2H x 2W map.

    A map of parity 1 starts at its second row (column), one of parity 0 ends before its last.
    """

    @staticmethod
    def forward(ctx, maps: Tensor) -> Tensor:  # [B, 2, 2, C, H + 1, W + 1]
        batch, _, _, channels, height, width = maps.shape
        height, width = height - 1, width - 1
        out = maps.new_empty(batch, channels, height, 2, width, 2)
        for a, b in _PARITIES:
            out[:, :, :, a, :, b] = maps[:, a, b, :, a : a + height, b : b + width]
        return out.view(batch, channels, 2 * height, 2 * width)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        batch, channels, height, width = grad.shape
        height, width = height // 2, width // 2
        grad = grad.reshape(batch, channels, height, 2, width, 2)
        out = grad.new_zeros(batch, 2, 2, channels, height + 1, width + 1)
        for a, b in _PARITIES:
            out[:, a, b, :, a : a + height, b : b + width] = grad[:, :, :, a, :, b]
        return out


def _repeat_pixels(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, C, 2 * H, 2 * W]; XLA has no gradient for ``F.interpolate``."""
    batch, channels, height, width = x.shape
    x = x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2)
    return x.reshape(batch, channels, 2 * height, 2 * width)


def upsample_conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution, padding 1, of ``x`` with every pixel repeated 2x2 times.

    Args:
        x: [B, C_in, H, W].
        weight: [C_out, C_in, 3, 3].
        bias: [C_out] or None.

    Returns:
        [B, C_out, 2 * H, 2 * W].
    """
    if not _is_eager_cpu(x, weight):
        return F.conv2d(_repeat_pixels(x), weight, bias, padding=1)
    merge = weight.new_tensor(_MERGE)
    filters = torch.einsum("ayk,bxl,oikl->aboiyx", merge, merge, weight).flatten(0, 2)
    maps = F.conv2d(x, filters, None if bias is None else bias.repeat(4), padding=1)
    return _Weave.apply(maps.unflatten(1, (2, 2, -1)))
