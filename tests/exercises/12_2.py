"""Teacher forcing and rollout, wrong."""

from __future__ import annotations

import torch


def _losses(predict, z, actions, states, ahead, *, target=1, size="mean", feed="own", first=2,
            total="mean", late=0, memory=True):  # fmt: skip
    guess = predict(z[:, :-1], actions, states[:, :-1])
    error = guess - (z[:, 1:] if target else z[:, :-1])
    forced = error.square().mean() if size == "square" else error.abs().mean()
    if size == "sum":
        forced = error.abs().sum((2, 3)).mean()
    path, errors = z[:, :1], []
    for k in range(1, ahead + 1):
        begin = 0 if memory else k - 1
        acted = torch.roll(actions, late, 1)[:, begin:k]
        newest = predict(path[:, begin:], acted, states[:, begin:k])[:, -1:]
        following = {"own": newest, "real": z[:, k : k + 1], "cut": newest.detach()}[feed]
        path = torch.cat([path, following], dim=1)
        if k >= first:
            errors.append((newest - z[:, k : k + 1]).abs().mean())
    errors = torch.stack(errors)
    return forced, {"mean": errors.mean(), "sum": errors.sum(), "last": errors[-1]}[total]


def target_not_shifted(*args):
    return _losses(*args, target=0)


def squared_error(*args):
    return _losses(*args, size="square")


def summed_over_patches(*args):
    return _losses(*args, size="sum")


def one_number_a_clip(predict, z, actions, states, ahead=2):
    guess = predict(z[:, :-1], actions, states[:, :-1])
    rollout = _losses(predict, z, actions, states, ahead)[1]
    return (guess - z[:, 1:]).abs().mean((1, 2, 3)), rollout


def teacher_forced_rollout(*args):
    return _losses(*args, feed="real")


def counts_the_first_frame(*args):
    return _losses(*args, first=1)


def last_frame_only(*args):
    return _losses(*args, total="last")


def errors_summed(*args):
    return _losses(*args, total="sum")


def newest_guess_alone(*args):
    return _losses(*args, memory=False)


def gradient_cut(*args):
    return _losses(*args, feed="cut")


def action_of_the_frame_before(*args):
    return _losses(*args, late=1)


WRONG = [
    ("target_not_shifted", (target_not_shifted,), "made *from*"),
    ("squared_error", (squared_error,), "the squared error"),
    ("summed_over_patches", (summed_over_patches,), "summed over patches and features"),
    ("one_number_a_clip", (one_number_a_clip,), "should be one number"),
    ("teacher_forced_rollout", (teacher_forced_rollout,), "the rollout is teacher-forced"),
    ("counts_the_first_frame", (counts_the_first_frame,), "counts frame 1"),
    ("last_frame_only", (last_frame_only,), "only the last frame"),
    ("errors_summed", (errors_summed,), "errors are summed"),
    ("newest_guess_alone", (newest_guess_alone,), "not the newest guess alone"),
    ("gradient_cut", (gradient_cut,), "gradient stops at the model's own guess"),
    ("action_of_the_frame_before", (action_of_the_frame_before,), "append each newest guess"),
]


def no_gradient_of_teacher_forcing(predict, z, actions, states, ahead=2):
    _, rollout = with_a_list(predict, z, actions, states, ahead)
    with torch.no_grad():
        forced = (predict(z[:, :-1], actions, states[:, :-1]) - z[:, 1:]).abs().mean()
    return forced, rollout


def frame_by_frame(predict, z, actions, states, ahead=2):
    guesses = [
        predict(z[:, t : t + 1], actions[:, t : t + 1], states[:, t : t + 1])
        for t in range(z.shape[1] - 1)
    ]
    rollout = with_a_list(predict, z, actions, states, ahead)[1]
    return (torch.cat(guesses, 1) - z[:, 1:]).abs().mean(), rollout


def _with_ahead(change):
    def losses(predict, z, actions, states, ahead=2):
        return _losses(predict, z, actions, states, change(ahead))

    return losses


# Right answers in other styles.


def with_a_list(predict, z, actions, states, ahead=2):
    forced = torch.nn.functional.l1_loss(predict(z[:, :-1], actions, states[:, :-1]), z[:, 1:])
    path, total = [z[:, 0]], 0.0
    for k in range(ahead):
        guesses = predict(torch.stack(path, 1), actions[:, : k + 1], states[:, : k + 1])
        path.append(guesses[:, -1])
        if k:
            total = total + torch.nn.functional.l1_loss(path[-1], z[:, k + 1])
    return forced, total / (ahead - 1)


def in_float64(predict, z, actions, states, ahead=2):
    z, actions, states = z.double(), actions.double(), states.double()
    return with_a_list(predict, z, actions, states, ahead)


WRONG += [
    (
        "no_gradient_of_teacher_forcing",
        (no_gradient_of_teacher_forcing,),
        "no gradient of teacher forcing",
    ),
    ("frame_by_frame", (frame_by_frame,), "without its history"),
    ("ahead_ignored", (_with_ahead(lambda ahead: 2),), "yours are those of frames 2 to 2"),
    ("one_frame_too_many", (_with_ahead(lambda ahead: ahead + 1),), "of frames 2 to 4"),
    ("three_written_in", (_with_ahead(lambda ahead: 3),), "wherever you wrote a number"),
]
ALSO = [
    (
        "one_frame_too_few",
        (_with_ahead(lambda ahead: max(2, ahead - 1)),),
        "yours are those of frames 2 to 2",
    ),
]
RIGHT = [("with_a_list", (with_a_list,)), ("in_float64", (in_float64,))]
