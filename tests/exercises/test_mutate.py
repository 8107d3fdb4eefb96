"""The mutation tool: what it makes, and that a sample of the mutants of every exercise dies."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
EACH = 4  # mutants of an exercise; `python tools/mutate.py` tries all


@pytest.fixture(scope="module")
def tool():
    if sys.platform == "win32":
        pytest.skip("the tool forks")
    sys.path.insert(0, str(TOOLS))
    try:
        spec = importlib.util.spec_from_file_location("mutate", TOOLS / "mutate.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(TOOLS))


SOLUTION = '''def last(x, n, draw):
    """The last of x."""
    ### BEGIN SOLUTION
    total = 0
    for i in range(n):
        total = total + x[i] - torch.randn(3, 2, generator=draw).mean(dim=0)
    return total.abs() if n > 2 else total
    ### END SOLUTION
'''


def test_every_kind_of_change_is_made(tool):
    made = tool.mutants(SOLUTION)
    kinds = {mutant.kind for mutant in made}
    assert kinds >= {
        "operator", "comparison", "constant", "dropped statement", "swapped arguments",
        "reused draw", "loop's end", "dropped call", "dropped argument", "dropped index",
        "swapped branches", "other function", "swapped operands",
    }  # fmt: skip
    assert len({mutant.source for mutant in made}) == len(made)
    for mutant in made:
        compile(mutant.source, "mutant", "exec")
        assert mutant.old != mutant.new


def test_each_argument_is_written_to(tool):
    assert [m.new for m in tool.writes(SOLUTION)] == [
        f"writes into {n}" for n in ("x", "n", "draw")
    ]


def test_a_hanging_and_a_crashing_mutant_count_as_killed(tool):
    problem = next(iter(tool.problems().values()))
    hang = tool.Mutant("while True:\n    pass", 1, "", "", "")
    crash = tool.Mutant("import os\nos.kill(os.getpid(), 9)", 1, "", "", "")
    for mutant in (hang, crash):
        result = tool.tried(problem, tool.namespace(problem), mutant, seconds=2)
        assert result.agree and result.visible.startswith("stopped")


def test_a_sample_of_each_exercises_mutants_is_refused_by_both_tests(tool):
    for number, problem in tool.problems().items():
        score = tool.score(problem, sample=EACH, seconds=60)
        assert score.equal == score.count and not score.survivors, (number, score.survivors)


def test_the_equivalent_ones_give_equal_outputs(tool):
    listed = tool.equivalents()
    assert listed
    for number, problem in tool.problems().items():
        if number in listed:
            assert tool.verify(problem, count=100) == []


def test_the_instructors_page_is_up_to_date():
    page = subprocess.run(
        [sys.executable, str(TOOLS / "instructors_page.py"), "--check"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TOOLS.parent)},
    )
    assert page.returncode == 0, page.stdout + page.stderr
