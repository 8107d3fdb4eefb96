"""Published weights of Cosmos's continuous video tokenizer, in our module.

diffusers' files are read as they are (``AutoencoderKLCosmos``; for CV8x8x8
``nvidia/Cosmos-1.0-Tokenizer-CV8x8x8``, ``vae/diffusion_pytorch_model.safetensors``): layout and
names of :mod:`wmlearn.nn.causal_video` are theirs. The diffusion models' network is in
``published_transformer.py``.
"""

from __future__ import annotations

from pathlib import Path

from wmlearn.hub import read_published
from wmlearn.nn.causal_video import CausalVideoConfig, CausalVideoTokenizer


def load_tokenizer(
    path: str | Path, config: CausalVideoConfig | None = None
) -> CausalVideoTokenizer:
    """The tokenizer that a file holds, ready to encode.

    Args:
        path: a file of ``AutoencoderKLCosmos``.
        config: its sizes; by default those of CV8x8x8.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file that is damaged, foreign or of other sizes.
    """
    weights, tokenizer = read_published(path), CausalVideoTokenizer(config or CausalVideoConfig())
    try:
        tokenizer.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"The weights in {path} do not fit this configuration: take a file of "
            "AutoencoderKLCosmos, and the sizes of its config.json."
        ) from error
    return tokenizer.eval()
