"""Exercise NN.1: the loss."""

from __future__ import annotations

from collections.abc import Iterator

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import close, exercise, normal, require, seeded, tensor


@exercise("NN.1", "the loss")
def next_frame_loss(loss: Answer, *, seed: int = 0) -> Iterator[str]:
    """``loss(change, frames)``: how wrong the guessed change of each frame is, a scalar."""
    draw = seeded(seed)
    frames, noise = normal(draw, 2, 4, 3, 5, 6), normal(draw, 2, 3, 3, 5, 6)
    true = frames[:, 1:] - frames[:, :-1]
    change = true + noise
    value = tensor(loss(change, frames), (), "the loss")
    want = noise.square().mean()
    if not close(value, want):
        require(
            not close(value, noise.square().sum()),
            "the errors are added up: take their mean, so that large frames do not count more.",
        )
        require(
            not close(value, (change - frames[:, 1:]).square().mean()),
            "`change` is compared with the next frame itself; it is what must be added to the "
            "frame before.",
        )
        require(
            not close(value, (change + true).square().mean()),
            "the sign is turned: the change is the next frame less the frame before.",
        )
        require(not close(value, noise.abs().mean()), "the error is squared in this loss.")
    require(close(value, want), f"the loss should be {want:.4f} here; yours is {value:.4f}.")
    yield "the mean square error of the change"

    still = frames[:, :1].expand_as(frames)
    value = tensor(loss(still[:, 1:] * 0, still), (), "the loss")
    require(close(value, 0), "where nothing moves, the guess that nothing changes has loss 0.")
    yield "nothing moves, nothing is guessed: 0"
