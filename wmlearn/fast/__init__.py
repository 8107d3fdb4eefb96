"""Faster CPU kernels with the same results. Nothing here is needed to understand a model.

``nn/`` has the textbook form of every layer; :func:`speed_up` exchanges it in a finished model.
"""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from wmlearn.fast.lstm import FastLSTM
from wmlearn.fast.memory import keep_freed_memory
from wmlearn.fast.time_first import FastSTTransformer
from wmlearn.fast.upsample import FastUpsample
from wmlearn.fast.winograd import FastConv3x3
from wmlearn.nn.st_transformer import STTransformer
from wmlearn.nn.unet import Upsample

Module = TypeVar("Module", bound=nn.Module)
FASTER = {
    nn.Conv2d: FastConv3x3,
    nn.LSTM: FastLSTM,
    Upsample: FastUpsample,
    STTransformer: FastSTTransformer,
}


def speed_up(module: Module) -> Module:
    """Replaces layers of a model that runs on a CPU by faster equivalents.

    Parameters, their names and the numbers stay as they are, but for the last bits; so does what
    the layers do on another device, under autocast or while they are traced.

    Args:
        module: changed in place. A second call changes nothing.

    Returns:
        The same module.
    """
    keep_freed_memory()
    for layer in module.modules():
        faster = FASTER.get(type(layer))
        if faster is not None and faster.fits(layer):
            layer.__class__ = faster
    return module
