"""Exercise 08.1: Haar patches, and the way back."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import close, exercise, integer, normal, require, seeded, tensor

B, C, H, W = 2, 3, 4, 6


@exercise("08.1", "Haar patches, and the way back")
def haar_patches(haar: Answer, inverse: Answer, *, seed: int = 0) -> Iterator[str]:
    """``haar(pictures [B, C, H, W]) -> [B, 4 C, H / 2, W / 2]``; ``inverse(patches)``."""
    draw = seeded(seed)
    shape = (B, 4 * C, H // 2, W // 2)

    def cut(pictures: Tensor) -> Tensor:
        return tensor(haar(pictures), shape, "haar(pictures)")

    level = torch.tensor([float(integer(draw, 2, 9)), -4.0, 1.5]).double()
    flat = level.view(1, C, 1, 1).expand(B, C, H, W)
    patches = cut(flat)
    require(
        not close(patches, _haar(flat).unflatten(1, (4, C)).transpose(1, 2).flatten(1, 2)),
        "the channels are in another order: first the sums of all C channels, then all their "
        "differences left minus right, and so on; not the four numbers of one channel together.",
    )
    require(
        close(patches[:, C:], 0),
        "in a picture of one color all differences are 0, and only the first C channels, the "
        "sums, are not.",
    )
    require(
        not close(patches[:, :C], flat[..., ::2, ::2]) and not close(patches, 4 * _haar(flat) / 2),
        "the sum of the four pixels is divided by 2 here, not by 4 and not by 1: only so the "
        "squares of the patches add up to those of the pixels.",
    )
    yield "a picture of one color has no differences"

    across = torch.zeros(B, C, H, W).double()
    across[..., ::2] = float(integer(draw, 2, 7))  # left columns
    patches = cut(across)
    require(
        not close(patches[:, C : 2 * C], 0) or close(patches[:, 2 * C : 3 * C], 0),
        "left minus right and top minus bottom have changed places: the left-right differences "
        "stand second, the top-bottom ones third.",
    )
    require(
        not close(patches[:, C : 2 * C], -_haar(across)[:, C : 2 * C]),
        "the differences have the other sign: left minus right, top minus bottom.",
    )
    pictures = normal(draw, B, C, H, W)
    patches, want = cut(pictures), _haar(pictures)
    for number, name in enumerate(("sums", "left minus right", "top minus bottom", "the diagonal")):
        own = slice(number * C, (number + 1) * C)
        require(
            close(patches[:, own], want[:, own]),
            f"channels {number * C} to {(number + 1) * C - 1} ({name}) of a picture of noise are "
            "not those of the table: look at its signs, and at what a, b, c and d are.",
        )
    yield "sums and differences of four neighbors, and no energy lost"

    code = normal(draw, *shape)

    def back(patches: Tensor) -> Tensor:
        return tensor(inverse(patches), (B, C, H, W), "inverse(patches)")

    got, want = back(code), _inverse(code)
    size = float((got * want).sum() / want.square().sum())
    require(
        not (close(got, size * want) and not close(size, 1)),
        f"all pixels are {size:.3g} times as large as they were: the way back divides by 2 as "
        "well, since the table times itself is 4.",
    )
    require(
        not close(got, want.unflatten(2, (-1, 2)).flip(3).flatten(2, 3))
        and not close(got, _swapped(want)),
        "rows and columns have changed places inside of the patches: b is right of a, c below it.",
    )
    require(
        not close(got, _tiled(code)),
        "the pictures are four small ones side by side: pixels of a patch belong next to each "
        "other, so the two new axes stand behind H / 2 and behind W / 2.",
    )
    require(
        close(got, want),
        "the way back does not give the pixels of a patch: a = (sum + left-right + top-bottom + "
        "diagonal) / 2, and so on, with the table's columns read as rows.",
    )
    gray = normal(draw, 3, 1, 2, 8)
    patches = tensor(haar(gray), (3, 4, 1, 4), "haar of pictures of one channel")
    again = tensor(inverse(patches), (3, 1, 2, 8), "inverse of patches of one channel")
    require(
        close(patches, _haar(gray)) and close(again, gray),
        "gray pictures of 2 x 8 pixels are not cut and put together rightly: read C, H and W off "
        "what is given.",
    )
    yield "every pixel comes back, from any patches"


def _parts(pictures: Tensor) -> tuple[Tensor, ...]:
    return tuple(pictures[..., y::2, x::2] for y in (0, 1) for x in (0, 1))


def _mix(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, ...]:
    return (a + b + c + d) / 2, (a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2


def _haar(pictures: Tensor) -> Tensor:
    return torch.cat(_mix(*_parts(pictures)), dim=1)


def _inverse(patches: Tensor) -> Tensor:
    out = patches.new_empty(B, C, H, W)
    for place, part in zip(_parts(out), _mix(*patches.chunk(4, dim=1)), strict=True):
        place.copy_(part)
    return out


def _swapped(pictures: Tensor) -> Tensor:
    """Right neighbors and lower ones exchanged."""
    out = pictures.clone()
    out[..., ::2, 1::2], out[..., 1::2, ::2] = pictures[..., 1::2, ::2], pictures[..., ::2, 1::2]
    return out


def _tiled(patches: Tensor) -> Tensor:
    a, b, c, d = _mix(*patches.chunk(4, dim=1))
    return torch.cat([torch.cat([a, b], dim=3), torch.cat([c, d], dim=3)], dim=2)
