"""A course's own variant of an exercise, so that published solutions do not solve it.

Two things change, both drawn from the course's secret:

- the seeds of the hidden tests: every ``seed=...`` and ``manual_seed(...)`` between the hidden-test
  markers,
- the exercise's parameters, where ``NN_name.variants.toml`` beside the notebook lists some. Each is
  a table of values and, for the cells that change, pairs of old and new text.

The draw is a hash, not a generator, so a new parameter leaves the others as they were.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import re
import tomllib
from pathlib import Path
from typing import Any

_SEED = re.compile(r"(manual_seed\(\s*|\bseed=)\d[\d_]*")
_HIDDEN = re.compile(r"(### BEGIN HIDDEN TESTS\n)(.*?)(### END HIDDEN TESTS)", re.S)


def make_variant(notebook: dict, source: Path, secret: str) -> tuple[dict, list[str]]:
    """The course's variant of a teacher's notebook, and in words what is particular to it.

    Args:
        notebook: from ``read_notebook``.
        source: where it was read; the parameters stand beside it in ``<stem>.variants.toml``.
        secret: the course's.

    Raises:
        ValueError: if a parameter's text is not found in the notebook, so that nothing changes.
    """
    notebook, words = copy.deepcopy(notebook), []
    cells = {cell["metadata"]["nbgrader"].get("grade_id"): cell for cell in notebook["cells"]}
    table = source.with_suffix(".variants.toml")
    if table.is_file():
        for name, parameter in tomllib.loads(table.read_text(encoding="utf-8")).items():
            values = parameter["values"]
            value = values[_draw(secret, f"{source.stem}/{name}", len(values))]
            _apply(cells, parameter["replace"], value, f"{table.name}: {name}")
            words.append(f"{name}: {parameter['says'].format_map(_named(value))}")
    seeds = 0
    for name, cell in cells.items():
        if not _HIDDEN.search(cell["source"]):
            continue

        def seed(match: re.Match, name: str = name) -> str:
            nonlocal seeds
            seeds += 1
            return f"{match[1]}{_draw(secret, f'{source.stem}/{name}/{seeds}', 2**31)}"

        cell["source"] = _HIDDEN.sub(
            lambda m, seed=seed: m[1] + _SEED.sub(seed, m[2]) + m[3], cell["source"]
        )
    return notebook, [*words, f"{seeds} hidden seeds"]


def _apply(cells: dict, replace: dict, value: Any, where: str) -> None:
    for grade_id, pairs in replace.items():
        if grade_id not in cells:
            raise ValueError(f"{where}: the notebook has no cell {grade_id}.")
        for old, new in pairs:
            if old not in cells[grade_id]["source"]:
                raise ValueError(f"{where}: {grade_id} does not contain {old!r}.")
            new = re.sub(r"<(\w+)>", lambda m: str(_named(value)[m[1]]), new)
            cells[grade_id]["source"] = cells[grade_id]["source"].replace(old, new)


def _named(value: Any) -> dict:
    return value if isinstance(value, dict) else {"value": value}


def _draw(secret: str, what: str, count: int) -> int:
    digest = hmac.new(secret.encode(), what.encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") % count
