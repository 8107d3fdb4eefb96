"""A later round of training, which makes a small DIAMOND robust to its own errors.

Not in the paper, whose denoiser is large. The shipped worlds were trained in rounds; each starts
from the last one (``wmlearn fit diamond --init``) and sets one or more of three numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wmlearn.data.clip import Clip
from wmlearn.nn.noise import SampleNoise
from wmlearn.pixels import to_float
from wmlearn.systems.diamond.config import DiamondConfig
from wmlearn.systems.diamond.system import Diamond


class LaterRound(Diamond):
    """DIAMOND with noise on its past, with a frozen denoiser, or with rewards learned from dreams.

    Args:
        config: of its fields, ``denoiser.context_noise``, ``train_denoiser`` and
            ``reward_on_dreams`` act here and nowhere else.
    """

    def __init__(self, config: DiamondConfig) -> None:
        super().__init__(config)
        self.denoiser.requires_grad_(config.train_denoiser)

    @staticmethod
    def is_meant_by(config: DiamondConfig) -> bool:
        """Whether the numbers ask for more than the paper's training."""
        noisy = config.denoiser.context_noise > 0
        return noisy or config.reward_on_dreams or not config.train_denoiser

    def denoising_loss(self, piece: Clip, noise: SampleNoise) -> tuple[Tensor, Tensor]:
        """As in :class:`Diamond`, from the past that ``noisy_past`` gives."""
        frames = self.noisy_past(to_float(piece.frames), noise)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.config.train_denoiser):
            return self.denoiser.loss(frames, piece.actions, noise.normal, piece.real_frames)

    def noisy_past(self, frames: Tensor, noise: SampleNoise) -> Tensor:
        """[B, n + k, C, H, W] with noise on the first n, of a standard deviation for each clip.

        The denoiser so learns to mend what it got wrong (compare GameNGen, Valevski et al. 2024,
        section 3.2).
        """
        most, n = self.config.denoiser.context_noise, self.config.denoiser.context_frames
        if not most:
            return frames
        level = torch.special.ndtr(noise.normal(len(frames), 1, 1, 1, 1)) * most
        past = frames[:, :n]
        past = past + level * noise.normal(*past.shape)
        return torch.cat([past, frames[:, n:]], dim=1)

    def reward_end_losses(self, clip: Clip, piece: Clip, dreamed: Tensor) -> tuple[Tensor, Tensor]:
        """As in :class:`Diamond`; with ``reward_on_dreams``, the mean of it and of the dreams'."""
        reward, end = super().reward_end_losses(clip, piece, dreamed)
        if not self.config.reward_on_dreams:
            return reward, end
        past = to_float(piece.frames[:, : self.config.denoiser.context_frames])
        dream = torch.cat([past, dreamed], dim=1)
        reward_dream, end_dream = self.reward_end.loss(
            dream, piece.actions, piece.rewards, piece.terminated, piece.real_frames
        )
        return (reward + reward_dream) / 2, (end + end_dream) / 2
