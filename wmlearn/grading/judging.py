"""The judge: runs a submission's cells in a student's process and the teacher's tests out here.

The tests run in this process, on stand-ins for the student's functions: they hold no object of
the student's, only plain values that came over the pipe. First come the cells and the visible
tests, in the notebook's order; then the hidden tests, on the functions as they were at their
test's place. Once a hidden test has run, nothing that the student's process says reaches anyone:
verdicts are given in fixed words.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import inspect
import io
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from wmlearn.grading.piped import Piped
from wmlearn.grading.releasing import split_hidden
from wmlearn.grading.talking import Clock, Crowded, Ended, Talk
from wmlearn.teach import checks
from wmlearn.teach.answers import Answer, Reply, Stopped

MOST_STARTS = 12
HIDDEN = "it passes the visible test, but not the hidden one, which is the same with other numbers"
Emit = Callable[..., None]


# Tests


class _Failed(Exception):
    """A check of a test cell failed; the text is its hint."""


def run_test(source: str, talk: Talk, cell: dict, locked: Callable[[], dict], hidden: bool) -> str:
    """Runs one test cell, visible or hidden; returns what failed, in words, or nothing.

    Args:
        source: the teacher's code.
        talk: the student's process.
        cell: the test's place (``id``) and the ``names`` that the answers define.
        locked: gives the names that the teacher's own cells define; asked if the test uses one.
        hidden: whether to speak in fixed words.
    """
    backend = Piped(talk, cell["id"], hidden)
    kinds = cell["kinds"]
    namespace: dict[str, Any] = {}
    if _used(source) - set(kinds) - {"check"} - set(vars(builtins)):
        namespace.update(locked())
    missing = sorted(name for name, kind in kinds.items() if kind == "missing")
    passed: list[str] = []
    namespace["check"] = _check(backend, kinds, passed)
    try:
        talk.allow()
        for name, kind in kinds.items():
            if kind == "function":
                namespace[name] = Answer(name, backend)
            elif kind == "data":
                namespace[name] = _Data(name, backend.get(name))
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, f"<{cell['id']}>", "exec"), _unwrapped(source, namespace))
    except _Failed as failed:
        problem = str(failed)
    except Exception as error:
        problem = _words(error, missing)
    else:
        return ""
    if not hidden:
        return problem
    return f'{HIDDEN} (the last property that held: "{passed[-1]}").' if passed else f"{HIDDEN}."


class _Data:
    """The plain value of a name that should have been a function, say."""

    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value


def _unwrapped(source: str, namespace: dict) -> dict:
    """Plain values stand for themselves, but where ``check`` gets them."""
    calls = {
        argument.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check"
        for argument in node.args
        if isinstance(argument, ast.Name)
    }
    return {
        name: value.value if isinstance(value, _Data) and name not in calls else value
        for name, value in namespace.items()
    }


def _words(error: Exception, missing: list[str]) -> str:
    if isinstance(error, Stopped):
        return "the answer is not written yet." if error.unwritten else f"it stopped with {error}"
    if isinstance(error, NameError) and error.name in missing:
        return f"{error.name} is not defined: the answer's cell did not run to its end."
    return f"{type(error).__name__}: {error}".strip().removesuffix(":")


def _check(backend: Piped, kinds: dict, passed: list[str]) -> Callable:
    """``check`` as a test cell calls it, for answers behind the pipe."""

    def check(number: str, *answers: Any, **variant: Any) -> None:
        verify = checks.find(number).verify
        names = [
            p.name
            for p in inspect.signature(verify).parameters.values()
            if p.kind is not p.KEYWORD_ONLY
        ]
        inspect.signature(verify).bind(*answers, **variant)
        for name, answer in zip(names, answers, strict=True):
            if not isinstance(answer, Answer):
                raise _Failed(f"pass the function {name} itself, without calling it.")
        renamed = {name: answer.name for name, answer in zip(names, answers, strict=True)}
        passed.clear()
        if problem := checks.judge(number, _Renamed(backend, renamed), passed, **variant):
            raise _Failed(problem)

    return check


class _Renamed:
    """The backend with the names that a check has for its answers."""

    def __init__(self, backend: Piped, names: dict[str, str]) -> None:
        self._backend, self._names = backend, names

    def _name(self, name: str) -> str:
        first, dot, rest = name.partition(".")
        return self._names.get(first, first) + dot + rest

    def call(self, name: str, arguments: tuple, pull: Any = None) -> Reply:
        return self._backend.call(self._name(name), arguments, pull)

    def build(self, name: str, arguments: tuple) -> str:
        return self._backend.build(self._name(name), arguments)


def _used(source: str) -> set[str]:
    """The names that a test cell uses and does not make."""
    made, used = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            made |= {(name.asname or name.name).split(".")[0] for name in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
    return used - made


# A submission


class Judge:
    """Judges one submission.

    Args:
        job: ``cells`` of a ``merging.Plan``, ``locked`` (sources of the teacher's own cells), and
            the limits ``seconds``, ``total`` and ``megabytes``.
        emit: gets each result as it comes: ``error`` (cell, text), ``output`` (cell, text),
            ``limits`` (text).
    """

    def __init__(self, job: dict, emit: Emit) -> None:
        self.cells, self.emit = job["cells"], emit
        self.seconds, self.megabytes = job["seconds"], job["megabytes"]
        self.clock = Clock(job["total"])
        self.fatal: dict[str, str] = {}  # cells that killed their process, and how
        self.ran: set[str] = set()
        self.visible: dict[str, str] = {}
        self.hidden: dict[str, str] = {}
        self._sources = job["locked"]
        self._names: dict | None = None
        self._told = False

    def run(self) -> None:
        """Runs everything; what could not be run has no result."""
        for number in itertools.count(1):
            at: list[str] = [""]
            try:
                self._attempt(at)
                break
            except Crowded:  # what has a verdict keeps it
                if number == MOST_STARTS:
                    break
            except Ended as ended:
                if not at[0]:
                    if number == 1:
                        raise RuntimeError(
                            f"the student's process did not start: {ended}"
                        ) from None
                    break
                self._killed(at[0], str(ended))
                if self.clock.late() or number == MOST_STARTS:
                    break
        again = [name for name, problem in self.hidden.items() if problem.startswith(HIDDEN)]
        if again and not self.clock.late():
            with contextlib.suppress(Ended):
                self._in_place(again)
        for name, problem in self.visible.items():
            if problem or name in self.hidden:
                self.emit("error", name, problem or self.hidden[name])

    def _attempt(self, at: list[str]) -> None:
        with self._started() as talk:
            for cell in self._tests_and_cells():
                at[0] = cell["id"]
                if cell["kind"] != "test":
                    self._cell(talk, cell)
                else:
                    self._remember(talk, cell)
                    if cell["id"] not in self.visible:
                        text = cell["visible"]
                        problem = run_test(text, talk, cell, self._locked, False)
                        self.visible[cell["id"]] = problem
                        talk.tidy()
            for cell in self._tests_and_cells():
                name = cell["id"]
                if (
                    cell["kind"] == "test"
                    and self.visible.get(name) == ""
                    and name not in self.hidden
                ):
                    at[0] = name
                    self.hidden[name] = run_test(cell["hidden"], talk, cell, self._locked, True)
                    talk.tidy()

    def _in_place(self, again: list[str]) -> None:
        """Hidden tests that failed, once more where they stand: a later cell may have changed what
        an answer uses.
        """
        with self._started() as talk:
            for cell in self._tests_and_cells():
                if cell["kind"] != "test":
                    talk.allow()
                    talk.ask("cell", id=cell["id"], source=cell["source"])
                elif cell["id"] in again:
                    self._remember(talk, cell)
                    problem = run_test(cell["hidden"], talk, cell, self._locked, True)
                    self.hidden[cell["id"]] = problem

    @contextlib.contextmanager
    def _started(self) -> Iterator[Talk]:
        with Talk(self.clock, self.seconds, self.megabytes) as talk:
            talk.begin()
            if not self._told:
                self.emit("limits", "", talk.limits)
                self._told = True
            yield talk

    def _tests_and_cells(self) -> Iterator[dict]:
        for cell in self.cells:
            if cell["id"] not in self.fatal:
                yield cell

    def _cell(self, talk: Talk, cell: dict) -> None:
        talk.allow()
        got = talk.ask("cell", id=cell["id"], source=cell["source"])
        if cell["id"] in self.ran:
            return
        self.ran.add(cell["id"])
        error, output = got.get("error", ""), got.get("output", "")
        self.emit("error", cell["id"], error if isinstance(error, str) else "an error")
        if isinstance(output, str) and output:
            self.emit("output", cell["id"], output)

    def _remember(self, talk: Talk, cell: dict) -> None:
        talk.allow()
        kinds = talk.ask("names", key=cell["id"], names=cell["names"]).get("kinds")
        kinds = kinds if isinstance(kinds, dict) else {}
        cell["kinds"] = {name: kinds.get(name, "missing") for name in cell["names"]}

    def _killed(self, name: str, why: str) -> None:
        self.fatal[name] = why
        cell = next(c for c in self.cells if c["id"] == name)
        if cell["kind"] != "test":
            if name not in self.ran:
                self.emit("error", name, why)
        elif self.visible.get(name) == "":
            self.hidden[name] = f"in the hidden test {_fixed(why)}"
        else:
            self.visible[name] = why

    def _locked(self) -> dict:
        """The names that the teacher's own cells define, here in the judge."""
        if self._names is None:
            self._names = {"__name__": "notebook"}
            with contextlib.redirect_stdout(io.StringIO()):
                for source in self._sources:
                    exec(compile(source, "<the teacher's cell>", "exec"), self._names)
        return dict(self._names)


def _fixed(why: str) -> str:
    """Why a process ended, of which nothing is the student's own words."""
    return (
        why
        if why.endswith((" s.", "memory.", "did.", "time.", "processes.", "files.", "often."))
        else "it stopped."
    )


def split(cells: list[dict]) -> list[dict]:
    """A plan's cells with the tests' visible and hidden parts apart."""
    made = []
    for cell in cells:
        if cell["kind"] == "test":
            visible, hidden = split_hidden(cell["source"])
            cell = {**cell, "visible": visible, "hidden": hidden}
        made.append(dict(cell))
    return made
