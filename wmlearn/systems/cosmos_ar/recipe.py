"""How Cosmos's autoregressive family is trained at each tier, and how a trained one is saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wmlearn.data.episodes import EpisodeStore
from wmlearn.recipes.recipe import Recipe
from wmlearn.recipes.run import RunConfig
from wmlearn.systems.cosmos import recipe as diffusion
from wmlearn.systems.cosmos_ar.config import (
    PAPER_4B,
    PAPER_12B,
    CosmosARConfig,
    SamplerConfig,
    TransformerConfig,
)
from wmlearn.systems.cosmos_ar.system import CosmosAR

# The laptop's tokenizer is the diffusion model's but for its bottleneck: FSQ of 1,000 codes, as the
# paper's 64,000 alone, embedded and predicted, would be 25 million numbers at this width.
SHIPPED = CosmosARConfig(
    tokenizer=replace(diffusion.SHIPPED.tokenizer, latent_channels=4, levels=(8, 5, 5, 5)),
    transformer=TransformerConfig(
        latent_frames=5, dim=192, layers=6, heads=6, kv_heads=6, head_dim=32, hidden=512,
        action_dim=3,
    ),
    sampler=SamplerConfig(),
    play_latents=4,
    action_low=diffusion.SHIPPED.action_low,
    action_high=diffusion.SHIPPED.action_high,
    tokenizer_rate=2e-3,
)  # fmt: skip
"""The configuration of the checkpoint that comes with the course."""

LAPTOP = replace(
    SHIPPED,
    tokenizer=replace(diffusion.LAPTOP.tokenizer, latent_channels=4, levels=(8, 5, 5, 5)),
    transformer=replace(SHIPPED.transformer, dim=128, layers=4, heads=4, kv_heads=4, hidden=344),
    warmup_steps=50,
)

SMOKE = replace(
    LAPTOP,
    tokenizer=replace(diffusion.SMOKE.tokenizer, latent_channels=4, levels=(8, 5, 5, 5)),
    transformer=replace(
        LAPTOP.transformer, latent_frames=3, dim=16, layers=1, heads=2, kv_heads=1, head_dim=8,
        hidden=16, action_width=8,
    ),
    play_latents=2,
    warmup_steps=1,
)  # fmt: skip


class CosmosARRecipe(Recipe):
    """Cosmos, autoregressive: a discrete tokenizer, and a language model of its codes."""

    name = "cosmos-ar"

    def preset(self, tier: str) -> tuple[RunConfig, CosmosARConfig]:
        """The run and the model of a tier: the data are the diffusion model's, step by step.

        On node and pod the models are the paper's two, with actions, on frames of 256 pixels.
        """
        run, _ = diffusion.RECIPE.preset(tier)
        small = {"smoke": SMOKE, "laptop": LAPTOP, "colab": SHIPPED}
        if tier in small:
            return run, small[tier]
        model = {"node": PAPER_4B, "pod": PAPER_12B}[tier]
        transformer = replace(model.transformer, action_dim=3, latent_frames=4)
        return run, replace(
            model, image_size=256, transformer=transformer, play_latents=2,
            action_low=SHIPPED.action_low, action_high=SHIPPED.action_high,
        )  # fmt: skip

    def complete(
        self, config: CosmosARConfig, run: RunConfig, store: EpisodeStore
    ) -> CosmosARConfig:
        """Fills in what the data decides: the actions' space and the image size."""
        known = diffusion.from_data("Cosmos", config.tokenizer, run, store)
        dim = len(known["action_low"])
        changes: dict[str, Any] = known | {
            "transformer": replace(config.transformer, action_dim=dim)
        }
        return replace(config, **changes)

    def build(self, config: CosmosARConfig) -> CosmosAR:
        return CosmosAR(config)


RECIPE = CosmosARRecipe()
