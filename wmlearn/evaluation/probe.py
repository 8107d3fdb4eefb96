"""What do frozen features encode? Measured by an attentive probe (Bardes et al. 2024, section 4.2).

The encoder stays as it is. A small head learns to name the class of a clip from its features: one
learned query attends to all tokens, and a linear layer classifies the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AttentiveProbe(nn.Module):
    """Cross-attention with one learned query, an MLP and a linear classifier.

    Args:
        dim: D of the features.
        classes: how many there are.
        heads: attention heads.
    """

    def __init__(self, dim: int, classes: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(torch.empty(dim))
        nn.init.trunc_normal_(self.query, std=0.02)
        self.norm = nn.LayerNorm(dim)
        self.q, self.kv = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim)
        self.mlp_norm = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.out = nn.Linear(dim, classes)

    def forward(self, features: Tensor) -> Tensor:
        """``[B, N, D]`` -> logits ``[B, classes]``."""
        batch = len(features)
        q = self.q(self.query).view(1, self.heads, 1, -1).expand(batch, -1, -1, -1)
        kv = self.kv(self.norm(features)).unflatten(-1, (2, self.heads, -1))
        k, v = kv.permute(2, 0, 3, 1, 4)  # [B, heads, N, d]
        x = self.query + F.scaled_dot_product_attention(q, k, v).flatten(1)
        return self.out(x + self.mlp(self.mlp_norm(x)))


@dataclass(frozen=True)
class ProbeScore:
    """How a probe did on clips that neither encoder nor probe has seen.

    Attributes:
        hits: bool ``[n]``, whether each clip's class was named.
        pair_hits: bool ``[m]``, of the clips whose class has a reversal, whether it beat that;
            ``None`` without pairs.
        logits: float32 ``[n, classes]``.
        ways: how often each clip is there: 2 where the second half is the first one backwards.
    """

    hits: Tensor
    pair_hits: Tensor | None
    logits: Tensor
    ways: int = 1

    @property
    def accuracy(self) -> float:
        """Among all classes, 0 to 1."""
        return float(self.hits.float().mean())

    @property
    def pairs(self) -> float | None:
        """Between a class and its reversal, 0 to 1; guessing gives 0.5."""
        return None if self.pair_hits is None else float(self.pair_hits.float().mean())


def fit_probe(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    pairs: Sequence[tuple[int, int]] = (),
    epochs: int = 20,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.05,
    heads: int = 4,
    seed: int = 0,
) -> ProbeScore:
    """Trains an attentive probe on frozen features and scores it.

    Args:
        train: features ``[n, N, D]`` and labels int64 ``[n]``.
        test: the same of other clips.
        pairs: classes that are each other's reversal, for ``ProbeScore.pairs``.
        epochs: passes over the training features; the learning rate falls along a cosine.
        batch_size: clips of a step.
        learning_rate: of AdamW, at its highest.
        weight_decay: of AdamW.
        heads: of the probe.
        seed: of its weights and of the order of clips.
    """
    features, labels = train
    classes = int(max(labels.max(), test[1].max())) + 1
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        probe = AttentiveProbe(features.shape[-1], classes, heads).to(features.device)
        steps = epochs * -(-len(labels) // batch_size)
        optimizer = torch.optim.AdamW(
            probe.parameters(), lr=learning_rate, weight_decay=weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps)
        for _ in range(epochs):
            for rows in torch.randperm(len(labels), generator=generator).split(batch_size):
                loss = F.cross_entropy(probe(features[rows].float()), labels[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
    with torch.no_grad():
        logits = torch.cat([probe(rows.float()) for rows in test[0].split(256)]).cpu()
    truth = test[1].cpu()
    between = pair_hits(logits, truth, pairs) if pairs else None
    return ProbeScore(logits.argmax(1) == truth, between, logits)


def pair_hits(logits: Tensor, labels: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """Whether a clip's class beats its own reversal, bool ``[m]``; other classes are left out."""
    other = torch.full((logits.shape[1],), -1)
    for a, b in pairs:
        other[a], other[b] = b, a
    partner = other[labels]
    known = partner >= 0
    if not known.any():
        raise ValueError("None of these clips belongs to one of the pairs.")
    own = logits[known].gather(1, labels[known, None])
    reverse = logits[known].gather(1, partner[known, None])
    return (own > reverse)[:, 0]
