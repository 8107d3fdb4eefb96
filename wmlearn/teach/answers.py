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
back through has the attribute ``tracked``. What has a state of its own (a module, an optimizer) is
built where the answer is, and stays there: the check has a :class:`Held` and calls its methods.

:class:`InProcess` calls the functions where they are, in the notebook. The graders' judge has
another backend, which calls them in another process; the checks are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, Protocol

import torch

from wmlearn.teach.crossing import (
    Leaf,
    Local,
    Net,
    arrive,
    as_default,
    gradient,
    leave,
    names_of,
    plain,
    pull_back,
    same,
    sent,
)

__all__ = ["Answer", "Backend", "Changed", "Held", "InProcess", "Leaf", "Net", "Reply", "Stopped",
           "as_default"]  # fmt: skip


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
        """Calls the function ``name``; raises what the learner's code raised, or ``Stopped``."""

    def build(self, name: str, arguments: tuple) -> str:
        """Calls ``name`` and keeps what it returns, under a name that ``call`` takes.

        A method of it is called as that name, a dot and the method's name.
        """


class Changed(Exception):
    """An answer wrote into an argument that it was to leave alone."""

    def __init__(self, function: str, argument: str) -> None:
        super().__init__(
            f"{function} changed its argument `{argument}` in place (`x += ...`, `x[...] = ...` "
            "and methods that end in _ write into it): make a new tensor, or work on a copy."
        )


class Stopped(Exception):
    """The learner's code, in another process, stopped with an error: in one line.

    Attributes:
        unwritten: whether it is the empty answer's ``raise NotImplementedError()``.
    """

    def __init__(self, text: str, unwritten: bool = False) -> None:
        super().__init__(text)
        self.unwritten = unwritten


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
            if i not in writes and not same(sent(before), after):
                name = reply.names[i] if i < len(reply.names) else f"number {i + 1}"
                raise Changed(self.name.rpartition(".")[2], name)
        return reply

    def build(self, *arguments: Any) -> Held:
        """Calls it (a class, usually) and leaves what it makes with the learner's code."""
        return Held(self._backend.build(self.name, arguments), self._backend)


class Held(Answer):
    """An object with a state, where the answer is. Calling it calls the object."""

    def method(self, name: str) -> Answer:
        """One of its methods, to be called like an answer."""
        return Answer(f"{self.name}.{name}", self._backend)


class InProcess:
    """Calls functions of this process, with the default precision that it has when this is made."""

    def __init__(self, functions: Mapping[str, Callable]) -> None:
        self._functions: dict[str, Any] = dict(functions)
        self._dtype = torch.get_default_dtype()

    def call(self, name: str, arguments: tuple, pull: Any = None) -> Reply:
        with as_default(self._dtype):
            function = find_method(self._functions, name)
            given = tuple(arrive(argument, Local) for argument in arguments)
            value = function(*given)
            if pull is not None:
                pull_back(value, pull)
        return Reply(
            plain(value),
            tuple(leave(x, argument) for x, argument in zip(given, arguments, strict=True)),
            tuple(gradient(x) for x in given),
            names_of(function),
        )

    def build(self, name: str, arguments: tuple) -> str:
        with as_default(self._dtype):
            made = self._functions[name](*(arrive(argument, Local) for argument in arguments))
        key = f"{name}#{len(self._functions)}"
        self._functions[key] = made
        return key


def find_method(functions: Mapping[str, Any], name: str) -> Callable:
    """A function, a held object, or, after a dot, a method of one."""
    if name in functions:
        return functions[name]
    key, _, method = name.rpartition(".")
    return getattr(functions[key], method)
