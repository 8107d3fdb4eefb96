"""Random numbers that depend on (seed, step, sample) alone: not on devices, ranks or restarts."""

from __future__ import annotations

import torch
from torch import Tensor

_PRIMES = (1_000_003, 998_244_353, 15_485_863)


class SampleNoise:
    """Noise for a batch, each sample with a stream of its own.

    Two processes with half a batch each thus draw what one process draws for the whole batch,
    and a run that was killed and resumed draws what it would have drawn. Numbers are drawn on
    the CPU, so every accelerator sees the same ones.

    Args:
        seed: of the run.
        step: the training step.
        batch: local batch size B.
        rank: of this process; its samples are numbers ``rank * batch`` to ``(rank + 1) * batch``.
        device: where the numbers are wanted.
    """

    def __init__(
        self, seed: int, step: int, batch: int, rank: int = 0, device: torch.device | str = "cpu"
    ) -> None:
        self.device = device
        self.generators = []
        for sample in range(rank * batch, (rank + 1) * batch):
            value = (seed + 1) * _PRIMES[0] + step * _PRIMES[1] + sample * _PRIMES[2]
            self.generators.append(torch.Generator().manual_seed(value % 2**63))

    def normal(self, *shape: int) -> Tensor:
        """Standard normal ``[B, ...]``; ``shape[0]`` must be the batch size."""
        draws = [torch.randn(shape[1:], generator=generator) for generator in self.generators]
        return torch.stack(draws).to(self.device)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform in [0, 1), ``[B, ...]``; ``shape[0]`` must be the batch size."""
        draws = [torch.rand(shape[1:], generator=generator) for generator in self.generators]
        return torch.stack(draws).to(self.device)

    def integers(self, high: int) -> Tensor:
        """int64 ``[B]``, uniform in ``0 .. high - 1``."""
        draws = [torch.randint(high, (), generator=generator) for generator in self.generators]
        return torch.stack(draws).to(self.device)
