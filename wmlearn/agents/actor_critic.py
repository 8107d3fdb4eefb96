"""DIAMOND's actor-critic: one CNN-LSTM with a policy and a value head (section 3, appendix).

Shapes: B batch, T steps, C channels, H x W pixels, A actions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.nn.blocks import conv1x1, conv3x3, group_norm, init_lstm
from wmlearn.pixels import to_float

Memory = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class ActorCriticConfig:
    """Sizes of the policy and value network.

    Attributes:
        num_actions: A.
        image_channels: C of a frame.
        image_size: H = W of a frame.
        channels: width of each level; each level halves H and W.
        lstm_dim: width of the LSTM.
        patch_size: p x p pixels become channels first (1: none, as in the paper).
        lstm_skip: policy and value also see the CNN's features directly, beside the LSTM's memory
            of them (not in the paper). A freshly initialized LSTM passes on only a seventh of the
            difference between two frames' features; without the skip connection, minutes of
            training are not enough.
        context_frames: frames that the memory has seen in training when the policy chooses first.
            Where an episode has fewer, its first frame is repeated, in training and at play.
        seed: of the initial weights.
    """

    num_actions: int = 4
    image_channels: int = 3
    image_size: int = 64
    channels: tuple[int, ...] = (32, 32, 64, 64)
    lstm_dim: int = 512
    patch_size: int = 1
    lstm_skip: bool = False
    context_frames: int = 1
    seed: int = 0


class _Block(nn.Module):
    """norm - SiLU - conv beside a shortcut."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = group_norm(in_channels)
        self.conv = conv3x3(in_channels, out_channels)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else conv1x1(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.conv(F.silu(self.norm(x)))


class ActorCritic(nn.Module):
    """pi(a | frames so far) and V(frames so far)."""

    def __init__(self, config: ActorCriticConfig) -> None:
        super().__init__()
        self.config = config
        p, widths = config.patch_size, config.channels
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            first = conv3x3(config.image_channels * p * p, widths[0])
            layers: list[nn.Module] = [first]
            for before, here in zip((widths[0], *widths), widths, strict=False):
                layers += [_Block(before, here), nn.MaxPool2d(2)]
            self.to_patches = nn.PixelUnshuffle(p) if p > 1 else nn.Identity()
            self.encoder = nn.Sequential(*layers)
            side = config.image_size // p // 2 ** len(widths)
            features = widths[-1] * side * side
            self.lstm = nn.LSTMCell(features, config.lstm_dim)
            seen = config.lstm_dim + (features if config.lstm_skip else 0)
            self.critic = nn.Linear(seen, 1)
            self.actor = nn.Linear(seen, config.num_actions)
            init_lstm(self.lstm)
        for head in (self.critic, self.actor):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def initial_memory(self, batch: int) -> Memory:
        zeros = self.critic.weight.new_zeros(batch, self.config.lstm_dim)
        return zeros, zeros

    def forward(self, frames: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Memory]:
        """``frames`` uint8 [B, C, H, W] -> action logits [B, A], value [B], new memory."""
        x = self.encoder(self.to_patches(to_float(frames))).flatten(1)
        memory = self.lstm(x, memory)
        seen = torch.cat([memory[0], F.silu(x)], dim=1) if self.config.lstm_skip else memory[0]
        return self.actor(seen), self.critic(seen).squeeze(-1), memory

    def unroll(self, frames: Tensor) -> tuple[Tensor, Tensor, Memory]:
        """As ``forward`` for the last of ``frames`` uint8 [B, K, C, H, W], K >= 1, seen in turn."""
        memory = self.initial_memory(len(frames))
        for frame in frames.unbind(1):
            logits, value, memory = self(frame, memory)
        return logits, value, memory


class Player:
    """A trained actor-critic as a policy, with its LSTM state.

    Args:
        network: the trained actor-critic.
        greedy: take the most likely action; else sample from the policy.
        seed: of the sampled actions.
    """

    def __init__(self, network: ActorCritic, greedy: bool = False, seed: int = 0) -> None:
        self.network = network.eval()
        self.greedy = greedy
        self.generator = torch.Generator().manual_seed(seed)
        self.memory: Memory | None = None

    def reset(self, batch: int = 1) -> None:
        """Forgets everything; ``batch`` episodes begin with the next frames."""
        self.memory = None

    @torch.inference_mode()
    def act(self, frames: Tensor) -> Tensor:
        """``frames`` uint8 [B, C, H, W] -> actions int64 [B]."""
        if self.memory is None:
            repeats = self.network.config.context_frames
            seen = frames[:, None].expand(-1, repeats, -1, -1, -1)
            logits, _, self.memory = self.network.unroll(seen)
        else:
            logits, _, self.memory = self.network(frames, self.memory)
        if self.greedy:
            return logits.argmax(dim=-1)
        probabilities = logits.softmax(dim=-1).cpu()
        return torch.multinomial(probabilities, 1, generator=self.generator).squeeze(-1)
