"""What each choice is worth: small simulators on the same latents, one thing changed in each.

Legend: B batch, T frames of a clip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wmlearn.chapters.ch07_unisim.mixture import Mixture
from wmlearn.chapters.ch07_unisim.train import precision, spread_out, train_simulator
from wmlearn.metrics import psnr
from wmlearn.pixels import to_uint8
from wmlearn.systems.unisim.config import ActionConfig, SimulatorConfig, UniSimConfig
from wmlearn.systems.unisim.simulator import PATH
from wmlearn.systems.unisim.system import UniSim

SMALL = SimulatorConfig(
    frames=5, dim=96, layers=3, heads=4, past_share=0.6, first_share=0.9, alternating=0.7,
    change_weight=20.0,
)  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """One small simulator.

    Attributes:
        history: frames that it sees before the new one.
        spread: these are every so many frames.
        domain_id: whether it is told which world it is in.
        only: the one domain that it learns from; empty for all.
    """

    history: int = 4
    spread: int = 1
    domain_id: bool = True
    only: str = ""


VARIANTS = {
    "4 recent frames, all worlds": Variant(),
    "1 frame": Variant(history=1),
    "4 frames, every second": Variant(spread=2),
    "no domain id": Variant(domain_id=False),
    "babyai alone": Variant(only="babyai"),
    "fetch alone": Variant(only="fetch"),
    "doom alone": Variant(only="doom"),
}


def run(
    variant: Variant,
    teacher: UniSim,
    mixture: Mixture,
    latents: Tensor,
    weights: Tensor,
    seconds: float,
    batch: int,
    seed: int,
    most_steps: int | None = None,
) -> dict[str, float]:
    """Trains one variant, and measures it on every world it has learned: PSNR of the next frame.

    Args:
        teacher: whose autoencoder the latents are from.
        most_steps: the same for all variants, so that their figures compare.
    """
    config = small_config(teacher.config, variant, seed)
    model = UniSim(config).to(mixture.device)
    model.autoencoder.load_state_dict(teacher.autoencoder.state_dict())
    for name in ("latent_mean", "latent_std", "color_weights"):
        getattr(model, name).copy_(getattr(teacher, name))
    silent: Callable = lambda *_: None  # noqa: E731
    shares = {variant.only: 1.0} if variant.only else None
    report = train_simulator(
        model, mixture, latents, weights, seconds, batch, silent, length=variant.history + 1,
        spread=variant.spread, most_steps=most_steps, seed=100 + seed, shares=shares,
        heads=False,
    )  # fmt: skip
    played = [domain.name for domain in config.domains if domain.format != "none"]
    names = [variant.only] if variant.only else played
    found = {name: next_frame_psnr(model, mixture, latents, variant, name) for name in names}
    for name in names:
        other = next_frame_psnr(model, mixture, latents, variant, name, other=True)
        found[f"{name}: by its action"] = round(found[name] - other, 3)
    return {**found, "steps": report["step"], "steps_per_second": report["steps_per_second"]}


def small_config(config: UniSimConfig, variant: Variant, seed: int) -> UniSimConfig:
    """The numbers of a variant's small simulator."""
    return replace(
        config, seed=seed, action=ActionConfig(dim=64, domain_id=variant.domain_id),
        simulator=replace(SMALL, frames=variant.history + 1),
    )  # fmt: skip


@torch.no_grad()
def next_frame_psnr(
    model: UniSim,
    mixture: Mixture,
    latents: Tensor,
    variant: Variant,
    domain: str,
    count: int = 256,
    other: bool = False,
) -> float:
    """PSNR in dB of the next frame on held-out clips, drawn in one pass from clean past frames.

    Args:
        other: under the last actions of other clips.
    """
    generator = torch.Generator(mixture.device).manual_seed(0)
    longest = 4 * 2 + 1  # all variants are asked for the same frames
    clip = mixture.draw(count, longest, generator, True, {domain: 1.0}, whole=True)
    first = longest - 1 - variant.history * variant.spread
    index = spread_out(clip.index[:, first:], variant.spread)
    actions = spread_out(part(clip.actions, first), variant.spread)
    if other:
        actions = with_last_of_others(actions)
    x = latents[index]
    level = torch.zeros(index.shape, device=mixture.device)
    level[:, -1] = 1.0
    eps = torch.randn(x.shape, generator=generator, device=mixture.device)
    with precision(mixture.device):
        vectors = model.simulator.actions(actions)
        drawn = model.simulator.estimate(PATH.mix(x, eps, level), level, vectors)[:, -1]
        frames = to_uint8(model.decode(drawn))
    return round(float(psnr(frames, mixture.frames[clip.index[:, -1]]).mean()), 3)


def with_last_of_others(actions):
    """The same actions, but what led to the last frame is another clip's."""
    parts = {}
    for name, value in vars(actions).items():
        if name != "domain":
            value = torch.cat([value[:, :-1], value[:, -1:].roll(1, 0)], dim=1)
        parts[name] = value
    return type(actions)(**parts)


def part(actions, first: int):
    """Actions from frame ``first`` on."""
    cut = {k: v if k == "domain" else v[:, first:] for k, v in vars(actions).items()}
    return type(actions)(**cut)
