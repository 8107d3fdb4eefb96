"""What the Markdown files tell a reader to type exists: commands, flags, scripts, names."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import io
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from wmlearn import cli
from wmlearn.systems import TRAINABLE

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {".venv", "venv", "node_modules", "build", "data", "runs", ".git"}
FILES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not SKIPPED & set(path.relative_to(ROOT).parts) and ".pytest_cache" not in str(path)
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]+\b|NAME|NN_name|\bmymodel\b|<\w+>")


def blocks(path: Path, *languages: str) -> list[str]:
    return [text for lang, text in BLOCK.findall(path.read_text("utf-8")) if lang in languages]


def commands(block: str) -> list[list[str]]:
    """The words of each command; a line that ends in a backslash goes on."""
    block = re.sub(r"(^|\s)#.*", r"\1", block.replace("\\\n", " "), flags=re.M)
    words = shlex.shlex(block, posix=True, punctuation_chars="&|;\n")
    words.whitespace, words.whitespace_split, words.commenters = " \t\r", True, ""
    found: list[list[str]] = [[]]
    for word in words:
        if set(word) <= set("&|;\n"):
            found.append([])
        else:
            found[-1].append(word)
    return [command for command in found if command]


def test_the_parser_sees_commands():
    text = 'a && b "c d" \\\n --e  # not this\nf'
    assert commands(text) == [["a"], ["b", "c d", "--e"], ["f"]]
    assert len(FILES) > 5 and any(blocks(path, "bash") for path in FILES)


@cache
def help_of(*words: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        cli.main([*words, "--help"])
    return out.getvalue()


def flags(words: list[str]) -> list[str]:
    return [word.partition("=")[0] for word in words if word.startswith("--")]


def problem(words: list[str]) -> str | None:
    """Why this command cannot work, or ``None``."""
    program, rest = Path(words[0]).name, words[1:]
    if program in ("python", "python3", "py") and rest:
        if rest[0] == "-c":
            return python_problem(rest[1])
        if rest[0] == "-m" and rest[1].startswith("wmlearn"):
            if PLACEHOLDER.search(rest[1]):
                return None
            found = importlib.util.find_spec(rest[1])
            return script_problem(Path(found.origin), rest[2:]) if found else f"no {rest[1]}"
        if rest[0].endswith(".py") and not PLACEHOLDER.search(rest[0]):
            return script_problem(ROOT / rest[0], rest[1:])
    if program == "wmlearn":
        return wmlearn_problem(rest)
    if program == "pytest":
        paths = [word for word in rest if "/" in word and not PLACEHOLDER.search(word)]
        return next((f"no {path}" for path in paths if not list(ROOT.glob(path))), None)
    return None


def script_problem(path: Path, rest: list[str]) -> str | None:
    if not path.is_file():
        return f"no {path.relative_to(ROOT)}"
    known = path.read_text("utf-8")
    missing = [flag for flag in flags(rest) if not _stands_in(flag, known)]
    return f"{path.name} has no {missing}" if missing else None


def wmlearn_problem(rest: list[str]) -> str | None:
    if not rest or rest[0].startswith("-") or PLACEHOLDER.fullmatch(rest[0]):
        return None
    if rest[0] not in cli.COMMANDS:
        return f"no command {rest[0]}"
    if rest[0] == "lab" or len(rest) == 1:
        return None
    words = [rest[0]]
    if rest[0] == "fit" and not PLACEHOLDER.search(rest[1]) and not rest[1].startswith("-"):
        if rest[1] not in TRAINABLE:
            return f"no system {rest[1]}"
        words.append(rest[1])
    elif rest[0] == "teach" and not PLACEHOLDER.search(rest[1]):
        words.append(rest[1])
    known = help_of(*words)
    nested = [f for f in flags(rest) if f.startswith("--system.")]  # parsed by the fit tests
    missing = [f for f in flags(rest) if not _stands_in(f, known) and f not in nested]
    return f"{' '.join(words)} has no {missing}" if missing else None


def _stands_in(flag: str, text: str) -> bool:
    return re.search(re.escape(flag) + r"(?![\w-])", text) is not None


def python_problem(source: str) -> str | None:
    """A name that is imported from wmlearn, or asked of one of its modules, and is not there."""
    tree = ast.parse(source)
    modules: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "wmlearn":
            module = importlib.import_module(node.module)
            for alias in node.names:
                try:
                    modules[alias.asname or alias.name] = getattr(module, alias.name)
                except AttributeError:
                    try:
                        value = importlib.import_module(f"{node.module}.{alias.name}")
                    except ImportError:
                        return f"{node.module} has no {alias.name}"
                    modules[alias.asname or alias.name] = value
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "wmlearn":
                    modules[alias.asname or "wmlearn"] = importlib.import_module(alias.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = modules.get(node.value.id)
            if owner is not None and not hasattr(owner, node.attr):
                return f"{node.value.id} has no {node.attr}"
    return None


@pytest.mark.parametrize(
    "line",
    [
        "wmlearn rekord doom/basic",
        "wmlearn record doom/basic --frame 3",
        "wmlearn fit diamnd",
        "wmlearn fit diamond --steps 4",
        "python tools/no_such.py",
        "python -m wmlearn.no_such",
        'python -c "from wmlearn.data import episodes; episodes.nothing()"',
        'python -c "from wmlearn import nothing"',
        "pytest tests/no_such.py",
    ],
)
def test_what_is_wrong_is_found(line):
    (words,) = commands(line)
    assert problem(words)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_exist(path):
    wrong = []
    for block in blocks(path, "bash", "powershell", "sh"):
        for words in commands(block):
            if why := problem(words):
                wrong.append(f"{' '.join(words)}: {why}")
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_python_blocks_name_what_exists(path):
    wrong = [why for block in blocks(path, "python") if (why := python_problem(block))]
    assert wrong == []
