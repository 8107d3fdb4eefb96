"""Exercise 12.2: teacher forcing and rollout."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, close, exercise, normal, pair, require, seeded, tensor

F64 = torch.float64


@exercise("12.2", "teacher forcing and rollout")
def two_losses(losses: Answer, *, seed: int = 0) -> Iterator[str]:
    """``losses(predict, z, actions, states, ahead) -> (teacher_forcing, rollout)``."""
    draw = seeded(seed)
    batch, time, ahead = 2, 5, 3
    z = normal(draw, batch, time, 2, 3)
    actions, states = normal(draw, batch, time - 1, 1), normal(draw, batch, time, 1)
    spy = _Spy()

    def run(ahead: int, pull: tuple | None = None) -> tuple[Tensor, Tensor]:
        spy.calls.clear()
        value = losses.ask(spy, z, actions, states, ahead, pull=pull).value
        hint = "return two numbers: the loss of teacher forcing, and that of the rollout."
        value = pair(value, 2, hint)
        for name, part in zip(("teacher forcing", "rollout"), value, strict=True):
            require(
                not isinstance(part, Tensor) or part.ndim == 0,
                f"the loss of {name} should be one number; take the mean over all axes.",
            )
        names = ("the loss of teacher forcing", "the loss of the rollout")
        return tuple(tensor(x, (), name) for x, name in zip(value, names, strict=True))

    forced, rolled = run(ahead)
    yield "two numbers"

    want = (_next(z[:, :-1], actions) - z[:, 1:]).abs().mean()
    if not close(forced, want):
        require(
            not close(forced, (_next(z[:, :-1], actions) - z[:, :-1]).abs().mean()),
            "teacher forcing compares the guess with the frame that it was made *from*: at frame t "
            "the model guesses frame t + 1, so the target is z[:, 1:].",
        )
        require(
            not close(forced, (_next(z[:, :-1], actions) - z[:, 1:]).square().mean()),
            "that is the squared error; the paper's loss is L1, the mean absolute difference.",
        )
        require(
            not close(forced, (_next(z[:, :-1], actions) - z[:, 1:]).abs().sum((2, 3)).mean()),
            "the L1 is summed over patches and features: take the mean over all four axes, so that "
            "the loss does not grow with the picture.",
        )
        raise Hint(
            f"for this clip teacher forcing should cost {want:.4f}; yours is {forced:.4f}. "
            "All frames but the last go in, with their actions and states; all but the first "
            "are targets."
        )
    yield "teacher forcing: every guess from the real frame before"

    path = [z[:, :1]]
    for k in range(ahead):
        path.append(_next(path[-1], actions[:, k : k + 1]))
    errors = [(path[k] - z[:, k : k + 1]).abs().mean() for k in range(2, ahead + 1)]
    want = torch.stack(errors).mean()
    if not close(rolled, want):
        for steps in (2, 4):
            require(
                not close(rolled, _rolled(z, actions, steps)),
                f"with ahead = {ahead} the errors of frames 2 to {ahead} count; yours are those of "
                f"frames 2 to {steps}. Take the argument `ahead`: it is the number of the last "
                "frame.",
            )
        real = torch.stack(
            [(_next(z[:, k - 1], actions[:, k - 1]) - z[:, k]).abs().mean() for k in (2, 3)]
        )
        require(
            not close(rolled, real.mean()),
            "the rollout is teacher-forced: its second step goes on from the *real* frame. Feed "
            "the model its own guess.",
        )
        first = (path[1] - z[:, 1:2]).abs().mean()
        require(
            not close(rolled, torch.stack([first, *errors]).mean()),
            "the rollout counts frame 1, which is guessed from a real frame and is in the other "
            "loss already: begin with frame 2.",
        )
        require(
            not close(rolled, errors[-1]),
            "only the last frame of the rollout counts; take the mean over frames 2 to `ahead`.",
        )
        require(
            not close(rolled, torch.stack(errors).sum()),
            "the rollout's errors are summed; take their mean, so that a longer rollout does not "
            "weigh more.",
        )
        raise Hint(
            f"for this clip the rollout should cost {want:.4f}, yours is {rolled:.4f}: "
            "begin with z[:, :1], append each newest guess, and give the model actions[:, :k] and "
            "states[:, :k] with it."
        )
    yield "rollout: from frame 2 on, from its own guesses"

    own = [c for c in spy.calls if not close(c[0][:, 1:], z[:, 1 : c[0].shape[1]])]
    require(
        own and max(call[0].shape[1] for call in own) == ahead,
        "the model should be given all that the rollout has so far, not the newest guess alone: it "
        "looks back on the frames before.",
    )
    alone = any(close(c[0][:, 0], z[:, t]) for c in spy.calls for t in range(1, time))
    require(
        not alone,
        "teacher forcing gives the model a frame alone, without its history: the frames before it "
        "tell how things move. Give it all frames but the last, from frame 0 on, in one call.",
    )
    require(
        all(torch.equal(call[1], actions[:, : call[1].shape[1]]) for call in spy.calls)
        and all(torch.equal(call[2], states[:, : call[2].shape[1]]) for call in spy.calls),
        "actions or states do not fit the frames: with k frames go actions[:, :k], states[:, :k].",
    )
    yield "the model sees the whole rollout, with its actions and states"

    for other in (2, 4):
        want = _rolled(z, actions, other)
        require(
            close(run(other)[1], want),
            f"with ahead = {other} the rollout should cost {want:.4f}, and does not, though it is "
            f"right with ahead = {ahead}: use the argument `ahead` wherever you wrote a number.",
        )
    yield "rollouts of other lengths work too"

    for which, name in enumerate(("teacher forcing", "the rollout")):
        for steps in (2, ahead):
            spy.weight.grad = None
            run(steps, pull=(1.0, None) if which == 0 else (None, 1.0))
            want = _slopes(z, actions, steps)[which]
            got = spy.weight.grad
            require(
                got is not None,
                f"no gradient of {name} reaches the model: is there a `detach` or `no_grad`?",
            )
            require(
                which == 1 or close(got, want),
                "the gradient of teacher forcing is not that of its loss: is a part detached?",
            )
            require(
                close(got, want),
                "the gradient stops at the model's own guess (a `detach` or `no_grad`): here it "
                "should flow through all steps, so that the first guess learns to be of use to the "
                "second.",
            )
    yield "the gradient flows through the whole rollout"


def _slopes(z: Tensor, actions: Tensor, ahead: int) -> list[Tensor]:
    """The slopes of both losses with respect to the model's weight."""
    weight = torch.tensor(0.7, dtype=F64, requires_grad=True)
    forced = (_next(z[:, :-1], actions, weight) - z[:, 1:]).abs().mean()
    rolled = _rolled(z, actions, ahead, weight)
    return [torch.autograd.grad(loss, weight)[0] for loss in (forced, rolled)]


def _rolled(z: Tensor, actions: Tensor, ahead: int, weight: Tensor | float = 0.7) -> Tensor:
    """The loss of the rollout up to frame ``ahead``."""
    path, errors = z[:, :1], []
    for k in range(1, ahead + 1):
        path = _next(path, actions[:, k - 1 : k], weight)
        errors.append((path - z[:, k : k + 1]).abs().mean())
    return torch.stack(errors[1:]).mean()


def _next(z: Tensor, actions: Tensor, weight: Tensor | float = 0.7) -> Tensor:
    """A model of one frame: the next features ``[B, k, N, D]``."""
    return weight * z + actions.reshape(*z.shape[:-2], 1, 1)


class _Spy:
    """A model that remembers what it was given."""

    def __init__(self) -> None:
        self.weight = torch.tensor(0.7, dtype=F64, requires_grad=True)
        self.calls: list[tuple[Tensor, Tensor, Tensor]] = []

    def __call__(self, z: Tensor, actions: Tensor, states: Tensor) -> Tensor:
        count = z.shape[1]
        require(
            actions.shape[1] == count and states.shape[1] == count,
            f"the model was given {count} frames, {actions.shape[1]} actions and "
            f"{states.shape[1]} states; there is one of each for every frame.",
        )
        self.calls.append((z.detach(), actions, states))
        return _next(z, actions, self.weight)
