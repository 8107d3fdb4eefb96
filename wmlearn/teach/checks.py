"""``check("04.1", my_function)``: instant, specific feedback inside a notebook.

A chapter's checks are generator functions. They test the answer property by property: each
``yield`` names a property that holds, and a ``Hint`` raised in between says what is wrong and
where to look. Feedback is plain text, so a screen reader gets all of it.
"""

from __future__ import annotations

import inspect
import linecache
import math
import pkgutil
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer, Backend, Changed, InProcess, Stopped, as_default

_PACKAGE = str(Path(__file__).parents[1])


class Hint(Exception):
    """What is wrong with an answer, in words that help to repair it."""


class CheckFailed(AssertionError):
    """An exercise is not solved yet; the text says what holds, what does not, and a hint.

    Attributes:
        exercise: such as ``"04.1"``.
        hint: the sentence that tells what to look at.
    """

    def __init__(self, exercise: str, title: str, passed: list[str], hint: str) -> None:
        self.exercise, self.hint = exercise, hint
        lines = [f"{exercise} {title}: not yet.", *(f"  ok    {name}" for name in passed)]
        super().__init__("\n".join([*lines, f"  HINT  {hint}"]))

    def _render_traceback_(self) -> list[str]:
        """IPython shows these lines in place of a traceback through the check's own code."""
        return str(self).splitlines()


class Exercise(NamedTuple):
    title: str
    verify: Callable[..., Iterator[str]]


EXERCISES: dict[str, Exercise] = {}
"""Those registered so far; :func:`exercises` registers them all."""

_CHAPTERS = "wmlearn.chapters"
"""Exercise NN.k is in the folder chNN_name, in the file ek_name.py; imported when asked for."""


def exercises() -> dict[str, Exercise]:
    """All exercises by number, ``"04.1"`` first."""
    for chapter in pkgutil.iter_modules(import_module(_CHAPTERS).__path__):
        folder = import_module(f"{_CHAPTERS}.{chapter.name}")
        for module in pkgutil.iter_modules(folder.__path__):
            if module.name[0] == "e" and module.name[1].isdigit():
                import_module(f"{folder.__name__}.{module.name}")
    return dict(sorted(EXERCISES.items()))


def exercise(number: str, title: str) -> Callable:
    """Registers a generator function as the check of exercise ``number`` (``"04.1"``)."""

    def register(verify: Callable[..., Iterator[str]]) -> Callable[..., Iterator[str]]:
        EXERCISES[number] = Exercise(title, verify)
        return verify

    return register


def check(number: str, *answers: Any, **variant: Any) -> None:
    """Tests an answer and prints which properties hold.

    Args:
        number: the exercise, such as ``"04.1"``.
        answers: what the exercise asks for, usually one function.
        variant: ``seed``, from which the check draws its numbers, and parameters of this course's
            own variant; a check takes those that it has after a ``*``.

    Raises:
        CheckFailed: with a hint (an ``AssertionError``, so graders see it too).
        ValueError: if there is no such exercise, or the number of answers is wrong.
    """
    title, verify = find(number)
    parameters = inspect.signature(verify).parameters.values()
    names = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    try:
        inspect.signature(verify).bind(*answers, **variant)
    except TypeError:
        raise ValueError(f'Call it as check("{number}", {", ".join(names)}).') from None
    passed: list[str] = []
    problem = ""
    for name, answer in zip(names, answers, strict=True):
        if not callable(answer):
            problem = f"pass the function {name} itself, without calling it."
            break
    else:
        backend = InProcess(dict(zip(names, answers, strict=True)))
        problem = judge(number, backend, passed, **variant)
    if problem:
        raise CheckFailed(number, title, passed, problem)
    print("\n".join([f"{number} {title}: passed.", *(f"  ok    {name}" for name in passed)]))


def find(number: str) -> Exercise:
    """The exercise of this number; a ValueError names all, if there is none."""
    if number not in EXERCISES and number not in exercises():
        raise ValueError(f"There is no exercise {number!r}; choose from {', '.join(exercises())}.")
    return EXERCISES[number]


def judge(number: str, backend: Backend, passed: list[str], **variant: Any) -> str:
    """Runs the check of an exercise on answers that are wherever the backend has them.

    Args:
        number: the exercise.
        backend: calls the answers by name; its functions have the names of the check's arguments.
        passed: gets the properties that hold, one after the other.
        variant: what the check takes after a ``*``.

    Returns:
        The hint, empty if all properties hold.
    """
    verify = find(number).verify
    parameters = inspect.signature(verify).parameters.values()
    names = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    try:
        with as_default(torch.float32):  # whatever the learner has set: the backend knows that
            for name in verify(*(Answer(name, backend) for name in names), **variant):
                passed.append(name)
    except (Hint, Changed) as hint:
        return str(hint)
    except Exception as error:  # whatever the student's code raises becomes a hint
        if is_unwritten(error):
            return (
                f"{number} is not written yet: put your code in place of "
                "`raise NotImplementedError()`, run that cell, then run this one again."
            )
        if isinstance(error, Stopped):
            return f"your code stopped with {error}"
        if _is_in_a_call(error):
            return f"your code stopped with {describe(error)}"
        return f"your answer has a form that the check cannot read ({describe(error)})."
    return ""


def is_unwritten(error: BaseException) -> bool:
    """Whether it is an empty answer's; torch's own NotImplementedError has a text."""
    if isinstance(error, Stopped):
        return error.unwritten
    return isinstance(error, NotImplementedError) and not str(error)


def _is_in_a_call(error: BaseException) -> bool:
    """Whether the error came up while an answer was called, not in the check's own code."""
    frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    return InProcess.call.__code__ in frames


def describe(error: BaseException) -> str:
    """One line: the error, and the last line of the student's own code that led to it."""
    text = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        theirs = "site-packages" not in frame.filename and _PACKAGE not in frame.filename
        line = linecache.getline(frame.filename, frame.lineno or 0).strip()
        if theirs and line:
            return f"{text} (at line {frame.lineno}: `{line}`)"
    return text


def require(condition: bool | Tensor, hint: str) -> None:
    """Raises ``Hint(hint)`` unless the condition holds (a NaN never does)."""
    if not bool(condition):
        raise Hint(hint)


def tensor(value: Any, shape: tuple[int, ...], name: str) -> Tensor:
    """The value as a float64 tensor of the wanted shape, finite; otherwise a hint."""
    require(value is not None, f"{name} is None: is a `return` missing?")
    try:
        value = torch.as_tensor(value).detach().double()
    except (TypeError, ValueError, RuntimeError):
        raise Hint(f"{name} should be a tensor, but is a {type(value).__name__}.") from None
    got, want = list(value.shape), list(shape)
    require(got == want, f"{name} should have shape {want}, but has {got}.")
    require(value.isfinite().all(), f"{name} contains NaN or infinity: a division by zero?")
    return value


def close(a: Tensor | float, b: Tensor | float, tolerance: float = 1e-4) -> bool:
    """Whether all entries agree: |a - b| <= tolerance * (1 + |b|). False for NaN."""
    a, b = torch.as_tensor(a).double(), torch.as_tensor(b).double()
    error = (a - b).abs() / (1 + b.abs())
    return bool((error <= tolerance).all()) and not math.isnan(error.sum().item())


def normal(draw: torch.Generator, *shape: int) -> Tensor:
    """Normal numbers in float64 that float32 holds exactly, so that answers get the same."""
    return torch.randn(shape, generator=draw, dtype=torch.float32).double()


def between(draw: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    """Uniform numbers, in float64 that float32 holds exactly."""
    return (low + (high - low) * torch.rand(shape, generator=draw, dtype=torch.float32)).double()


def integer(draw: torch.Generator, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=draw))


def pair(value: Any, count: int, hint: str) -> tuple:
    """The ``count`` parts of what was returned; otherwise the hint."""
    require(isinstance(value, tuple | list) and len(value) == count, hint)
    return tuple(value)


def filled(value: Any, **options: tuple[str, ...]) -> dict[str, Any]:
    """The dictionary of a judgment, filled in; otherwise a hint.

    Args:
        value: what was returned.
        options: the keys, each with the words of which it is one; none if it is to hold
            something else.

    Raises:
        Hint: another form, or another word.
        NotImplementedError: something is not filled in yet.
    """
    keys = [f'"{key}"' for key in options]
    require(
        isinstance(value, dict) and set(value) == set(options),
        f"give a dictionary with the keys {', '.join(keys[:-1])} and {keys[-1]}.",
    )
    if any(given is None or given is ... or given == "" for given in value.values()):
        raise NotImplementedError
    for key, words in options.items():
        known = not words or (isinstance(value[key], str) and value[key] in words)
        require(known, f'"{key}" is one of {", ".join(words)}.')
    return value


def seeded(seed: int) -> torch.Generator:
    """The generator from which a check draws."""
    return torch.Generator().manual_seed(seed)
