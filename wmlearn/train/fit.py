"""Training itself: ``fit("diamond", tier="laptop")``; ``command.py`` has the command line."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from wmlearn import hub
from wmlearn.data.datamodule import ClipDataModule
from wmlearn.data.episodes import EpisodeStore
from wmlearn.fast import speed_up
from wmlearn.files import write_whole
from wmlearn.recipes.recipe import check_counts
from wmlearn.recipes.run import RunConfig
from wmlearn.train import resume
from wmlearn.train.data import fingerprint, open_data
from wmlearn.train.history import History, read_history
from wmlearn.train.pace import Pace, Verdict
from wmlearn.train.settings import Settings, from_values, plain
from wmlearn.train.trainer import make_trainer, settle_precision, train


@dataclass(frozen=True)
class Fit:
    """The result of a training run.

    Attributes:
        system: the trained module (averaged weights).
        out: folder of the run: a checkpoint that ``wmlearn.load`` reads, config.yaml, history.
        history: metrics by name, each a list of (step, value).
        store: the episodes that it was trained on.
        verdict: what it came to, in words: all of its steps, or how many and what to do.
    """

    system: L.LightningModule
    out: Path
    history: dict[str, list[tuple[int, float]]]
    store: EpisodeStore
    verdict: Verdict


def fit(system: str, **options: Any) -> Fit:
    """Trains ``system``, recording data first where no folder is named; resumes what it finds.

    It says how long it will take and how far it will come once a few steps are timed, and in the
    end what it came to (not in CI, or with ``progress=False``).

    Args:
        system: a name in ``wmlearn.systems.TRAINABLE``, as "diamond" or "actor-critic".
        **options: fields of ``RunConfig``, e.g. ``tier="laptop"``; fields of the system's config
            under their full name, ``**{"system.autoregressive_steps": 2}``, or all, ``system=``.

    Raises:
        ValueError: an option that does not exist or fit; a folder with another run in it.
        KeyboardInterrupt: stopped on the way; the same call goes on.
    """
    result = run_settings(from_values(system, options))
    if rank_zero_only.rank == 0 and result.verdict.run.progress and not os.environ.get("CI"):
        print(result.verdict)
    return result


def run_settings(asked: Settings, flags: bool = False) -> Fit:
    """Trains as the settings say, or as far as is left to do.

    Args:
        asked: the settings.
        flags: advice names options as the command line spells them.
    """
    recipe = asked.recipe
    check_counts(asked.config)
    if asked.run.num_threads:
        torch.set_num_threads(asked.run.num_threads)
    if asked.run.data is None:  # before anything is recorded
        recipe.check_side(asked.config, asked.run.image_size)
    store, run = open_data(asked.run, asked.given)
    recipe.check_side(asked.config, store.frame_shape[-1])
    digest = fingerprint(store)
    out = Path(run.out or resume.default_out(asked, run, digest))
    run = replace(run, out=str(out), precision=settle_precision(run))
    config = recipe.complete(asked.config, run, store)
    identity = resume.identity(replace(asked, run=run), config, digest)
    state = resume.find(out)
    if state:
        state.check(identity)
    module = recipe.build(config)
    if state is None or not state.is_finished(run):
        if run.init and state is None:
            recipe.initialize(module, hub.load(run.init))
        _remember(out / "config.yaml", asked.name, {**asdict(run), "system": plain(config)})
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
            passive=recipe.passive,
            optimizer_steps=recipe.optimizer_steps(config),
        )
        path = out / resume.FILE
        pace = Pace(run, asked.name, flags)
        keep = resume.Resume(path, run.checkpoint_every, identity, run.max_minutes)
        trainer = make_trainer(run, out, [History(out / "history.jsonl"), keep, pace])
        train(trainer, module, data, state.path if state else None)
        state = resume.find(out)
    if rank_zero_only.rank == 0:
        if state is None:
            raise ValueError(f"max_minutes={run.max_minutes} is too short for a single step.")
        module.load_state_dict(state.weights)
        if not _is_saved(out, state):
            recipe.save(out, module, _card(run, store, digest, state))
    history = read_history(out / "history.jsonl")
    steps, minutes = (state.steps, state.minutes) if state else (0, 0.0)
    verdict = Verdict(steps, run, minutes, history, asked.name, flags)
    return Fit(speed_up(module.eval()), out, history, store, verdict)


def _card(run: RunConfig, store: EpisodeStore, digest: str, state: resume.State) -> dict[str, Any]:
    """What the run's checkpoint says of it."""
    return {
        "tier": run.tier,
        "env": run.env,
        "init": run.init,
        "data": store.info,
        "data_sha256": digest,
        "frames": store.num_frames,
        "steps": state.steps,
        "batch_size": run.batch_size,
        "minutes": round(state.minutes, 2),
        "seed": run.seed,
        **hub.run_facts(),
    }


def _is_saved(out: Path, state: resume.State) -> bool:
    """Whether the checkpoint in ``out`` is that of the finished state."""
    whole = (out / "card.json").is_file() and (out / "model.safetensors").is_file()
    return whole and hub.read_card(out).get("steps") == state.steps


@rank_zero_only
def _remember(path: Path, name: str, numbers: dict[str, Any]) -> None:
    """Writes the run's YAML, which ``--config`` reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f"# wmlearn fit {name} --config THIS_FILE\n" + yaml.safe_dump(numbers)
    write_whole(path, text)
