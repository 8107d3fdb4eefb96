"""Writes what `book/instructors.md` says of the exercises, from the exercises themselves.

    python tools/instructors_page.py           # rewrite the parts between the markers
    python tools/instructors_page.py --check   # only say whether they are up to date

A part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import argparse
import json
import re
import runpy
import sys
import tomllib
from pathlib import Path

from wmlearn.grading.releasing import read_notebook

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "book/instructors.md"
SOURCES = sorted((ROOT / "notebooks/exercises").glob("[0-9]*.ipynb"))
KEPT = ROOT / "tests/exercises"
SCORES = KEPT / "scores.json"
_HEAD = re.compile(
    r"\*(?P<kind>[^.]+)\. Difficulty (?P<difficulty>\d) of 5, importance (?P<importance>\d) of 5, "
    r"(?P<minutes>\d+) minutes, (?P<points>[\d +]+?) points?\. It teaches (?P<teaches>[^*]+?)\.?\*"
)


def exercises(source: Path) -> list[dict]:
    """What each exercise's text says of it: number, title, kind, difficulty, ..."""
    found = []
    for cell in read_notebook(source)["cells"]:
        title = re.match(r"## Exercise (\d+): (.+)", cell["source"])
        if title:
            said = _HEAD.search(" ".join(cell["source"].split())).groupdict()
            name = title[2][0].upper() + title[2][1:]
            found.append({"number": f"{source.stem[:2]}.{title[1]}", "title": name, **said})
    return found


def title_of(source: Path) -> str:
    """Such as "Chapter 4, DIAMOND", as the notebook's own title says."""
    title, *_ = read_notebook(source)["cells"][0]["source"].split("\n")
    name = title.removeprefix("# Exercises: ")
    return f"Chapter {int(source.stem[:2])}, {name}"


def times() -> str:
    """Difficulty, importance, minutes and points of all exercises, a table for each chapter."""
    parts = []
    for source in SOURCES:
        rows = exercises(source)
        total = sum(int(row["minutes"]) for row in rows)
        points = sum(sum(map(int, row["points"].split("+"))) for row in rows)
        lines = [
            f"**{title_of(source)}**: {total} minutes, {points} points.",
            "",
            "| Exercise | Kind | Difficulty | Importance | Minutes | Points | It teaches |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in rows:
            graded = row["points"] + (" (tests, and a person)" if "+" in row["points"] else "")
            lines.append(
                f"| {row['number']} {row['title']} | {row['kind'].lower()} | {row['difficulty']} | "
                f"{row['importance']} | {row['minutes']} | {graded} | {row['teaches']} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def rubrics() -> str:
    """Questions and marking of the written answers, as the teacher's notebooks have them."""
    parts = []
    for source in SOURCES:
        cells = {
            c["metadata"]["nbgrader"].get("grade_id", ""): c for c in read_notebook(source)["cells"]
        }
        for name, cell in cells.items():
            if not name.endswith("-essay"):
                continue
            points = cell["metadata"]["nbgrader"]["points"]
            text = re.sub(r"### (BEGIN|END) SOLUTION\n?", "", cell["source"])
            answer, _, marking = text.partition("Marking: ")
            number = name[:4].replace("-", ".")
            parts.append(
                f"**{number}** ({points} points). {marking[:1].upper()}{marking[1:].strip()}\n\n"
                f"<details>\n<summary>A model answer</summary>\n\n{answer.strip()}\n\n</details>"
            )
    return "\n\n".join(parts)


def variants() -> str:
    """What a course's own variant changes, by chapter."""
    lines = ["| Exercise | A course's variant |", "|---|---|"]
    for source in SOURCES:
        table = source.with_suffix(".variants.toml")
        if not table.is_file():
            lines.append(f"| {title_of(source)} | hidden seeds |")
            continue
        for parameter in tomllib.loads(table.read_text(encoding="utf-8")).values():
            number, _, says = parameter["says"].partition(": ")
            says = re.sub(r"\{\w+\}", "…", says)
            lines.append(f"| {number} | {says} ({len(parameter['values'])} values), hidden seeds |")
    return "\n".join(lines)


def proofs() -> str:
    """Kept answers and mutation scores, by exercise."""
    scores = json.loads(SCORES.read_text(encoding="utf-8"))
    lines = [
        "| Exercise | Wrong answers | Right answers | Mutants | Change nothing | Refused visibly | "
        "Refused hidden | Same verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for source in SOURCES:
        for row in exercises(source):
            number = row["number"]
            kept = runpy.run_path(str(KEPT / f"{number.replace('.', '_')}.py"))
            wrong = len(kept["WRONG"]) + len(kept.get("ALSO", []))
            s = scores[number]
            lines.append(
                f"| {number} | {wrong} | {len(kept['RIGHT'])} | {s['count']} | {s['equivalent']} | "
                f"{s['visible']} | {s['hidden']} | {s['equal']} of {s['count']} |"
            )
    return "\n".join(lines)


PARTS = {"times": times, "rubrics": rubrics, "variants": variants, "proofs": proofs}


def page(text: str) -> str:
    """The page with all its generated parts made anew."""
    for name, make in PARTS.items():
        pattern = rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)"
        part = make() + "\n"
        text, count = re.subn(pattern, lambda m, part=part: m[1] + part + m[2], text, flags=re.S)
        if count != 1:
            raise ValueError(f"{PAGE.name} has {count} parts named {name}; it should have one.")
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args()
    old = PAGE.read_text(encoding="utf-8")
    new = page(old)
    if options.check:
        print("up to date" if new == old else f"run: python {Path(__file__).name}")
        return int(new != old)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
