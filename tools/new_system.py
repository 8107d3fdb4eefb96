"""Stamps a system and its chapter: a small one that trains, dreams and passes the tests at once.

    python tools/new_system.py "My Model" --number 13 --claim "..." --paper "..." --link https://...

It makes `wmlearn/systems/my_model/`, `wmlearn/chapters/ch13_my_model/`, the notebook pairs of the
chapter and of its exercises, and tests; and it gives the system an entry in the one place that
lists systems, `wmlearn/systems/__init__.py` (what is planned there already needs no claim, paper
and link). Then replace its parts, one after the other, as CONTRIBUTING.md says. The network that is
stamped is a placeholder in one sense only: it is nobody's paper.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat

SKELETON = Path(__file__).resolve().parent / "skeleton"
REGISTRY = "wmlearn/systems/__init__.py"
SETUP_FROM = "notebooks/src/00_start_here.py"
END = ")\n\nAGENTS = ("  # of the registry's list


class Names:
    """How a title is spelled in each place: ``My Model`` -> my-model, my_model, MyModel, 13."""

    def __init__(self, title: str, number: int) -> None:
        words = re.findall(r"[A-Za-z0-9]+", title)
        if not words or not words[0][0].isalpha():
            raise SystemExit(f"'{title}' is no title: begin with a letter.")
        self.title, self.number = title, f"{number:02}"
        self.name = "-".join(words).lower()
        self.folder = self.name.replace("-", "_")
        self.kind = "".join(word[0].upper() + word[1:] for word in words)

    def fill(self, text: str) -> str:
        """A template's text with these names."""
        pairs = [("mymodel", self.folder), ("my-model", self.name), ("MyModel", self.kind)]
        for template, own in [*pairs, ("My Model", self.title), ("chNN", f"ch{self.number}")]:
            text = text.replace(template, own)
        return re.sub(r"\bNN(?=[._-]|,|\b)", self.number, text)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("title", help="of the system, for people")
    parser.add_argument("--number", type=int, required=True, help="of its chapter")
    parser.add_argument("--space", default="pixels", choices=["pixels", "tokens", "embeddings"])
    parser.add_argument("--claim", default="", help="the makers' own result, one sentence")
    parser.add_argument("--paper", default="", help="authors (year), title")
    parser.add_argument("--link", default="", help="to the paper")
    parser.add_argument("--root", type=Path, default=SKELETON.parents[1], help="the repository")
    args = parser.parse_args(argv)
    names = Names(args.title, args.number)
    root = args.root.resolve()
    registry = (root / REGISTRY).read_text("utf-8")
    entry = registered(registry, names, args)
    made = files(root, names)
    if there := [path for path in made if path.exists()]:
        raise SystemExit(f"{there[0].relative_to(root)} is there already; nothing was written.")
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    (root / REGISTRY).write_text(entry, "utf-8")
    tidy(root, [path for path in made if path.suffix == ".py"])
    pair(root, names)
    print("\n".join(str(path.relative_to(root)) for path in [*made, root / REGISTRY]))
    print(f"next: wmlearn fit {names.name} --tier smoke, and CONTRIBUTING.md from step 1 on")


def files(root: Path, names: Names) -> dict[Path, str]:
    """What is written, by path; the setup cell is the one that all chapters have."""
    chapter = f"{names.number}_{names.folder}"
    parts = {
        root / "wmlearn/systems" / names.folder: SKELETON / "system",
        root / "wmlearn/chapters" / f"ch{chapter}": SKELETON / "chapter",
    }
    made = {to / file.name: file for to, source in parts.items() for file in source.glob("*.py")}
    made |= {
        root / f"notebooks/src/{chapter}.py": SKELETON / "chapter.txt",
        root / f"notebooks/exercises/{chapter}.py": SKELETON / "exercises.txt",
        root / f"tests/unit/systems/test_{names.folder}.py": SKELETON / "test_system.py",
        root / f"tests/exercises/{names.number}_1.py": SKELETON / "answers.py",
    }
    cells = (root / SETUP_FROM).read_text("utf-8").split("# %%\n")
    setup = cells[1].strip()
    filled = {}
    for path, source in sorted(made.items()):
        text = source.read_text("utf-8").replace("SETUP", setup)
        filled[path] = names.fill(text)
    return filled


def registered(registry: str, names: Names, args: argparse.Namespace) -> str:
    """The registry's text with the system in it."""
    if f'name="{names.name}"' in registry:
        raise SystemExit(f"The registry has a system '{names.name}' already.")
    package = f"wmlearn.systems.{names.folder}"
    built = (
        f'        chapter="{names.number}_{names.folder}",\n'
        f'        name="{names.name}",\n'
        f'        module="{package}.system:{names.kind}",\n'
        f'        config="{package}.config:{names.kind}Config",\n'
        f'        recipe="{package}.recipe:RECIPE",\n'
    )
    planned = re.search(rf'^    System\(\n        "{re.escape(names.title)}",\n', registry, re.M)
    if planned:
        end = registry.index("\n    ),\n", planned.end()) + 1
        return registry[:end] + built + registry[end:]
    if not (args.claim and args.paper and args.link):
        raise SystemExit(
            f"'{names.title}' is not planned in {REGISTRY}: give --claim, --paper and --link, so "
            "that the map can show it."
        )
    quoted = [f"        {part}={getattr(args, part)!r},\n" for part in ("claim", "paper", "link")]
    new = (
        f'    System(\n        "{names.title}",\n        "{args.space}",\n        ("actions",),\n'
        '        "the next frame",\n        "the last frames and actions",\n'
        f"{''.join(quoted)}{built}    ),\n"
    )
    if registry.count(END) != 1:
        raise SystemExit(f"{REGISTRY} no longer has the line where its list of systems ends.")
    return registry.replace(END, new + END)


def tidy(root: Path, paths: list[Path]) -> None:
    """Lays the files out for the names that they now have, where ruff is installed."""
    if importlib.util.find_spec("ruff") is None:
        return
    code = [path for path in paths if "notebooks" not in path.parts] + [root / REGISTRY]
    for words in (["format"], ["check", "--fix"], ["format"]):
        ruff = [sys.executable, "-m", "ruff", *words, "--no-cache", "--quiet", *map(str, code)]
        subprocess.run(ruff, cwd=root)


def pair(root: Path, names: Names) -> None:
    """Makes the notebooks of the text halves, and the students' version of the exercises."""
    chapter = f"{names.number}_{names.folder}"
    folder = root / "notebooks"
    exercises = folder / f"exercises/{chapter}.ipynb"
    halves = {folder / f"src/{chapter}.py": folder / f"{chapter}.ipynb"}
    halves[exercises.with_suffix(".py")] = exercises
    for text, notebook in halves.items():
        made = jupytext.read(text)
        made.metadata.pop("jupytext", None)
        made.metadata.setdefault("language_info", {"name": "python"})
        nbformat.write(made, notebook)
    sys.path.insert(0, str(root))
    from wmlearn.grading.releasing import release

    release(exercises, exercises.parent / "release" / exercises.name)


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the text above."""


if __name__ == "__main__":
    main()
