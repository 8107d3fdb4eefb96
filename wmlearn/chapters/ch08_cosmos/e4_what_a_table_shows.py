"""Exercise 08.4: what a table shows."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from wmlearn.teach.answers import Answer
from wmlearn.teach.checks import close, exercise, filled, require, tensor

_REAL = {"careful": 40, "steady": 62, "fast": 81, "late": 35, "reckless": 22}
_EXPERT_ONLY = {"careful": 41, "steady": 61, "fast": 83, "late": 66, "reckless": 97}
_SHOWN = {
    "A": "the best in dream 1 is *fast*, and so it is on the real road: A is in the table.",
    "C": "look at careful, steady and fast alone, in reality and in dream 2: which order do they "
    "have in each? C is in the table.",
    "E": "in dream 2 *late* and *reckless* earn far more than on the real road, and the other "
    "three what they earn there: E is in the table.",
}
_NOT_SHOWN = {
    "B": "dream 1 had the hazards *and* twice as many frames. Which of the two helped, this table "
    "cannot tell (B): for that both dreams need equally many.",
    "D": "the order of dream 1 is right, its meters are not (D): *reckless* drives 22, give or "
    "take 2, and is said to drive 29.",
    "F": "the table has five policies that were not made in the dream. One that is trained in it "
    "looks for its mistakes (F): no row says what happens then.",
}


@exercise("08.4", "what a table shows")
def what_a_table_shows(conclude: Answer, *, seed: int = 0) -> Iterator[str]:
    """``conclude() -> {"lost": meters, "rho": a number, "shown": letters}``; ``seed`` changes
    nothing."""
    answer = filled(conclude(), lost=(), rho=(), shown=())
    require(
        isinstance(answer["shown"], list | tuple | str | set),
        '"shown" is a list of letters, such as ["B", "D"].',
    )
    words = (str(letter).strip(" ,").upper() for letter in answer["shown"])
    letters = {word for word in words if word}
    unknown = sorted(letters - {*_SHOWN, *_NOT_SHOWN})
    require(not unknown, f'"shown" has letters from A to F; what is {", ".join(unknown)}?')
    for key in ("lost", "rho"):
        require(not isinstance(answer[key], str), f'"{key}" is a number, not a text.')
    yield "two numbers and some letters"

    lost = tensor(answer["lost"], (), '"lost"')
    chosen, best = max(_EXPERT_ONLY, key=_EXPERT_ONLY.get), max(_REAL.values())
    require(
        not close(lost, _EXPERT_ONLY[chosen] - best),
        "that compares dream 2's promise with reality. What is lost is real: the best real meters "
        "minus the real meters of the policy that dream 2 names best.",
    )
    require(
        not close(lost, _EXPERT_ONLY[chosen] - _REAL[chosen]),
        f"that is by how much dream 2 flatters *{chosen}*. What is lost by choosing it is what "
        "another one would have driven more, on the real road.",
    )
    require(not close(lost, 0), "dream 2 does not name the best real policy: read its column.")
    require(
        close(lost, best - _REAL[chosen]),
        "take the policy that dream 2 names best; how many real meters does it drive, and how many "
        "does the best real one?",
    )
    yield "what it costs to believe dream 2"

    rho = tensor(answer["rho"], (), '"rho"')
    want = _spearman(_REAL, _EXPERT_ONLY)
    require(
        not close(rho, _pearson(_REAL, _EXPERT_ONLY), 0.02),
        "that is the correlation of the meters (Pearson's); asked is that of the ranks.",
    )
    require(
        not close(rho, -want, 0.006),
        "the sign is wrong: rank 1 is the best in both columns, and most ranks are far apart.",
    )
    require(rho.abs() <= 1, "a correlation lies between -1 and 1.")
    require(
        not close(rho, 1),
        "1 is dream 1's, whose order is the real one; asked is dream 2's.",
    )
    require(
        close(rho, want, 0.004),
        "give each policy its rank in reality and in dream 2; d is the difference of the two; "
        "rho = 1 - 6 · (sum of d²) / (n · (n² - 1)), with n = 5.",
    )
    yield "how well dream 2 ranks"

    for letter in sorted({*_SHOWN, *_NOT_SHOWN}):
        if letter in _SHOWN:
            require(letter in letters, _SHOWN[letter])
        else:
            require(letter not in letters, _NOT_SHOWN[letter])
    yield "what the table shows, and nothing that it does not"


def _ranks(column: dict[str, int]) -> list[int]:
    order = sorted(column.values(), reverse=True)
    return [order.index(column[name]) + 1 for name in _REAL]


def _pearson(a: dict[str, int], b: dict[str, int]) -> float:
    both = torch.tensor([[column[name] for name in _REAL] for column in (a, b)]).double()
    return float(torch.corrcoef(both)[0, 1])


def _spearman(a: dict[str, int], b: dict[str, int]) -> float:
    squares = sum((i - j) ** 2 for i, j in zip(_ranks(a), _ranks(b), strict=True))
    return 1 - 6 * squares / (len(_REAL) * (len(_REAL) ** 2 - 1))
