"""A training step of the video transformer over that of diffusers' Latte, at equal size.

    pip install diffusers
    python benchmarks/latte.py

Both take the same latents (16 frames of 16 x 16 x 4, patches of 2 x 2: 1,024 tokens) and the same
words, at the same width and number of heads, with attention in space and in time in turn, and with
one map from the noise level for all layers, corrected by a table in each (PixArt-alpha's). Latte's
layer is a block over space with words and a block over time, each with an MLP of its own; ours has
one MLP for both. So that neither is smaller, layers are counted until the parameters agree: six of
ours for four of Latte's, which gives ours half as many attentions again, and fewer MLPs. Forward,
mean squared error, backward and AdamW; processor time of one thread, medians of runs in turn.
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
from diffusers import LatteTransformer3DModel
from peers import PRECISIONS, learn, ratio

from wmlearn.fast.precision import bfloat16_is_fast
from wmlearn.nn.video_transformer import VideoTransformer, VideoTransformerConfig

WIDTH, HEADS = 192, 6
WORDS, TEXT = 24, 64
FRAMES, SIDE, CHANNELS = 16, 16, 4


def pair(batch: int):
    """Ours and theirs as training steps, and their parameters in millions."""
    ours = VideoTransformer(
        VideoTransformerConfig(
            channels=CHANNELS, height=SIDE, width=SIDE, frames=FRAMES, dim=WIDTH, heads=HEADS,
            layers=6, text_dim=TEXT, adaln="shared", adaln_rank=0,
        )
    )  # fmt: skip
    theirs = LatteTransformer3DModel(
        num_attention_heads=HEADS, attention_head_dim=WIDTH // HEADS, in_channels=CHANNELS,
        num_layers=4, sample_size=SIDE, patch_size=2, video_length=FRAMES,
        caption_channels=TEXT, cross_attention_dim=WIDTH, attention_bias=True,
        activation_fn="gelu-approximate", norm_type="ada_norm_single",
        norm_elementwise_affine=False, norm_eps=1e-6,
    )  # fmt: skip
    x = torch.randn(batch, FRAMES, CHANNELS, SIDE, SIDE)
    words, level = torch.randn(batch, WORDS, TEXT), torch.rand(batch, 1)
    target = torch.randn_like(x)

    def our_loss() -> torch.Tensor:
        out = ours(x, level.expand(-1, FRAMES), text=words)
        return F.mse_loss(out.float(), target)

    channels_first = x.transpose(1, 2).contiguous()

    def their_loss() -> torch.Tensor:
        out = theirs(channels_first, level[:, 0] * 1000, words).sample
        return F.mse_loss(out.transpose(1, 2).float(), target)

    sizes = [sum(p.numel() for p in model.parameters()) / 1e6 for model in (ours, theirs)]
    return learn(our_loss, ours), learn(their_loss, theirs), sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=20, help="of processor time, a figure")
    parser.add_argument("--batch", type=int, default=1, help="default: %(default)s")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(
        "| Parameters, millions | float32 | bfloat16 | ours in ms | pairs |\n|---|---|---|---|---|"
    )
    ours, theirs, sizes = pair(args.batch)
    cells, spent, pairs = [], [], []
    for precision in PRECISIONS:
        if precision == "bfloat16" and not bfloat16_is_fast("cpu"):
            cells.append("")
            continue
        value, milliseconds, count = ratio(("", ours, theirs, ()), precision, args.seconds)
        cells.append(f"{value:.2f}")
        spent.append(f"{milliseconds:.0f}")
        pairs.append(str(count))
    shown = [" / ".join(f"{size:.2f}" for size in sizes), *cells]
    print("| " + " | ".join([*shown, " / ".join(spent), " / ".join(pairs)]) + " |")


if __name__ == "__main__":
    main()
