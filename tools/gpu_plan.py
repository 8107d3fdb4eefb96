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
    memory = 0.5              # of the device's, where something else trains beside it
    share = 0.25              # of the minutes

    [measure.changes.vjepa2-ac]   # fields of its config: this one needs no encoder's checkpoint
    encoder_from = ""

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
import gc
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
from types import SimpleNamespace
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
HEADER = (
    *("system", "tier", "parameters", "batch", "clips/s", "ms a step", "peak GiB", "TFLOP/s"),
    *("of peak", "of a matmul", "problem"),
)
MATMUL = {"cuda": 8192, "cpu": 512}  # the side of what a step is compared with
INTO_THE_RUN = 0.6  # of the steps: a system that learns in parts is then at its dreams


@dataclass(frozen=True)
class Row:
    """One training step, measured; ``problem`` says why where it was not.

    Attributes:
        of_peak: of what the device's data sheet promises.
        of_a_matmul: of what one large bfloat16 product reaches between the steps. It holds on a
            device that others use meanwhile, too.
    """

    system: str
    tier: str
    parameters: int = 0
    batch: int = 0
    clips_per_second: float = 0.0
    milliseconds: float = 0.0
    peak_gib: float | None = None
    teraflops: float = 0.0
    of_peak: float | None = None
    of_a_matmul: float | None = None
    problem: str = ""

    def cells(self) -> list[str]:
        if self.problem:
            return [self.system, self.tier, *[""] * (len(HEADER) - 3), self.problem]
        shown = [self.system, self.tier, f"{self.parameters / 1e6:.1f}M", str(self.batch)]
        shown += [f"{self.clips_per_second:.1f}", f"{self.milliseconds:.1f}"]
        shown += ["" if self.peak_gib is None else f"{self.peak_gib:.2f}", f"{self.teraflops:.2f}"]
        shares = (self.of_peak, self.of_a_matmul)
        return [*shown, *("" if share is None else f"{share:.1%}" for share in shares), ""]


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
    changes = part.get("changes", {})
    if torch.cuda.is_available():  # what trains beside it keeps its memory
        torch.cuda.set_per_process_memory_fraction(part.get("memory", 1.0))
    rows: list[Row] = []
    end = time.monotonic() + seconds
    for number, (name, tier) in enumerate((n, t) for t in tiers for n in names):
        left = (end - time.monotonic()) / (len(names) * len(tiers) - number)
        try:
            if left <= 0:
                raise TimeoutError("No time was left for it.")
            rows.append(measure(name, tier, min(left, 20), changes=changes.get(name, {})))
        except Exception as error:
            sentence = str(error).strip().split("\n")[0] or type(error).__name__
            rows.append(Row(name, tier, problem=sentence.replace("|", "/")[:160]))
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(" | ".join(rows[-1].cells()), flush=True)
        table = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
        table += ["| " + " | ".join(row.cells()) + " |" for row in rows]
        (out / "throughput.md").write_text("\n".join(table) + "\n", encoding="utf-8")
    return rows


def measure(
    name: str,
    tier: str,
    seconds: float = 10,
    device: str | None = None,
    changes: dict[str, Any] | None = None,
) -> Row:
    """One system's training step on random video of its tier's size.

    Args:
        seconds: for all of it, building the network included; at least one step is taken.
        changes: fields of the system's config that shall differ from the tier's.
    """
    end = time.monotonic() + seconds
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    recipe = TRAINABLE[name].load("recipe")
    run, config = recipe.preset(tier)
    run = replace(run, batch_size=min(run.batch_size, 32))
    with tempfile.TemporaryDirectory() as folder:
        module, clip = _on_random_video(
            recipe, run, replace(config, **(changes or {})), Path(folder)
        )
    if not module.automatic_optimization:
        raise ValueError("It takes its optimizer steps by itself: no single one is measured.")
    module = module.to(device).train()
    module.log_dict = module.log = lambda *args, **kwargs: None
    # What a step asks of the trainer: how far the run is, and that it is alone.
    at = int(INTO_THE_RUN * run.max_steps)
    module.trainer = SimpleNamespace(global_step=at, world_size=1, global_rank=0)
    clip = _to(clip, device)
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad])
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=bfloat16_is_fast(device.type))

    def step(batch: Clip) -> None:
        optimizer.zero_grad(set_to_none=True)
        with mixed:
            loss = module.training_step(batch, 0)
        loss.backward()
        optimizer.step()

    while not _fits(step, clip, device):
        if len(clip) == 1:
            raise MemoryError("Not even one clip fits the memory that it was given.")
        clip = clip[: len(clip) // 2]
        optimizer.zero_grad(set_to_none=True)
        gc.collect()
        torch.cuda.empty_cache()
    with FlopCounterMode(display=False) as counter:
        step(clip)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    square = torch.ones(2 * (MATMUL[device.type],), dtype=torch.bfloat16, device=device)
    steps, products = [], []
    while not steps or (time.monotonic() < end and len(steps) < 100):
        steps.append(_seconds(lambda: step(clip), device))
        products.append(_seconds(lambda: square @ square, device))
    taken = float(np.median(steps))
    rate = counter.get_total_flops() / taken
    peak = _peak(device)
    return Row(
        name,
        tier,
        sum(p.numel() for p in module.parameters()),
        len(clip),
        len(clip) / taken,
        1000 * taken,
        torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None,
        rate / 1e12,
        rate / peak if peak else None,
        rate * float(np.median(products)) / (2 * len(square) ** 3),
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
    kinds = (
        (Discrete(4), None, None),
        (Box(-1, 1, (3,), np.float32), arms, None),
        (Discrete(4), None, "a red ball moves right"),
    )
    for number, (space, names, caption) in enumerate(kinds):
        store = _random_episodes(folder / str(number), space, names, run, caption)
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


def _random_episodes(
    folder: Path, space, names: tuple[str, ...] | None, run, caption: str | None = None
) -> EpisodeStore:
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
    if caption is not None:
        told = folder / "dataset.json"
        info = json.loads(told.read_text(encoding="utf-8"))
        told.write_text(json.dumps({**info, "captions": [caption] * 8}), encoding="utf-8")
    return EpisodeStore(folder)


def _fits(step, clip: Clip, device: torch.device) -> bool:
    """Whether a step on this many clips finds memory; it is the first, which warms up, too."""
    try:
        _seconds(lambda: step(clip), device)
    except torch.OutOfMemoryError:
        return False
    return True


def _seconds(work, device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


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
