"""Exercise 08.5: a hundred million clips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import between, exercise, normal, pair, require, seeded, tensor


@exercise("08.5", "a hundred million clips")
def duplicates(deduplicate: Answer, score: Answer, *, seed: int = 0) -> Iterator[str]:
    """``deduplicate(vectors, cluster, quality, nearer) -> bool [N]``; ``score(stays, group) ->
    precision, recall``."""
    draw = seeded(seed)

    def stays(
        clips: Sequence[tuple[list[float], int, float]], nearer: float, order: Sequence[int] = ()
    ) -> list[bool]:
        """Of clips (vector, cluster, quality), given in another order."""
        order = list(order) or torch.randperm(len(clips), generator=draw).tolist()
        vectors = torch.tensor([clips[i][0] for i in order]).double()
        cluster = torch.tensor([clips[i][1] for i in order])
        quality = torch.tensor([clips[i][2] for i in order]).double()
        found = _mask(deduplicate(vectors, cluster, quality, nearer), len(clips))
        back = sorted(range(len(clips)), key=order.__getitem__)
        return [bool(found[i]) for i in back]

    q = torch.randperm(90, generator=draw)[:6].sort(descending=True).values.tolist()
    long = round(float(between(draw, 3.0, 6.0)), 2)
    apart = [([1.0, 0.0, 0.0], 0, q[3]), ([0.0, 1.0, 0.0], 0, q[1]), ([0.0, 0.2, 0.2], 0, q[2])]
    apart.append(([-2.0, 0.0, 0.0], 0, q[0]))
    best = [([1.0, 0.01, 0.0], 0, q[2]), ([1.0, 0.0, 0.0], 0, q[0]), ([1.0, 0.0, 0.01], 0, q[4])]
    found = stays(apart, 0.9)
    require(
        any(found) or sum(stays(best, 0.9)) != 2,
        "the mask is the other way round: True is for clips that *stay*.",
    )
    require(
        any(found),
        "clips that are all different are all thrown away: every clip is like itself, so compare "
        "with those that stay already.",
    )
    require(
        all(found),
        "clips that point in different directions should all stay, opposite ones, too; are their "
        "cosines compared?",
    )
    long_ones = [
        ([long, 0.0, 0.0], 0, q[0]),
        ([0.0, 0.1, 0.0], 0, q[1]),
        ([long, long, 0], 0, q[2]),
    ]
    require(
        all(stays(long_ones, 0.9)),
        "long vectors look alike to you: a product of two vectors is large when they are long. The "
        "cosine divides by both lengths.",
    )
    short_ones = [([0.1, 0.0, 0.0], 0, q[0]), ([0.1 * long, 0.002, 0.0], 0, q[2])]
    require(
        not all(stays(short_ones, 0.9)),
        "two clips whose vectors point the same way, one of them longer, are alike: one of the two "
        "goes. Compare cosines.",
    )
    yield "clips are alike whose vectors point the same way"

    mixed = [([1.0, 0.01, 0.0], 0, q[2]), ([1.0, 0.0, 0.0], 0, q[0]), ([0.0, 1.0, 0.0], 0, q[1])]
    require(
        stays(mixed, 0.9, (0, 1, 2)) != [True, True, False],
        "the mask is in the order of quality; it should be in that of the clips: write each "
        "answer to the clip's own place.",
    )
    for order in permutations(range(3)):
        found = stays(best, 0.9, order)
        require(sum(found) > 0, "of three copies none is left: one of them should stay.")
        require(sum(found) == 1, f"of three copies {sum(found)} stay; one is enough.")
        require(
            found != [False, False, True],
            "of three copies you keep the one of the lowest quality: begin with the best.",
        )
        require(
            found[1],
            "of three copies another one stays than the best: go through the clips from the "
            "highest quality to the lowest, whatever order they come in.",
        )
    yield "of copies the best one stays"

    turned = [_at(angle) for angle in (0.0, 30.0, 60.0, 90.0)]  # each is like its neighbors
    found = stays([(v, 2, quality) for v, quality in zip(turned, q, strict=False)], 0.8)
    require(
        found != [True, False, False, False],
        "a is like b, b like c, but a not like c. You throw c away because of b, which is gone "
        "itself: compare with clips that *stay*.",
    )
    require(
        found == [True, False, True, False],
        "of four clips, each like its neighbors only, the first and the third should stay.",
    )
    yield "a clip goes only if it is like one that stays"

    far = [([1.0, 0.0], 5, q[0]), ([1.0, 0.02], 7, q[1]), ([1.0, 0.03], 5, q[2])]
    found = stays(far, 0.9)
    require(
        found[1],
        "a clip goes that is like one of *another* cluster: these two are never compared, that is "
        "what the clusters are for.",
    )
    require(
        found == [True, True, False], "in each of two clusters the best of its copies should stay."
    )
    clips = _many(draw)
    found, want = stays(clips, 0.9), _reference(clips, 0.9)
    require(
        found == want,
        f"of {len(clips)} clips in three clusters {sum(want)} should stay, each the best of "
        f"its copies; of those you keep {sum(a and b for a, b in zip(found, want, strict=True))}, "
        f"and {sum(a > b for a, b in zip(found, want, strict=True))} others.",
    )
    # A right answer may round one of the two (a small number added to lengths, squared distances).
    ends = [[2.0, 0.0], [0.0, 3.0], [5.0, 0.0]], [[2.0, 0.0], [0.0, 3.0], [-5.0, 0.0]]
    same, square = ([(v, 0, quality) for v, quality in zip(x, q, strict=False)] for x in ends)
    require(
        stays(square, 0.0) == [True, False, True] or stays(same, 1.0) == [True, True, False],
        "with nearer = 0 the clips (2, 0) and (0, 3), whose cosine is 0, both stay, and with "
        "nearer = 1 so do (2, 0) and (5, 0): clips are alike from `nearer` on, >= and not >.",
    )
    yield "clips are compared inside their cluster, at the given nearness"

    _judge_score(score, draw)
    yield "precision and recall of what is thrown away"


def _judge_score(score: Answer, draw: torch.Generator) -> None:
    def ask(stays: list[bool], group: list[int]) -> tuple[float, float]:
        answer = pair(
            score(torch.tensor(stays), torch.tensor(group)), 2,
            "score should return two numbers: precision and recall.",
        )  # fmt: skip
        return float(tensor(answer[0], (), "precision")), float(tensor(answer[1], (), "recall"))

    def agree(found: tuple[float, float], *want: float) -> bool:
        return all(abs(a - b) < 1e-4 for a, b in zip(found, want, strict=True))

    yes, no = True, False
    # Five copies too many (three of group 3, two of group 8): two of them go, and a single clip.
    found = ask([yes, no, yes, yes, no, yes, yes, no, yes], [3, 3, 3, 3, 8, 8, 8, 1, 6])
    require(
        not agree(found, 2 / 5, 2 / 3),
        "the two are in the wrong order: precision is the share of right ones among those thrown "
        "away, recall the share of copies that were found.",
    )
    require(
        not agree(found, 2 / 3, 2 / 7),
        "of a group of n copies one is to stay, so n - 1 are too many, not n.",
    )
    require(
        agree(found, 2 / 3, 2 / 5),
        f"3 clips are thrown away, 2 of them copies, and 5 are too many: precision 2/3 and recall "
        f"2/5; yours are {found[0]:.3f} and {found[1]:.3f}.",
    )
    found = ask([no, no, no, yes, yes, no], [4, 4, 4, 2, 2, 7])
    require(
        not agree(found, 3 / 4, 1),
        "of a group of three all three are thrown away, and you count all as right: the last one "
        "of them is a loss, since nothing is left of it.",
    )
    require(
        agree(found, 2 / 4, 2 / 3),
        "all three copies of a group are thrown away, and a single clip: of the 4, two are right; "
        "the third of the group should have stayed.",
    )
    found = ask([yes, yes, yes], [0, 1, 1])
    require(
        agree(found, 1, 0),
        "nothing is thrown away: precision is 1 (nothing wrongly), recall 0 as there is a copy.",
    )
    require(
        agree(ask([yes, no], [0, 1]), 0, 1),
        "without any copy recall is 1 (none is missed), and precision 0 if something is thrown "
        "away.",
    )
    stays, group = torch.rand(25, generator=draw) < 0.6, torch.randint(9, (25,), generator=draw)
    sizes, left = torch.bincount(group, minlength=9), torch.bincount(group[stays], minlength=9)
    gone, surplus = int((sizes - left).sum()), int((sizes - 1).clamp(min=0).sum())
    right = int((sizes - left).minimum((sizes - 1).clamp(min=0)).sum())
    found = ask(stays.tolist(), group.tolist())
    require(
        agree(found, right / gone, right / surplus),
        f"25 clips in {int((sizes > 0).sum())} groups: {gone} are thrown away, {right} of them "
        f"rightly, and {surplus} are too many; yours are {found[0]:.3f} and {found[1]:.3f}.",
    )


def _many(draw: torch.Generator) -> list[tuple[list[float], int, float]]:
    """Clips (vector, cluster, quality), four or five copies of each of seven, of other lengths, in
    three clusters; the copies are near enough, all others far from it."""
    while True:
        original = normal(draw, 7, 5)
        if (_cosines(original) - torch.eye(7)).max() < 0.8:
            break
    number = torch.arange(31) % 7
    scale = between(draw, 0.3, 5.0, 31, 1)
    vectors = scale * (original[number] + 0.02 * normal(draw, 31, 5).clamp(-2, 2))
    cluster = torch.where(number < 2, torch.arange(31) // 7 % 2, 2)
    quality = torch.randperm(31, generator=draw)
    return list(zip(vectors.tolist(), cluster.tolist(), quality.tolist(), strict=True))


def _reference(clips: list[tuple[list[float], int, float]], nearer: float) -> list[bool]:
    near = _cosines(torch.tensor([vector for vector, _, _ in clips])) >= nearer
    stay: list[int] = []
    for i in sorted(range(len(clips)), key=lambda i: -clips[i][2]):
        if not any(near[i, j] and clips[i][1] == clips[j][1] for j in stay):
            stay.append(i)
    return [i in stay for i in range(len(clips))]


def _cosines(vectors: Tensor) -> Tensor:
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    return unit @ unit.T


def _mask(value: Any, count: int) -> Tensor:
    require(value is not None, "deduplicate returned None: is a `return` missing?")
    found = tensor(value, (count,), "the mask")
    require(
        not (count and ((found != 0) & (found != 1)).any()),
        "a mask is wanted: for each clip True (stays) or False (goes), not numbers of clips.",
    )
    return found


def _at(angle: float) -> list[float]:
    turn = torch.tensor(angle).deg2rad()
    return [float(turn.cos()), float(turn.sin())]
