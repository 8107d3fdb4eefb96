"""The dynamics model (Bruce et al. 2024, section 2.1): a MaskGIT over tokens and latent actions.

In training some tokens are hidden behind a mask token, and the model names them. At play all tokens
of the next frame are hidden, and are filled in over a few passes, the surest first.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.masked import masked_mean
from wmlearn.nn.st_transformer import STTransformer
from wmlearn.systems.genie.config import DynamicsConfig


class Dynamics(nn.Module):
    """Tokens of the past, and what is pressed now -> logits of each frame's tokens.

    Args:
        config: its numbers.
        vocabulary: number of codes K; entry K of the embedding is the mask token.
        action_dim: width A of a latent action's vector.
        space: S, tokens of a frame.
    """

    def __init__(
        self, config: DynamicsConfig, vocabulary: int, action_dim: int, space: int
    ) -> None:
        super().__init__()
        self.config, self.mask_token, self.space = config, vocabulary, space
        self.prepended = int(config.action == "prepended")
        self.embedding = nn.Embedding(vocabulary + 1, config.dim)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.action_in = nn.Linear(action_dim, config.dim)
        self.no_action = nn.Parameter(torch.zeros(config.dim))  # nothing led to the first frame
        places = space + self.prepended
        self.transformer = STTransformer(
            config.dim, config.depth, config.heads, places, config.gelu
        )
        self.out = nn.Linear(config.dim, vocabulary)

    def features(self, tokens: Tensor, actions: Tensor) -> Tensor:
        """The transformer's output ``[B, T, S, D]``.

        Args:
            tokens: int64 ``[B, T, S]``, K where masked.
            actions: float ``[B, T - 1, A]``; entry t leads to frame t + 1.
        """
        first = self.no_action.expand(len(tokens), 1, -1)
        x = self._with_action(tokens, torch.cat([first, self.action_in(actions)], dim=1))
        return self.transformer(x)[:, :, self.prepended :]

    def forward(self, tokens: Tensor, actions: Tensor) -> Tensor:
        """As :meth:`features` -> logits ``[B, T, S, K]``."""
        return self.out(self.features(tokens, actions))

    def loss(
        self,
        tokens: Tensor,
        actions: Tensor,
        mask: Tensor,
        masked: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Cross entropy over the masked tokens, and the share of them that is named right.

        Args:
            tokens: int64 ``[B, T, S]``, the true ones: the targets are taken before masking.
            actions: float ``[B, T - 1, A]``.
            mask: bool ``[B, T, S]``, what to hide; never the first frame's.
            masked: by how many to divide, where processes share a batch: their mean number.
            seen: int64 ``[B, T, S]``, what stands where none is hidden; by default the true ones.
        """
        hidden = torch.where(mask, self.mask_token, tokens if seen is None else seen)
        logits = self.out(self.features(hidden, actions)[:, 1:]).float()  # the first is given
        targets, weight = tokens[:, 1:], mask[:, 1:].float()
        each = F.cross_entropy(logits.flatten(0, 2), targets.flatten(), reduction="none")
        logits = logits.detach()
        hit = (logits.gather(-1, targets[..., None])[..., 0] == logits.amax(-1)).float()
        total = (weight.sum() if masked is None else masked).clamp(min=1)
        return masked_mean(each, weight.flatten(), total), masked_mean(hit, weight, total)

    def step_logits(
        self, tokens: Tensor, action: Tensor | None, time: Tensor, past: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits ``[B, S, K]`` of one frame after cached ones, and the cache with it.

        Args:
            tokens: int64 ``[B, S]``, K where masked.
            action: float ``[B, A]`` that led here; None for the first frame.
            time, past: as in ``STTransformer.step``.
        """
        x, new = self._step(tokens, action, time, past)
        return self.out(x), self.transformer.remember(past, new)

    def remember(self, tokens: Tensor, action: Tensor | None, time: Tensor, past: Tensor) -> Tensor:
        """The cache with one more frame; arguments as :meth:`step_logits`."""
        return self.transformer.remember(past, self._step(tokens, action, time, past)[1])

    def _step(
        self, tokens: Tensor, action: Tensor | None, time: Tensor, past: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        pressed = self.no_action.expand(len(tokens), -1) if action is None else None
        pressed = self.action_in(action) if pressed is None else pressed
        x = self._with_action(tokens[:, None], pressed[:, None])[:, 0]
        x, new = self.transformer.step(x, time, past)
        return x[:, self.prepended :], new

    def _with_action(self, tokens: Tensor, pressed: Tensor) -> Tensor:
        """Tokens ``[B, T, S]`` and embedded actions ``[B, T, D]`` -> ``[B, T, S (+ 1), D]``."""
        x = self.embedding(tokens)
        if self.prepended:
            return torch.cat([pressed[:, :, None], x], dim=2)
        return x + pressed[:, :, None]

    @torch.no_grad()
    def sample(
        self,
        action: Tensor,
        time: Tensor,
        past: Tensor,
        uniform: Tensor,
        steps: int,
        temperature: float,
        least: float | Tensor = 0.0,
    ) -> Tensor:
        """Draws the next frame's tokens ``[B, S]`` (Chang et al. 2022, section 3.2).

        After pass i of n, cos(pi/2 i/n) of the tokens are still masked: those of lowest confidence.

        Args:
            action: float ``[B, A]``.
            time, past: as in ``STTransformer.step``.
            uniform: float ``[steps, B, S, 2]`` in [0, 1): all the randomness there is.
            steps: passes n.
            temperature: of the distribution; 0 takes the likeliest token.
            least: tokens below this share of the likeliest one's probability are not drawn; one for
                all, or float ``[B, 1, 1]``.
        """
        batch = len(action)
        tokens = torch.full((batch, self.space), self.mask_token, device=action.device)
        for i in range(steps):
            logits = self.out(self._step(tokens, action, time, past)[0]).float()
            drawn = _draw(logits, uniform[i, ..., 0], temperature, least)
            confidence = logits.log_softmax(-1).gather(-1, drawn[..., None])[..., 0]
            gumbel = -(-uniform[i, ..., 1].clamp(1e-6, 1 - 1e-6).log()).log()
            left = self.config.choice_temperature * (1 - (i + 1) / steps)
            confidence = confidence + left * gumbel
            known = tokens != self.mask_token
            tokens = torch.where(known, tokens, drawn)
            still = int(self.space * math.cos(math.pi / 2 * (i + 1) / steps))
            if still and i + 1 < steps:
                surest_last = confidence.masked_fill(known, torch.inf).argsort(dim=-1)
                tokens = tokens.scatter(-1, surest_last[:, :still], self.mask_token)
        return tokens


def training_mask(
    uniform_clip: Tensor, uniform_frame: Tensor, uniform_token: Tensor, config: DynamicsConfig
) -> Tensor:
    """Which tokens are hidden in training: bool ``[B, T, S]``.

    Args:
        uniform_clip: ``[B]`` in [0, 1); gives the clip's share of masked tokens.
        uniform_frame: ``[B, T]``; decides which frames are left whole.
        uniform_token: ``[B, T, S]``; decides which tokens are masked.
    """
    rate = config.mask_min + (1 - config.mask_min) * uniform_clip
    mask = uniform_token < rate[:, None, None]
    mask = mask & (uniform_frame >= config.whole_frames)[..., None]
    mask[:, 0] = False
    return mask


def _draw(logits: Tensor, uniform: Tensor, temperature: float, least: float | Tensor) -> Tensor:
    """One token for each place: logits ``[..., K]``, uniform ``[...]`` -> int64 ``[...]``."""
    if temperature == 0:
        return logits.argmax(-1)
    odds = (logits / temperature).softmax(-1)
    odds = odds * (odds >= least * odds.amax(-1, keepdim=True))
    cumulative = odds.cumsum(-1)
    limit = uniform[..., None] * cumulative[..., -1:]
    return (limit >= cumulative).sum(-1).clamp(max=logits.shape[-1] - 1)
