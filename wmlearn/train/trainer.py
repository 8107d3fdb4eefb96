"""Lightning's Trainer for a run: its devices, its arithmetic, and the average of the weights."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.accelerators import XLAAccelerator
from lightning.pytorch.callbacks import TQDMProgressBar, WeightAveraging
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch.optim.swa_utils import get_ema_multi_avg_fn

from wmlearn.data.datamodule import ClipDataModule
from wmlearn.fast import speed_up
from wmlearn.fast.precision import bfloat16_is_fast
from wmlearn.recipes.run import RunConfig
from wmlearn.train.resume import state_io


def make_trainer(run: RunConfig, out: Path, callbacks: list[L.Callback]) -> L.Trainer:
    """A Trainer without logger and without checkpoints of Lightning's own.

    Args:
        run: devices, precision, steps, minutes, validation and the averages' decay.
        out: the run's folder.
        callbacks: come before the averaging, so that at the end they meet the weights of the last
            step, and not yet their average.
    """
    callbacks = list(callbacks)
    for name in ("lightning.pytorch", "pytorch_lightning"):  # devices, tips, why it stopped
        logging.getLogger(f"{name}.utilities.rank_zero").setLevel(logging.WARNING)
    if run.ema_decay:
        # As Lightning's EMAWeightAveraging, but of all weights in one call instead of one by one;
        # buffers are copied: an average of integers would be rounded down.
        average = get_ema_multi_avg_fn(run.ema_decay)
        callbacks.append(WeightAveraging(use_buffers=False, multi_avg_fn=average))
    show = run.progress and not os.environ.get("CI")
    if show:
        # Lightning's default bar redraws so often that a small model trains several times slower.
        callbacks.append(TQDMProgressBar(refresh_rate=20))
    try:
        return L.Trainer(
            accelerator=run.accelerator,
            devices=run.devices,
            num_nodes=run.num_nodes,
            strategy=run.strategy,
            precision=run.precision,
            max_steps=run.max_steps,
            max_time={"minutes": run.max_minutes} if run.max_minutes else None,
            val_check_interval=run.validate_every or None,
            limit_val_batches=run.val_batches if run.validate_every else 0,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            callbacks=callbacks,
            plugins=[state_io()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=show,
            enable_model_summary=False,
            use_distributed_sampler=False,  # the DataModule shares out the batch itself
            default_root_dir=out,
        )
    except (ValueError, TypeError, MisconfigurationException) as error:
        asked = ("accelerator", "devices", "num_nodes", "strategy", "precision")
        words = ", ".join(f"{name}={getattr(run, name)!r}" for name in asked)
        raise ValueError(f"Lightning refuses {words}: {error}") from error


def train(
    trainer: L.Trainer, module: L.LightningModule, data: ClipDataModule, state: Path | None
) -> None:
    """Trains, from ``state`` on if there is one; ``KeyboardInterrupt`` where it was stopped."""
    if trainer.strategy.root_device.type == "cpu":
        speed_up(module)
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        with warnings.catch_warnings():
            # Our loader goes on at the right step by itself; Lightning cannot know. And the time's
            # limit is a callback of its own, which a resumed run may do without.
            ours = ".*(resum|num_workers|does not have many work|callbacks used to create).*"
            warnings.filterwarnings("ignore", message=ours)
            warnings.filterwarnings("ignore", message=".*treespec.*", module="lightning")
            trainer.fit(module, data, ckpt_path=state, weights_only=False)
    except SystemExit:  # what Lightning makes of Ctrl-C
        if not trainer.interrupted:
            raise
        raise KeyboardInterrupt("stopped; give the same command again to go on") from None
    finally:
        if in_main_thread:  # Lightning leaves it ignored: a second Ctrl-C would do nothing
            signal.signal(signal.SIGINT, handler)


def settle_precision(run: RunConfig) -> str:
    """The run's arithmetic; "auto" is settled by the accelerator that Lightning will take."""
    if run.precision != "auto":
        return run.precision
    choice = run.accelerator
    if choice == "auto":
        choice = (
            "gpu" if torch.cuda.is_available() else "tpu" if XLAAccelerator.is_available() else ""
        )
    device = {"gpu": "cuda", "cuda": "cuda", "tpu": "xla"}.get(choice, "cpu")
    return "bf16-mixed" if bfloat16_is_fast(device) else "32-true"
