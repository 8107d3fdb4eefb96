"""The numbers of My Model: the paper's, which a recipe changes for smaller machines."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MyModelConfig:
    """All numbers of the system.

    Attributes:
        num_actions: how many there are; 0 until the data says it.
        image_channels, image_size: of a frame, C and H = W.
        context_frames: n, past frames that the network sees.
        width: channels of a layer; depth: how many layers.
        learning_rate, weight_decay: of AdamW.
        warmup_steps: over which the learning rate rises.
        max_steps: over which it falls to 0 as half a cosine; 0 keeps it.
        seed: of the first weights.
    """

    num_actions: int = 0
    image_channels: int = 3
    image_size: int = 64
    context_frames: int = 4
    width: int = 128
    depth: int = 6
    learning_rate: float = 3e-4
    weight_decay: float = 1e-2
    warmup_steps: int = 1000
    max_steps: int = 0
    seed: int = 0


PAPER = MyModelConfig()
