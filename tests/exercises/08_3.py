"""An encoder that looks ahead, not repaired."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def _encode(
    video, weight, axes=(2, 3, 4), before=2, after=0, fill="first", flip=False, center=True,
    scale=True, start=0,
):  # fmt: skip
    x = video - video.mean(axes, keepdim=True) if center else video
    x = x / video.std(axes, keepdim=True) if scale else x
    ends = (x[:, :1], x[:, -1:]) if fill == "first" else (torch.zeros_like(x[:, :1]),) * 2
    x = torch.cat([ends[0]] * before + [x] + [ends[1]] * after, dim=1)
    frames = torch.stack([x[:, i : x.shape[1] - 2 + i] for i in range(3)])[:, :, start::2]
    return torch.einsum("kbtchw,kdc->btdhw", frames, weight.flip(0) if flip else weight)


def broken(video, weight):
    return _encode(video, weight, (1, 2, 3, 4), 1, 1, "zeros")


def whole_clip(video, weight):
    return _encode(video, weight, (1, 2, 3, 4))


def one_frame_late(video, weight):
    return _encode(video, weight, before=1, after=1)


def empty_past(video, weight):
    return _encode(video, weight, fill="zeros")


def one_frame_too_far_back(video, weight):
    return _encode(video, weight, before=3)[:, : (video.shape[1] + 1) // 2]


def last_frame_stood_still(video, weight):
    x = (video - video.mean((2, 3, 4), keepdim=True)) / video.std((2, 3, 4), keepdim=True)
    x = torch.cat([x[:, -1:], x[:, -1:], x], dim=1)
    frames = torch.stack([x[:, :-2:2], x[:, 1:-1:2], x[:, 2::2]])
    return torch.einsum("kbtchw,kdc->btdhw", frames, weight)


def _normalized(video):
    return (video - video.mean((2, 3, 4), keepdim=True)) / video.std((2, 3, 4), keepdim=True)


def _mixed(x, front, weight):
    x = torch.cat([*front, x], dim=1)
    return torch.einsum(
        "kbtchw,kdc->btdhw", torch.stack([x[:, :-2:2], x[:, 1:-1:2], x[:, 2::2]]), weight
    )


def wraps_round(video, weight):
    x = _normalized(video)
    mixed = []
    for t in range(0, x.shape[1], 2):
        three = torch.stack([x[:, t - 2], x[:, t - 1], x[:, t]])
        mixed.append(torch.einsum("kbchw,kdc->bdhw", three, weight))
    return torch.stack(mixed, dim=1)


def reflected(video, weight):
    x = _normalized(video)
    return _mixed(x, [x[:, 2:3], x[:, 1:2]], weight)


def frame_1_in_front(video, weight):
    x = _normalized(video)
    return _mixed(x, [x[:, 1:2], x[:, :1]], weight)


def noise_in_front(video, weight):
    x = _normalized(video)
    return _mixed(x, [torch.randn_like(x[:, :1])] * 2, weight)


def _running(video, weight, correction, window):
    parts = []
    for t in range(video.shape[1]):
        seen = video[:, max(0, t + 1 - window) : t + 1]
        deviation = seen.std((1, 2, 3, 4), correction=correction)[:, None, None, None]
        parts.append((video[:, t] - seen.mean((1, 2, 3, 4))[:, None, None, None]) / deviation)
    x = torch.stack(parts, dim=1)
    return _mixed(x, [x[:, :1]] * 2, weight)


def running(video, weight):
    return _running(video, weight, 1, 99)


def running_biased(video, weight):
    return _running(video, weight, 0, 99)


def over_three_frames(video, weight):
    return _running(video, weight, 1, 3)


def weights_flipped(video, weight):
    return _encode(video, weight, flip=True)


def not_normalized(video, weight):
    return _encode(video, weight, center=False, scale=False)


def only_centered(video, weight):
    return _encode(video, weight, scale=False)


def each_channel_alone(video, weight):
    return _encode(video, weight, (3, 4))


def each_pixel_alone(video, weight):
    return _encode(video, weight, (2,))


def by_the_first_frame(video, weight):
    first = video[:, :1]
    x = (video - first.mean((2, 3, 4), keepdim=True)) / first.std((2, 3, 4), keepdim=True)
    x = torch.cat([x[:, :1], x[:, :1], x], dim=1)
    frames = torch.stack([x[:, :-2:2], x[:, 1:-1:2], x[:, 2::2]])
    return torch.einsum("kbtchw,kdc->btdhw", frames, weight)


def every_frame_kept(video, weight):
    x = _encode(torch.cat([video, video[:, -1:]], 1).repeat_interleave(2, 1)[:, 1:], weight)
    return x[:, : video.shape[1]]


def newest_frame_alone(video, weight):
    return _encode(video, torch.stack([0 * weight[0], 0 * weight[1], weight[2]]))


def drops_the_first(video, weight):
    x = (video - video.mean((2, 3, 4), keepdim=True)) / video.std((2, 3, 4), keepdim=True)
    rest = torch.stack([x[:, :-2:2], x[:, 1:-1:2], x[:, 2::2]])
    return torch.einsum("kbtchw,kdc->btdhw", rest, weight)


WRONG = [
    ("whole_clip", (whole_clip,), "over the whole clip"),
    ("one_frame_late", (one_frame_late,), "end one frame too late"),
    ("empty_past", (empty_past,), "a past of darkness"),
    ("one_frame_too_far_back", (one_frame_too_far_back,), "does not change features"),
    ("wraps_round", (wraps_round,), "-2 and -1 wrap round to the end"),
    ("reflected", (reflected,), "copies of frame 0, not of later frames"),
    ("running", (running,), "by its own numbers, not those of all before"),
    ("weights_flipped", (weights_flipped,), "newest of the three"),
    ("not_normalized", (not_normalized,), "more contrast"),
    ("each_channel_alone", (each_channel_alone,), "*one* mean"),
    ("by_the_first_frame", (by_the_first_frame,), "numbers of their own"),
    ("drops_the_first", (drops_the_first,), "should have shape"),
]
ALSO = [
    ("broken", (broken,), "over the whole clip"),
    ("last_frame_stood_still", (last_frame_stood_still,), "changes features of the beginning"),
    ("frame_1_in_front", (frame_1_in_front,), "copies of frame 0, not of later frames"),
    ("noise_in_front", (noise_in_front,), "asked twice"),
    ("running_biased", (running_biased,), "by its own numbers, not those of all before"),
    ("over_three_frames", (over_three_frames,), "by its own numbers, not those of all before"),
    ("only_centered", (only_centered,), "more contrast"),
    ("each_pixel_alone", (each_pixel_alone,), "*one* mean"),
    ("every_frame_kept", (every_frame_kept,), "should have shape"),
    ("newest_frame_alone", (newest_frame_alone,), "does not change features"),
]


# Right answers in other styles.


def frame_by_frame(video, weight):
    def normal(frame):
        return torch.stack([(one - one.mean()) / one.std() for one in frame.double()])

    frames = [normal(video[:, t]) for t in range(video.shape[1])]
    mixed = []
    for t in range(0, len(frames), 2):
        three = [frames[max(0, t - 2)], frames[max(0, t - 1)], frames[t]]
        mixed.append(
            sum(
                torch.einsum("bchw,dc->bdhw", x, w)
                for x, w in zip(three, weight.double(), strict=True)
            )
        )
    return torch.stack(mixed, dim=1)


def as_a_convolution(video, weight):
    x = F.layer_norm(video, video.shape[2:])
    x = x.transpose(1, 2)
    x = F.pad(x, (0, 0, 0, 0, 2, 0), mode="replicate")
    kernel = weight.permute(1, 2, 0)[..., None, None]
    return F.conv3d(x, kernel, stride=(2, 1, 1)).transpose(1, 2)


RIGHT = [("frame_by_frame", (frame_by_frame,)), ("as_a_convolution", (as_a_convolution,))]
