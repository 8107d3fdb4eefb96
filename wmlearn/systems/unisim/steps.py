"""How many steps are left: the reward, learned from recorded data (section 4.2).

The paper's reward model reads the steps to a task's completion off a picture and a sentence. Here a
task is a sentence, or a picture of how it shall look, or both.

Legend: B batch, c x h x w a latent, D width of a sentence's vector.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.systems.unisim.config import StepsConfig

LOOKS = 4  # places that the head looks at


class StepsToGo(nn.Module):
    """Latents, and a task, to the logarithm of 1 + the steps that are left.

    Convolutions carry from place to place how far something is, and the head reads it at the few
    places that it looks at: what is learned in one corner of a room holds in the others, too.

    Args:
        config: sizes.
        channels: c.
        side: h = w.
        text_dim: D; 0 where no task is a sentence.
    """

    def __init__(self, config: StepsConfig, channels: int, side: int, text_dim: int = 0) -> None:
        super().__init__()
        self.config, width = config, config.channels
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width if i else 2 * channels + 2, width, 3, padding=1)
            for i in range(config.layers)
        )
        self.task = nn.ModuleList(
            nn.Linear(text_dim, 2 * width) for _ in self.convolutions if text_dim
        )
        self.look = nn.Conv2d(width, LOOKS, 1, bias=False)  # none survives the softmax over places
        self.head = nn.Sequential(
            nn.Linear(LOOKS * width, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(),
            nn.Linear(128, 1),
        )  # fmt: skip
        row = torch.linspace(-1, 1, side)
        self.register_buffer(
            "place", torch.stack(torch.meshgrid(row, row, indexing="ij"))[None], persistent=False
        )
        self.place: Tensor

    def forward(self, latent: Tensor, goal: Tensor, task: Tensor | None = None) -> Tensor:
        """log(1 + steps) ``[B]``; nothing holds it above 0, and a little below means done.

        Args:
            latent: ``[B, c, h, w]``, how it looks now.
            goal: ``[B, c, h, w]``, how it shall look; 0 where a sentence says it.
            task: ``[B, D]``, the sentence; 0 where a picture says it.
        """
        return self.features(latent, goal, task).squeeze(1)

    def features(self, latent: Tensor, goal: Tensor, task: Tensor | None = None) -> Tensor:
        """Output of the head, float32 ``[B, outputs]``; arguments as in :meth:`forward`."""
        place = self.place.to(latent.dtype).expand(len(latent), -1, -1, -1)
        x = torch.cat([latent, goal, place], dim=1)
        if task is not None:
            task = F.layer_norm(task, task.shape[-1:])  # 0 stays 0
        for i, layer in enumerate(self.convolutions):
            y = layer(x)
            if self.task and task is not None:
                scale, shift = self.task[i](task)[..., None, None].chunk(2, dim=1)
                y = y * (1 + scale) + shift
            x = F.silu(y) + x if i else F.silu(y)
        where = self.look(x).flatten(2).float().softmax(2).to(x.dtype)  # [B, looks, h w]
        return self.head((where @ x.flatten(2).mT).flatten(1)).float()

    def loss(self, latent: Tensor, goal: Tensor, task: Tensor | None, steps: Tensor) -> Tensor:
        """Absolute error in log(1 + steps), ``[B]``: its best answer is the median.

        Args:
            latent, goal, task: as in :meth:`forward`.
            steps: ``[B]``, counted in the recording; capped at ``config.most``.
        """
        wanted = steps.float().clamp(max=self.config.most).log1p()
        return (self(latent, goal, task) - wanted).abs()


def steps_of_what_is_said(
    frames: Tensor, actions: Tensor, real: Tensor, ended: Tensor
) -> tuple[Tensor, Tensor]:
    """How many steps the first sentence of each clip takes, where the clip shows it.

    A sentence is said anew at every step until it is done; saying it then changes nothing. So no
    simulator is asked: the recording itself tells.

    Args:
        frames: uint8 ``[B, T, C, H, W]``.
        actions: int64 ``[B, T - 1]``.
        real: bool ``[B, T]``, frames that are no padding.
        ended: bool ``[B, T - 1]``, the step ended its episode by the episode's own rules.

    Returns:
        Steps int64 ``[B]``, and bool ``[B]``: whether the clip shows the end of it.
    """
    same = (actions == actions[:, :1]) & real[:, 1:]
    said = same.long().cumprod(1).bool()  # up to where something else is said
    still = (frames[:, 1:] == frames[:, :-1]).flatten(2).all(2)
    times = torch.arange(actions.shape[1], device=actions.device)
    never = actions.shape[1] + 1
    at = torch.where(said & still, times, never)
    at = torch.minimum(at, torch.where(said & ended, times + 1, never)).amin(1)
    return at.clamp(max=actions.shape[1]), at < never
