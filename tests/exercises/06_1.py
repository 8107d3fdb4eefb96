"""A video as a row of spacetime patches, wrong."""

from __future__ import annotations

import numpy as np
import torch


def _split(video, t, p):
    frames, channels, height, width = video.shape
    return video.reshape(frames // t, t, channels, height // p, p, width // p, p)


def only_reshaped(video, t, p):
    return video.reshape(-1, t * video.shape[1] * p * p)


def column_by_column(video, t, p):
    return _split(video, t, p).permute(0, 5, 3, 1, 2, 4, 6).flatten(3).flatten(0, 2)


def channels_first(video, t, p):
    return _split(video, t, p).permute(0, 3, 5, 2, 1, 4, 6).flatten(3).flatten(0, 2)


def one_frame_a_patch(video, t, p):
    return _split(video, 1, p).permute(0, 3, 5, 1, 2, 4, 6).flatten(3).flatten(0, 2)


def sizes_written_in(video, t, p):
    x = _split(video, 2, 3).permute(0, 3, 5, 1, 2, 4, 6)
    return x.reshape(-1, 2 * video.shape[1] * 9)


def reversed_in_time(video, t, p):
    return _split(video, t, p).permute(0, 3, 5, 1, 2, 4, 6).flip(0).flatten(3).flatten(0, 2)


def by_loops(video, t, p):
    frames, _, height, width = video.shape
    rows = [
        video[i : i + t, :, y : y + p, x : x + p].flatten()
        for i in range(0, frames, t)
        for y in range(0, height, p)
        for x in range(0, width, p)
    ]
    return torch.stack(rows)


def video(rows, shape, t, p):
    frames, channels, height, width = shape
    blocks = rows.reshape(frames // t, height // p, width // p, t, channels, p, p)
    return blocks.permute(0, 3, 4, 1, 5, 2, 6).reshape(shape)


def back_only_reshaped(rows, shape, t, p):
    return rows.reshape(shape)


def back_by_the_same_way(rows, shape, t, p):
    frames, channels, height, width = shape
    blocks = rows.reshape(frames // t, height // p, width // p, t, channels, p, p)
    return blocks.permute(0, 3, 4, 2, 5, 1, 6).reshape(shape)


WRONG = [
    ("only_reshaped", (only_reshaped, video), "only reshapes the video"),
    ("column_by_column", (column_by_column, video), "in the order time, column, row"),
    ("channels_first", (channels_first, video), "run over channel, frame, row, column"),
    ("one_frame_a_patch", (one_frame_a_patch, video), "the patches should have shape"),
    ("sizes_written_in", (sizes_written_in, video), "your code stopped with RuntimeError"),
    ("reversed_in_time", (reversed_in_time, video), "count patches by time, then row"),
    ("back_only_reshaped", (by_loops, back_only_reshaped), "way back only reshapes"),
    ("back_by_the_same_way", (by_loops, back_by_the_same_way), "way back does not give"),
]


def with_numpy(video, t, p):
    frames, channels, height, width = video.shape
    x = video.numpy().reshape(frames // t, t, channels, height // p, p, width // p, p)
    return np.ascontiguousarray(x.transpose(0, 3, 5, 1, 2, 4, 6)).reshape(-1, t * channels * p * p)


def back_by_loops(rows, shape, t, p):
    out, k = torch.zeros(shape, dtype=rows.dtype), 0
    for i in range(0, shape[0], t):
        for y in range(0, shape[2], p):
            for x in range(0, shape[3], p):
                block = rows[k].reshape(t, shape[1], p, p)
                out[i : i + t, :, y : y + p, x : x + p] = block
                k += 1
    return out


RIGHT = [("by_loops", (by_loops, back_by_loops)), ("with_numpy", (with_numpy, video))]
