"""Exercise 09.5: does the world listen?."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.metrics import psnr
from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, close, exercise, require, seeded, tensor

CLIPS, STEPS, CODES = 24, 5, 8


@exercise("09.5", "does the world listen?")
def listens(delta_psnr: Answer, *, seed: int = 0) -> Iterator[str]:
    """``delta_psnr(dream, frames, inferred, step, num_actions, generator)``, in dB."""
    draw = seeded(seed + 500)
    inferred = torch.randint(0, CODES, (CLIPS, STEPS), generator=draw)
    inferred[:2] = 3  # two clips in which one key is held
    frames = _video(inferred, draw)
    asked: list[Tensor] = []

    def dream(listening: bool) -> Callable[[Tensor, Tensor], Tensor]:
        asked.clear()

        def play(start: Tensor, latents: Tensor) -> Tensor:
            require(
                isinstance(start, Tensor)
                and start.shape == frames[:, 0].shape
                and torch.equal(start, frames[:, 0]),
                "both dreams should start from the first real frame, frames[:, 0].",
            )
            require(
                isinstance(latents, Tensor)
                and latents.ndim == 2
                and len(latents) == CLIPS
                and not latents.is_floating_point(),
                "dream was given latents of shape "
                f"{list(getattr(latents, 'shape', []))}: one whole number for each clip and step, "
                f"{list(inferred.shape)}.",
            )
            asked.append(latents)
            return _play(start, latents, listening)

        return play

    def run(listening: bool, step: int, draws: int = 0) -> Tensor:
        generator = seeded(1000 * seed + 77 + draws)
        value = delta_psnr(dream(listening), frames, inferred, step, CODES, generator)
        return tensor(value, (), "delta PSNR")

    value = run(True, 4)
    other = _look_at(asked, inferred, 4)
    yield "one dream under inferred, one under random latents"

    near = run(True, 1)
    first = _look_at(asked, inferred, 1)
    _refuse_fixed_step((value, near), [_gains(frames, inferred, x)[-1] for x in (other, first)])
    _judge_value(value, frames, inferred, other, 4)
    _judge_value(near, frames, inferred, first, 1)
    value_there = run(True, STEPS)
    _judge_value(value_there, frames, inferred, _look_at(asked, inferred, STEPS), STEPS)
    yield "inferred minus random, at the step that was asked for"

    require(close(run(False, 4), 0.0), "a world that ignores its latents should get 0.")
    yield "a world that does not listen gets 0"
    require(
        not close(run(True, 4, draws=1), value),
        "another seed gives the same number: draw with the generator that was given.",
    )
    require(
        close(run(True, 4), value),
        "the same seed gives another number: draw with the generator that was given.",
    )
    yield "the generator alone decides what is drawn"

    _judge_draws(delta_psnr, draw)
    yield "all codes are equally likely, whatever was inferred"


def _judge_draws(delta_psnr: Answer, draw: torch.Generator) -> None:
    """Many draws of five codes, where the inferred latents are mostly 1 and never 4."""
    clips, steps, codes = 60, 20, 5
    inferred = torch.randint(0, codes - 1, (clips, steps), generator=draw)
    inferred[torch.rand(clips, steps, generator=draw) < 0.6] = 1
    frames = torch.randint(0, 90, (clips, steps + 1, 1, 2, 2), generator=draw, dtype=torch.uint8)
    asked: list[Tensor] = []

    def dream(start: Tensor, latents: Tensor) -> Tensor:
        asked.append(latents)
        return (start[:, None] + 9 * latents[:, :, None, None, None]).to(torch.uint8)

    delta_psnr(dream, frames, inferred, steps, codes, seeded(int(inferred.sum())))
    other = next(x for x in asked if not torch.equal(x, inferred[:, : x.shape[1]]))
    require(
        int(other.max()) < codes,
        f"num_actions is {codes} here, and a random latent is {int(other.max())}: they go from 0 "
        "to num_actions - 1, whatever that number is.",
    )
    drawn, given = (
        torch.bincount(x.flatten(), minlength=codes) / x.numel() for x in (other, inferred)
    )
    require(
        (drawn - given).abs().max() > 0.06,
        "the random latents are picked from the inferred ones, and so are skewed like them: draw "
        "numbers from 0 to num_actions - 1, all equally likely.",
    )
    require(
        drawn[-1] > 0,
        f"code {codes - 1} does not occur in `inferred` here and is never drawn: how many codes "
        "there are says num_actions, not the largest inferred latent.",
    )
    odd = int((drawn - 1 / codes).abs().argmax())
    require(
        (drawn - 1 / codes).abs().max() < 0.06,
        f"of {codes} codes that should be equally likely code {odd} makes up {drawn[odd]:.0%} of "
        f"the random latents, not about {1 / codes:.0%}: torch.randint draws them evenly.",
    )


def _video(inferred: Tensor, draw: torch.Generator) -> Tensor:
    """Real frames [B, T + 1, 1, 4, 4] that follow the inferred latents; but in the last third of
    the clips the inference was wrong: nothing moves there, and random latents do better."""
    inferred[-CLIPS // 3 :, : STEPS - 1] = torch.randint(
        5, CODES, (CLIPS // 3, STEPS - 1), generator=draw
    )
    first = torch.randint(0, 60, (CLIPS, 1, 1, 4, 4), generator=draw, dtype=torch.uint8)
    moved = 3 * inferred.cumsum(1)
    moved[-CLIPS // 3 :] = 0
    grain = torch.randint(0, 3, (CLIPS, STEPS, 1, 4, 4), generator=draw)
    later = first + moved[:, :, None, None, None] + grain
    return torch.cat([first, later.to(torch.uint8)], dim=1)


def _play(start: Tensor, latents: Tensor, listening: bool) -> Tensor:
    steps = latents.shape[1]
    own = torch.arange(1, steps + 1).expand(CLIPS, -1)  # drifts by one level a step
    own = own + 3 * latents.cumsum(1) if listening else own
    return (start[:, None] + own[:, :, None, None, None]).clamp(0, 255).to(torch.uint8)


def _look_at(asked: list[Tensor], inferred: Tensor, step: int) -> Tensor:
    """The random latents [B, n] among those that were asked for, if they are really random."""
    long_enough = all(latents.shape[1] >= step for latents in asked)
    require(
        len(asked) >= 2 and long_enough,
        f"dream twice, at least {step} steps far: once under the inferred latents, once under "
        "random ones.",
    )
    mine = [x for x in asked if not torch.equal(x, inferred[:, : x.shape[1]])]
    require(
        mine and len(mine) < len(asked),
        "dream twice: once under the inferred latents, once under random ones.",
    )
    other = mine[0]
    require(
        all(torch.equal(x[:, :step], other[:, :step]) for x in mine),
        "you dreamed under several random latents; the measure takes one draw for each clip.",
    )
    seen = inferred[:, : other.shape[1]]
    require(
        int(other.min()) >= 0 and int(other.max()) < CODES,
        f"random latents should be numbers from 0 to {CODES - 1}.",
    )
    shuffled = torch.equal(other.sort(1).values, seen.sort(1).values)
    batch = torch.equal(other.flatten().sort().values, seen.flatten().sort().values)
    require(
        not (shuffled or batch),
        "your other latents are the inferred ones in another order: where one key is held they "
        "do not change at all. Draw them anew, all equally likely.",
    )
    require(
        not torch.equal(other, other[:1].expand_as(other)),
        "all clips get the same random latents: draw one for each clip and step.",
    )
    steps = other.shape[1]
    require(
        steps == 1 or (other != other[:, :1]).any(1).sum() > CLIPS // 2,
        "one random latent is held for a whole clip: draw one for each clip and *step*.",
    )
    require(
        not (other == seen).all(0).any(),
        "some steps keep their inferred latents: draw random ones for all steps, since the first "
        "dreamed frame on.",
    )
    often = (other == seen).float().mean()
    require(
        often > 0,
        "the random latents never equal the inferred ones: all codes are equally likely, the "
        "inferred one among them.",
    )
    require(
        often < 0.5,
        f"{often:.0%} of the random latents are the inferred ones: draw each anew.",
    )
    counts = torch.bincount(other.flatten(), minlength=CODES) / other.numel()
    require(
        counts[[0, -1]].min() > 0 or steps == 1,
        "the random latents leave out some codes: draw all of them, equally likely.",
    )
    require(
        (counts > 0).sum() > CODES // 2 and counts.max() < 0.45,
        "the random latents leave out some codes: draw all of them, equally likely.",
    )
    return other


def _gains(frames: Tensor, inferred: Tensor, other: Tensor) -> tuple[Tensor, ...]:
    """Both dreams, the real frames beside them, and the gain [clips, steps]."""
    right, wrong = (_play(frames[:, 0], x, True) for x in (inferred, other))
    steps = min(right.shape[1], wrong.shape[1])
    right, wrong, target = right[:, :steps], wrong[:, :steps], frames[:, 1 : steps + 1]
    return right, wrong, target, psnr(right, target) - psnr(wrong, target)


def _refuse_fixed_step(values: tuple[Tensor, Tensor], gains: list[Tensor]) -> None:
    """Values that were asked for at steps 4 and 1, and the gains of their dreams."""
    for i in range(min(gain.shape[1] for gain in gains)):
        require(
            not all(close(v, gain[:, i].mean()) for v, gain in zip(values, gains, strict=True)),
            f"whatever step is asked for, you give the value of step {i + 1}: the argument `step` "
            "decides which frames are compared.",
        )


def _judge_value(value: Tensor, frames: Tensor, inferred: Tensor, other: Tensor, step: int) -> None:
    right, wrong, target, gain = _gains(frames, inferred, other)
    steps, at = gain.shape[1], step - 1
    want = gain[:, at].mean()
    if close(value, want):
        return
    require(
        not close(value, -want),
        "the sign is turned: inferred minus random, so that a world that listens gets a "
        "positive number.",
    )
    require(
        not close(value, gain[:, at].abs().mean()),
        "a clip in which the random dream comes nearer counts as a gain: take no absolute value; "
        "there the difference is negative.",
    )
    require(
        not close(value, gain.mean()) and not close(value, gain[:, :step].mean()),
        f"you average over the steps; the paper looks at one step, here number {step}.",
    )
    late = [gain[:, i].mean() for i in range(steps) if i != at]
    late += [
        (psnr(right[:, i], frames[:, i]) - psnr(wrong[:, i], frames[:, i])).mean()
        for i in range(steps)
    ]
    require(
        not any(close(value, x) for x in late),
        "the step is off by one: step 1 is the first dreamed frame, [:, 0], and the real "
        "frame beside it is frames[:, 1].",
    )
    pooled = _pooled(right[:, at], target[:, at]) - _pooled(wrong[:, at], target[:, at])
    require(
        not close(value, pooled),
        "the errors of all clips are pooled before the logarithm: take the PSNR of each clip, "
        "then the mean, or the worst clip decides alone.",
    )
    between = -psnr(right[:, at], wrong[:, at]).mean()
    require(
        not close(value, between) and not close(value, -between),
        "you compare the two dreams with each other; compare each with the real frame.",
    )
    raise Hint(
        "PSNR of the dream under inferred latents minus PSNR of the dream under random ones, "
        f"both against the real frame at step {step}: {want:.3f} dB, yours is {value:.3f} dB."
    )


def _pooled(a: Tensor, b: Tensor) -> Tensor:
    error = (a.double() - b.double()).square().mean()
    return 10 * torch.log10(255**2 / error.clamp(min=1e-12))
