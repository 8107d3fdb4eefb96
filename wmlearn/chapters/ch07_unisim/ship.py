"""Makes the chapter's checkpoint, policies and figures in one command, within given seconds.

    python -m wmlearn.chapters.ch07_unisim.record data/unisim.npz
    python -m wmlearn.chapters.ch07_unisim.ship data/unisim.npz --seconds 600 --out runs/unisim

It is meant for a machine with an accelerator; everything is offline. ``--autoencoder RUN`` takes
that of an earlier run and leaves this stretch out; ``--size core`` is what one core of a CPU
can train in 40 minutes. Time is shared out as
``SHARES`` says. In OUT lie then the checkpoint (``model.safetensors``, ``card.json``), the policies
(``mover``, ``reacher``, and their clones), ``log.json``, ``ablations.json`` and ``strip.png``. What
it has at any moment is saved, so that a kill loses little. How the policies fare in the real worlds
is measured afterwards, where the simulators are: ``wmlearn.chapters.ch07_unisim.real``.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from wmlearn import hub
from wmlearn.chapters.ch07_unisim import ablations, control, policies, reachers, train
from wmlearn.chapters.ch07_unisim.mixture import DOMAINS, Mixture
from wmlearn.chapters.ch07_unisim.record import Recording, load
from wmlearn.files import write_whole
from wmlearn.systems.unisim.config import UniSimConfig
from wmlearn.systems.unisim.recipe import LAPTOP, SHIPPED, SMOKE
from wmlearn.systems.unisim.system import UniSim

SHARES = {
    "autoencoder": 0.16, "simulator": 0.4, "heads": 0.09, "mover": 0.12, "improved": 0.05,
    "reacher": 0.08, "ablations": 0.1,
}  # fmt: skip
CORE = replace(
    SHIPPED,
    simulator=replace(SHIPPED.simulator, frames=8, dim=128, layers=4, heads=4, past_share=0.7),
)
SIZES = {"smoke": SMOKE, "laptop": LAPTOP, "core": CORE, "shipped": SHIPPED}


class Shipping:
    """One run: its clock, its log, and what it has saved.

    Args:
        out: folder.
        seconds: how long it may take.
        facts: what the card says beside what is measured.
    """

    def __init__(self, out: Path, seconds: float, facts: dict) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.seconds, self.facts = out, seconds, facts
        self.begin, self.history = time.monotonic(), []

    def log(self, part: str, numbers: dict) -> None:
        """A line of the log, on the screen and in ``log.json``."""
        gone = round(time.monotonic() - self.begin, 1)
        self.history.append({"part": part, "at": gone, **numbers})
        train.say(part, numbers)
        write_whole(self.out / "log.json", json.dumps(self.history, indent=0))

    def time_for(self, part: str, smallest: float = 1.0) -> float:
        """Seconds that a part may take: its share of all, but not beyond the end."""
        left = self.seconds - (time.monotonic() - self.begin)
        return max(smallest, min(SHARES[part] * self.seconds, left))

    def keep(self, model: UniSim, steps: int) -> None:
        """Saves the checkpoint."""
        minutes = round((time.monotonic() - self.begin) / 60, 2)
        card = {**self.facts, "steps": steps, "minutes": minutes, **hub.run_facts()}
        hub.save(self.out, model, "unisim", card, dtype=torch.float16)

    def keep_policy(self, name: str, policy: nn.Module) -> None:
        """Saves a policy."""
        weights = {k: v.contiguous().cpu() for k, v in policy.state_dict().items()}
        write_whole(self.out / f"{name}.safetensors", lambda path: save_file(weights, path))


def ship(
    recordings: dict[str, Recording],
    out: Path,
    seconds: float,
    base: UniSimConfig = SHIPPED,
    batch: int = 128,
    device: str = "cpu",
    variants: dict[str, ablations.Variant] | None = None,
    clones: int = 1200,
    autoencoder: UniSim | None = None,
) -> UniSim:
    """Trains and measures everything.

    Args:
        recordings: by domain; a domain that is not there is left out.
        out: where to.
        seconds: how long it may take, about.
        base: the sizes.
        batch: clips of a step; twice as many pictures.
        device: where it computes.
        variants: the ablations; by default ``ablations.VARIANTS``.
        clones: steps of the clones' training.
        autoencoder: whose autoencoder to take; by default one is trained.
    """
    domains = tuple(d for d in DOMAINS if d.name in recordings)
    facts = {"tier": "node", "env": ", ".join(d.name for d in domains), "seed": 0}
    run = Shipping(out, seconds, facts | {"batch_size": batch})
    config = replace(base, domains=domains)
    mixture, model = Mixture(recordings, config, device), UniSim(config).to(device)
    run.facts["frames"] = len(mixture)
    sizes = {name: sum(p.numel() for p in m.parameters()) for name, m in model.named_children()}
    run.log("data", {"frames": len(mixture), "spoken": len(mixture.spoken), "parameters": sizes})
    if autoencoder is None:
        train.train_autoencoder(model, mixture, run.time_for("autoencoder"), 2 * batch, run.log)
    else:
        model.autoencoder.load_state_dict(autoencoder.autoencoder.state_dict())
        model.color_weights.copy_(autoencoder.color_weights)
    latents, weights = train.encode_all(model, mixture)
    run.keep(model, 0)
    report = train.train_simulator(
        model, mixture, latents, weights, run.time_for("simulator"), batch, run.log,
        lambda: run.keep(model, 0),
    )  # fmt: skip
    train.train_heads(model, mixture, latents, run.time_for("heads"), 8 * batch, run.log)
    run.keep(model, report["step"])
    for steps in (1, 2):
        found, strips = control.measure(model, mixture, batch, {"num_steps": steps})
        run.log(f"control, K = {steps}", {name: told(rows) for name, rows in found.items()})
    control.picture(strips).save(out / "strip.png")
    train_policies(run, model, mixture, latents, batch, clones)
    chosen = ablations.VARIANTS if variants is None else variants
    run_ablations(run, chosen, model, mixture, latents, weights, batch)
    run.log("end", {})
    return model


def told(rows: list[control.Control]) -> list[dict]:
    """Controls as JSON values."""
    return [{k: v if k == "horizon" else vars(v) for k, v in vars(row).items()} for row in rows]


def train_policies(
    run: Shipping, model: UniSim, mixture: Mixture, latents: torch.Tensor, batch: int, clones: int
) -> None:
    """Both policies, in the worlds that there are; clones first, since the arm starts from its."""
    names = {domain.name for domain in model.config.domains}
    if "babyai" in names:
        mover, moves = policies.clone_mover(model, mixture, latents, clones // 2)
        run.keep_policy("mover-clone", mover)
        run.log("mover's clone", {"moves": moves})
        time_for = run.time_for("mover")
        searched = policies.train_mover(model, mixture, latents, time_for, 2 * batch, run.log)
        run.keep_policy("mover-search", searched)
        better = policies.improve_mover(
            model, mixture, latents, run.time_for("improved"), 2 * batch, run.log, searched
        )
        run.keep_policy("mover", better)
        for name, policy in {"random": None, "clone": mover, "improved": better}.items():
            run.log(f"inside, {name}", policies.inside(model, mixture, latents, policy, batch))
    if "fetch" in names:
        clone = reachers.clone_reacher(model, mixture, latents, clones)
        run.keep_policy("reacher-clone", clone)
        short = reachers.clone_reacher(model, mixture, latents, clones, within=4)
        run.keep_policy("reacher-short", short)
        time_for = run.time_for("reacher")
        ways = reachers.long_ways(model, mixture, latents, time_for / 4, batch)
        long = reachers.hindsight_reacher(model, mixture, latents, ways, clones)
        run.keep_policy("reacher-long", long)
        run.keep_policy(
            "reacher",
            reachers.train_reacher(model, mixture, latents, 0.75 * time_for, batch, run.log, clone),
        )


def run_ablations(
    run: Shipping,
    variants: dict[str, ablations.Variant],
    model: UniSim,
    mixture: Mixture,
    latents: torch.Tensor,
    weights: torch.Tensor,
    batch: int,
    seeds: tuple[int, ...] = (0, 1),
) -> None:
    """All variants, at as many steps each as the first one finds time for."""
    names = {domain.name for domain in model.config.domains}
    rows, most = [], None
    todo = [(s, n) for s in seeds for n, v in variants.items() if not v.only or v.only in names]
    each = run.time_for("ablations") / (len(todo) + 1) if todo else 0.0

    def measured(name: str, seed: int) -> dict:
        room = each if most is None else 2 * each
        return ablations.run(
            variants[name], model, mixture, latents, weights, room, batch, seed, most
        )

    for seed, name in todo:
        if most is None:
            most = max(1, int(0.9 * measured(name, seed)["steps"]))
        rows.append({"variant": name, "seed": seed, **measured(name, seed)})
        run.log("ablation", {k: v for k, v in rows[-1].items() if k not in names})
        write_whole(run.out / "ablations.json", json.dumps(rows, indent=1))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="files that `record` wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", choices=SIZES, default="shipped")
    parser.add_argument("--autoencoder", help="a checkpoint to take it from")
    args = parser.parse_args(arguments)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    recordings = {k: v for path in args.data for k, v in load(path).items()}
    earlier = hub.load(args.autoencoder) if args.autoencoder else None
    ship(
        recordings, args.out, args.seconds, SIZES[args.size], args.batch, device,
        autoencoder=earlier,
    )  # fmt: skip


if __name__ == "__main__":
    main()
