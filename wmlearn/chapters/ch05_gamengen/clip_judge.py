"""The automatic judge: a small network that learns to tell real clips from dreamed ones.

It stands in for raters: where it is right in half of the pairs, it sees no difference; people may
see other things, and be fooled by other things. It is trained on clips of some episodes and tested
on those of others.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ClipJudge(nn.Module):
    """Convolutions over frames and their changes, pooled over the clip; the logit of "real".

    Args:
        width: channels of the first layer.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        sizes = [6, width, 2 * width, 4 * width, 4 * width]
        for before, after in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.SiLU()]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(2 * sizes[-1], 1)

    def forward(self, clips: Tensor) -> Tensor:
        """uint8 ``[B, T, 3, 64, 64]`` -> ``[B]``."""
        x = clips.float() / 127.5 - 1
        x = torch.cat([x[:, 1:], 4 * (x[:, 1:] - x[:, :-1])], dim=2)
        features = self.layers(x.flatten(0, 1)).mean((-1, -2)).unflatten(0, x.shape[:2])
        both = torch.cat([features.mean(1), features.amax(1)], dim=-1)
        return self.head(both)[:, 0]


def train_judge(
    real: Tensor, dreams: Tensor, steps: int = 600, batch: int = 16, seed: int = 0
) -> ClipJudge:
    """A judge from clips uint8 ``[N, T, 3, 64, 64]`` of either kind; pictures may be mirrored."""
    device = real.device
    draw = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = ClipJudge()
    judge.to(device)
    optimizer = torch.optim.AdamW(judge.parameters(), 1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        rows = [torch.randint(len(x), (batch // 2,), generator=draw) for x in (real, dreams)]
        clips = torch.cat([x[i.to(device)] for x, i in zip((real, dreams), rows, strict=True)])
        label = (torch.arange(len(clips), device=device) < batch // 2).float()
        loss = F.binary_cross_entropy_with_logits(judge(clips), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return judge.eval()


@torch.inference_mode()
def pairs_told_apart(judge: ClipJudge, real: Tensor, dreams: Tensor) -> Tensor:
    """Whether it names the real clip of each pair, as raters do: bool ``[N]``."""
    logits = [
        torch.cat([judge(part) for part in clips.split(32)]).cpu() for clips in (real, dreams)
    ]
    return logits[0] > logits[1]
