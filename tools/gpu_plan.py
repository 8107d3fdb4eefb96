"""Spends given minutes on a machine with one accelerator, by a plan, in one command.

    python tools/gpu_plan.py tools/plans/first.toml --minutes 13 --out OUT
    python tools/gpu_plan.py --pack data/doom      # makes a recording travel: data/doom.tar.xz

It measures the training step of every system (throughput, peak memory, fraction of the device's
peak), then trains what the plan names, and writes a table, checkpoints and their cards to OUT.
Everything is offline. The tree may lack all assets but those that the plan names (``init``, and
the encoder that a system starts from). Each training stops in time by itself and leaves its run in
``OUT/runs``: the same command with the same OUT goes on with it. A file that comes to more than
16 MiB is left in the run's folder, with a line that says so.

A plan is a TOML file::

    [measure]                 # optional
    systems = ["diamond"]     # default: all that can be trained
    tiers = ["colab", "node"]
    share = 0.25              # of the minutes

    [[train]]                 # as many as wanted, in turn
    name = "diamond-doom-basic"
    system = "diamond"
    data = "data/doom"        # a folder of episodes, or the .tar.xz that --pack made of it
    init = ""                 # a checkpoint to start from
    share = 0.5               # of the minutes, this part's own
    options = { tier = "laptop", max_steps = 20000 }
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tarfile
import tempfile
import time
import tomllib
import traceback
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch.utils.flop_counter import FlopCounterMode

from wmlearn import hub
from wmlearn.data.clip import Clip
from wmlearn.data.datamodule import ClipDataModule
from wmlearn.data.episodes import Episode, EpisodeStore, EpisodeWriter
from wmlearn.fast.precision import bfloat16_is_fast
from wmlearn.systems import TRAINABLE
from wmlearn.train.fit import fit

MAX_FILE = 16 * 2**20
# Dense bfloat16 peak in FLOP/s, from the makers' data sheets; another device gets no fraction.
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L4": 121e12, "T4": 65e12}
HEADER = ("system", "tier", "batch", "clips/s", "ms a step", "peak GiB", "of peak", "problem")


@dataclass(frozen=True)
class Row:
    """One training step, measured; ``problem`` says why where it was not."""

    system: str
    tier: str
    batch: int = 0
    clips_per_second: float = 0.0
    milliseconds: float = 0.0
    peak_gib: float | None = None
    of_peak: float | None = None
    problem: str = ""

    def cells(self) -> list[str]:
        shown = [self.system, self.tier, str(self.batch), f"{self.clips_per_second:.1f}"]
        shown += [f"{self.milliseconds:.1f}"]
        shown += ["" if self.peak_gib is None else f"{self.peak_gib:.2f}"]
        shown += ["" if self.of_peak is None else f"{self.of_peak:.1%}", self.problem]
        return shown


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("plan", nargs="?", type=Path, help="a TOML file")
    parser.add_argument("--minutes", type=float, default=13, help="for all of it")
    parser.add_argument("--out", type=Path, default=Path("runs/plan"))
    parser.add_argument("--pack", type=Path, help="make FOLDER.tar.xz of a recording, and stop")
    args = parser.parse_args(argv)
    if args.pack:
        print(pack(args.pack))
        return 0
    if args.plan is None:
        parser.error("give a plan, or --pack FOLDER")
    end = time.monotonic() + 60 * args.minutes
    plan = tomllib.loads(args.plan.read_text(encoding="utf-8"))
    check(plan)
    args.out.mkdir(parents=True, exist_ok=True)
    print(json.dumps(hub.run_facts()), flush=True)
    failed = 0
    shares = [
        plan.get("measure", {}).get("share", 0.0),
        *(p["share"] for p in plan.get("train", ())),
    ]
    for number, part in enumerate([plan.get("measure"), *plan.get("train", ())]):
        left = end - time.monotonic()
        seconds = left * shares[number] / max(sum(shares[number:]), 1e-9)
        if part is None:
            continue
        try:
            if number == 0:
                measure_all(part, seconds, args.out)
            else:
                train(part, seconds, args.out)
        except Exception:  # the next part's minutes are not lost with this one's
            failed += 1
            traceback.print_exc()
    return 1 if failed else 0


def check(plan: dict[str, Any]) -> None:
    """One sentence for a plan that cannot work, before any minute is spent."""
    for name in [
        *plan.get("measure", {}).get("systems", ()),
        *(p["system"] for p in plan.get("train", ())),
    ]:
        if name not in TRAINABLE:
            raise SystemExit(f"There is no system '{name}'; choose from {', '.join(TRAINABLE)}.")
    for part in plan.get("train", ()):
        if not Path(part["data"]).exists() and not _archive(part["data"]).exists():
            raise SystemExit(f"{part['name']}: there is no recording at {part['data']}.")
        if part.get("init"):
            hub.find(part["init"])


def measure_all(part: dict[str, Any], seconds: float, out: Path) -> list[Row]:
    """A row for each system and tier, printed and written to ``out/throughput.md``."""
    names, tiers = part.get("systems") or list(TRAINABLE), part.get("tiers", ["colab"])
    rows: list[Row] = []
    end = time.monotonic() + seconds
    for number, (name, tier) in enumerate((n, t) for t in tiers for n in names):
        left = max(end - time.monotonic(), 0) / (len(names) * len(tiers) - number)
        try:
            rows.append(measure(name, tier, seconds=min(left, 20)))
        except Exception as error:
            sentence = str(error).strip().split("\n")[0] or type(error).__name__
            rows.append(Row(name, tier, problem=sentence.replace("|", "/")[:160]))
        print(" | ".join(rows[-1].cells()), flush=True)
    table = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
    table += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    (out / "throughput.md").write_text("\n".join(table) + "\n", encoding="utf-8")
    return rows


def measure(name: str, tier: str, seconds: float = 10, device: str | None = None) -> Row:
    """One system's training step on random video of its tier's size; the batch fits one device."""
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    recipe = TRAINABLE[name].load("recipe")
    run, config = recipe.preset(tier)
    batch = min(run.batch_size, 32)
    with tempfile.TemporaryDirectory() as folder:
        module, clip = _on_random_video(
            recipe, replace(run, batch_size=batch), config, Path(folder)
        )
    if not module.automatic_optimization:
        raise ValueError("It takes its optimizer steps by itself: no single one is measured.")
    module = module.to(device).train()
    module.log_dict = module.log = lambda *args, **kwargs: None
    clip = _to(clip, device)
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad])
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=bfloat16_is_fast(device.type))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with mixed:
            loss = module.training_step(clip, 0)
        loss.backward()
        optimizer.step()

    with FlopCounterMode(display=False) as counter:
        step()
    _wait(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    times = []
    end = time.monotonic() + seconds
    while not times or (time.monotonic() < end and len(times) < 100):
        start = time.perf_counter()
        step()
        _wait(device)
        times.append(time.perf_counter() - start)
    taken = float(np.median(times))
    peak = _peak(device)
    return Row(
        name,
        tier,
        batch,
        batch / taken,
        1000 * taken,
        torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None,
        counter.get_total_flops() / taken / peak if peak else None,
    )


def train(part: dict[str, Any], seconds: float, out: Path) -> Path:
    """Trains one part for its time, and puts the checkpoint in half precision into ``out/NAME``."""
    data = _unpacked(part["data"])
    options = {"num_threads": 0, "progress": False, **part.get("options", {})}
    if part.get("init"):
        options["init"] = part["init"]
    run = out / "runs" / part["name"]
    minutes = max(seconds / 60, 0.05)
    print(f"{part['name']}: {minutes:.1f} minutes", flush=True)
    result = fit(part["system"], data=str(data), out=str(run), max_minutes=minutes, **options)
    card = json.loads((run / "card.json").read_text(encoding="utf-8"))
    facts = {
        k: v
        for k, v in card.items()
        if k not in ("format", "version", "system", "config", "sha256")
    }
    target = out / part["name"]
    hub.save(target, result.system, card["system"], facts, dtype=torch.float16)
    shutil.copy(run / "history.jsonl", target / "history.jsonl")
    for file in sorted(target.iterdir()):
        if file.stat().st_size > MAX_FILE:
            file.unlink()
            print(f"{part['name']}: {file.name} is over 16 MiB, so it stays in {run}", flush=True)
    last = {name: values[-1][1] for name, values in result.history.items()}
    print(json.dumps({"name": part["name"], "steps": card.get("steps"), **last}), flush=True)
    return target


def pack(folder: Path) -> Path:
    """``folder`` with its episodes as ``folder.tar.xz``; raw frames shrink to a few hundredths."""
    if not (folder / "dataset.json").is_file():
        raise SystemExit(f"{folder} holds no recording (no dataset.json).")
    archive = _archive(folder)
    with tarfile.open(archive, "w:xz", preset=3) as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, arcname=f"{folder.name}/{file.name}")
    return archive


def _archive(folder: str | Path) -> Path:
    return Path(folder).with_name(Path(folder).name + ".tar.xz")


def _unpacked(folder: str | Path) -> Path:
    folder = Path(folder)
    if not folder.exists():
        with tarfile.open(_archive(folder)) as tar:
            tar.extractall(folder.parent, filter="data")
    return folder


def _on_random_video(recipe, run, config, folder: Path):
    """The system, built for random episodes that it accepts, and one batch of them."""
    arms = tuple(f"gripper_{axis}" for axis in "xyz")
    for space, names in ((Discrete(4), None), (Box(-1, 1, (3,), np.float32), arms)):
        store = _random_episodes(folder / type(space).__name__, space, names, run)
        try:
            module = recipe.build(recipe.complete(config, run, store))
        except ValueError as error:
            refused = error
            continue
        data = ClipDataModule(
            store, batch_size=run.batch_size, length=run.clip_frames, pad_start=run.pad_start
        )
        data.setup("fit")
        return module, next(iter(data.train_dataloader()))
    raise refused


def _random_episodes(folder: Path, space, names: tuple[str, ...] | None, run) -> EpisodeStore:
    size, length = run.image_size, run.clip_frames + 4
    extra = {} if names is None else {"state_names": names}
    writer = EpisodeWriter(folder, space, (3, size, size), env="random", **extra)
    rng = np.random.default_rng(0)
    for _ in range(8):
        steps = (length,) if isinstance(space, Discrete) else (length, *space.shape)
        whole = isinstance(space, Discrete)
        actions = rng.integers(4, size=steps) if whole else rng.uniform(-1, 1, steps)
        writer.write(
            Episode(
                rng.integers(256, size=(length + 1, 3, size, size), dtype=np.uint8),
                actions.astype(np.int64 if whole else np.float32),
                np.zeros(length, np.float32),
                np.zeros(length, np.bool_),
                np.arange(length) == length - 1,
                None if names is None else rng.normal(size=(length + 1, 3)).astype(np.float32),
            )
        )
    return EpisodeStore(folder)


def _to(clip: Clip, device: torch.device) -> Clip:
    parts = {field.name: getattr(clip, field.name) for field in fields(clip)}
    return Clip(**{k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in parts.items()})


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak(device: torch.device) -> float | None:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((peak for key, peak in PEAK.items() if key in name), None)


if __name__ == "__main__":
    sys.exit(main())
