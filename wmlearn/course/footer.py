"""A chapter's last cell: versions, and the run's minutes and memory beside the header's."""

from __future__ import annotations

import os
import platform
import time

import wmlearn
from wmlearn.recipes.tiers import current_tier

STRICT = "WMLEARN_STRICT"
"""Environment variable: if set, a run that breaks the header's promise fails."""
TOLERANCE = 0.5
"""Share of what was promised by which a run may differ."""


def footer(began: float, minutes: float, gigabytes: float) -> None:
    """Prints versions, and how long and how large this run was beside what the header promises.

    Args:
        began: ``time.monotonic()`` at the start of section 1.
        minutes: that the header promises at the laptop's tier, of computing.
        gigabytes: likewise, of memory in use at the end (resident set of the kernel).

    Raises:
        RuntimeError: at the laptop's tier, where ``WMLEARN_STRICT`` is set (as by
            ``tools/run_chapter.py``): one of the two differs by more than half of the promise.
    """
    import psutil  # comes with Jupyter
    import torch

    tier = current_tier().name
    took = (time.monotonic() - began) / 60
    used = psutil.Process().memory_info().rss / 1e9
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    print(
        f"wmlearn {wmlearn.__version__}, {versions}; tier {tier}: {took:.0f} minutes from "
        f"section 1 to here, {used:.1f} GB of memory in use"
    )
    if tier != "laptop":
        return
    broken = broken_promises(took, minutes, used, gigabytes)
    print(broken or f"The header says {minutes:g} minutes and {gigabytes:g} GB.")
    if broken and os.environ.get(STRICT):
        raise RuntimeError(broken)


def broken_promises(took: float, minutes: float, used: float, gigabytes: float) -> str:
    """One sentence on what differs by more than ``TOLERANCE`` from the header; empty if nothing."""
    found = [
        f"{value:.1f} {unit} instead of {promised:g}"
        for value, promised, unit in ((took, minutes, "minutes"), (used, gigabytes, "GB"))
        if abs(value - promised) > TOLERANCE * promised
    ]
    if not found:
        return ""
    return f"This run differs from the header: {', and '.join(found)}. Other machines differ."
