"""Guidance, wrong."""

from __future__ import annotations

import torch


def _both(network, z, t, words):
    twice = torch.cat([words, torch.zeros_like(words)])
    return network(torch.cat([z, z]), torch.cat([t, t]), twice)


def two_calls(network, z, t, words, scale):
    with_words, without = network(z, t, words), network(z, t, torch.zeros_like(words))
    return without + scale * (with_words - without)


def halves_swapped(network, z, t, words, scale):
    without, with_words = _both(network, z, t, words).chunk(2)
    return without + scale * (with_words - without)


def from_with_words(network, z, t, words, scale):
    with_words, without = _both(network, z, t, words).chunk(2)
    return with_words + scale * (with_words - without)


def in_pairs(network, z, t, words, scale):
    both = _both(network, z, t, words)
    with_words, without = both[::2], both[1::2]
    return without + scale * (with_words - without)


def words_twice(network, z, t, words, scale):
    both = network(torch.cat([z, z]), torch.cat([t, t]), torch.cat([words, words]))
    with_words, without = both.chunk(2)
    return without + scale * (with_words - without)


def scale_squared(network, z, t, words, scale):
    with_words, without = _both(network, z, t, words).chunk(2)
    return without + scale**2 * (with_words - without)


def wrong_at_one(network, z, t, words, scale):
    with_words, without = _both(network, z, t, words).chunk(2)
    return (with_words + without) * scale / 2


def words_as_floats(network, z, t, words, scale):
    twice = torch.cat([words, torch.zeros(words.shape)])
    both = network(torch.cat([z, z]), torch.cat([t, t]), twice)
    with_words, without = both.chunk(2)
    return without + scale * (with_words - without)


WRONG = [
    ("two_calls", (two_calls,), "called 2 times"),
    ("halves_swapped", (halves_swapped,), "estimate *without* words"),
    ("from_with_words", (from_with_words,), "already pushed beyond"),
    ("in_pairs", (in_pairs,), "halves are mixed up"),
    ("words_twice", (words_twice,), "estimate of an empty text"),
    ("words_as_floats", (words_as_floats,), "words must stay int64"),
    ("scale_squared", (scale_squared,), "s times as far"),
    ("wrong_at_one", (wrong_at_one,), "of each sample its own"),
]


def without_first(network, z, t, words, scale):
    twice = torch.cat([torch.zeros_like(words), words])
    both = network(z.repeat(2, 1, 1, 1), t.repeat(2), twice)
    without, with_words = both[: len(z)], both[len(z) :]
    return torch.lerp(without, with_words, scale)


def interleaved(network, z, t, words, scale):
    twice = torch.stack([words, torch.zeros_like(words)], dim=1).flatten(0, 1)
    both = network(z.repeat_interleave(2, 0), t.repeat_interleave(2), twice)
    return scale * both[::2] + (1 - scale) * both[1::2]


RIGHT = [("without_first", (without_first,)), ("interleaved", (interleaved,))]
