"""V-JEPA 2's rotary positions: angles from a table, over angles computed in every block.

    python benchmarks/rotary.py

Ratio of the median processor times of alternating runs, one thread. Below 1 the table is faster.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from attention import ratio

from wmlearn.nn.attention import rotate
from wmlearn.systems.vjepa.rope import grid_positions, rope_table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/unit/systems"))
from test_vjepa_rope import by_axes  # the published recipe


def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 128, 2, 6, 32, generator=generator)  # [B, N, query or key, heads, d]
    index = torch.rand(8, 256, generator=generator).argsort(1)[:, :128]
    table = rope_table(grid_positions((4, 8, 8)), 32)

    def from_the_table() -> None:
        rotate(x, table[:, index, None, None], "interleaved")

    def every_time() -> None:
        for part in x.unbind(2):
            by_axes(part.transpose(1, 2), index, 8)

    print(f"rotary positions, table over recipe: {ratio([from_the_table, every_time]):.2f}")


if __name__ == "__main__":
    main()
