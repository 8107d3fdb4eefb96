"""Weights of Stable Diffusion 1.x (diffusers' format) in our modules: where GameNGen starts from.

A folder as it is published has ``vae/diffusion_pytorch_model.safetensors`` and
``unet/diffusion_pytorch_model.safetensors``. Only safetensors are read; no code runs. :func:`load`
is what ``wmlearn.load_published("gamengen", folder)`` calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from wmlearn.hub import fill, read_published, renamed
from wmlearn.systems.gamengen.config import PAPER, GameNGenConfig
from wmlearn.systems.gamengen.system import GameNGen

# The autoencoder's attention had other names in the first releases.
_OLD_NAMES = [
    (r"\.query\.", ".to_q."),
    (r"\.key\.", ".to_k."),
    (r"\.value\.", ".to_v."),
    (r"\.proj_attn\.", ".to_out.0."),
]
STABLE_DIFFUSION_SCALE = 0.18215
"""Factor that gives the published latents unit variance."""


def convert_autoencoder(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of an ``AutoencoderKL`` -> ``KLAutoencoder`` state dict."""
    converted = {}
    for name, value in weights.items():
        name = renamed(name, _OLD_NAMES)
        attends = re.search(r"attentions\.\d+\.to_\w+.*weight$", name)
        converted[name] = value.flatten(1) if attends else value
    return converted


def convert_unet(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a ``UNet2DConditionModel`` in the layout of 1.x -> ``UNet`` state dict."""
    converted = {}
    for name, value in weights.items():
        projection = re.search(r"attentions\.\d+\.proj_(in|out)\.weight$", name)
        linear = projection and value.ndim == 2
        converted[name] = value[:, :, None, None] if linear else value
    return converted


def load(folder: str | Path, config: GameNGenConfig | None = None) -> GameNGen:
    """GameNGen as its paper starts it: Stable Diffusion's weights, and actions yet to be learned.

    Args:
        folder: the published folder, with vae/ and unet/ in it.
        config: by default the paper's.
    """
    return start_from(GameNGen(config or PAPER), folder)


def start_from(system: GameNGen, folder: str | Path) -> GameNGen:
    """Fills a system of the paper's sizes with Stable Diffusion 1.x, in place.

    The U-Net's first convolution gets channels for the past latents, which start at zero, so that
    the network starts as the published one. Actions and noise buckets start untrained.

    Args:
        system: e.g. ``GameNGen(PAPER)``.
        folder: the published folder.

    Raises:
        ValueError: files that are missing, damaged, or of other sizes.
    """
    autoencoder = convert_autoencoder(_read(folder, "vae"))
    unet = convert_unet(_read(folder, "unet"))
    own = system.denoiser.unet.conv_in.weight
    first = unet.get("conv_in.weight", own)
    past = first.new_zeros(len(first), own.shape[1] - first.shape[1], *first.shape[2:])
    unet["conv_in.weight"] = torch.cat([past, first], dim=1)
    fill(system.autoencoder, autoencoder, folder)
    fill(system.denoiser.unet, unet, folder)
    system.latent_mean.zero_()
    system.latent_std.fill_(1 / STABLE_DIFFUSION_SCALE)
    return system


def _read(folder: str | Path, part: str) -> dict[str, Tensor]:
    path = Path(folder, part, "diffusion_pytorch_model.safetensors")
    if not path.is_file():
        raise ValueError(
            f"{path} is missing: give a folder in diffusers' format, with vae/ and unet/ in it."
        )
    return read_published(path)
