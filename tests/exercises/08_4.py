"""Conclusions that the table does not hold."""

from __future__ import annotations


def _conclusion(lost=59, rho=-0.3, shown="ACE"):
    return (lambda: {"lost": lost, "rho": rho, "shown": list(shown)},)


WRONG = [
    ("promise_minus_reality", _conclusion(lost=16), "compares dream 2's promise"),
    ("how_much_it_flatters", _conclusion(lost=75), "by how much dream 2 flatters"),
    ("loses_nothing", _conclusion(lost=0), "does not name the best"),
    ("against_the_second", _conclusion(lost=40), "how many real meters does it drive"),
    ("of_the_meters", _conclusion(rho=-0.06), "Pearson's"),
    ("sign", _conclusion(rho=0.3), "sign is wrong"),
    ("of_dream_one", _conclusion(rho=1.0), "is dream 1's"),
    ("divided_by_n_cubed", _conclusion(rho=1 - 6 * 26 / 125), "the difference of the two"),
    ("without_the_best", _conclusion(shown="CE"), "A is in the table"),
    ("hazards_alone", _conclusion(shown="ABCE"), "need equally"),
    ("without_the_order", _conclusion(shown="AE"), "C is in the table"),
    ("meters_too", _conclusion(shown="ACDE"), "its meters are not"),
    ("without_the_kindness", _conclusion(shown="AC"), "E is in the table"),
    ("trained_in_it", _conclusion(shown="ACEF"), "looks for its mistakes"),
    ("another_letter", _conclusion(shown="ACEG"), "letters from A to F"),
]
ALSO = [
    ("a_number", _conclusion(shown=[3.5]), "letters from A to F"),
    ("all_of_them", _conclusion(shown="ABCDEF"), "need equally"),
    ("none_of_them", _conclusion(shown=""), "A is in the table"),
]


RIGHT = [
    (
        "in_another_order",
        (lambda: {"shown": ("E", "C", "A"), "rho": 1 - 6 * 26 / 120, "lost": 81.0 - 22},),
    ),
    ("small_letters", _conclusion(shown="cae")),
]
