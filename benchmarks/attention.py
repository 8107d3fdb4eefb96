"""The table in ``wmlearn/nn/attention.py``: attention written out, over PyTorch's fused kernel.

    python benchmarks/attention.py

Each entry is the ratio of the median processor times of alternating runs, one thread. Below 1 the
equation written out is faster.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from wmlearn.fast.memory import keep_freed_memory
from wmlearn.nn.attention import attend_written_out

SHAPES = (  # B, h, N, d, causal
    (512, 5, 8, 32, True),
    (512, 5, 16, 32, True),
    (32, 4, 64, 32, False),
    (8, 6, 128, 32, False),
    (8, 6, 256, 32, False),
    (4, 6, 512, 64, False),
    (1, 5, 64, 32, False),
)


def fused(q: Tensor, k: Tensor, v: Tensor, mask: None, causal: bool) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def pass_through(attend: Callable, qkv: Tensor, causal: bool, backward: bool) -> None:
    """As a layer does it: queries, keys and values are parts of one tensor ``[B, N, 3, h, d]``."""
    x = qkv.clone().requires_grad_(backward)
    with torch.set_grad_enabled(backward):
        q, k, v = (part.transpose(1, 2) for part in x.unbind(2))
        y = attend(q, k, v, None, causal).transpose(1, 2).flatten(2)
        if backward:
            y.backward(torch.ones_like(y))


def ratio(functions: list[Callable[[], None]], repeats: int = 9) -> float:
    """Median time of the first over that of the second."""
    seconds: list[list[float]] = [[] for _ in functions]
    for repeat in range(repeats + 1):
        for function, spent in zip(functions, seconds, strict=True):
            start = time.process_time()
            function()
            if repeat:
                spent.append(time.process_time() - start)
    first, second = map(statistics.median, seconds)
    return first / second


def main() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    print("B x h x N x d".ljust(36), *("x".join(map(str, s[:4])).rjust(12) for s in SHAPES))
    for backward in (True, False):
        for dtype in (torch.float32, torch.bfloat16):
            row = []
            for b, h, n, d, causal in SHAPES:
                qkv = torch.randn(b, n, 3, h, d).to(dtype)
                runs = [
                    lambda way=way, x=qkv, c=causal: pass_through(way, x, c, backward)  # noqa: B023
                    for way in (attend_written_out, fused)
                ]
                row.append(f"{ratio(runs):12.2f}")
            kind = "forward and backward" if backward else "forward alone"
            print(f"{kind}, {str(dtype).removeprefix('torch.')}".ljust(36), *row)


if __name__ == "__main__":
    main()
