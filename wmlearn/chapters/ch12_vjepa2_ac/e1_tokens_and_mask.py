"""Exercise 12.1: tokens in order, and who may see whom."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, close, exercise, integer, normal, require, seeded, tensor


@exercise("12.1", "tokens in order, and who may see whom")
def tokens_and_mask(interleave: Answer, frame_mask: Answer, *, seed: int = 0) -> Iterator[str]:
    """``interleave(actions, states, patches)`` [B, T(2 + N), D]; ``frame_mask(frames, tokens)``."""
    draw = seeded(seed)
    batch, time, count, dim = 2, 3, integer(draw, 4, 6), 5
    patches = normal(draw, batch, time, count, dim)
    actions, states = normal(draw, 2, batch, time, dim)
    raw = interleave(actions, states, patches)
    got = tensor(raw, (batch, time * (2 + count), dim), "interleave(...)")
    want = torch.cat([actions[:, :, None], states[:, :, None], patches], 2).flatten(1, 2)
    if not close(got, want):
        _explain_order(got, actions, states, patches)
    yield "each frame's action, state and patches stand together, frame after frame"

    frames, tokens = 3, 2
    mask = _mask(frame_mask(frames, tokens), frames * tokens)
    _explain_mask(mask, frames, tokens)
    yield "a token sees its whole frame and those before, and nothing later"

    for frames, tokens in ((1, 5), (4, 1), (2, integer(draw, 5, 8)), (5, 3)):
        mask = _mask(frame_mask(frames, tokens), frames * tokens)
        require(
            torch.equal(mask, _block_causal(frames, tokens)),
            f"frame_mask({frames}, {tokens}) is wrong: are 3 and 2 written into the function?",
        )
    yield "other numbers of frames and tokens work too"


def _explain_order(got: Tensor, actions: Tensor, states: Tensor, patches: Tensor) -> None:
    a, s = actions[:, :, None], states[:, :, None]
    late = torch.roll(actions, 1, dims=1)[:, :, None]
    require(
        not close(got, torch.cat([s, a, patches], 2).flatten(1, 2)),
        "the state stands before the action; the order within a frame is action, state, patches.",
    )
    require(
        not close(got, torch.cat([actions, states, patches.flatten(1, 2)], 1)),
        "all actions stand first, then all states, then all patches: join along the token axis of "
        "each frame (after actions[:, :, None]), and only then make one sequence of the frames.",
    )
    require(
        not close(
            got[:, patches.shape[2] + 2 :], torch.cat([late, s, patches], 2)[:, 1:].flatten(1, 2)
        ),
        "an action stands with the wrong frame: actions[:, t] was taken after frame t was seen, so "
        "it belongs to the tokens of frame t, from which frame t + 1 is guessed.",
    )
    require(
        not close(got, torch.cat([patches, a, s], 2).flatten(1, 2)),
        "action and state stand behind the patches; they come first in each frame.",
    )
    raise Hint(
        "the tokens are not in the order a_0, s_0, patches of frame 0, a_1, s_1, patches of frame "
        "1, ...: a `reshape` in place of `flatten(1, 2)` may have mixed clips or frames."
    )


def _mask(raw: object, length: int) -> Tensor:
    require(raw is not None, "frame_mask returned None: is a `return` missing?")
    try:
        raw = torch.as_tensor(raw)
    except (TypeError, ValueError, RuntimeError):
        raise Hint("the mask should be a tensor of bool.") from None
    require(
        raw.dtype == torch.bool,
        "the mask should be a tensor of bool: true where a row may look at a column. A mask of "
        "floats would be *added* to the attention.",
    )
    require(
        list(raw.shape) == [length, length],
        f"the mask should be [frames · tokens, frames · tokens] = [{length}, {length}], a row for "
        f"each token that looks; got {list(raw.shape)}.",
    )
    return raw


def _block_causal(frames: int, tokens: int) -> Tensor:
    frame = torch.arange(frames).repeat_interleave(tokens)
    return frame[:, None] >= frame


def _explain_mask(mask: Tensor, frames: int, tokens: int) -> None:
    want = _block_causal(frames, tokens)
    if torch.equal(mask, want):
        return
    length = frames * tokens
    require(
        not torch.equal(mask, torch.ones(length, length, dtype=torch.bool).tril()),
        "the mask is causal for each token: the first patch of a frame cannot see the last patch "
        "of the same frame. Compare the numbers of *frames*, not of tokens.",
    )
    require(
        not torch.equal(mask, want.T),
        "a future frame leaks: rows are the tokens that look, columns those that are seen, and "
        "yours is the transpose. Frame 0 would see frame 2.",
    )
    require(
        not torch.equal(mask, ~want),
        "the mask is upside down: true means *may look*, as torch's scaled_dot_product_attention "
        "has it.",
    )
    frame = torch.arange(frames).repeat_interleave(tokens)
    require(
        not torch.equal(mask, frame[:, None] > frame),
        "a token cannot see its own frame, so a patch does not know the action that was taken.",
    )
    require(
        not torch.equal(mask, frame[:, None] == frame),
        "a token sees its own frame only; the frames before tell how fast things move.",
    )
    leak = mask & ~want
    require(
        not leak.any(),
        f"a later frame can be seen: token {int(leak.nonzero()[0, 0]) if leak.any() else 0} looks "
        "at a token of a frame after its own. Is `repeat` used for `repeat_interleave`?",
    )
    raise Hint("a token should see every token of its own frame and of all frames before.")
