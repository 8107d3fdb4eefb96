"""Exercise 09.4: attention over time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, close, exercise, integer, normal, require, seeded, tensor


@exercise("09.4", "attention over time")
def attention_over_time(temporal_attention: Answer, *, seed: int = 0) -> Iterator[str]:
    """``temporal_attention(q, k, v)``, all ``[B, T, S, D]``."""
    draw = seeded(seed)
    shape = (2, 5, 3, integer(draw, 6, 8))
    q, k, v = normal(draw, 3, *shape)

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        result = temporal_attention(q, k, v)
        if torch.is_tensor(result) and result.shape == shape and result.isnan().any():
            require(
                not result.isnan().all(),
                "every frame gives NaN: 0 * inf is NaN, so a mask of zeros and ones cannot be "
                "multiplied by infinity. Use masked_fill with a bool mask.",
            )
            require(
                not result[:, 0].isnan().any(),
                "the first frame gives NaN: it has nothing to look at. A frame also sees itself, "
                "not only the earlier ones.",
            )
            require(
                not result[:, -1].isnan().any(),
                "the last frame gives NaN: all frames are hidden from it. The mask is the wrong "
                "way round: hide the later frames (above the diagonal, `triu(1)`), not the "
                "frame itself and the earlier ones (`tril()`).",
            )
        return tensor(result, tuple(q.shape), "the result")

    out = run(q, k, v)
    yield "the shape stays"

    changed = v.clone()
    changed[:, 3:] += 10
    after = run(q, k, changed)
    require(
        close(after[:, :3], out[:, :3]),
        "a later frame changed an earlier one: the attention is not causal. Frame t may look at "
        "frames 0 to t; give all later ones -inf before the softmax.",
    )
    require(
        not close(after[:, 3:], out[:, 3:]),
        "frames 3 and 4 changed, and the output there did not: a frame should see itself.",
    )
    yield "a frame never sees a later one"

    changed = v.clone()
    changed[:, :, 0] += 10
    require(
        close(run(q, k, changed)[:, :, 1:], out[:, :, 1:]),
        "place 0 changed, and other places felt it: over time each place looks at itself alone. "
        "(Looking around in the frame is the job of the other attention.)",
    )
    yield "a place sees only itself, at other times"

    ones = torch.ones_like(v)
    require(
        close(run(q, k, ones), ones),
        "if all values are the same, so is the output: the weights of each query should add up "
        "to 1 over the keys. Is the softmax taken over the wrong axis?",
    )
    yield "the weights add up to 1"

    want = _reference(q, k, v, shape[-1] ** -0.5)
    if not close(out, want):
        require(
            not close(out, _reference(q, k, v, 1.0)),
            "the products are not divided by the square root of D: with wide vectors the softmax "
            "would pick one frame and learn nothing.",
        )
        require(
            not close(out, _reference(q, k, v, 1 / shape[-1])),
            "the products are divided by D; divide by its square root.",
        )
        raise Hint("softmax over the frames of q · k / sqrt(D), times v, at each place.")
    yield "it agrees with attention written as plain loops"


def _reference(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Causal attention over time at each place, frame by frame."""
    out = torch.zeros_like(v)
    for t in range(q.shape[1]):
        products = (q[:, t : t + 1] * k[:, : t + 1]).sum(-1, keepdim=True) * scale
        out[:, t] = (products.softmax(dim=1) * v[:, : t + 1]).sum(dim=1)
    return out
