"""Genie's three ablations at a small scale: what a part is worth, with everything else equal.

    python -m wmlearn.chapters.ch09_genie.ablations INIT --data DATA --seeds 0 1 \\
        --out runs/ablations

``INIT`` is a trained Genie whose other parts are kept as they are. Each line it prints is one run;
runs that are there already are not repeated.

* ``lam``: the latent action model sees pixels or tokens; recall of left, right and jump.
* ``action``: the dynamics gets the action added or prepended; PSNR with inferred actions minus PSNR
  with random ones, four frames ahead (the paper's delta PSNR), and accuracy of the next tokens.
* ``quantizer``: VQ or FSQ in the tokenizer; PSNR of the reconstruction, and how codes are used.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from wmlearn.data.datamodule import ClipDataModule
from wmlearn.evaluation import evaluate
from wmlearn.evaluation.latent_actions import score_latent_actions
from wmlearn.metrics import code_counts, fraction_used, perplexity, psnr
from wmlearn.pixels import to_float, to_uint8
from wmlearn.train.fit import fit

ONLY = {
    part: {f"system.{name}_span": [0.0, 1.0] if name == part else [1.0, 1.0]
           for name in ("tokenizer", "actions", "dynamics")}
    for part in ("tokenizer", "actions", "dynamics")
}  # fmt: skip
SMALL = {"system.dynamics.dim": 96, "system.dynamics.depth": 2, "system.dynamics.heads": 3}
# name -> (part that is trained, steps, {variant: its settings})
ABLATIONS = {
    "lam": ("actions", 600, {
        "pixels": {"system.actions.sees": "pixels"},
        "tokens": {"system.actions.sees": "tokens"},
    }),
    "action": ("dynamics", 400, {
        "added": {**SMALL, "system.dynamics.action": "added"},
        "prepended": {**SMALL, "system.dynamics.action": "prepended"},
    }),
    "quantizer": ("tokenizer", 400, {
        "vq": {"system.tokenizer.quantizer": "vq"},
        "fsq": {"system.tokenizer.quantizer": "fsq", "system.tokenizer.fsq_levels": [8, 8, 8]},
    }),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("init", help="a trained Genie")
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", choices=ABLATIONS, nargs="+", default=list(ABLATIONS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.only:
        part, steps, variants = ABLATIONS[name]
        for seed in args.seeds:
            for variant, settings in variants.items():
                out = args.out / f"{name}-{variant}-{seed}"
                if not (out / "result.json").exists():
                    # FSQ has other layers than INIT's tokenizer, so that VQ must start anew too
                    init = {} if name == "quantizer" else {"init": args.init}
                    run = fit(
                        "genie", tier="laptop", data=args.data, out=out, seed=seed,
                        frames=2, max_steps=steps, max_minutes=0, validate_every=0,
                        num_threads=1, progress=False, **init, **ONLY[part], **settings,
                    )  # fmt: skip
                    result = measure(name, run.system, ClipDataModule(args.data), run.history)
                    (out / "result.json").write_text(json.dumps(result))
                print(name, variant, seed, (out / "result.json").read_text(), flush=True)


def measure(name: str, system, data: ClipDataModule, history: dict) -> dict:
    """The figures of one run, on held-out episodes."""
    result = {"seconds": history["seconds"][-1][1]}
    if name == "lam":
        train, held_out = (data.splits[split].tolist() for split in ("train", "val"))
        score = score_latent_actions(system.world(), data.store, train, held_out)
        result |= {"recall": score.recall.value, "perplexity": score.perplexity}
        return {key: round(value, 3) for key, value in result.items()}
    if name == "action":
        card = evaluate(system.world(), data, horizons=(1, 4), clips=64, seeds=(0,),
                        probe_steps=0, cost=False)  # fmt: skip
        at = card.fidelity.at
        result |= {f"psnr_{row.horizon}": row.score.value for row in at}
        result |= {f"gain_{row.horizon}": row.gain.value for row in at}
        result |= {f"delta_{row.horizon}": row.delta.value for row in card.controllability.at}
        return {key: round(value, 3) for key, value in result.items()}
    clips = data.clips("val", 64, 5)
    with torch.inference_mode():
        codes = system.tokenizer.encode(to_float(clips.frames))
        drawn = to_uint8(system.tokenizer.decode(codes))
    counts = code_counts(codes, system.config.tokenizer.vocabulary)
    result |= {
        "psnr": psnr(drawn, clips.frames).mean().item(),
        "perplexity": perplexity(counts).item(),
        "used": fraction_used(counts).item(),
    }
    return {key: round(value, 3) for key, value in result.items()}


if __name__ == "__main__":
    main()
