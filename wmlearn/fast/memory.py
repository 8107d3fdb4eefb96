"""Keeping freed memory for the next step, instead of returning it to the system."""

from __future__ import annotations

import ctypes
from functools import cache

# glibc's <malloc.h>
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_MMAP_THRESHOLD = 32 * 2**20
KEEP = 2**30


@cache
def keep_freed_memory() -> bool:
    """Lets this process keep up to 1 GiB of what it frees; true where that could be arranged.

    A backward pass frees the activations that the next forward pass asks for. In between, glibc's
    malloc gives them back to the system, which clears every page before it hands it out again:
    some 10% of a small model's training step on a CPU. Other C libraries are left alone.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018 (only glibc has it)
        mallopt = libc.mallopt
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no CDLL(None)
        return False
    # Both, since setting one stops glibc from adapting the other.
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)) and bool(
        mallopt(M_TRIM_THRESHOLD, KEEP)
    )
