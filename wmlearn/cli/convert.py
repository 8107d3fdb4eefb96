"""Makes a checkpoint of the weights that a system's authors published.

The file is fetched by hand, where the authors publish it. What comes out is loaded by its folder's
name, as any checkpoint: ``wmlearn.load("runs/breakout")``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from wmlearn.systems import LOADABLE

    names = [name for name, entry in LOADABLE.items() if entry.published]
    parser.add_argument("system", choices=names, help="whose weights they are")
    parser.add_argument(
        "path", type=Path, help="the authors' file; their folder where they publish one"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the new checkpoint")
    parser.add_argument(
        "--config", type=Path, help="JSON of the system's config, where sizes are not the paper's"
    )
    parser.add_argument(
        "--half", action="store_true", help="store float16: half the size, a little less exact"
    )


def run(args: argparse.Namespace) -> None:
    import torch

    from wmlearn import hub

    config = None
    if args.config:
        try:
            fields = json.loads(args.config.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{args.config} is no JSON: {error}.") from error
        config = hub.read_config(args.system, fields.get("config", fields))
    module = hub.load_published(args.system, args.path, config)
    facts = {**hub.run_facts(), "published": module.card["published"]}
    dtype = torch.float16 if args.half else torch.float32
    hub.save(args.out, module, args.system, facts, dtype=dtype)
    megabytes = (args.out / "model.safetensors").stat().st_size / 1e6
    print(f"{args.out}: {args.system}, {megabytes:.1f} MB")
