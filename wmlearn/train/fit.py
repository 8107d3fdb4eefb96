"""Train a system at a tier: ``wmlearn fit SYSTEM --tier laptop``, or ``fit("diamond", ...)``.

Options are the fields of ``RunConfig`` and, after ``--system.``, of the system's own config.
``--config FILE`` reads them from YAML; every run writes its own to ``config.yaml``. A run that was
interrupted goes on when the same command is given again.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import lightning as L
import torch
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch.accelerators import XLAAccelerator
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar, WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn

from wmlearn import hub
from wmlearn.data.datamodule import ClipDataModule
from wmlearn.data.episodes import EpisodeStore
from wmlearn.data.record import record
from wmlearn.data.shipped import find_clips, unpack
from wmlearn.fast.precision import bfloat16_is_fast
from wmlearn.recipes.run import RunConfig
from wmlearn.recipes.tiers import current_tier, get_tier
from wmlearn.systems import TRAINABLE
from wmlearn.train.history import History, read_history


@dataclass(frozen=True)
class Fit:
    """What a training run leaves behind.

    Attributes:
        system: the trained module (averaged weights).
        out: folder of the run: a checkpoint that ``wmlearn.load`` reads, config.yaml, history.
        history: metrics by name, each a list of (step, value).
        store: the episodes that it was trained on.
    """

    system: L.LightningModule
    out: Path
    history: dict[str, list[tuple[int, float]]]
    store: EpisodeStore


def fit(system: str, **options: Any) -> Fit:
    """Trains ``system``, recording the data first where there is none; resumes what it finds.

    Args:
        system: "diamond", "genie", "vjepa" or "vjepa2-ac", or a policy in a learned world:
            "actor-critic" or "searched-policy".
        **options: fields of ``RunConfig``, e.g. ``tier="laptop"``; fields of the system's config
            under their full name: ``**{"system.autoregressive_steps": 2}``.
    """
    argv = [f"--{name}={_to_text(value)}" for name, value in options.items()]
    run, system_config = parse(system, argv)
    return _fit(system, run, system_config)


def main(argv: Sequence[str]) -> int:
    """``wmlearn fit SYSTEM [options]``."""
    if not argv or argv[0] not in TRAINABLE:
        known = ", ".join(TRAINABLE)
        print(f"usage: wmlearn fit SYSTEM [options]\n\n{__doc__}\nsystems: {known}")
        return 0 if not argv or argv[0] in ("-h", "--help") else 2
    run, system_config = parse(argv[0], argv[1:])
    result = _fit(argv[0], run, system_config)
    last = {name: values[-1][1] for name, values in result.history.items()}
    print(json.dumps({"out": str(result.out), **last}))
    return 0


def parse(system: str, argv: Sequence[str]) -> tuple[RunConfig, Any]:
    """The run's and the system's config from command-line words; the tier gives the defaults."""
    if system not in TRAINABLE:
        raise ValueError(f"There is no system '{system}'; choose one of: {', '.join(TRAINABLE)}.")
    recipe = _recipe(system)
    parser = ArgumentParser(prog=f"wmlearn fit {system}", description=recipe.__doc__)
    parser.add_argument("--config", action="config", help="read options from this YAML file")
    run, system_config = recipe.preset(get_tier(_tier_name(argv)).name)
    parser.add_class_arguments(RunConfig, None, as_group=False)
    parser.add_argument("--system", type=type(system_config))
    parser.set_defaults({**asdict(run), "system": _plain(system_config)})
    parsed = parser.parse_args(list(argv))
    built = parser.instantiate(parsed)
    fields = {name: built[name] for name in asdict(run)}
    return RunConfig(**fields), built.system


def _fit(name: str, run: RunConfig, system_config: Any) -> Fit:
    recipe = _recipe(name)
    if run.num_threads:
        torch.set_num_threads(run.num_threads)
    slug = run.env.replace("/", "-")
    default = f"data/{slug}-{run.policy}-{run.frames}-{run.image_size}"
    run = replace(
        run,
        data=run.data or default,
        out=run.out or f"runs/{name}-{slug}-{run.tier}",
        precision=_precision(run),
    )
    store = _episodes(run)
    out = Path(run.out)
    out.mkdir(parents=True, exist_ok=True)
    system_config = recipe.complete(system_config, run, store)
    _remember(out / "config.yaml", name, run, system_config)

    module = recipe.build(system_config)
    if run.init:
        recipe.initialize(module, hub.load(run.init))
    data = ClipDataModule(
        store,
        batch_size=run.batch_size,
        length=run.clip_frames,
        seed=run.seed,
        holdout=run.holdout,
        pad_start=run.pad_start,
        pad_end=run.pad_end,
        end_fraction=run.end_fraction,
        val_batches=run.val_batches,
        num_workers=run.num_workers,
        passive=getattr(recipe, "PASSIVE", False),
    )
    history = History(out / "history.jsonl")
    checkpoint = out / "last.ckpt"
    trainer = _trainer(run, out, history)
    with warnings.catch_warnings():
        # Our loader goes on at the right step by itself; Lightning cannot know.
        warnings.filterwarnings("ignore", message=".*(resum|num_workers|does not have many work).*")
        trainer.fit(
            module, data, ckpt_path=checkpoint if checkpoint.exists() else None, weights_only=False
        )
    if trainer.interrupted:
        raise KeyboardInterrupt(f"stopped; give the same command again to go on from {checkpoint}")
    if trainer.is_global_zero:
        card = {
            "tier": run.tier,
            "env": run.env,
            "init": run.init,
            "data": store.info,
            "frames": store.num_frames,
            "steps": trainer.global_step,
            "batch_size": run.batch_size,
            "minutes": round(history.seconds / 60, 2),
            "seed": run.seed,
            **hub.run_facts(),
        }
        recipe.save(out, module, card)
    return Fit(module.eval(), out, read_history(out / "history.jsonl"), store)


def _trainer(run: RunConfig, out: Path, history: History) -> L.Trainer:
    callbacks: list[L.Callback] = [
        history,
        ModelCheckpoint(
            dirpath=out,
            filename="last",
            every_n_train_steps=run.checkpoint_every,
            enable_version_counter=False,
        ),
    ]
    if run.ema_decay:
        # As Lightning's EMAWeightAveraging, but of all weights in one call instead of one by one;
        # buffers are copied: an average of integers would be rounded down.
        average = get_ema_multi_avg_fn(run.ema_decay)
        callbacks.append(WeightAveraging(use_buffers=False, multi_avg_fn=average))
    show = run.progress and not os.environ.get("CI")
    if show:
        # Lightning's default bar redraws so often that a small model trains several times slower.
        callbacks.append(TQDMProgressBar(refresh_rate=20))
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
        logger=False,
        enable_progress_bar=show,
        enable_model_summary=False,
        use_distributed_sampler=False,  # the DataModule shares out the batch itself
        default_root_dir=out,
    )


def _precision(run: RunConfig) -> str:
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


def _episodes(run: RunConfig) -> EpisodeStore:
    """The recorded episodes; made now, by the first process, where there are too few.

    They are unpacked where enough of them ship with the course, else recorded.
    """
    if Path(run.data, "dataset.json").exists():
        store = EpisodeStore(run.data)
        if store.info.get("env") != run.env or store.num_frames >= run.frames - 1:
            return store
    if int(os.environ.get("LOCAL_RANK", 0)) > 0:  # the first process has recorded before it forked
        return EpisodeStore(run.data)
    if shipped := find_clips(run.env, run.policy, run.frames, run.image_size):
        return unpack(shipped, run.data, run.frames)
    return record(
        run.env,
        run.data,
        frames=run.frames,
        policy=run.policy,
        seed=run.seed,
        size=run.image_size,
        hold=run.hold,
        progress=run.progress,
    )


def _remember(path: Path, name: str, run: RunConfig, system_config: Any) -> None:
    """Writes the run's YAML; refuses to resume a run that had other numbers."""
    numbers = {**asdict(run), "system": _plain(system_config)}
    if path.exists() and (path.parent / "last.ckpt").exists():
        before = yaml.safe_load(path.read_text())
        free = {"out", "data", "max_minutes", "progress", "num_workers", "num_threads", "devices"}
        free |= {"num_nodes", "strategy", "accelerator", "checkpoint_every"}
        differing = sorted(k for k in numbers if k not in free and before.get(k) != numbers[k])
        if differing:
            raise ValueError(
                f"{path.parent} holds a run with other settings ({', '.join(differing)}); give the "
                "same settings to resume it, or another --out to start anew."
            )
    path.write_text(f"# wmlearn fit {name} --config THIS_FILE\n" + yaml.safe_dump(numbers))


def _tier_name(argv: Sequence[str]) -> str:
    """The tier on the command line, else in the YAML file, else of the environment."""
    text = " ".join(argv)
    if match := re.search(r"--tier[= ](\S+)", text):
        return match[1]
    if match := re.search(r"--config[= ](\S+)", text):
        path = Path(match[1])
        if path.is_file():
            return (yaml.safe_load(path.read_text()) or {}).get("tier", current_tier().name)
    return current_tier().name


def _recipe(system: str) -> ModuleType:
    return TRAINABLE[system].load("recipe")


def _plain(config: Any) -> Any:
    """A dataclass as plain YAML values (tuples become lists)."""
    return json.loads(json.dumps(asdict(config)))


def _to_text(value: Any) -> str:
    """An option's value as it would stand on the command line."""
    return str(value) if isinstance(value, str | Path) else json.dumps(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
