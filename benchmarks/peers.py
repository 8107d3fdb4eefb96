"""Our training steps, samples and plans over those of published code, at equal sizes and precision.

    python benchmarks/peers.py --tinyworlds DIR --vjepa2 DIR --diamond DIR

Each DIR is a checkout: AlmondGod/tinyworlds, facebookresearch/vjepa2, eloialonso/diamond; those
that are not given are left out. Prints a table of ours / theirs: medians of processor times that
alternate in one process, one thread, random weights and data. `--seconds` is for each row.

What the checkouts import and no row needs (datasets, loggers) is replaced by empty
stand-ins, so `einops` and `scipy` are all that must be installed beside wmlearn.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium.spaces import Box

from wmlearn.agents.cem import CEMConfig, feature_distance, plan
from wmlearn.data.clip import Clip
from wmlearn.fast import speed_up
from wmlearn.fast.packed import packed
from wmlearn.fast.precision import bfloat16_is_fast

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Row = tuple[str, Callable[[], object], Callable[[], object], tuple[str, ...]]
"""Name, our work, theirs, and the precisions in which both are timed."""


@contextlib.contextmanager
def checkout(folder: Path, **stand_ins: dict) -> Iterator[None]:
    """Its packages can be imported inside; outside, their names are free again."""
    before = set(sys.modules)
    for name, content in stand_ins.items():
        parts = name.split("__")
        for end in range(1, len(parts) + 1):
            module = types.ModuleType(".".join(parts[:end]))
            module.__path__ = []
            sys.modules[module.__name__] = module
        vars(module).update(content)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None) or str(folder)
            if file.startswith(str(folder)):
                del sys.modules[name]


def learn(loss: Callable[[], torch.Tensor], module: torch.nn.Module) -> Callable[[], None]:
    """Forward, backward and AdamW."""
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], 1e-5)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    return step


def tinyworlds(folder: Path) -> Iterator[Row]:
    """Genie's tokenizer and dynamics: width, blocks, heads, tokens and vocabulary as in theirs."""
    from wmlearn.systems.genie.config import DynamicsConfig, TokenizerConfig
    from wmlearn.systems.genie.dynamics import Dynamics, training_mask
    from wmlearn.systems.genie.tokenizer import Tokenizer

    with checkout(folder):
        from models.dynamics import DynamicsModel
        from models.video_tokenizer import VideoTokenizer
    batch, time_, both = 4, 8, tuple(PRECISIONS)
    sizes = [("shipped", 8, 96, 3, 2, 160, 5, 4), ("width 128", 8, 128, 4, 2, 128, 4, 4)]
    sizes += [("width 128", 4, 128, 4, 2, 128, 4, 4), ("width 32", 4, 32, 8, 2, 32, 8, 8)]
    for name, patch, dim, heads, depth, wide, more_heads, deep in sizes:
        tokens = (64 // patch) ** 2
        frames = torch.rand(batch, time_, 3, 64, 64) * 2 - 1
        config = TokenizerConfig(
            patch=patch, dim=dim, heads=heads, encoder_depth=depth, decoder_depth=depth,
            num_codes=1024,
        )  # fmt: skip
        ours = speed_up(Tokenizer(config, 3, 64))
        theirs = VideoTokenizer((64, 64), patch, dim, heads, 4 * dim, depth, 5, 4)
        yield (
            f"Genie's tokenizer, {name}, {tokens} tokens",
            learn(lambda ours=ours, x=frames: ours(x).loss, ours),
            learn(lambda theirs=theirs, x=frames: theirs(x)[0], theirs),
            both,
        )
        dynamics = DynamicsConfig(dim=wide, heads=more_heads, depth=deep)
        ours = speed_up(Dynamics(dynamics, 1024, 5, tokens))
        theirs = DynamicsModel(
            (64, 64), patch, wide, more_heads, 4 * wide, deep, 4, conditioning_dim=5
        )
        codes = torch.randint(1024, (batch, time_, tokens))
        latents, actions = torch.rand(batch, time_, tokens, 5), torch.rand(batch, time_ - 1, 5)
        mask = training_mask(
            torch.rand(batch), torch.rand(batch, time_), torch.rand(codes.shape), dynamics
        )
        yield (
            f"Genie's dynamics, {name}, {tokens} tokens",
            learn(lambda m=ours, a=(codes, actions, mask): m.loss(*a)[0], ours),
            learn(
                lambda m=theirs, z=latents, a=actions, c=codes: m(z, True, a, c)[2],
                theirs,
            ),
            both,
        )


def vjepa2(folder: Path) -> Iterator[Row]:
    """V-JEPA's step under two masks, and the search for a plan with V-JEPA 2-AC."""
    from wmlearn.nn.noise import SampleNoise
    from wmlearn.systems.vjepa import EncoderConfig, PredictorConfig, VJEPAConfig, draw_mask
    from wmlearn.systems.vjepa.system import VJEPA
    from wmlearn.systems.vjepa2_ac import ACPredictorConfig, VJEPA2ACConfig
    from wmlearn.systems.vjepa2_ac.network import VJEPA2ACNetwork

    with checkout(folder, timm__models__layers={"drop_path": None}):
        from notebooks.utils import mpc_utils
        from src.models.ac_predictor import VisionTransformerPredictorAC
        from src.models.predictor import VisionTransformerPredictor
        from src.models.vision_transformer import VisionTransformer
    mpc_utils.logger.disabled = True
    for name, side, dim, depth, heads, narrow, batch in (
        ("small", 64, 128, 4, 4, 64, 8),
        ("24M", 128, 384, 12, 6, 192, 2),
    ):
        patch = 8 if side == 64 else 16
        encoder = EncoderConfig(
            image_size=side, patch_size=patch, frames=8, dim=dim, depth=depth, heads=heads
        )
        config = VJEPAConfig(encoder=encoder, predictor=PredictorConfig(narrow, 4, 4))
        ours = speed_up(VJEPA(config))
        clip = Clip(torch.randint(256, (batch, 8, 3, side, side), dtype=torch.uint8))
        noise = SampleNoise(0, 0, batch)
        masks = [draw_mask(mask, encoder.grid, noise) for mask in config.masks]
        sizes = dict(img_size=side, patch_size=patch, num_frames=8, tubelet_size=2, use_rope=True)
        theirs = torch.nn.ModuleDict(
            {
                part: VisionTransformer(**sizes, embed_dim=dim, depth=depth, num_heads=heads)
                for part in ("encoder", "target")
            }
        )
        theirs["target"].requires_grad_(False)
        theirs["predictor"] = VisionTransformerPredictor(
            **sizes, embed_dim=dim, predictor_embed_dim=narrow, depth=4, num_heads=4,
            use_mask_tokens=True,
        )  # fmt: skip
        video = torch.randn(batch, 3, 8, side, side)

        def loss(theirs=theirs, video=video, masks=masks) -> torch.Tensor:
            with torch.no_grad():
                target = theirs["target"](video)
                target = F.layer_norm(target, target.shape[-1:])
            errors = []
            for kind, (visible, hidden) in enumerate(masks):
                seen = theirs["encoder"](video, [visible])
                guess = theirs["predictor"](seen, [visible], [hidden], mask_index=kind)
                index = hidden[..., None].expand(-1, -1, target.shape[-1])
                errors.append((guess - target.gather(1, index)).abs().mean())
            return sum(errors) / len(errors)

        yield (
            f"V-JEPA's step, {name}",
            learn(lambda ours=ours, clip=clip: ours.losses(clip)["prediction"], ours),
            learn(loss, theirs),
            tuple(PRECISIONS),
        )
    wide = [("shipped sizes", 128, 3, 4), ("4.8M", 256, 6, 8)]
    for name, dim, depth, heads in wide:
        arm = ACPredictorConfig(
            feature_dim=128, grid_side=4, frames=5, dim=dim, depth=depth, heads=heads
        )
        encoder = EncoderConfig(image_size=64, frames=1, tubelet_size=1, dim=128, depth=1, heads=4)
        high = (0.05, 0.05, 0.05, 0.0, 0.0, 0.0, 0.75)
        config = VJEPA2ACConfig(
            encoder=encoder, predictor=arm, low=tuple(-x for x in high), high=high,
            state_mean=(0.0,) * 7, state_std=(1.0,) * 7,
            state_per_action=tuple(tuple(np.eye(7)[i].tolist()) for i in range(7)),
        )  # fmt: skip
        world = speed_up(VJEPA2ACNetwork(config).eval()).world()
        assert isinstance(world.action_space, Box)
        clip = Clip(
            torch.randint(256, (1, 1, 3, 64, 64), dtype=torch.uint8), torch.zeros(1, 0, 7),
            state=torch.zeros(1, 1, 7),
        )  # fmt: skip
        goal = world.encode(clip.frames)[:, 0]
        theirs = VisionTransformerPredictorAC(
            img_size=(64, 64), patch_size=16, num_frames=10, tubelet_size=2, embed_dim=128,
            predictor_embed_dim=dim, depth=depth, num_heads=heads, action_embed_dim=7,
        ).eval()  # fmt: skip

        def their_step(features, actions, poses, theirs=theirs):
            batch, _, tokens, width = features.shape
            following = theirs(features.flatten(1, 2), actions, poses)[:, -tokens:]
            following = F.layer_norm(following, (width,)).view(batch, 1, tokens, width)
            return following, mpc_utils.compute_new_pose(poses[:, -1:], actions[:, -1:])

        for horizon, samples, rounds in ((2, 400, 10), (4, 100, 5)):
            search = CEMConfig(
                horizon=horizon, samples=samples, elites=10, iterations=rounds, decay=1,
                sum_over_steps=False, still=False,
            )  # fmt: skip

            @torch.no_grad()
            def their_plan(horizon=horizon, samples=samples, rounds=rounds, step=their_step):
                frame = torch.randn(1, 1, 16, 128)
                mpc_utils.cem(
                    frame, torch.zeros(1, 1, 7), frame, step, rollout=horizon, samples=samples,
                    cem_steps=rounds,
                )  # fmt: skip

            yield (
                f"2-AC's plan, {name}, {samples} x {rounds}, horizon {horizon}",
                lambda w=world, c=clip, s=search, g=goal: plan(w, c, feature_distance(g), s),
                their_plan,
                ("float32",),
            )


def diamond(folder: Path) -> Iterator[Row]:
    """DIAMOND's denoiser at the paper's size: a training step, and a sample of three steps."""
    from wmlearn.systems.diamond import PAPER, Denoiser, SamplerConfig, sample

    with checkout(folder / "src", data={"Batch": None}, utils={"LossAndLogs": None}):
        sys.modules["models"] = types.ModuleType("models")  # its __init__ wants environments
        sys.modules["models"].__path__ = [str(folder / "src" / "models")]
        from models import diffusion as theirs_
    inner = theirs_.InnerModelConfig(3, 4, 256, [2] * 4, [64] * 4, [0] * 4, 4)
    theirs = theirs_.Denoiser(theirs_.DenoiserConfig(inner, 0.5, 0.3))
    theirs.setup_training(theirs_.SigmaDistributionConfig(-0.4, 1.2, 2e-3, 20))
    ours = speed_up(Denoiser(PAPER.denoiser))
    for batch in (4, 32):
        frames = torch.rand(batch, 5, 3, 64, 64) * 2 - 1
        actions = torch.randint(4, (batch, 5))
        clip = types.SimpleNamespace(
            obs=frames, act=actions, mask_padding=torch.ones(batch, 5, dtype=torch.bool)
        )
        yield (
            f"DIAMOND's step, 4.41M, batch {batch}",
            learn(lambda x=frames, a=actions: ours.loss(x, a[:, :-1], torch.randn)[0], ours),
            learn(lambda clip=clip: theirs(clip)[0], theirs),
            tuple(PRECISIONS),
        )
    sampler = theirs_.DiffusionSampler(theirs, theirs_.DiffusionSamplerConfig(3))
    context, actions = torch.rand(1, 4, 3, 64, 64) * 2 - 1, torch.randint(4, (1, 4))
    plays = {dtype: packed(ours, dtype) for dtype in PRECISIONS.values()}

    def our_sample() -> None:
        half = torch.is_autocast_enabled("cpu")
        play = plays[torch.bfloat16 if half else torch.float32]
        with torch.autocast("cpu", enabled=False), torch.inference_mode():
            sample(play, context, actions, torch.randn(1, 3, 64, 64), SamplerConfig())

    yield (
        "DIAMOND's sample, 3 steps",
        our_sample,
        lambda: sampler.sample(context, actions),
        tuple(PRECISIONS),
    )


def ratio(row: Row, precision: str, seconds: float) -> tuple[float, float, int]:
    """Median processor time of ours over theirs, ours in milliseconds, and how many pairs."""
    _, ours, theirs, _ = row
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    end = time.process_time() + seconds
    with_autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")

    def timed(work: Callable[[], object]) -> float:
        start = time.process_time()
        with with_autocast:  # entered by each: it keeps cast weights, as long as it lasts
            work()
        return time.process_time() - start

    timed(ours), timed(theirs)
    while len(times["ours"]) < 2 or time.process_time() < end:
        turn = [("ours", ours), ("theirs", theirs)]
        for name, work in turn if len(times["ours"]) % 2 else turn[::-1]:
            times[name].append(timed(work))
    median = {name: statistics.median(spent) for name, spent in times.items()}
    return median["ours"] / median["theirs"], 1000 * median["ours"], len(times["ours"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    peers = {peer.__name__: peer for peer in (tinyworlds, vjepa2, diamond)}
    for name in peers:
        parser.add_argument(f"--{name}", type=Path, help="folder of its checkout")
    parser.add_argument("--seconds", type=float, default=8, help="of processor time, a figure")
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| Ours / theirs | float32 | bfloat16 | ours in ms | pairs |\n|---|---|---|---|---|")
    for name, peer in peers.items():
        folder = getattr(args, name)
        for row in peer(folder.resolve()) if folder else ():
            if args.only not in row[0]:
                continue
            cells, spent, pairs = [], [], []
            for precision in PRECISIONS:
                native = precision == "float32" or bfloat16_is_fast("cpu")
                if precision not in row[3] or not native:
                    cells.append("")
                    continue
                value, milliseconds, count = ratio(row, precision, args.seconds)
                cells.append(f"{value:.2f}")
                spent.append(f"{milliseconds:.0f}")
                pairs.append(str(count))
            tail = [" / ".join(spent), " / ".join(pairs)]
            print("| " + " | ".join([row[0], *cells, *tail]) + " |", flush=True)


if __name__ == "__main__":
    main()
