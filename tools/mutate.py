"""Tries every mutant of exercises' solutions on their visible check and their hidden test.

    python tools/mutate.py                    # all exercises
    python tools/mutate.py 04_1 09_3 --show   # some, with each mutant's hint
    python tools/mutate.py --sample 12        # some mutants of each, as CI does

A mutant that no check refuses is a survivor: sharpen the check, or, where the change changes
nothing, list it with its reason in ``tests/exercises/equivalents.toml``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import runpy
import select
import signal
import sys
import time
import tomllib
from pathlib import Path
from typing import NamedTuple

import torch
from mutants import HELPERS, Mutant, Written, mutants, writes

from wmlearn.grading.releasing import read_notebook, split_hidden
from wmlearn.teach.checks import CheckFailed, exercises

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks/exercises"
EQUIVALENTS = ROOT / "tests/exercises/equivalents.toml"
_CHECK = re.compile(r'^check\("(\d\d\.\d+)", (.+?)\)', re.M)


class Problem(NamedTuple):
    """An exercise as the tool sees it: the cell to change, and what runs before and after."""

    number: str
    before: list[str]
    answer: str
    visible: str
    hidden: str


class Verdict(NamedTuple):
    """What became of a mutant; an empty text is a pass."""

    visible: str
    hidden: str

    @property
    def agree(self) -> bool:
        return bool(self.visible) == bool(self.hidden)


def problems() -> dict[str, Problem]:
    """All exercises in the notebooks, by number."""
    found = {}
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        before, answer = [], ""
        for cell in read_notebook(path)["cells"]:
            meta = cell["metadata"]["nbgrader"]
            if cell["cell_type"] != "code" or (not meta and "show()" in cell["source"]):
                continue
            if meta.get("grade"):
                visible, hidden = split_hidden(cell["source"])
                [(number, _)] = _CHECK.findall(visible)
                found[number] = Problem(number, list(before), answer, visible, hidden)
                continue
            if meta.get("solution"):
                answer = cell["source"]
            before.append(cell["source"])
    return found


def namespace(problem: Problem) -> dict:
    """What the notebook's cells define, the solution among it."""
    names: dict = {"__name__": "notebook", **HELPERS}
    with contextlib.redirect_stdout(io.StringIO()):
        for source in problem.before:
            exec(source, names)
    return names


def verdict(problem: Problem, names: dict, source: str) -> Verdict | None:
    """Runs both tests on an answer; None if a mutant that should write into something did not."""
    names, said = dict(names), []
    Written.happened = False
    for test in (problem.visible, problem.hidden):
        try:
            exec(source, names)
            with contextlib.redirect_stdout(io.StringIO()):
                exec(test, names)
            said.append("")
        except CheckFailed as failed:
            said.append(f"HINT {failed.hint}")
        except BaseException as error:
            said.append(f"{type(error).__name__}: {error}"[:300] or "error")
    if "_written(" in source and not Written.happened:
        return None
    return Verdict(*said)


def tried(problem: Problem, names: dict, mutant: Mutant, seconds: float) -> Verdict | None:
    """The verdict from a process of its own, which is stopped after some seconds."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            devnull = os.open(os.devnull, os.O_RDWR)
            os.dup2(devnull, 2)
            result = verdict(problem, names, mutant.source)
            os.write(writer, json.dumps(result).encode()[:60_000])
        finally:
            os._exit(0)
    os.close(writer)
    data = b""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and select.select([reader], [], [], left)[0]:
        part = os.read(reader, 65_536)
        if not part:
            break
        data += part
    else:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)
    if not data:
        return Verdict("stopped: out of time, or crashed", "stopped: out of time, or crashed")
    result = json.loads(data)
    return None if result is None else Verdict(*result)


def equivalents() -> dict[str, dict[tuple[str, str], str]]:
    """The reasons of the mutants that change nothing, by exercise, old and new line."""
    if not EQUIVALENTS.is_file():
        return {}
    table = tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8"))
    return {
        number: {(entry["old"], entry["new"]): entry["reason"] for entry in entries}
        for number, entries in table.items()
    }


class Score(NamedTuple):
    """The count of an exercise's mutants; ``survivors`` are neither killed nor equivalent."""

    number: str
    count: int
    equivalent: int
    visible: int
    hidden: int
    equal: int
    survivors: list[tuple[Mutant, Verdict]]

    @property
    def share(self) -> float:
        return self.visible / max(1, self.count - self.equivalent)

    def row(self) -> str:
        return (
            f"{self.number:8}{self.count:8}{self.equivalent:12}{self.visible:9}{self.hidden:8}"
            f"{self.equal:7}{self.share:10.1%}"
        )


HEAD = f"{'':8}{'mutants':>8}{'equivalent':>12}{'visible':>9}{'hidden':>8}{'equal':>7}{'score':>10}"


def score(
    problem: Problem, sample: int = 0, seconds: float = 30, show: bool = False, seed: int = 0
) -> Score:
    """Tries the mutants of one exercise, all or a sample."""
    names = namespace(problem)
    right = verdict(problem, names, problem.answer)
    if right != Verdict("", ""):
        raise SystemExit(f"{problem.number}: the solution itself fails: {right}")
    torch.set_num_threads(1)
    made = [*mutants(problem.answer), *writes(problem.answer)]
    if sample:
        made = random.Random(f"{seed}{problem.number}").sample(made, min(sample, len(made)))
    known = equivalents().get(problem.number, {})
    count = same = visible = hidden = equal = 0
    survivors = []
    for mutant in made:
        result = tried(problem, names, mutant, seconds)
        if result is None:
            continue
        count += 1
        is_same = (mutant.old, mutant.new) in known
        same += is_same
        visible += bool(result.visible) and not is_same
        hidden += bool(result.hidden) and not is_same
        equal += result.agree
        if show:
            print(f"{mutant.kind}: {mutant.old}  ->  {mutant.new}\n    {result.visible[:150]}")
        if (not result.visible and not is_same) or not result.agree or (is_same and result.visible):
            survivors.append((mutant, result))
    return Score(problem.number, count, same, visible, hidden, equal, survivors)


def verify(problem: Problem, count: int = 1000) -> list[str]:
    """Which of an exercise's equivalent mutants give other outputs than the solution on random
    inputs; those without ``inputs`` are taken at their word."""
    table = tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8")).get(problem.number, [])
    kept = runpy.run_path(str(EQUIVALENTS.parent / f"{problem.number.replace('.', '_')}.py"))
    made = {(mutant.old, mutant.new): mutant for mutant in mutants(problem.answer)}
    wrong = []
    for entry in table:
        mutant = made.get((entry["old"], entry["new"]))
        if mutant is None:
            wrong.append(f"no such mutant any more: {entry['new']}")
        elif "inputs" in entry:
            name, draw = entry["inputs"], torch.Generator().manual_seed(0)
            right, other = namespace(problem), namespace(problem)
            exec(mutant.source, other)
            for _ in range(count):
                given = kept["INPUTS"][name](draw)
                if not torch.allclose(*(torch.as_tensor(f[name](*given)) for f in (right, other))):
                    wrong.append(f"not equal on a random input: {entry['new']}")
                    break
    return wrong


def _keep(scores: list[Score]) -> None:
    path = EQUIVALENTS.with_name("scores.json")
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for made in scores:
        kept[made.number] = {k: v for k, v in made._asdict().items() if isinstance(v, int)}
    text = json.dumps(dict(sorted(kept.items())), indent=1) + "\n"
    path.write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("exercises", nargs="*", help="such as 04_1; all, if none is named")
    parser.add_argument("--sample", type=int, default=0, help="so many mutants of each exercise")
    parser.add_argument("--seconds", type=float, default=30, help="time limit of a mutant")
    parser.add_argument("--show", action="store_true", help="print each mutant and its hint")
    parser.add_argument("--write", action="store_true", help="keep the scores in scores.json")
    parser.add_argument("--verify", action="store_true", help="prove the equivalent ones instead")
    options = parser.parse_args()
    exercises()
    known = problems()
    numbers = [name.replace("_", ".") for name in options.exercises] or list(known)
    if unknown := set(numbers) - set(known):
        parser.error(f"no exercise {', '.join(sorted(unknown))}; choose from {', '.join(known)}")
    if options.verify:
        wrong = {number: verify(known[number]) for number in numbers}
        print(
            "\n".join(f"{number}: {text}" for number in numbers for text in wrong[number]) or "ok"
        )
        return int(any(wrong.values()))
    print(HEAD)
    scores = []
    for number in numbers:
        made = score(known[number], options.sample, options.seconds, options.show)
        print(made.row(), flush=True)
        for mutant, result in made.survivors:
            print(f"    {mutant.kind}\n      - {mutant.old}\n      + {mutant.new}")
            print(f"      visible: {result.visible[:200] or 'passed'}")
            print(f"      hidden:  {result.hidden[:200] or 'passed'}", flush=True)
        scores.append(made)
    if options.write:
        _keep(scores)
    bad = [s for s in scores if s.share < 0.95 or s.equal < s.count or 10 * s.equivalent > s.count]
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
