"""Exercise 09.5: does the world listen?."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from wmlearn.metrics import psnr
from wmlearn.teach.checks import Hint, close, exercise, function, require, tensor


@exercise("09.5", "does the world listen?")
def listens(delta_psnr: Callable) -> Iterator[str]:
    """``delta_psnr(dream, frames, inferred, step, num_actions, generator)``, in dB."""
    function(delta_psnr, "delta_psnr")
    clips, steps, codes = 6, 5, 8
    draw = torch.Generator().manual_seed(0)
    inferred = torch.randint(0, codes, (clips, steps), generator=draw)
    inferred[:2] = 3  # two clips in which one key is held
    first = torch.randint(0, 60, (clips, 1, 1, 4, 4), generator=draw, dtype=torch.uint8)
    moved = 3 * inferred.cumsum(1)[:, :, None, None, None]
    frames = torch.cat([first, (first + moved).to(torch.uint8)], dim=1)
    asked: list[Tensor] = []

    def dream(listening: bool) -> Callable[[Tensor, Tensor], Tensor]:
        asked.clear()

        def play(start: Tensor, latents: Tensor) -> Tensor:
            require(
                torch.equal(start, frames[:, 0]),
                "both dreams should start from the first real frame, frames[:, 0].",
            )
            require(
                latents.shape == inferred.shape and not latents.is_floating_point(),
                f"dream was given latents of shape {list(latents.shape)}: one for each step, "
                f"{list(inferred.shape)}.",
            )
            asked.append(latents.clone())
            own = 3 * latents.cumsum(1) + torch.arange(1, steps + 1)  # drifts by one level a step
            own = own if listening else torch.arange(1, steps + 1).expand(clips, -1)
            return (start[:, None] + own[:, :, None, None, None]).clamp(max=255).to(torch.uint8)

        return play

    def run(listening: bool, step: int, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        play = dream(listening)
        value = delta_psnr(play, frames.clone(), inferred.clone(), step, codes, generator)
        return tensor(value, (), "delta PSNR")

    value = run(True, 4)
    require(
        len(asked) == 2 and any(torch.equal(latents, inferred) for latents in asked),
        "dream twice: once under the inferred latents, once under random ones.",
    )
    other = next(latents for latents in asked if not torch.equal(latents, inferred))
    require(
        int(other.min()) >= 0 and int(other.max()) < codes,
        f"random latents should be numbers from 0 to {codes - 1}.",
    )
    shuffled = all(torch.equal(row.sort().values, own) for row, own in _rows(other, inferred))
    batch = torch.equal(other.flatten().sort().values, inferred.flatten().sort().values)
    require(
        not (shuffled or batch),
        "your other latents are the inferred ones in another order: where one key is held they "
        "do not change at all. Draw them anew, all equally likely.",
    )
    require(
        not torch.equal(other, other[:1].expand_as(other)),
        "all clips get the same random latents: draw one for each clip and step.",
    )
    require(
        len(other.unique()) > codes // 2,
        "the random latents leave out some codes: draw all of them, equally likely.",
    )
    yield "one dream under inferred, one under random latents"

    target, right, wrong = frames[:, 1:], dream(True)(frames[:, 0], inferred), None
    wrong = dream(True)(frames[:, 0], other)
    gain = psnr(right, target) - psnr(wrong, target)  # [clips, steps]
    want = gain[:, 3].mean()
    if not close(value, want):
        require(
            not close(value, -want),
            "the sign is turned: inferred minus random, so that a world that listens gets a "
            "positive number.",
        )
        require(
            not close(value, gain.mean()) and not close(value, gain[:, :4].mean()),
            "you average over the steps; the paper looks at one step, the fourth.",
        )
        late = psnr(right[:, 4], frames[:, 4]) - psnr(wrong[:, 4], frames[:, 4])
        require(
            not close(value, gain[:, 4].mean()) and not close(value, late.mean()),
            "the step is off by one: step 1 is the first dreamed frame, [:, 0], and the real "
            "frame beside it is frames[:, 1].",
        )
        pooled = _pooled(right[:, 3], target[:, 3]) - _pooled(wrong[:, 3], target[:, 3])
        require(
            not close(value, pooled),
            "the errors of all clips are pooled before the logarithm: take the PSNR of each clip, "
            "then the mean, or the worst clip decides alone.",
        )
        between = -psnr(right[:, 3], wrong[:, 3]).mean()
        require(
            not close(value, between) and not close(value, -between),
            "you compare the two dreams with each other; compare each with the real frame.",
        )
        raise Hint(
            "PSNR of the dream under inferred latents minus PSNR of the dream under random ones, "
            f"both against the real frame at that step: {want:.3f} dB, yours is {value:.3f} dB."
        )
    yield "inferred minus random, at the step that was asked for"

    require(
        close(run(False, 4), 0.0),
        "a world that ignores its latents should get 0.",
    )
    yield "a world that does not listen gets 0"
    require(
        not close(run(True, 4, seed=1), value),
        "another seed gives the same number: draw with the generator that was given.",
    )
    require(
        close(run(True, 4, seed=0), value),
        "the same seed gives another number: draw with the generator that was given.",
    )
    yield "the generator alone decides what is drawn"


def _rows(a: Tensor, b: Tensor) -> list[tuple[Tensor, Tensor]]:
    return [(x, y.sort().values) for x, y in zip(a, b, strict=True)]


def _pooled(a: Tensor, b: Tensor) -> Tensor:
    error = (a.double() - b.double()).square().mean()
    return 10 * torch.log10(255**2 / error.clamp(min=1e-12))
