"""Actions in any form: a sentence, a motion or a key becomes one vector (section 3.1).

    e = MLP([words of the sentence ; motion ; which of its numbers are valid ; key]) + world

What an action does not have is zero and said to be absent, so one network reads all formats, and
also video of which nobody knows what was done.

Legend: B batch, T frames, A numbers of the longest motion, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor, nn

from wmlearn.nn.text import Vocabulary, WordEncoder
from wmlearn.systems.unisim.config import Domain, UniSimConfig

# --- action spaces that say which format they take ------------------------------------------------


class Sentences(Discrete):
    """A finite language; an action is the number of a sentence.

    Args:
        sentences: all that may be said.
    """

    format = "language"

    def __init__(self, sentences: tuple[str, ...]) -> None:
        super().__init__(len(sentences))
        self.names = tuple(sentences)

    def number(self, sentence: str) -> int:
        """The number of a sentence, upper case and spaces aside; ``ValueError`` lists them all."""
        said = " ".join(sentence.lower().split())
        if said not in self.names:
            raise ValueError(f"{sentence!r} is not understood here; say: {'; '.join(self.names)}.")
        return self.names.index(said)


class Keys(Discrete):
    """Keys; an action is the number of a key.

    Args:
        names: of the keys.
    """

    format = "keys"

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(len(names))
        self.names = tuple(names)


class Motion(Box):
    """Motions, each number in -1..1.

    Args:
        dimensions: numbers of a motion.
    """

    format = "motion"

    def __init__(self, dimensions: int) -> None:
        super().__init__(-1.0, 1.0, (dimensions,))


def action_space(domain: Domain) -> Space:
    """The space of a domain's actions; of a passive video, one key that does nothing."""
    if domain.format == "language":
        return Sentences(domain.actions)
    if domain.format == "motion":
        return Motion(domain.dimensions)
    return Keys(domain.actions or ("wait",))


# --- one struct for all formats -------------------------------------------------------------------


@dataclass(frozen=True)
class Actions:
    """What was done before each frame, in whatever form; absent parts are -1 or False.

    Attributes:
        sentence: int64 ``[B, T]``, a number in ``config.words_of("language")``; -1: none.
        motion: float32 ``[B, T, A]``.
        valid: bool ``[B, T, A]``, which of these numbers there are.
        key: int64 ``[B, T]``, a number in ``config.words_of("keys")``; -1: none.
        domain: int64 ``[B]``, a number in ``config.domains``; -1: unknown.
    """

    sentence: Tensor
    motion: Tensor
    valid: Tensor
    key: Tensor
    domain: Tensor

    def withheld(self, rows: Tensor) -> Actions:
        """The same, with nothing known of what was done in ``rows`` (bool ``[B]``)."""
        row = rows[:, None]
        return Actions(
            self.sentence.masked_fill(row, -1),
            self.motion.masked_fill(row[..., None], 0.0),
            self.valid & ~row[..., None],
            self.key.masked_fill(row, -1),
            self.domain,
        )


class ActionCodes(nn.Module):
    """From the numbers that one domain's actions have to those of the whole mixture.

    Args:
        config: its domains.
    """

    def __init__(self, config: UniSimConfig) -> None:
        super().__init__()
        self.dimensions = config.dimensions
        for format in ("language", "keys"):
            all_names = config.words_of(format)
            longest = max((len(d.actions) for d in config.domains), default=0)
            table = torch.full((len(config.domains), max(longest, 1)), -1)
            for number, domain in enumerate(config.domains):
                if domain.format == format:
                    for i, name in enumerate(domain.actions):
                        table[number, i] = all_names.index(name)
            self.register_buffer(format, table, persistent=False)
        sizes = [d.dimensions if d.format == "motion" else 0 for d in config.domains]
        self.register_buffer("sizes", torch.tensor(sizes), persistent=False)

    def forward(self, actions: Tensor, domain: Tensor) -> Actions:
        """What a domain's own actions mean.

        Args:
            actions: int64 ``[B, T]``, or float32 ``[B, T, A']`` with A' at most A.
            domain: int64 ``[B]``, a number in ``config.domains``.
        """
        batch, length = actions.shape[:2]
        a = self.dimensions
        motion = torch.zeros(batch, length, a, device=actions.device)
        if actions.is_floating_point():
            motion[..., : actions.shape[2]] = actions
            number = torch.full_like(actions[..., 0], -1, dtype=torch.long)
            shown = torch.arange(a, device=actions.device) < self.sizes[domain][:, None]
            valid = shown[:, None].expand(batch, length, a)
            return Actions(number, motion * valid, valid, number, domain)
        rows = domain[:, None].expand(batch, length)
        valid = torch.zeros(batch, length, a, dtype=torch.bool, device=actions.device)
        return Actions(
            self.language[rows, actions], motion, valid, self.keys[rows, actions], domain
        )

    def nothing(self, batch: int, length: int, domain: Tensor) -> Actions:
        """Frames of which nobody knows what was done before them."""
        none = torch.full((batch, length), -1, device=domain.device)
        motion = torch.zeros(batch, length, self.dimensions, device=domain.device)
        return Actions(none, motion, motion > 0, none, domain)


# --- the encoder ----------------------------------------------------------------------------------


class SentenceEncoder(nn.Module):
    """A sentence as one vector: the mean of its words', each of which knows its neighbors.

    The language is finite, so that all of it is encoded at once, and looked up.

    Args:
        sentences: all there are; their words are the vocabulary.
        dim: D.
    """

    def __init__(self, sentences: tuple[str, ...], dim: int) -> None:
        super().__init__()
        split = [sentence.split() for sentence in sentences]
        vocabulary = Vocabulary(
            sorted({word for words in split for word in words}), max(map(len, split))
        )
        self.register_buffer("numbers", vocabulary.encode(sentences), persistent=False)
        self.words = WordEncoder(len(vocabulary), vocabulary.length, dim, depth=1)

    def forward(self, sentence: Tensor) -> Tensor:
        """Numbers int64 ``[*]`` -> ``[*, D]``; -1 is the empty sentence, whose vector is 0."""
        words, there = self.words(self.numbers)
        mean = (words * there[..., None]).sum(1) / there.sum(1, keepdim=True)
        table = torch.cat([mean, torch.zeros_like(mean[:1])])  # the last one: -1
        return table[sentence]


class ActionEncoder(nn.Module):
    """Actions of all formats to one vector a frame.

    Args:
        config: the mixture's domains, and the vector's width.
    """

    def __init__(self, config: UniSimConfig) -> None:
        super().__init__()
        dim, sentences, keys = config.action.dim, *map(config.words_of, ("language", "keys"))
        self.sentences = SentenceEncoder(sentences, dim) if sentences else None
        self.keys = nn.Embedding(len(keys) + 1, dim) if keys else None  # the last one: no key
        self.dimensions = config.dimensions
        width = dim * (bool(sentences) + bool(keys)) + 2 * self.dimensions
        self.mix = nn.Sequential(nn.Linear(width, 2 * dim), nn.SiLU(), nn.Linear(2 * dim, dim))
        known = len(config.domains) if config.action.domain_id else 0
        self.domain = nn.Embedding(known, dim) if known else None

    def forward(self, actions: Actions) -> Tensor:
        """``[B, T, D]``."""
        parts = []
        if self.sentences is not None:
            parts.append(self.sentences(actions.sentence))
        if self.keys is not None:
            parts.append(self.keys(actions.key % self.keys.num_embeddings))
        if self.dimensions:
            parts += [actions.motion * actions.valid, actions.valid.to(actions.motion.dtype)]
        vector = self.mix(torch.cat(parts, dim=-1))
        if self.domain is not None:
            known = (actions.domain >= 0)[:, None]
            vector = vector + (self.domain(actions.domain.clamp(min=0)) * known)[:, None]
        return vector
