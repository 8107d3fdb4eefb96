"""Exercise 07.1: one vector, whatever was done."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import Hint, close, exercise, normal, pair, require, seeded, tensor

SENTENCES, KEYS, NUMBERS, WIDTH = 4, 3, 2, 5
# A row is one action: a sentence, a key, a whole motion, half a motion, a motion that stands still,
# nothing at all, sentence 0, key 0, and all together.
SENTENCE = torch.tensor([3, -1, -1, -1, -1, -1, 0, -1, 2])
KEY = torch.tensor([-1, 2, -1, -1, -1, -1, -1, 0, 1])
VALID = torch.tensor(
    [[0, 0], [0, 0], [1, 1], [1, 0], [1, 1], [0, 0], [0, 0], [0, 0], [1, 1]]
).bool()
STANDS_STILL = 4


@exercise("07.1", "one vector, whatever was done")
def any_format(join: Answer, withhold: Answer, *, seed: int = 0) -> Iterator[str]:
    """``join(sentence, key, motion, valid, sentences, keys) -> [B, 2 D + 2 A]``;
    ``withhold(sentence, key, motion, valid, rows) -> sentence, key, motion, valid``."""
    draw = seeded(seed)
    order = torch.randperm(len(SENTENCE), generator=draw)
    sentence, key, valid = SENTENCE[order], KEY[order], VALID[order]
    motion = normal(draw, len(order), NUMBERS) + 3.0  # also where it is not valid
    motion[order == STANDS_STILL] = 0.0
    sentences, keys = normal(draw, SENTENCES, WIDTH), normal(draw, KEYS, WIDTH)
    given = sentence, key, motion, valid, sentences, keys
    shape = len(order), 2 * WIDTH + 2 * NUMBERS
    got = tensor(join(*given), shape, "join(...)")
    parts = got.split([WIDTH, WIDTH, NUMBERS, NUMBERS], dim=1)
    _lookup(parts[0], sentence, sentences, "sentence")
    _lookup(parts[1], key, keys, "key")
    yield "sentences and keys are looked up, and what is absent is zero"

    require(
        not close(parts[2], motion),
        "a number that is not valid leaks: whatever stands there (here it is not 0), it must not "
        "change the vector.",
    )
    if close(parts[2], valid):
        raise Hint("motion comes before valid: sentence, key, motion, valid.")
    require(close(parts[2], motion * valid), "the third part is the motion, 0 where not valid.")
    require(
        not close(parts[3], motion != 0) and not close(parts[3], (motion * valid) != 0),
        "a motion of 0 is a motion: the last part says which numbers there are, not which of them "
        "differ from 0.",
    )
    require(
        not close(parts[3], ~valid),
        "the last part should be 1 where a number is valid, and 0 where it is not.",
    )
    require(
        close(parts[3], valid),
        "the last part should be `valid`: without it, to stand still and to be no motion at all "
        "give the same vector.",
    )
    yield "a number that is not valid cannot leak, and a motion of 0 is no absent one"

    sentence, key, valid = (x.clone() for x in (sentence, key, valid))
    sentence[1], key[1], valid[1] = 2, 1, True  # one that has everything
    rows = torch.rand(len(order), generator=draw) < 0.4
    rows[order < 2] = False  # these have no motion, and stay
    rows[1] = rows[order == len(order) - 1] = True  # the latter does something of each format
    answer = pair(
        withhold(sentence, key, motion, valid, rows), 4,
        "withhold should return four things: sentence, key, motion, valid.",
    )  # fmt: skip
    said, pressed = (
        tensor(x, (len(order),), name)
        for x, name in zip(answer[:2], ("the sentences", "the keys"), strict=True)
    )
    moved, shown = (
        tensor(x, (len(order), NUMBERS), name)
        for x, name in zip(answer[2:], ("the motions", "valid"), strict=True)
    )
    after = said, pressed, moved, shown
    before = sentence, key, motion, valid
    require(
        not all(close(x[rows], y[rows]) for x, y in zip(after, before, strict=True)),
        "nothing is withheld where `rows` is true.",
    )
    for x, name in ((said, "sentence"), (pressed, "key")):
        require(
            (x[rows] == -1).all(),
            f"where `rows` is true nobody knows the {name}: it should be -1. (0 is the first "
            f"{name} of the table.)",
        )
    require((shown[rows] == 0).all(), "where `rows` is true no number of a motion is valid.")
    require((moved[rows] == 0).all(), "where `rows` is true the motion should be 0.")
    require(
        all(close(x[~rows], y[~rows]) for x, y in zip(after, before, strict=True)),
        "where `rows` is false everything should stay as it was, what is not valid too: sentence, "
        "key, motion, valid, in this order.",
    )
    yield "what is withheld looks as in a video of which nobody knows what was done"


def _lookup(part: Tensor, number: Tensor, table: Tensor, name: str) -> None:
    """Whether a part of the vector is the right row of the table, 0 where there is none."""
    there = number >= 0
    wanted = table[number.clamp(min=0)] * there[:, None]
    if close(part, wanted):
        return
    if close(part, table[number]):
        raise Hint(
            f"where there is no {name}, the vector is that of the *last* one: in Python, row -1 "
            "is the last row. An absent one should be zeros."
        )
    if close(part, table[number.clamp(min=0)]):
        raise Hint(f"no {name} looks like {name} 0: after the lookup, set what is absent to zeros.")
    if close(part, table[number.clamp(min=0)] * (number > 0)[:, None]):
        raise Hint(f"{name} 0 is a {name}, too: only -1 means that there is none.")
    place = "first" if name == "sentence" else "second"
    raise Hint(
        f"the {place} {WIDTH} numbers should be row `{name}` of the table `{name}s`, or zeros "
        "where it is -1: the order is sentence, key, motion, valid."
    )
