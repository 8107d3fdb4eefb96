"""Haar patches and the way back, wrong."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def cut(pictures):
    """A right one, to go with wrong ways back."""
    a, b = pictures[..., ::2, ::2], pictures[..., ::2, 1::2]
    c, d = pictures[..., 1::2, ::2], pictures[..., 1::2, 1::2]
    return torch.cat([a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d], dim=1) / 2


def back(patches):
    """A right one, to go with wrong patches."""
    s, x, y, z = patches.chunk(4, dim=1)
    parts = torch.stack([s + x + y + z, s - x + y - z, s + x - y - z, s - x - y + z], dim=2) / 2
    return F.pixel_shuffle(parts.flatten(1, 2), 2)


def mean_of_four(pictures):
    return cut(pictures) / 2


def only_summed(pictures):
    return cut(pictures) * 2


def channel_by_channel(pictures):
    return cut(pictures).unflatten(1, (4, -1)).transpose(1, 2).flatten(1, 2)


def rows_for_columns(pictures):
    s, x, y, z = cut(pictures).chunk(4, dim=1)
    return torch.cat([s, y, x, z], dim=1)


def right_minus_left(pictures):
    s, x, y, z = cut(pictures).chunk(4, dim=1)
    return torch.cat([s, -x, -y, z], dim=1)


def bottom_minus_top(pictures):
    s, x, y, z = cut(pictures).chunk(4, dim=1)
    return torch.cat([s, x, -y, z], dim=1)


def diagonal_with_other_sign(pictures):
    s, x, y, z = cut(pictures).chunk(4, dim=1)
    return torch.cat([s, x, y, -z], dim=1)


def halves_for_neighbors(pictures):
    """The four quarters of a picture in place of four neighbors."""
    (a, b), (c, d) = (half.chunk(2, dim=3) for half in pictures.chunk(2, dim=2))
    return torch.cat([a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d], dim=1) / 2


def not_halved_again(patches):
    return back(patches) * 2


def side_by_side(patches):
    s, x, y, z = patches.chunk(4, dim=1)
    top = torch.cat([s + x + y + z, s - x + y - z], dim=3)
    return torch.cat([top, torch.cat([s + x - y - z, s - x - y + z], dim=3)], dim=2) / 2


def lower_for_right(patches):
    s, x, y, z = patches.chunk(4, dim=1)
    return back(torch.cat([s, y, x, z], dim=1))


def sums_alone(patches):
    return patches[:, : patches.shape[1] // 4].repeat_interleave(2, 2).repeat_interleave(2, 3) / 2


def in_place(patches):
    patches *= 1.0
    patches[:, :3] += 1e-3
    return back(patches)


def only_its_own_patches(patches):
    """Right for patches without a diagonal difference only."""
    s, x, y, z = patches.chunk(4, dim=1)
    return back(torch.cat([s, x, y, 0 * z], dim=1))


WRONG = [
    ("mean_of_four", (mean_of_four, back), "not by 4 and not by 1"),
    ("channel_by_channel", (channel_by_channel, back), "in another order"),
    ("rows_for_columns", (rows_for_columns, back), "have changed places: the left-right"),
    ("right_minus_left", (right_minus_left, back), "have the other sign"),
    ("bottom_minus_top", (bottom_minus_top, back), "(top minus bottom)"),
    ("diagonal_with_other_sign", (diagonal_with_other_sign, back), "(the diagonal)"),
    ("halves_for_neighbors", (halves_for_neighbors, back), "(sums)"),
    ("not_halved_again", (cut, not_halved_again), "times as large as they were"),
    ("side_by_side", (cut, side_by_side), "small ones side by side"),
    ("lower_for_right", (cut, lower_for_right), "rows and columns have changed"),
    ("sums_alone", (cut, sums_alone), "does not give the pixels"),
    ("in_place", (cut, in_place), "changed its argument"),
]
ALSO = [
    ("only_summed", (only_summed, back), "not by 4 and not by 1"),
    ("only_its_own_patches", (cut, only_its_own_patches), "does not give the pixels"),
]


# Right answers in other styles.


_SIGNS = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2


def as_a_matrix(pictures):
    parts = F.pixel_unshuffle(pictures.double(), 2).unflatten(1, (-1, 4))
    return torch.einsum("ij,bcjhw->bichw", _SIGNS.double(), parts).flatten(1, 2)


def as_a_convolution(pictures):
    channels = pictures.shape[1]
    kernels = _SIGNS.to(pictures).view(4, 1, 2, 2).repeat_interleave(channels, 0)
    again = torch.cat([pictures] * 4, dim=1)
    return F.conv2d(again, kernels, stride=2, groups=4 * channels)


def back_in_a_loop(patches):
    b, c, h, w = patches.shape
    out = torch.zeros(b, c // 4, 2 * h, 2 * w, dtype=patches.dtype)
    parts = patches.reshape(b, 4, c // 4, h, w)
    for y in range(2):
        for x in range(2):
            out[:, :, y::2, x::2] = sum(float(_SIGNS[k, 2 * y + x]) * parts[:, k] for k in range(4))
    return out


RIGHT = [
    ("as_a_matrix", (as_a_matrix, back_in_a_loop)),
    ("as_a_convolution", (as_a_convolution, back)),
]
