"""How a check talks to an answer: functions called by name, plain values in and out.

A check holds no object of the learner's. It sees an :class:`Answer` for each function that the
exercise asks for, and calls it. What crosses over, in either direction, is plain:

- ``None``, numbers, strings, tensors (or NumPy arrays), and lists, tuples and dictionaries of
  these,
- a ``torch.Generator``, which crosses as its state,
- a function of the check's, to be called back: its arguments and its result are plain again,
- a :class:`Net`: parameters by name, and a function of the check's that uses them.

Numbers in floating point go over in the precision that the notebook makes (float32, unless the
learner has set another default) and may come back in any; a function of the check's gets float64.
The check itself always runs with float32 as torch's default, see :func:`as_default`.

A :class:`Reply` holds the value, the arguments as they are after the call, so that a write into
one of them is seen, and gradients where some were asked for. A tensor that a gradient could flow
back through has the attribute ``tracked``.

:class:`InProcess` is the one backend so far: it calls the functions where they are, in the
notebook. Another one may call them in another process; the checks stay as they are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
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


class Reply(NamedTuple):
    """What came of a call.

    Attributes:
        value: what the function returned.
        arguments: as they are after the call; a :class:`Net` as its parameters.
        gradients: for each argument, None or the gradient of ``pull`` times the value: a tensor
            for a :class:`Leaf`, tensors by name for a :class:`Net`.
        names: of the arguments, as the answer calls them.
    """

    value: Any
    arguments: tuple
    gradients: tuple
    names: tuple[str, ...]


class Backend(Protocol):
    """Where the answers are, and how they are called."""

    def call(self, name: str, arguments: tuple, pull: Any = None) -> Reply:
        """Calls the function ``name``; errors of the learner's code are raised as they are."""


class Changed(Exception):
    """An answer wrote into an argument that it was to leave alone."""

    def __init__(self, function: str, argument: str) -> None:
        super().__init__(
            f"{function} changed its argument `{argument}` in place (`x += ...`, `x[...] = ...` "
            "and methods that end in _ write into it): make a new tensor, or work on a copy."
        )


class Answer:
    """One function of the learner's, by name."""

    def __init__(self, name: str, backend: Backend) -> None:
        self.name, self._backend = name, backend

    def __call__(self, *arguments: Any) -> Any:
        """The plain value of a call that changes none of its arguments.

        Raises:
            Changed: if it does change one.
        """
        return self.ask(*arguments).value

    def ask(self, *arguments: Any, pull: Any = None, writes: Collection[int] = ()) -> Reply:
        """The whole reply.

        Args:
            arguments: plain values, functions, :class:`Leaf` and :class:`Net`.
            pull: the weights of the value in the number whose gradients are wanted: a tensor or
                number where the function returns one tensor, a tuple with None for those that do
                not count where it returns several. None: no gradients.
            writes: numbers of the arguments that the function is to write into.

        Raises:
            Changed: if it changes another argument.
        """
        reply = self._backend.call(self.name, arguments, pull)
        for i, (before, after) in enumerate(zip(arguments, reply.arguments, strict=True)):
            if i not in writes and not _same(_sent(before), after):
                name = reply.names[i] if i < len(reply.names) else f"number {i + 1}"
                raise Changed(self.name, name)
        return reply


@contextmanager
def as_default(dtype: torch.dtype) -> Iterator[None]:
    """torch's default precision for a while; what it was before comes back."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class InProcess:
    """Calls functions of this process, with the default precision that it has when this is made."""

    def __init__(self, functions: Mapping[str, Callable]) -> None:
        self._functions = dict(functions)
        self._dtype = torch.get_default_dtype()

    def call(self, name: str, arguments: tuple, pull: Any = None) -> Reply:
        function = self._functions[name]
        with as_default(self._dtype):
            given = tuple(_arrive(argument) for argument in arguments)
            value = function(*given)
            if pull is not None:
                _pull(value, pull)
        return Reply(
            _plain(value),
            tuple(_leave(x, argument) for x, argument in zip(given, arguments, strict=True)),
            tuple(_gradient(x) for x in given),
            _names(function),
        )


# Crossing over


def _sent(x: Any) -> Any:
    """A value of the check's, copied, in float32: what the answer gets, but for the precision."""
    if isinstance(x, Leaf):
        return _sent(x.value)
    if isinstance(x, Net):
        return _sent(x.parameters)
    if isinstance(x, Tensor):
        x = x.detach().clone()
        return x.float() if x.is_floating_point() else x
    if isinstance(x, list | tuple):
        return type(x)(_sent(item) for item in x)
    return {key: _sent(item) for key, item in x.items()} if isinstance(x, dict) else x


def _arrive(x: Any) -> Any:
    """What the answer gets."""
    if isinstance(x, Leaf):
        return _arrive(x.value).requires_grad_()
    if isinstance(x, Net):
        return _Module(x)
    if isinstance(x, torch.Generator):
        return torch.Generator().set_state(x.get_state())
    return _served(x) if callable(x) else _in_default(_sent(x))


def _in_default(x: Any) -> Any:
    """The same in torch's default precision."""
    if isinstance(x, Tensor):
        return x.to(torch.get_default_dtype()) if x.is_floating_point() else x
    if isinstance(x, list | tuple):
        return type(x)(_in_default(item) for item in x)
    return {key: _in_default(item) for key, item in x.items()} if isinstance(x, dict) else x


def _leave(now: Any, before: Any) -> Any:
    """An argument after the call, as the check sees it."""
    if isinstance(now, _Module):
        return {name: _sent(p) for name, p in now.named_parameters()}
    if isinstance(before, torch.Generator) or callable(before):
        return before
    return _sent(now)


def _plain(x: Any) -> Any:
    """What the answer gave, as the check sees it: tensors detached, arrays as tensors."""
    if isinstance(x, Tensor):
        plain = x.detach().clone()
        plain.tracked = x.requires_grad
        return plain
    if isinstance(x, np.ndarray | np.generic):
        return torch.as_tensor(np.array(x)) if x.dtype.kind in "biuf" else x
    if isinstance(x, list | tuple):
        return tuple(map(_plain, x)) if isinstance(x, tuple) else [_plain(item) for item in x]
    return {key: _plain(item) for key, item in x.items()} if isinstance(x, dict) else x


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return a is b or type(a) is type(b) and a == b


def _names(function: Callable) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()


# Gradients


def _pull(value: Any, weights: Any) -> None:
    pairs = zip(value, weights, strict=True) if isinstance(weights, tuple) else [(value, weights)]
    tensors, pulls = [], []
    for x, weight in pairs:
        if weight is not None and isinstance(x, Tensor) and x.requires_grad:
            tensors.append(x)
            pulls.append(torch.as_tensor(weight).to(x).expand_as(x))
    if tensors:
        torch.autograd.backward(tensors, pulls)


def _gradient(x: Any) -> Any:
    if isinstance(x, _Module):
        return {name: p.grad for name, p in x.named_parameters()}
    return x.grad if isinstance(x, Tensor) else None


class _Module(nn.Module):
    """A :class:`Net`, on the answer's side."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        for name, value in net.parameters.items():
            self.register_parameter(name, nn.Parameter(_arrive(value)))
        self._forward = _served(net.forward)

    def forward(self, *arguments: Any) -> Any:
        return self._forward(dict(self.named_parameters()), *arguments)


def _served(function: Callable) -> Callable:
    """A function of the check's for the answer to call: plain values cross, gradients too."""

    def served(*arguments: Any, **named: Any) -> Any:
        if named:  # a callback has positions, no names: put them where the check expects them
            arguments = inspect.signature(function).bind(*arguments, **named).args
        tensors: list[Tensor] = []
        template = _take_out(arguments, tensors)
        handle = torch.zeros((), requires_grad=True)  # the check may have parameters of its own
        result: list = []
        made = _Served.apply(function, template, result, handle, *tensors)
        return _put_in(result[0], list(made))

    return served


class _Served(torch.autograd.Function):
    @staticmethod
    def forward(ctx, function, template, result, handle, *tensors):
        learners = torch.get_default_dtype()
        with torch.enable_grad(), as_default(torch.float32):
            inputs = [_inward(x) for x in tensors]
            value = function(*_put_in(template, list(inputs)))
            outputs: list[Tensor] = []
            result.append(_take_out(value, outputs))
        ctx.inputs, ctx.outputs = inputs, outputs
        floats = [x.dtype for x in tensors if x.is_floating_point()]
        kind = floats[0] if floats else learners
        made = [y.detach().clone() for y in outputs]
        made = [y.to(kind) if y.is_floating_point() else y for y in made]
        fixed = [x for x, y in zip(made, outputs, strict=True) if not y.requires_grad]
        ctx.mark_non_differentiable(*fixed)
        return tuple(made)

    @staticmethod
    def backward(ctx, *gradients):
        pairs = [
            (y, g.to(y.dtype))
            for y, g in zip(ctx.outputs, gradients, strict=True)
            if y.requires_grad and g is not None
        ]
        if pairs:
            outputs, pulls = zip(*pairs, strict=True)
            torch.autograd.backward(outputs, pulls)
        back = (x.grad for x in ctx.inputs)
        return None, None, None, None, *back


def _inward(x: Tensor) -> Tensor:
    """A tensor of the answer's, as a function of the check's sees it."""
    inside = x.detach().clone()
    inside = inside.double() if inside.is_floating_point() else inside
    inside.tracked = x.requires_grad
    return inside.requires_grad_(x.requires_grad and inside.is_floating_point())


class _Slot(NamedTuple):
    number: int


def _take_out(x: Any, tensors: list[Tensor]) -> Any:
    """The same structure with a slot for each tensor, which goes to the list."""
    if isinstance(x, np.ndarray):
        x = torch.as_tensor(x)
    if isinstance(x, Tensor):
        tensors.append(x)
        return _Slot(len(tensors) - 1)
    if isinstance(x, list | tuple):
        return type(x)(_take_out(item, tensors) for item in x)
    return {k: _take_out(item, tensors) for k, item in x.items()} if isinstance(x, dict) else x


def _put_in(x: Any, tensors: list[Tensor]) -> Any:
    if isinstance(x, _Slot):
        return tensors[x.number]
    if isinstance(x, list | tuple):
        return type(x)(_put_in(item, tensors) for item in x)
    return {k: _put_in(item, tensors) for k, item in x.items()} if isinstance(x, dict) else x
