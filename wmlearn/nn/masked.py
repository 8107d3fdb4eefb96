"""The mean of a loss over part of its entries, by one convention."""

from __future__ import annotations

from torch import Tensor


def masked_mean(each: Tensor, keep: Tensor | None, count: Tensor | int | None = None) -> Tensor:
    """The sum of what is kept, divided by a number that no process sees differently.

    The default divides by the number of *all* entries, those left out included: **padding counts
    as zero loss**. So every kept entry weighs the same in whatever batch it comes, and the mean of
    two half batches is that of the whole, which is what processes that share a batch compute. Were
    it divided by what is kept, a frame beside much padding would weigh more than others, and the
    gradients of two processes would not average to those of one. The price is that the loss of a
    clip with padding is smaller by the share of it; a mean over kept entries of *all* processes
    has neither fault, and is had by ``count``.

    Args:
        each: float, any shape.
        keep: bool or float of the same shape, or one that broadcasts to it; ``None`` keeps all.
        count: to divide by, where the number of kept entries means something (tokens that a mask
            hides): their number over all processes, divided by that of the processes.

    Returns:
        A scalar.
    """
    kept = each if keep is None else each * keep
    return kept.mean() if count is None else kept.sum() / count
