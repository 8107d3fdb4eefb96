"""Exercise 06.2: a flow, with a noise level for each frame."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, between, close, exercise, normal, require, seeded, tensor


@exercise("06.2", "a flow, with a noise level for each frame")
def flow(noisy: Answer, euler: Answer, noise_levels: Answer, *, seed: int = 0) -> Iterator[str]:
    """``noisy(x, eps, t)``, ``euler(z, x_hat, t, t_next)``: videos [B, T, C, H, W], t [B, T];
    ``noise_levels(steps, frames, given, shift)``: [steps + 1, frames]."""
    draw = seeded(seed)
    shape = 2, 4, 3, 2, 5
    x, eps, x_hat = (normal(draw, *shape) for _ in range(3))
    t = between(draw, 0.3, 0.9, 2, 4)
    wide = t[..., None, None, None]
    z = (1 - wide) * x + wide * eps
    got = tensor(noisy(x, eps, t), shape, "noisy")
    if not close(got, z):
        require(
            not close(got, wide * x + (1 - wide) * eps),
            "time runs the other way: t = 0 is the clean video here, t = 1 is noise.",
        )
        require(
            not close(got, x + wide * eps),
            "this adds noise without fading the video out (EDM's path): at t = 1 nothing of x "
            "should be left.",
        )
        raise Hint("the noisy video is (1 - t) x + t eps, each frame with its own t.")
    yield "the noisy video lies on the line from clean to noise, each frame at its own t"

    later = t * between(draw, 0.2, 0.8, 2, 4)
    share = (later / t)[..., None, None, None]
    want = x_hat + share * (z - x_hat)
    got = tensor(euler(z, x_hat, t, later), shape, "the step")
    if not close(got, want):
        direction = (z - x_hat) / wide
        require(
            not close(got, z - direction * (later - t)[..., None, None, None]),
            "the step goes away from the estimate: t falls, so t_next - t is negative, and it is "
            "added times the velocity.",
        )
        require(
            not close(got, z + (z - x_hat) * (later - t)[..., None, None, None]),
            "the velocity is not divided by t: from z to x_hat it takes the time t, so the "
            "velocity is (z - x_hat) / t.",
        )
        require(
            not close(got, x_hat),
            "this jumps to the estimate; a step to t_next keeps the share t_next / t of the "
            "distance to it.",
        )
        raise Hint("with the velocity v = (z - x_hat) / t a step is z + (t_next - t) v.")
    yield "an Euler step keeps the share t_next / t of the way to the estimate"

    end = tensor(euler(z, x_hat, t, torch.zeros_like(t)), shape, "the step to 0")
    require(close(end, x_hat), "a step to t_next = 0 should end at the estimate x_hat.")
    yield "the last step ends at the estimate"

    _given_frames(noisy, euler, x, eps, x_hat, (t, later))
    yield "frames that are given stay as they are"

    for steps, frames, given, shift in ((5, 7, 2, 3.0), (3, 4, 0, 1.0), (1, 3, 1, 2.0)):
        _levels(noise_levels, steps, frames, given, shift)
    yield "the levels fall from 1 to 0, and given frames have none"


def _levels(noise_levels: Answer, steps: int, frames: int, given: int, shift: float) -> None:
    got = noise_levels(steps, frames, given, shift)
    got = tensor(got, (steps + 1, frames), f"the levels for {steps} steps, {frames} frames")
    even = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    want = (shift * even / (1 + (shift - 1) * even))[:, None].repeat(1, frames)
    free = got[:, given:]
    require(
        close(got[:, :given], torch.zeros(steps + 1, given)),
        f"with given={given} the first {given} frames should have level 0 at every step.",
    )
    if not close(free, want[:, given:]):
        require(
            not close(free, want[:, given:].flip(0)),
            "the levels rise: the sampler starts at noise, 1, and ends at 0.",
        )
        require(
            not close(free, even[:, None].expand_as(free)),
            "the levels are evenly spaced: the shift towards noise is missing.",
        )
        raise Hint(
            "each level should be shift t / (1 + (shift - 1) t), for t from 1 down to 0 in equal "
            f"steps; with {steps} steps and shift {shift:g} the second one is {want[1, 0]:.3f}."
        )


def _given_frames(
    noisy: Answer,
    euler: Answer,
    x: Tensor,
    eps: Tensor,
    x_hat: Tensor,
    times: tuple[Tensor, Tensor],
) -> None:
    """The first two frames have t = 0 all the way; ``times`` before and after a step. Then the
    second sample has only one such frame."""
    start, later = (time.clone() for time in times)
    start[:, :2], later[:, :2] = 0.0, 0.0
    z = tensor(noisy(x, eps, start), tuple(x.shape), "noisy")
    require(close(z[:, :2], x[:, :2]), "frames with t = 0 should be clean.")
    answer = euler(z, x_hat, start, later)
    answer = torch.as_tensor(answer).detach().double()
    require(
        answer.shape == x.shape and not answer[:, :2].isnan().any(),
        "frames that are given have t = 0 and t_next = 0, and 0 / 0 is NaN: it spreads to the "
        "whole video by the next pass. Leave these frames as they are (torch.where).",
    )
    require(
        close(answer[:, :2], z[:, :2]),
        "frames that are given (t = 0 and t_next = 0) should stay as they are, and not become the "
        "network's estimate of them.",
    )
    share = (later / start.clamp(min=1e-3))[..., None, None, None]
    want = x_hat + share * (z - x_hat)
    require(
        close(answer[:, 2:], want[:, 2:]),
        "beside given frames the others should go on as before.",
    )

    start[1, 1], later[1, 1] = (time[1, 1] for time in times)
    z = tensor(noisy(x, eps, start), tuple(x.shape), "noisy")
    share = torch.where(start > 0, later / start.clamp(min=1e-3), 1.0)[..., None, None, None]
    require(
        close(torch.as_tensor(euler(z, x_hat, start, later)), x_hat + share * (z - x_hat)),
        "each sample has its own given frames: here the first sample has two, the second one. Ask "
        "for t = 0 in each frame of each sample.",
    )
