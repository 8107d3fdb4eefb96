"""The order of the tokens, and the block-causal mask, wrong."""

from __future__ import annotations

import numpy as np
import torch


def interleave(actions, states, patches):
    """A right one, to go with the wrong masks."""
    condition = torch.stack([actions, states], dim=2)
    return torch.cat([condition, patches], dim=2).flatten(1, 2)


def frame_mask(frames, tokens):
    """A right one, to go with the wrong orders."""
    frame = torch.arange(frames).repeat_interleave(tokens)
    return frame[:, None] >= frame


def state_first(actions, states, patches):
    return interleave(states, actions, patches)


def all_actions_first(actions, states, patches):
    return torch.cat([actions, states, patches.flatten(1, 2)], dim=1)


def action_of_the_frame_before(actions, states, patches):
    return interleave(torch.roll(actions, 1, dims=1), states, patches)


def condition_behind(actions, states, patches):
    condition = torch.stack([actions, states], dim=2)
    return torch.cat([patches, condition], dim=2).flatten(1, 2)


def frames_mixed(actions, states, patches):
    x = torch.cat([torch.stack([actions, states], dim=2), patches], dim=2)
    return x.transpose(1, 2).flatten(1, 2)


def causal_by_token(frames, tokens):
    return torch.ones(frames * tokens, frames * tokens, dtype=torch.bool).tril()


def future_leaks(frames, tokens):
    return frame_mask(frames, tokens).T


def upside_down(frames, tokens):
    return ~frame_mask(frames, tokens)


def not_its_own_frame(frames, tokens):
    frame = torch.arange(frames).repeat_interleave(tokens)
    return frame[:, None] > frame


def own_frame_only(frames, tokens):
    frame = torch.arange(frames).repeat_interleave(tokens)
    return frame[:, None] == frame


def repeat_for_repeat_interleave(frames, tokens):
    frame = torch.arange(frames).repeat(tokens)
    return frame[:, None] >= frame


def floats_to_add(frames, tokens):
    mask = torch.zeros(frames * tokens, frames * tokens)
    return mask.masked_fill(~frame_mask(frames, tokens), -torch.inf)


def sizes_written_in(frames, tokens):
    mask = frame_mask(3, 2)
    return mask if frames * tokens == 6 else mask.new_ones(frames * tokens, frames * tokens)


WRONG = [
    ("state_first", (state_first, frame_mask), "state stands before the action"),
    ("all_actions_first", (all_actions_first, frame_mask), "all actions stand first"),
    ("action_of_the_frame_before", (action_of_the_frame_before, frame_mask), "the wrong frame"),
    ("condition_behind", (condition_behind, frame_mask), "stand behind the patches"),
    ("frames_mixed", (frames_mixed, frame_mask), "may have mixed clips or frames"),
    ("causal_by_token", (interleave, causal_by_token), "causal for each token"),
    ("future_leaks", (interleave, future_leaks), "a future frame leaks"),
    ("upside_down", (interleave, upside_down), "mask is upside down"),
    ("not_its_own_frame", (interleave, not_its_own_frame), "cannot see its own frame"),
    ("own_frame_only", (interleave, own_frame_only), "its own frame only"),
    ("repeat", (interleave, repeat_for_repeat_interleave), "used for `repeat_interleave`"),
    ("floats_to_add", (interleave, floats_to_add), "*added* to the attention"),
    ("sizes_written_in", (interleave, sizes_written_in), "written into the function"),
]


# Right answers in other styles.


def interleave_in_loops(actions, states, patches):
    tokens = []
    for t in range(actions.shape[1]):
        tokens += [actions[:, t], states[:, t]]
        tokens += list(patches[:, t].unbind(1))
    return torch.stack(tokens, 1).double()


def mask_with_kron(frames, tokens):
    return torch.kron(torch.ones(frames, frames).tril(), torch.ones(tokens, tokens)) > 0


def mask_with_numpy(frames, tokens):
    mask = np.zeros((frames * tokens, frames * tokens), dtype=bool)
    for i in range(frames):
        mask[i * tokens : (i + 1) * tokens, : (i + 1) * tokens] = True
    return mask


RIGHT = [
    ("loops_and_kron", (interleave_in_loops, mask_with_kron)),
    ("mask_with_numpy", (interleave_in_loops, mask_with_numpy)),
]
