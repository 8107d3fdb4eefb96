"""How plain values, and functions to be called back, cross between a check and an answer.

Two sides, in one process or in two. The check's side holds functions and graphs; the answer's side
sees tensors of its own, and a function of the check's as something that it can call and
differentiate through.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn


class Leaf(NamedTuple):
    """A tensor argument whose gradient is asked for."""

    value: Tensor


class Net(NamedTuple):
    """A network argument: the answer sees an ``nn.Module`` with these parameters.

    Attributes:
        parameters: tensors by name.
        forward: ``forward(parameters, *arguments)``, a function of the check's.
    """

    parameters: dict[str, Tensor]
    forward: Callable[..., Any]


class Called(NamedTuple):
    """What a function of the check's gave.

    Attributes:
        template: its value, with a :class:`Slot` in place of each tensor.
        outputs: those tensors, detached.
        tracked: for each, whether a gradient can flow back through it.
        graph: what ``backward`` needs, whatever that is.
    """

    template: Any
    outputs: list[Tensor]
    tracked: list[bool]
    graph: Any


class Function(Protocol):
    """A function of the check's, here or behind a pipe."""

    def forward(self, arguments: Any, named: Any, tensors: list[Tensor]) -> Called:
        """Calls it: ``arguments`` and ``named`` have slots, ``tensors`` what stands in them.

        The tensors are detached; those with the attribute ``tracked`` want a gradient.
        """

    def backward(self, graph: Any, gradients: list[Tensor | None]) -> list[Tensor | None]:
        """From the gradients of the outputs to those of the tensors."""


@contextmanager
def as_default(dtype: torch.dtype) -> Iterator[None]:
    """torch's default precision for a while; what it was before comes back."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


# Values


def sent(x: Any) -> Any:
    """A value of the check's, copied, in float32: what the answer gets, but for the precision."""
    if isinstance(x, Leaf):
        return sent(x.value)
    if isinstance(x, Net):
        return sent(x.parameters)
    if isinstance(x, Tensor):
        x = x.detach().clone()
        return x.float() if x.is_floating_point() else x
    if isinstance(x, list | tuple):
        return type(x)(sent(item) for item in x)
    return {key: sent(item) for key, item in x.items()} if isinstance(x, dict) else x


def arrive(x: Any, function: Callable[[Any], Function]) -> Any:
    """What the answer gets. ``function`` makes the answer's side of a function of the check's."""
    if isinstance(x, Leaf):
        return arrive(x.value, function).requires_grad_()
    if isinstance(x, Net):
        return Module(x, function)
    if isinstance(x, torch.Generator):
        return torch.Generator().set_state(x.get_state())
    return served(function(x)) if callable(x) else _in_default(sent(x))


def _in_default(x: Any) -> Any:
    """The same in torch's default precision."""
    if isinstance(x, Tensor):
        return x.to(torch.get_default_dtype()) if x.is_floating_point() else x
    if isinstance(x, list | tuple):
        return type(x)(_in_default(item) for item in x)
    return {key: _in_default(item) for key, item in x.items()} if isinstance(x, dict) else x


def leave(now: Any, before: Any) -> Any:
    """An argument after the call, as the check sees it."""
    if isinstance(now, Module):
        return {name: sent(p) for name, p in now.named_parameters()}
    if isinstance(before, torch.Generator) or callable(before):
        return before
    return sent(now)


def plain(x: Any) -> Any:
    """What the answer gave, as the check sees it: tensors detached, arrays as tensors."""
    if isinstance(x, Tensor):
        copy = x.detach().clone()
        copy.tracked = x.requires_grad
        return copy
    if isinstance(x, np.ndarray | np.generic):
        return torch.as_tensor(np.array(x)) if x.dtype.kind in "biuf" else x
    if isinstance(x, list | tuple):
        return tuple(map(plain, x)) if isinstance(x, tuple) else [plain(item) for item in x]
    return {key: plain(item) for key, item in x.items()} if isinstance(x, dict) else x


def same(a: Any, b: Any) -> bool:
    """Whether two plain values are equal to the last bit."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a is b or type(a) is type(b) and a == b


def names_of(function: Callable) -> tuple[str, ...]:
    """The names of a function's arguments, empty if Python cannot tell."""
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()


# Gradients


def pull_back(value: Any, weights: Any) -> None:
    """Computes the gradients of the values times the weights."""
    pairs = zip(value, weights, strict=True) if isinstance(weights, tuple) else [(value, weights)]
    tensors, pulls = [], []
    for x, weight in pairs:
        if weight is not None and isinstance(x, Tensor) and x.requires_grad:
            tensors.append(x)
            pulls.append(torch.as_tensor(weight).to(x).expand_as(x))
    if tensors:
        torch.autograd.backward(tensors, pulls)


def gradient(x: Any) -> Any:
    """The gradient that an argument got: None, a tensor, or tensors by name."""
    if isinstance(x, Module):
        return {name: p.grad for name, p in x.named_parameters()}
    return x.grad if isinstance(x, Tensor) else None


# Functions of the check's


class Module(nn.Module):
    """A :class:`Net`, on the answer's side."""

    def __init__(self, net: Net, function: Callable[[Any], Function]) -> None:
        super().__init__()
        for name, value in net.parameters.items():
            self.register_parameter(name, nn.Parameter(arrive(value, function)))
        self._forward = served(function(net.forward))

    def forward(self, *arguments: Any) -> Any:
        return self._forward(dict(self.named_parameters()), *arguments)


class Local:
    """The check's side of a function: it is called here."""

    def __init__(self, function: Callable) -> None:
        self.function = function

    def forward(self, arguments: Any, named: Any, tensors: list[Tensor]) -> Called:
        with torch.enable_grad(), as_default(torch.float32):
            inputs = [x.requires_grad_(x.tracked and x.is_floating_point()) for x in tensors]
            arguments, named = put_in(arguments, list(inputs)), put_in(named, list(inputs))
            if named:  # a callback has positions, no names: put them where the check expects them
                arguments = inspect.signature(self.function).bind(*arguments, **named).args
            value = self.function(*arguments)
            outputs: list[Tensor] = []
            template = take_out(value, outputs)
        made = [y.detach().clone() for y in outputs]
        return Called(template, made, [y.requires_grad for y in outputs], (inputs, outputs))

    def backward(self, graph: Any, gradients: list[Tensor | None]) -> list[Tensor | None]:
        inputs, outputs = graph
        pairs = [
            (y, g.to(y.dtype))
            for y, g in zip(outputs, gradients, strict=True)
            if y.requires_grad and g is not None
        ]
        if pairs:
            torch.autograd.backward(*zip(*pairs, strict=True))
        return [x.grad for x in inputs]


def served(function: Function) -> Callable:
    """A function of the check's for the answer to call: plain values cross, gradients too."""

    def call(*arguments: Any, **named: Any) -> Any:
        tensors: list[Tensor] = []
        templates = take_out(arguments, tensors), take_out(named, tensors)
        handle = torch.zeros((), requires_grad=True)  # the check may have parameters of its own
        result: list = []
        made = _Served.apply(function, templates, result, handle, *tensors)
        return put_in(result[0], list(made))

    return call


class _Served(torch.autograd.Function):
    @staticmethod
    def forward(ctx, function, templates, result, handle, *tensors):
        learners = torch.get_default_dtype()
        called = function.forward(*templates, [inward(x) for x in tensors])
        result.append(called.template)
        ctx.function, ctx.graph = function, called.graph
        floats = [x.dtype for x in tensors if x.is_floating_point()]
        kind = floats[0] if floats else learners
        made = [y.to(kind) if y.is_floating_point() else y for y in called.outputs]
        fixed = [y for y, flows in zip(made, called.tracked, strict=True) if not flows]
        ctx.mark_non_differentiable(*fixed)
        return tuple(made)

    @staticmethod
    def backward(ctx, *gradients):
        return None, None, None, None, *ctx.function.backward(ctx.graph, list(gradients))


def inward(x: Tensor) -> Tensor:
    """A tensor of the answer's, as a function of the check's sees it: float64, detached."""
    inside = x.detach().clone()
    inside = inside.double() if inside.is_floating_point() else inside
    inside.tracked = x.requires_grad
    return inside


class Slot(NamedTuple):
    """Stands for the tensor of this number."""

    number: int


def take_out(x: Any, tensors: list[Tensor]) -> Any:
    """The same structure with a slot for each tensor, which goes to the list."""
    if isinstance(x, np.ndarray):
        x = torch.as_tensor(x)
    if isinstance(x, Tensor):
        tensors.append(x)
        return Slot(len(tensors) - 1)
    if isinstance(x, list | tuple) and not isinstance(x, Slot):
        return type(x)(take_out(item, tensors) for item in x)
    return {k: take_out(item, tensors) for k, item in x.items()} if isinstance(x, dict) else x


def put_in(x: Any, tensors: list[Tensor]) -> Any:
    """The structure with the tensors in their slots."""
    if isinstance(x, Slot):
        return tensors[x.number]
    if isinstance(x, list | tuple):
        return type(x)(put_in(item, tensors) for item in x)
    return {k: put_in(item, tensors) for k, item in x.items()} if isinstance(x, dict) else x
