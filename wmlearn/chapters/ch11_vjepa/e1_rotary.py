"""Exercise 11.1: rotary positions for time, height and width."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, between, close, exercise, normal, require, seeded, tensor

F64 = torch.float64


@exercise("11.1", "rotary positions for time, height and width")
def rotary(rotary_angles: Answer, turn: Answer, *, seed: int = 0) -> Iterator[str]:
    """``rotary_angles(positions [N, 3], d) -> [N, d]``; ``turn(x [N, d], angles) -> [N, d]``."""
    draw = seeded(seed)
    places = torch.cartesian_prod(*(torch.arange(n, dtype=F64) for n in (3, 4, 5)))
    d, third = 26, 8

    def run_angles(positions: Tensor) -> Tensor:
        return tensor(
            rotary_angles(positions, d), (len(positions), d), "rotary_angles(positions, 26)"
        )

    run_angles(places)
    require(
        (run_angles(places)[:, 3 * third :] == 0).all(),
        "channels that are left over are turned: with d = 26 each axis has 8 channels, and the "
        "last 2 stay as they are (angle 0).",
    )
    yield "an angle for each channel; what is left over stays"

    for axis, name in enumerate(("time", "height", "width")):
        unit = torch.zeros(1, 3, dtype=F64)
        unit[0, axis] = 1.0
        moved = run_angles(unit)[0, : 3 * third].view(3, third) != 0
        if bool(moved[axis].all()) and int(moved.sum()) == third:
            continue
        mine = moved.any(1).nonzero()[:, 0].tolist()
        require(
            len(mine) != 1 or mine == [axis],
            f"the wrong axis turns: a step in {name} (column {axis} of positions) should turn "
            f"third number {axis} of the channels, but turns number {mine}.",
        )
        raise Hint(
            f"a step in {name} should turn all channels of third number {axis}, and no others: "
            f"channels {axis * third} to {(axis + 1) * third - 1} of 26."
        )
    yield "each axis turns its own third"

    time = run_angles(torch.tensor([[1.0, 0.0, 0.0]], dtype=F64))[0, :third]
    require(
        not close(time, 10_000 ** -(torch.arange(4, dtype=F64) / 4).repeat(2)),
        "the speeds are dealt out as 0, 1, 2, 3, 0, 1, 2, 3: so the two channels of a pair turn "
        "at different speeds. Give neighbors the same: `repeat_interleave(2)`, not `repeat(2)`.",
    )
    require(
        close(time[::2], time[1::2]),
        "the two channels of a pair (0 and 1, 2 and 3, ...) should turn by the same angle.",
    )
    want = 10_000 ** -(torch.arange(4, dtype=F64) / 4)
    require(
        not close(time[::2], 10_000 ** -(torch.arange(4, dtype=F64) / 8)),
        "the speeds fall too slowly: pair j of m has speed 10000^(-j / m), where m is the number "
        "of pairs of this axis (4), not the number of its channels (8).",
    )
    require(
        close(time[::2], want, 1e-5),
        "at position 1 the pairs of an axis should turn by 10000^(-j / m): 1, 0.1, 0.01, 0.001 "
        f"for 4 pairs; yours turn by {', '.join(f'{x:.3g}' for x in time[::2])}.",
    )
    twice = run_angles(torch.tensor([[2.0, 0.0, 0.0]], dtype=F64))[0, :third]
    require(close(twice, 2 * time), "the angle should grow in proportion to the position.")
    for width in (26, 14, 12):
        at = between(draw, 0, 20, 5, 3)
        got = tensor(rotary_angles(at, width), (5, width), f"rotary_angles(positions, {width})")
        require(
            close(got, _angles(at, width), 1e-5),
            f"with d = {width} and other positions the angles are wrong: are the numbers of d = 26 "
            "written into the function?",
        )
    at = between(draw, 0, 20, 5, 3)
    try:
        got = tensor(rotary_angles(at, 16), (5, 16), "rotary_angles(positions, 16)")
        even = close(got, _angles(at, 16), 1e-5)
    except Hint:
        even = False
    require(
        even,
        "with d = 16 the angles are wrong, though other numbers of channels work: a third is "
        "2 * (d // 6) = 4 channels, an *even* number. 16 // 3 = 5 would leave a channel without "
        "its partner; the last 4 channels stay as they are.",
    )
    yield "pairs share a speed, from 1 down to nearly nothing"

    def run_turn(x: Tensor, angles: Tensor) -> Tensor:
        return tensor(turn(x, angles), tuple(x.shape), "turn(x, angles)")

    x, angle = normal(draw, 6, 8), between(draw, 0, 1, 6, 4).repeat_interleave(2, 1)
    out, pairs = run_turn(x, angle), x.view(6, 4, 2)
    length = lambda y: y.reshape(6, 4, 2).norm(dim=-1)  # noqa: E731
    if not close(length(out), length(pairs)):
        half = torch.cat([-x[:, 4:], x[:, :4]], 1)
        require(
            not close(out, x * angle.cos() + half * angle.sin()),
            "the pairs are channels c and c + d/2, as in some language models; here neighbors are "
            "a pair: channels 0 and 1, 2 and 3.",
        )
        plain = x.view(6, 4, 2).flip(-1).reshape(6, 8)
        require(
            not close(out, x * angle.cos() + plain * angle.sin()),
            "a minus sign is missing: (a, b) becomes (a cos - b sin, b cos + a sin). Without it "
            "the hand is stretched, not turned.",
        )
        raise Hint("turning must keep the length of each pair: (a cos - b sin, b cos + a sin).")
    quarter = torch.full((1, 2), torch.pi / 2, dtype=F64)
    require(
        close(run_turn(torch.tensor([[1.0, 0.0]], dtype=F64), quarter), [[0.0, 1.0]]),
        "it turns the other way round: a quarter turn brings (1, 0) to (0, 1).",
    )
    yield "turning keeps lengths, and goes the right way"

    hands = normal(draw, 2, d)
    pair = torch.tensor([[0.0, 1, 2], [2, 0, 4]], dtype=F64)

    def product(shift: Tensor) -> Tensor:
        return run_turn(hands, run_angles(pair + shift)).prod(0).sum()

    for shift in torch.eye(3, dtype=F64) * 3:
        require(
            close(product(shift), product(torch.zeros(3, dtype=F64))),
            "the product of two tokens changes when both are moved together; it should depend "
            "only on how far apart they are.",
        )
    yield "products depend on the distance alone, on each axis"


def _angles(positions: Tensor, d: int) -> Tensor:
    third = 2 * (d // 6)
    out = torch.zeros(len(positions), d, dtype=F64)
    for axis in range(3):
        for channel in range(third):
            speed = 10_000 ** -((channel // 2) / (third // 2))
            out[:, axis * third + channel] = positions[:, axis] * speed
    return out
