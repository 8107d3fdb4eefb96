"""Words: known ones are numbered, unknown ones are named beside what they look like."""

from __future__ import annotations

import pytest
import torch

from wmlearn.nn.text import UnknownWord, Vocabulary, WordEncoder

WORDS = ("red", "green", "ball", "moves", "right")


def test_numbers_and_what_is_no_word():
    vocabulary = Vocabulary(WORDS, 5)
    numbers = vocabulary.encode(["Red ball, moves right.", ""])
    assert numbers.tolist() == [[1, 3, 4, 5, 0], [0, 0, 0, 0, 0]]
    assert len(vocabulary) == 6


def test_an_unknown_word_is_named_with_its_nearest_known_ones():
    with pytest.raises(UnknownWord, match="'bal'.*'ball'") as told:
        Vocabulary(WORDS, 5).encode(["red ball", "red bal"])
    assert told.value.word == "bal" and told.value.near[0] == "ball"
    with pytest.raises(UnknownWord, match="knows none like it"):
        Vocabulary(WORDS, 5).encode(["xyzzy"])


def test_what_is_too_long_or_twice_is_refused():
    with pytest.raises(ValueError, match="3 words.*reads 2"):
        Vocabulary(WORDS, 2).encode(["red red red"])
    with pytest.raises(ValueError, match="twice"):
        Vocabulary(("a", "a"), 2)


def test_words_know_their_neighbors_and_places_without_a_word_do_not_count():
    torch.manual_seed(0)
    encoder = WordEncoder(6, 5, dim=16, heads=2)
    short, padded = torch.tensor([[1, 3, 4]]), torch.tensor([[1, 3, 4, 0, 0]])
    vectors, there = encoder(padded)
    assert there.tolist() == [[True] * 3 + [False] * 2]
    assert torch.allclose(encoder(short)[0], vectors[:, :3], atol=1e-6)
    other, _ = encoder(torch.tensor([[2, 3, 4, 0, 0]]))
    assert not torch.allclose(other[:, 2], vectors[:, 2], atol=1e-3)
    turned, _ = encoder(torch.tensor([[3, 1, 4, 0, 0]]))
    assert not torch.allclose(turned[:, 2], vectors[:, 2], atol=1e-3), "their order counts"


def test_a_text_without_words_is_finite():
    vectors, there = WordEncoder(6, 5, dim=16, heads=2)(torch.zeros(2, 5, dtype=torch.long))
    assert torch.isfinite(vectors).all() and not there.any()
