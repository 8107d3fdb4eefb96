"""Systems whose parts learn one after the other, each in its own span of the training steps."""

from __future__ import annotations

from typing import Any

from torch import Tensor


class Turns:
    """What a ``LightningModule`` of several parts says of whose turn it is.

    Attributes:
        parts: names of the parts; ``config.PART_span`` is a part's share of the steps, two numbers
            from 0 to 1, and ``config.max_steps`` how many there are.
    """

    parts: tuple[str, ...]
    config: Any

    def parts_at(self, step: int) -> tuple[str, ...]:
        """Whose turn it is at a training step: a choice by the step's number alone."""
        spans = {part: self._span(part) for part in self.parts}
        return tuple(part for part, (begin, end) in spans.items() if begin <= step < end)

    def _shares(self, part: str) -> tuple[float, float]:
        return getattr(self.config, f"{part}_span")

    def _span(self, part: str) -> tuple[float, float]:
        """The steps from which, and before which, it is the part's turn."""
        begin, end = self._shares(part)
        return begin * self.config.max_steps, end * self.config.max_steps

    def _of_all_processes(self, frames: Tensor) -> Tensor:
        """``[B, T, C, H, W]`` of each process -> ``[B of all, T, C, H, W]``."""
        return self.all_gather(frames).flatten(0, 1) if self.trainer.world_size > 1 else frames
