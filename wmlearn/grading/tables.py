"""CSV files: those that others wrote, in whatever encoding, and ours, which no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

_FORMULA = set("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


class Table(NamedTuple):
    """A table that another program wrote.

    Attributes:
        header: its columns, in its order.
        rows: the cells below each, as many as there are columns.
        delimiter: what stands between cells.
    """

    header: list[str]
    rows: list[list[str]]
    delimiter: str


def read_table(path: Path) -> Table:
    """Reads a CSV in UTF-8 or UTF-16, with or without a byte order mark, or in Windows's cp1252.

    Cells may be parted by commas, semicolons or tabs.

    Raises:
        ValueError: if there is no such file or no table in it; one sentence.
    """
    try:
        text = _decoded(Path(path).read_bytes())
        first = text.lstrip("\n").split("\n", 1)[0]
        delimiter = max(",;\t", key=_outside_quotes(first).count)
        rows = list(csv.reader(io.StringIO(text.lstrip("\n")), delimiter=delimiter))
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}).") from None
    except (csv.Error, UnicodeError):
        rows = []
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise ValueError(f"{path} holds no table: export it again as CSV.")
    header = [cell.strip() for cell in rows[0]]
    width = len(header)
    return Table(header, [(row + [""] * width)[:width] for row in rows[1:]], delimiter)


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = content.decode("utf-16")
    elif content[:200].count(0) > len(content[:200]) // 4:  # UTF-16 without a mark
        text = content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _outside_quotes(line: str) -> str:
    return "".join(part for i, part in enumerate(line.split('"')) if i % 2 == 0)


def table_text(rows: Iterable[Sequence[object]], delimiter: str = ",") -> str:
    """Rows as CSV text. A cell that a spreadsheet would take for a formula begins with ``'``."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", delimiter=delimiter)
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return out.getvalue()


def safe_cell(cell: object) -> str:
    """The cell as text that is shown and never run; numbers stay numbers.

    A carriage return, which Python's writer leaves unquoted, would begin a row of its own.
    """
    text = str(cell).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    start = text.lstrip(" \u00a0")[:1]
    if start not in _FORMULA or not start:
        return text
    try:
        float(text)
    except ValueError:
        return "'" + text
    return text
