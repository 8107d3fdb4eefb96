"""Where the answers are, for the judge: in a student's process, behind a pipe of plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from wmlearn.grading import wire
from wmlearn.grading.talking import Ended, Talk
from wmlearn.teach.answers import Changed, Reply, Stopped
from wmlearn.teach.checks import Hint
from wmlearn.teach.crossing import Called, Local

_MOST_CALLBACKS = 100_000  # in one call
_MOST_BYTES = 2**29  # of tensors that callbacks hold, in one call


class Piped:
    """Where the answers are, for checks: in a student's process. See ``answers.Backend``.

    Args:
        talk: the process.
        key: the place in the notebook at which functions are taken.
        hidden: whether what the student's code says is dropped.
    """

    def __init__(self, talk: Talk, key: str, hidden: bool = False) -> None:
        self._talk, self._key, self._hidden = talk, key, hidden

    def call(self, name: str, arguments: tuple, pull: Any = None) -> Reply:
        calls = _Calls()
        got = self._ask(calls, "call", name=self._at(name), arguments=arguments, pull=pull)
        after, gradients = got.get("arguments"), got.get("gradients")
        if not isinstance(after, list) or not isinstance(gradients, list):
            raise Stopped("an answer of another form")
        if not len(after) == len(gradients) == len(arguments):
            raise Stopped("an answer of another form")
        kept = tuple(
            before if callable(before) or isinstance(before, torch.Generator) else now
            for now, before in zip(after, arguments, strict=True)
        )
        names = got.get("names", ())
        if (
            self._hidden
            or not isinstance(names, list)
            or not all(isinstance(n, str) for n in names)
        ):
            names = ()
        return Reply(got.get("value"), kept, tuple(gradients), tuple(names))

    def build(self, name: str, arguments: tuple) -> str:
        got = self._ask(_Calls(), "build", name=self._at(name), arguments=arguments)
        return str(got.get("key", "")).rpartition("/")[2]

    def get(self, name: str) -> Any:
        """The plain value that a name stands for."""
        return self._ask(_Calls(), "get", name=self._at(name)).get("value")

    def _at(self, name: str) -> str:
        return f"{self._key}/{name}"

    def _ask(self, calls: _Calls, op: str, **content: Any) -> dict:
        got = self._talk.ask(op, calls.serve, calls.number, types=not self._hidden, **content)
        if got["op"] == "done":
            return got
        number, text = got.get("number"), got.get("text")
        if isinstance(number, int) and number in calls.raised:
            error = calls.raised[number]
            if isinstance(error, Hint | Changed):
                raise error
        raise Stopped(text if isinstance(text, str) else "an error", got.get("unwritten") is True)


class _Calls:
    """The functions of one call, and what came of calling them back."""

    def __init__(self) -> None:
        self.functions: list[Local] = []
        self.graphs: list[Any] = []
        self.raised: dict[int, Exception] = {}
        self.serve = {"callback": self.callback, "backward": self.backward}
        self._held = 0

    def number(self, function: Callable) -> int:
        self.functions.append(Local(function))
        return len(self.functions) - 1

    def callback(self, frame: dict) -> bytes:
        tensors = self._tensors(frame.get("tensors"))
        arguments, named = frame.get("arguments"), frame.get("named")
        number = frame.get("number")
        if not (isinstance(arguments, tuple) and isinstance(named, dict) and type(number) is int
                and 0 <= number < len(self.functions)):  # fmt: skip
            raise Ended("the process gave an answer that cannot be read.")

        def run() -> bytes:
            called: Called = self.functions[number].forward(arguments, named, tensors)
            self.graphs.append(called.graph)
            return wire.Writer(self.number).frame(
                "result",
                template=called.template,
                outputs=called.outputs,
                tracked=called.tracked,
                graph=len(self.graphs) - 1,
            )

        return self._guarded(run)

    def backward(self, frame: dict) -> bytes:
        number, gradients = frame.get("graph"), frame.get("gradients")
        if not (type(number) is int and 0 <= number < len(self.graphs)):
            raise Ended("the process gave an answer that cannot be read.")
        if not isinstance(gradients, list):
            raise Ended("the process gave an answer that cannot be read.")
        self._tensors([g for g in gradients if g is not None])

        def run() -> bytes:
            back = self.functions[0].backward(self.graphs[number], gradients)
            return wire.Writer().frame("result", gradients=back)

        return self._guarded(run)

    def _guarded(self, run: Callable[[], bytes]) -> bytes:
        """What goes wrong in a function of the check's goes wrong in the student's code."""
        try:
            return run()
        except Exception as error:
            number = len(self.raised)
            self.raised[number] = error
            text = str(error.args[0]) if len(error.args) == 1 else str(error)
            return wire.Writer().frame(
                "raised", type=type(error).__name__, text=text[:2000], number=number
            )

    def _tensors(self, tensors: Any) -> list:
        if not isinstance(tensors, list) or not all(isinstance(x, torch.Tensor) for x in tensors):
            raise Ended("the process gave an answer that cannot be read.")
        self._held += sum(x.numel() * x.element_size() for x in tensors) + 1000
        if self._held > _MOST_BYTES or len(self.graphs) + len(self.raised) > _MOST_CALLBACKS:
            raise Ended("it calls a function that it was given too often.")
        return tensors
