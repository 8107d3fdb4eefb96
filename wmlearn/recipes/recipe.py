"""What ``fit`` asks of a system: the contract between training and what is trained."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

import lightning as L

from wmlearn import hub
from wmlearn.data.episodes import EpisodeStore
from wmlearn.recipes.run import RunConfig

_NONE_IF_ZERO = ("text_dim",)


def check_counts(config: Any, name: str = "system") -> None:
    """Refuses whole numbers below 1 (below 0, where 0 is the default), however deep they lie.

    Args:
        config: of a system; a dataclass of numbers and further dataclasses.
        name: what the command line calls it.
    """
    for field in fields(config):
        value, path = getattr(config, field.name), f"{name}.{field.name}"
        if is_dataclass(value):
            check_counts(value, path)
            continue
        least = 0 if field.default == 0 or field.name in _NONE_IF_ZERO else 1
        if type(value) is int and value < least:
            raise ValueError(f"{path} must be at least {least}; got {value}.")


class Recipe:
    """How one system is trained at each tier; a subclass overrides what differs from this.

    ``recipe.py`` of a system ends in its instance, ``RECIPE``, which the registry names.

    Attributes:
        name: what a checkpoint's card calls the trained module (see ``wmlearn.systems``).
        passive: the loaders serve frames alone, as of a video: what was pressed cannot reach the
            training.
    """

    name: ClassVar[str]
    passive: ClassVar[bool] = False

    def preset(self, tier: str) -> tuple[RunConfig, Any]:
        """The run's and the model's numbers of a tier (a name in ``TIERS``)."""
        raise NotImplementedError(f"{type(self).__name__} must say what it takes at each tier.")

    def side_unit(self, config: Any) -> int:
        """Pixels of which a frame's side must be a multiple; known before anything is recorded."""
        return 1

    def check_side(self, config: Any, side: int) -> None:
        """``ValueError`` for frames of a side that the model cannot take; it names two that fit."""
        unit = self.side_unit(config)
        if side % unit or side < unit:
            below = max(unit, side // unit * unit)
            raise ValueError(
                f"{self.name} wants frames whose side is a multiple of {unit} pixels; got {side}: "
                f"take --image_size {below} or {below + unit}."
            )

    def complete(self, config: Any, run: RunConfig, store: EpisodeStore) -> Any:
        """The config with what run and data decide; ``ValueError`` where they do not fit it."""
        return config

    def needs(self, config: Any) -> tuple[str, ...]:
        """Names or folders of the checkpoints that the training stands on."""
        return ()

    def build(self, config: Any) -> L.LightningModule:
        """The untrained module of a complete config."""
        raise NotImplementedError(f"{type(self).__name__} must build its module.")

    def optimizer_steps(self, config: Any) -> int:
        """How many optimizer steps each batch is used for; ``max_steps`` counts the latter."""
        return 1

    def initialize(self, module: L.LightningModule, trained: L.LightningModule) -> None:
        """Starts ``module`` from a trained one (``--init``), whose layers have the same sizes."""
        module.load_state_dict(trained.state_dict())

    @staticmethod
    def initialize_parts(module: L.LightningModule, trained: L.LightningModule) -> None:
        """Starts from a trained model: every part whose layers have the same sizes.

        So the parts of one model can be trained in several runs, the later ones larger.
        """
        for name, part in module.named_children():
            weights = getattr(trained, name).state_dict()
            own = part.state_dict()
            if {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in weights.items()}:
                part.load_state_dict(weights)

    def save(self, out: Path, module: L.LightningModule, card: dict[str, Any]) -> None:
        """Writes the trained module as a checkpoint that ``wmlearn.load`` reads."""
        hub.save(out, module, self.name, card)
