"""The API reference: one page a package, from the docstrings."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

from wmbook.places import ROOT

_PACKAGE = ROOT / "wmlearn"
_STATIONS = {  # first lines of the index, in the order of the library
    "data": ("envs", "data"),
    "system": ("nn", "systems", "recipes", "train", "fast"),
    "world": ("world", "player", "agents", "hub"),
    "judgment": ("metrics", "evaluation", "viz"),
    "course": ("course", "teach", "chapters", "grading", "cli", "pixels", "files"),
}


def pages() -> dict[str, str]:
    groups = _groups()
    lines = [
        "# API reference",
        "",
        "Made from the docstrings. The library has four stations, and a folder for each thing: "
        "**data → system → world → judgment**. Everyday names are in `wmlearn` itself:",
        "",
        _names(),
    ]
    for station, packages in _STATIONS.items():
        rows = [name for name in groups if name.split(".")[1] in packages]
        if rows:
            lines += [
                "",
                f"## {station.capitalize()}",
                "",
                "| Package | What is in it |",
                "|---|---|",
            ]
            lines += [
                f"| [`{name}`]({name}.md) | {_first_sentence(groups[name][0])} |" for name in rows
            ]
    left = [n for n in groups if n.split(".")[1] not in sum(_STATIONS.values(), ())]
    if left:
        lines += ["", "## More", "", "| Package | What is in it |", "|---|---|"]
        lines += [
            f"| [`{name}`]({name}.md) | {_first_sentence(groups[name][0])} |" for name in left
        ]
    names = "\n".join(groups)
    lines += ["", f"```{{toctree}}\n:hidden:\n{names}\n```"]
    found = {f"api/{name}.md": _page(name, modules) for name, modules in groups.items()}
    return {"api/index.md": "\n".join(lines), **found}


def _groups() -> dict[str, list[Path]]:
    """Modules by the page that they stand on: top-level packages, and each system by itself."""
    groups: dict[str, list[Path]] = {}
    for path in sorted(_PACKAGE.rglob("*.py")):
        parts = path.relative_to(_PACKAGE).parts
        if (
            any(part.startswith("_") and part != "__init__.py" for part in parts)
            or len(parts) == 1
            and (path.stem == "__init__")
        ):
            continue
        depth = 2 if parts[0] in ("systems", "chapters") and len(parts) > 2 else 1
        name = ".".join(["wmlearn", *(part.removesuffix(".py") for part in parts[:depth])])
        groups.setdefault(name.removesuffix(".__init__"), []).append(path)
    return {name: paths for name, paths in groups.items() if any(map(_docstring, paths))}


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def _first_sentence(path: Path) -> str:
    text = (
        " ".join(_docstring(path).split("\n\n")[0].split()).replace("|", "\\|").replace("``", "`")
    )
    return text if text else "–"


def _page(name: str, modules: list[Path]) -> str:
    parts = [f"# {name}"]
    for path in modules:
        if _docstring(path):
            module = _module(path)
            heading = [f"## {module.removeprefix(name + '.')}"] if module != name else []
            parts += [*heading, _autodoc(module)]
    return "\n\n".join(parts)


def _autodoc(module: str) -> str:
    options = "".join(
        f"   :{name}:\n" for name in ("members", "ignore-module-all", "show-inheritance")
    )
    return f"```{{eval-rst}}\n.. automodule:: {module}\n{options}```"


def _names() -> str:
    """A table of what ``wmlearn`` itself offers."""
    import wmlearn

    lines = ["| Name | What it is |", "|---|---|"]
    for name in sorted(wmlearn.__all__):
        found = getattr(wmlearn, name)
        text = " ".join((inspect.getdoc(found) or "").split("\n\n")[0].split())
        where = getattr(found, "__module__", None)
        link = (
            f"{{py:obj}}`wm.{name} <{where}.{name}>`"
            if where
            else f"{{py:mod}}`wm.{name} <wmlearn.{name}>`"
        )
        lines.append(f"| {link} | {text.replace('|', chr(92) + '|').replace('``', '`')} |")
    return "\n".join(lines)
