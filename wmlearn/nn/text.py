"""Words for a video model: a small closed vocabulary, and an encoder trained along with the model.

Large systems take a text encoder that has read the internet (CLIP, T5): it knows that a crimson
sphere is a red ball. This one knows the words of a grammar and nothing else, and says so.

Legend: B texts, L words at most, D width.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wmlearn.nn.attention import Block


class UnknownWord(ValueError):
    """A text with a word that the vocabulary does not hold.

    Attributes:
        word: the first of them.
        near: known words that look like it, the most alike first; may be empty.
    """

    def __init__(self, word: str, near: Sequence[str], words: Sequence[str]) -> None:
        self.word, self.near = word, tuple(near)
        like = f"Did you mean {' or '.join(map(repr, near))}?" if near else "It knows none like it."
        super().__init__(
            f"The model has never read the word {word!r}. {like} All its words: {', '.join(words)}."
        )


class Vocabulary:
    """Known words, numbered from 1; 0 stands where there is no word.

    Args:
        words: all of them, in the order of their numbers; lower case.
        length: L, words of a text at most.
    """

    def __init__(self, words: Sequence[str], length: int) -> None:
        if len(set(words)) != len(words):
            raise ValueError("A vocabulary must not hold a word twice.")
        self.words, self.length = tuple(words), length
        self._number = {word: number for number, word in enumerate(words, start=1)}

    def __len__(self) -> int:
        return len(self.words) + 1

    def split(self, text: str) -> list[str]:
        """The words of a text: lower case, without punctuation."""
        return re.findall(r"[^\s,.;:!?\"]+", text.lower())

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Numbers of the words: int64 ``[B, L]``, 0 behind a text's last one.

        Raises:
            UnknownWord: a word that is not known.
            ValueError: a text that is too long.
        """
        rows = torch.zeros(len(texts), self.length, dtype=torch.long)
        for row, text in enumerate(texts):
            split = self.split(text)
            if len(split) > self.length:
                raise ValueError(
                    f"This text has {len(split)} words, and the model reads {self.length} at most: "
                    "shorten it."
                )
            for place, word in enumerate(split):
                rows[row, place] = self.number(word)
        return rows

    def number(self, word: str) -> int:
        """The number of a word; :class:`UnknownWord` if it has none."""
        if word not in self._number:
            near = difflib.get_close_matches(word, self.words, n=3, cutoff=0.5)
            raise UnknownWord(word, near, self.words)
        return self._number[word]


class WordEncoder(nn.Module):
    """Numbers of words -> vectors that know their neighbors.

    Args:
        words: size of the vocabulary, with the 0 that is no word.
        length: L.
        dim: D.
        depth: transformer blocks.
        heads: of their attention.
    """

    def __init__(
        self, words: int, length: int, dim: int = 64, depth: int = 2, heads: int = 4
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, dim, padding_idx=0)
        self.places = nn.Parameter(0.02 * torch.randn(length, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_ratio=2.0) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def forward(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """int64 ``[B, L]`` -> vectors ``[B, L, D]``, and bool ``[B, L]``: where a word is."""
        there = numbers > 0
        x = self.embedding(numbers) + self.places[: numbers.shape[1]]
        # A text without words must look at something: it looks at its first empty place.
        seen = there | (torch.arange(numbers.shape[1], device=numbers.device) == 0)
        for block in self.blocks:
            x = block(x, mask=seen[:, None, None])
        return self.norm(x), there
