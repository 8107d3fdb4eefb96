"""How Sora is trained at each tier, and how a trained one is saved."""

from __future__ import annotations

from dataclasses import replace

from wmlearn.data.episodes import EpisodeStore
from wmlearn.nn.autoencoder import AutoencoderConfig
from wmlearn.recipes.recipe import Recipe
from wmlearn.recipes.run import RunConfig
from wmlearn.systems.sora.config import LARGE, SoraConfig, TextConfig
from wmlearn.systems.sora.system import Sora

# The report gives no numbers, so these are ours: 4 x 4 pixels become channels and a narrow
# convolution network makes latents of 16 x 16 x 4; 2 x 2 of them are a patch, so that a frame is 64
# tokens; one map from the noise level serves all blocks, each with a correction of rank 16.
SHIPPED = SoraConfig(
    autoencoder=AutoencoderConfig(
        latent_channels=4,
        channels=(64,),
        layers_per_block=1,
        groups=8,
        patch_size=4,
        attention=False,
    ),
)
"""The configuration of the checkpoint that comes with the course."""

LAPTOP = replace(
    SHIPPED, frames=10, dim=128, layers=4, heads=4, warmup_steps=50, given_share=0.85,
    given_least=3, frame_features=32, autoencoder_span=(0.0, 0.3), video_span=(0.3, 1.0),
)  # fmt: skip
"""Minutes on two cores: a smaller network and shorter videos; the run has smaller frames and one
family of scenes. Most clips get three frames, and each frame is told its number: it learns first
how things go on."""

SMOKE = replace(
    LAPTOP,
    frames=6,
    given_least=1,
    given_most=2,
    dim=32,
    layers=1,
    heads=2,
    adaln_rank=4,
    text=TextConfig(dim=16, depth=1, heads=2),
    autoencoder=replace(LAPTOP.autoencoder, channels=(16,)),
    autoencoder_span=(0.0, 0.5),
    video_span=(0.5, 1.0),
    warmup_steps=1,
)


class SoraRecipe(Recipe):
    """Sora: an autoencoder of frames, then a diffusion transformer of their latents, with words."""

    name = "sora"
    passive = True

    def preset(self, tier: str) -> tuple[RunConfig, SoraConfig]:
        """The run and the model of a tier. From node on, the model is as large as DiT-XL/2."""
        clips = dict(
            env="scenes/all", policy="nobody", hold=1.0, pad_start=0, pad_end=False, holdout=0.05
        )
        if tier == "smoke":
            return RunConfig.for_tier(
                tier, **clips | dict(env="scenes/one", holdout=0.2), frames=160, image_size=32,
                batch_size=4, clip_frames=6, max_steps=6, validate_every=3, val_batches=1,
                ema_decay=0.9, checkpoint_every=2,
            ), SMOKE  # fmt: skip
        if tier == "laptop":
            return RunConfig.for_tier(
                tier, **clips | dict(env="scenes/one"), frames=32_000, image_size=32,
                batch_size=16, clip_frames=16, max_steps=1600, max_minutes=5, ema_decay=0.995,
                validate_every=400, val_batches=1,
            ), LAPTOP  # fmt: skip
        if tier == "colab":
            return RunConfig.for_tier(
                tier, **clips, frames=640_000, batch_size=128, clip_frames=16, max_steps=40_000,
                checkpoint_every=1000, validate_every=2000,
            ), SHIPPED  # fmt: skip
        batch = {"node": 256, "pod": 1024}[tier]
        return RunConfig.for_tier(
            tier, **clips, frames=3_200_000, image_size=256, batch_size=batch, clip_frames=16,
            max_steps=LARGE.max_steps * 256 // batch, checkpoint_every=1000, validate_every=5000,
        ), LARGE  # fmt: skip

    def complete(self, config: SoraConfig, run: RunConfig, store: EpisodeStore) -> SoraConfig:
        """Fills in what data and run decide: the size of a frame, the length of the run.

        Raises:
            ValueError: the data has no captions, or frames and clips do not fit the sizes.
        """
        if store.captions is None:
            raise ValueError(
                f"Sora learns from captions, and {store.path} has none: record scenes "
                "(wmlearn record scenes/all), or write a caption for each episode (FORMAT.md)."
            )
        _, height, width = store.frame_shape
        side = config.patch * (config.autoencoder.factor if config.autoencoder else 1)
        if height % side or width % side:
            raise ValueError(
                f"Sora wants frames whose sides are multiples of {side}; {store.path} has "
                f"{height} x {width}."
            )
        if run.clip_frames < config.frames:
            raise ValueError(
                f"clip_frames={run.clip_frames} is too short: a video has {config.frames} frames."
            )
        words = {word for caption in store.captions for word in caption.lower().split()}
        if unknown := sorted(words - set(config.text.words)):
            raise ValueError(
                f"The captions of {store.path} have words that are not in system.text.words: "
                f"{', '.join(unknown[:5])}."
            )
        return replace(config, image_size=(height, width), seed=run.seed, max_steps=run.max_steps)

    def build(self, config: SoraConfig) -> Sora:
        return Sora(config)

    def initialize(self, module: Sora, trained: Sora) -> None:
        """Starts from a trained model: every part whose layers have the same sizes."""
        self.initialize_parts(module, trained)
        module.latent_mean.copy_(trained.latent_mean)
        module.latent_std.copy_(trained.latent_std)


RECIPE = SoraRecipe()
