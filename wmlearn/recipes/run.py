"""The numbers of a training run that are the same for every system."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wmlearn.recipes.tiers import get_tier

_LEAST = {
    **dict.fromkeys(("frames", "image_size", "batch_size", "clip_frames", "max_steps"), 1),
    **dict.fromkeys(("hold", "checkpoint_every", "val_batches", "num_nodes"), 1),
    **dict.fromkeys(("seed", "pad_start", "max_minutes", "validate_every"), 0),
    **dict.fromkeys(("num_workers", "num_threads"), 0),
}


@dataclass(frozen=True)
class RunConfig:
    """One training run.

    Attributes:
        tier: smoke, laptop, colab, node or pod; it sets the defaults of everything else.
        env: the environment to record when ``data`` is not there yet, e.g. doom/basic.
        data: folder of recorded episodes; default: data/ENV-POLICY-FRAMES-SIZE.
        out: folder of the run, to resume it too; default: runs/SYSTEM-ENV-TIER.
        init: checkpoint (name or folder) whose weights the run starts from; default: fresh ones.
        frames: how many frames to record.
        policy: the policy that is recorded: random, expert or mixed.
        hold: mean number of steps for which a random action is held.
        image_size: height and width of a frame.
        holdout: share of the episodes that is kept for validation.
        seed: of recording, weights, clips and noise.
        batch_size: joint batch of all processes.
        clip_frames: frames of a training clip.
        pad_start: how many frames a clip may begin before its episode.
        pad_end: clips may reach beyond their episode's end, which then may be anywhere in them.
        end_fraction: share of clips that are chosen to hold their episode's end.
        max_steps: optimizer steps.
        max_minutes: stop early after this time, 0 for never.
        ema_decay: of the averaged weights that are kept in the end; 0 keeps the last weights.
        checkpoint_every: steps between two checkpoints to resume from.
        validate_every: steps between two measurements on held-out clips; 0 for never.
        val_batches: batches of a measurement.
        precision: Lightning's name, e.g. 32-true or bf16-mixed; auto takes the second where the
            machine computes in bfloat16 natively, else the first.
        devices: processes, or auto for all accelerators that are there.
        num_nodes: machines.
        strategy: Lightning's name, e.g. auto or ddp.
        accelerator: Lightning's name, e.g. auto, cpu, gpu or tpu.
        num_workers: loader processes for each training process.
        num_threads: CPU threads of a training process; 0 leaves torch's choice.
        progress: show a progress bar (never in CI).
    """

    tier: str = "laptop"
    env: str = "doom/basic"
    data: str | None = None
    out: str | None = None
    init: str | None = None
    frames: int = 10_000
    policy: str = "random"
    hold: float = 3.0
    image_size: int = 64
    holdout: float = 0.1
    seed: int = 0
    batch_size: int = 16
    clip_frames: int = 6
    pad_start: int = 3
    pad_end: bool = True
    end_fraction: float = 0.0
    max_steps: int = 1000
    max_minutes: float = 0.0
    ema_decay: float = 0.999
    checkpoint_every: int = 500
    validate_every: int = 200
    val_batches: int = 2
    precision: str = "32-true"
    devices: int | str = 1
    num_nodes: int = 1
    strategy: str = "auto"
    accelerator: str = "auto"
    num_workers: int = 0
    num_threads: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not value >= least:
                raise ValueError(f"{name} must be at least {least}; got {value}.")
        for name in ("holdout", "end_fraction", "ema_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share, 0 to 1; got {getattr(self, name)}.")

    @classmethod
    def for_tier(cls, tier_name: str, **numbers) -> RunConfig:
        """A run with the tier's hardware settings, and the system's own ``numbers``."""
        tier = get_tier(tier_name)
        run = cls(
            tier=tier.name,
            devices=tier.devices,
            num_nodes=tier.num_nodes,
            precision=tier.precision,
            strategy=tier.strategy,
            num_workers=tier.num_workers,
        )
        return replace(run, **numbers)
