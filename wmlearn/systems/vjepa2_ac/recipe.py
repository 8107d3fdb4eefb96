"""How V-JEPA 2-AC is trained at each tier, over which encoder, and how it is saved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from gymnasium.spaces import Box

from wmlearn import hub
from wmlearn.data.episodes import EpisodeStore
from wmlearn.recipes.recipe import Recipe
from wmlearn.recipes.run import RunConfig
from wmlearn.systems.vjepa.config import EncoderConfig
from wmlearn.systems.vjepa.system import VJEPA
from wmlearn.systems.vjepa2_ac.config import PAPER, ACPredictorConfig, VJEPA2ACConfig
from wmlearn.systems.vjepa2_ac.system import VJEPA2AC

SHIPPED = "clips/fetch"  # no simulator needed
ARM = "gripper_"  # the numbers of Clip.state that the arm knows of itself begin with this

LAPTOP = VJEPA2ACConfig(
    encoder=EncoderConfig(
        image_size=64, patch_size=16, frames=4, tubelet_size=1, dim=128, depth=3, heads=4
    ),
    predictor=ACPredictorConfig(
        feature_dim=128, grid_side=4, frames=4, action_dim=3, state_dim=3, dim=128, depth=3, heads=4
    ),
    encoder_from="vjepa2-ac-fetch",
    predict="change",
    learning_rate=1e-3,
    warmup_steps=50,
    max_steps=1,  # > 0: a cosine over the run's own number of steps
)

SMOKE = replace(
    LAPTOP,
    encoder=replace(LAPTOP.encoder, dim=32, depth=1, heads=2),
    predictor=replace(LAPTOP.predictor, feature_dim=32, dim=32, depth=1, heads=2),
    encoder_from="",
    inverse_weight=0.1,
    warmup_steps=1,
)


class VJEPA2ACRecipe(Recipe):
    """V-JEPA 2-AC: a predictor of what an action does to the features of a frozen encoder."""

    name = "vjepa2-ac"

    def preset(self, tier: str) -> tuple[RunConfig, VJEPA2ACConfig]:
        """The run and the model of a tier. The encoder must be trained first: ``encoder_from``."""
        common = dict(
            env=SHIPPED,
            policy="mixed",
            frames=7280,
            pad_start=0,
            pad_end=False,
            clip_frames=4,
            ema_decay=0.0,
        )
        if tier == "smoke":
            return RunConfig.for_tier(
                tier, **common, batch_size=4, max_steps=4, validate_every=2,
                val_batches=1, checkpoint_every=2, holdout=0.2,
            ), SMOKE  # fmt: skip
        if tier == "laptop":
            common["precision"] = "32-true"  # few CPUs multiply bfloat16 faster
            return RunConfig.for_tier(
                tier, **common, batch_size=16, max_steps=1500, max_minutes=5,
                holdout=0.05, validate_every=250,
            ), LAPTOP  # fmt: skip
        # From colab on the predictor grows towards the paper's; the arm and its video stay.
        width, depth = {"colab": (256, 6), "node": (512, 12), "pod": (1024, 24)}[tier]
        batch, steps = {"colab": (64, 20_000), "node": (256, 50_000), "pod": (256, 94_500)}[tier]
        predictor = replace(
            PAPER.predictor, feature_dim=128, grid_side=4, action_dim=3, state_dim=3
        )
        big = replace(
            LAPTOP,
            predictor=replace(predictor, dim=width, depth=depth, heads=width // 32, frames=8),
            learning_rate=PAPER.learning_rate,
            warmup_steps=steps // 20,
        )
        recorded = common | dict(env="fetch/push", frames=200_000, clip_frames=8)
        return RunConfig.for_tier(
            tier, **recorded, batch_size=batch, max_steps=steps, validate_every=1000,
            checkpoint_every=1000,
        ), big  # fmt: skip

    def complete(
        self, config: VJEPA2ACConfig, run: RunConfig, store: EpisodeStore
    ) -> VJEPA2ACConfig:
        """Fills in what the data decides: actions, and how the arm's state answers to them."""
        space, names = store.action_space, store.info.get("state_names") or []
        arm = [name for name in names if name.startswith(ARM)]
        if not isinstance(space, Box) or not arm or names[: len(arm)] != arm:
            raise ValueError(
                "V-JEPA 2-AC learns from continuous actions and the arm's own pose, and "
                f"{store.path} lacks one of them; record fetch/reach or fetch/push, whose state "
                f"begins with {ARM}x."
            )
        _, height, width = store.frame_shape
        side = config.encoder.image_size
        if (height, width) != (side, side):
            raise ValueError(
                f"The encoder was built for frames of {side} x {side}; {store.path} has "
                f"{height} x {width}: record it at that size."
            )
        steps = max(config.rollout_steps + 1, 2)
        if run.clip_frames < steps:
            raise ValueError(
                f"clip_frames={run.clip_frames} is too short: rollout_steps + 1 = {steps}."
            )
        episodes = [store[i] for i in range(len(store))]
        states = np.concatenate([e.state[:, : len(arm)] for e in episodes])
        change = np.concatenate([np.diff(e.state[:, : len(arm)], axis=0) for e in episodes])
        actions = np.concatenate([e.actions for e in episodes])
        per_action = np.linalg.lstsq(actions, change, rcond=None)[0].T
        # It looks back on no more frames than it learns from: later places would be untrained.
        numbers = dict(action_dim=space.shape[0], state_dim=len(arm), frames=run.clip_frames - 1)
        return replace(
            config,
            seed=run.seed,
            max_steps=run.max_steps if config.max_steps else 0,
            predictor=replace(config.predictor, **numbers),
            low=_rounded(space.low),
            high=_rounded(space.high),
            state_mean=_rounded(states.mean(0)),
            state_std=_rounded(states.std(0).clip(min=1e-6)),
            state_per_action=tuple(_rounded(row) for row in per_action),
        )

    def needs(self, config: VJEPA2ACConfig) -> tuple[str, ...]:
        return (config.encoder_from,) if config.encoder_from else ()

    def build(self, config: VJEPA2ACConfig) -> VJEPA2AC:
        """Fresh predictor, and the encoder of ``encoder_from``: a V-JEPA or a V-JEPA 2-AC."""
        if not config.encoder_from:
            return VJEPA2AC(config)
        trained = hub.load(config.encoder_from)
        if isinstance(trained, VJEPA):
            encoder = trained.target_encoder or trained.encoder
        elif isinstance(trained, VJEPA2AC):
            encoder = trained.encoder
        else:
            raise ValueError(
                f"'{config.encoder_from}' holds no video encoder; name a V-JEPA checkpoint."
            )
        sizes = encoder.config
        predictor = replace(
            config.predictor, feature_dim=sizes.dim, grid_side=sizes.image_size // sizes.patch_size
        )
        module = VJEPA2AC(replace(config, encoder=sizes, predictor=predictor))
        module.encoder.load_state_dict(encoder.state_dict())
        return module


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in values)


RECIPE = VJEPA2ACRecipe()
