"""How long `wmlearn --help` takes, over a Python that does nothing.

    python benchmarks/command_line.py

Median wall times of alternating runs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {"python -c pass": ["-c", "pass"], "wmlearn --help": ["-m", "wmlearn", "--help"]}


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(9):
        for name, words in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
    for name, spent in seconds.items():
        print(f"{name:16} {statistics.median(spent):.2f} s")


if __name__ == "__main__":
    main()
