"""Layers whose weights lie as the CPU's kernel wants them, for play.

oneDNN sorts a convolution's weights anew at every call. On the small maps of a world that plays,
one picture at a time, that is most of a call (torch 2.13, one thread of an AMD EPYC with AVX-512
BF16, medians in microseconds; channels_last from "sorted once" on):

                               128 to 128, 4 x 4   64 to 64, 8 x 8   64 to 64, 16 x 16
    float32, sorted each time                111               104                 291
    float32, sorted once                      64                69                 192
    bfloat16, sorted each time               116                85                 154
    bfloat16, sorted once                     45                45                 109

Linear layers gain nothing by the same in float32 (64 rows of 160 to 640: 163 and 161); in bfloat16
they take .5 to .9 of that, casts of what goes in and out counted.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.fast.winograd import FastConv3x3, winograd_conv3x3, winograd_is_faster

Module = TypeVar("Module", bound=nn.Module)
WORTH_IT = 2**21  # products in a linear layer, from where on half precision gains
SORTED_FOR = 64  # rows of a linear layer's input; a constant, lest a sum depend on who asks first
MOST_NUMBERS = 2**22  # of a weight; larger ones cost memory twice, and sorting them little


class PackedConv2d(nn.Conv2d):
    """``nn.Conv2d`` without gradient, in a given precision, its weights sorted once.

    It takes any floating dtype and gives ``compute``; weights that change are sorted again.
    """

    compute: torch.dtype
    _packed: tuple[tuple, Tensor, Tensor | None] | None

    def forward(self, x: Tensor) -> Tensor:
        """[B, C_in, H, W] -> [B, C_out, H', W']."""
        x = x.to(self.compute)
        shape = (self.padding, self.stride, self.dilation, self.groups)
        if not _may_pack(x):  # e.g. FlopCounterMode
            bias = None if self.bias is None else self.bias.to(self.compute)
            padding, stride, dilation, groups = shape
            return F.conv2d(x, self.weight.to(x.dtype), bias, stride, padding, dilation, groups)
        if winograd_is_faster(x, self.weight) and FastConv3x3.fits(self):
            return winograd_conv3x3(x, self.weight, self.bias)
        x = x.contiguous(memory_format=torch.channels_last)
        now = _versions(self)
        if self._packed is None or self._packed[0] != now:
            self._packed = (now, *self._sort(x))
        _, weight, bias = self._packed
        return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, *shape, "none", [], "")

    def _sort(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        weight = self.weight.detach().to(self.compute).to_mkldnn()
        shape = (self.padding, self.stride, self.dilation, self.groups, list(x.shape))
        weight = torch._C._nn.mkldnn_reorder_conv2d_weight(weight, *shape)
        return weight, None if self.bias is None else self.bias.detach().to(self.compute)

    def __getstate__(self) -> dict:
        """What is copied or sent elsewhere is sorted there."""
        return {**super().__getstate__(), "_packed": None}


class PackedLinear(nn.Linear):
    """``nn.Linear`` without gradient, that computes in a given precision; its weights sorted once.

    It gives the dtype that it takes; weights that change are sorted again. For few rows the casts
    cost more than they save: there, and with gradients, it is the plain layer.
    """

    compute: torch.dtype
    _packed: tuple[tuple, Tensor, Tensor | None] | None

    def forward(self, x: Tensor) -> Tensor:
        """[*, D_in] -> [*, D_out]."""
        if not _may_pack(x) or x.numel() * self.out_features < WORTH_IT:
            return super().forward(x)
        now = _versions(self)
        if self._packed is None or self._packed[0] != now:
            weight = self.weight.detach().to(self.compute)
            weight = torch.ops.mkldnn._reorder_linear_weight(weight, SORTED_FOR)
            bias = None if self.bias is None else self.bias.detach().to(self.compute)
            self._packed = (now, weight, bias)
        _, weight, bias = self._packed
        y = torch.ops.mkldnn._linear_pointwise(x.to(self.compute), weight, bias, "none", [], "")
        return y.to(x.dtype)

    def __getstate__(self) -> dict:
        """What is copied or sent elsewhere is sorted there."""
        return {**super().__getstate__(), "_packed": None}


PACKED = {nn.Conv2d: PackedConv2d, nn.Linear: PackedLinear}


def packed(module: Module, compute: torch.dtype, kinds: tuple[type, ...] = (nn.Conv2d,)) -> Module:
    """A twin for play on a CPU: the same parameters, but layers that compute sooner.

    Args:
        module: stays as it is, and may go on learning: the twin's parameters are its own.
        compute: precision of these layers; the rest keeps the parameters' precision.
        kinds: of layers: ``nn.Conv2d``, ``nn.Linear``.

    Returns:
        The twin; ``module`` itself where this build of PyTorch has no such kernels.
    """
    if not can_pack(compute):
        return module
    shared = {id(t): t for t in (*module.parameters(), *module.buffers())}
    twin = copy.deepcopy(module, shared)
    for layer in twin.modules():
        kind = next((kind for kind in kinds if isinstance(layer, kind)), None)
        if kind is not None and _fits(layer):
            layer.__class__ = PACKED[kind]
            layer.compute, layer._packed = compute, None
    return twin


@cache
def can_pack(compute: torch.dtype) -> bool:
    """Whether this build has the kernels, tried once: they are no part of PyTorch's public API."""
    pairs = (
        (nn.Conv2d(2, 3, 3, padding=1), torch.ones(1, 2, 4, 4)),
        (nn.Linear(2, 3), torch.ones(4, 2)),
    )
    try:
        with torch.no_grad():
            return all(_packs_right(layer, x, compute) for layer, x in pairs)
    except (RuntimeError, AttributeError, TypeError):
        return False


def _packs_right(layer: nn.Module, x: Tensor, compute: torch.dtype) -> bool:
    twin = copy.copy(layer)
    twin.__class__ = PACKED[type(layer)]
    twin.compute, twin._packed = compute, None
    return torch.allclose(twin(x).float(), layer(x), atol=0.05)


def _fits(layer: nn.Conv2d | nn.Linear) -> bool:
    plain = isinstance(layer, nn.Linear) or (
        layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    )
    return plain and layer.weight.numel() <= MOST_NUMBERS


def _may_pack(x: Tensor) -> bool:
    """Whether nobody but us looks at what is computed here."""
    watched = torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack()
    return x.device.type == "cpu" and not torch.is_grad_enabled() and not watched


def _versions(layer: nn.Conv2d | nn.Linear) -> tuple:
    """Changes when one of the layer's parameters does."""
    return _version(layer.weight), None if layer.bias is None else _version(layer.bias)


def _version(parameter: Tensor) -> tuple[int, int]:
    """Changes when the parameter does."""
    version = -1 if parameter.is_inference() else parameter._version
    return parameter.data_ptr(), version
