"""Puts a trained run into assets/checkpoints: halved weights, start clips, card, evaluation.

    python tools/ship_checkpoint.py RUN_FOLDER NAME [--policy CHECKPOINT] [--note TEXT] ...

A world is measured on its held-out episodes (``wmlearn evaluate``); a policy is played in the real
environment. A shipped checkpoint is replaced only if the new one measures better, or with --force.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from wmlearn import hub
from wmlearn.agents.actor_critic import Player
from wmlearn.data.datamodule import ClipDataModule
from wmlearn.evaluation import EvaluationCard, evaluate, mean_estimate, play_episodes

STARTS = 8  # real clips that come along
KEPT = ("tier", "env", "data", "frames", "steps", "batch_size", "minutes", "seed",
        "hardware", "platform", "torch", "commit", "training")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("name", help="the name it is shipped under")
    parser.add_argument("--data", type=Path, help="episodes it learned from (a world)")
    parser.add_argument("--holdout", type=float, default=0.1)
    parser.add_argument("--policy", action="append", default=[], help="for the world's utility")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--horizons", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--probe_steps", type=int)
    parser.add_argument("--steps", type=int, help="of all stages, where there were several")
    parser.add_argument("--minutes", type=float, help="of all stages, where there were several")
    parser.add_argument("--note", help="a sentence for the card")
    parser.add_argument("--force", action="store_true")
    args = parser.parse_args()

    module = hub.load(args.run)
    card = {name: module.card[name] for name in KEPT if module.card.get(name) is not None}
    given = {"steps": args.steps, "minutes": args.minutes, "note": args.note}
    card |= {name: value for name, value in given.items() if value is not None}
    target = hub.assets_dir() / "checkpoints" / args.name
    if module.card["system"] == "actor-critic":
        card["metrics"] = _play(module, card["env"], args.episodes)
        score, starts, evaluation = card["metrics"]["return"], None, None
    else:
        data = ClipDataModule(args.data, holdout=args.holdout)
        policies = {name: Player(hub.load(name)) for name in args.policy}
        evaluation = evaluate(
            module.world(),
            data,
            horizons=args.horizons,
            clips=args.clips,
            seeds=args.seeds,
            probe_steps=args.probe_steps,
            training_minutes=card["minutes"],
            policies=policies or None,
            episodes=args.episodes if policies else None,
            name=args.name,
            progress=print,
        )
        card["metrics"] = _metrics(evaluation)
        score = card["metrics"]["psnr_gain_over_copy"]
        n = max(module.world().context_frames, 4)
        starts = data.clips("val", STARTS, n, seed=0)
    if target.exists() and not args.force:
        before = hub.read_card(target)["metrics"]
        old = before.get("return", before.get("psnr_gain_over_copy"))
        if isinstance(score, dict):
            longest = max(score, key=int)
            score, old = score[longest], old.get(longest, float("-inf"))
        if score <= old:
            raise SystemExit(f"{args.name} stays: {score:.2f} is not better than {old:.2f}.")
    hub.save(target, module, module.card["system"], card, starts, dtype=torch.float16)
    if evaluation is not None:
        evaluation.save(target / "evaluation.json")
        print(evaluation)
    size = sum(path.stat().st_size for path in target.iterdir()) / 1e6
    print(json.dumps(card["metrics"], indent=1), f"\n{target}: {size:.1f} MB")


def _play(network, env: str, episodes: int) -> dict:
    """Return in the real environment, seeds 0 .. episodes - 1, beside random and the script."""
    metrics = {"episodes": episodes, "seeds": f"0..{episodes - 1}", "acts": "greedily"}
    players = {"return": Player(network, greedy=True), "random": "random", "script": "expert"}
    for name, player in players.items():
        returns = play_episodes(player, env, episodes=episodes, size=network.config.image_size)
        estimate = mean_estimate(returns)
        metrics[name] = round(estimate.value, 2)
        metrics[f"{name}_interval"] = [round(estimate.low, 2), round(estimate.high, 2)]
    return metrics


def _metrics(evaluation: EvaluationCard) -> dict:
    """The card's figures in short; evaluation.json has them with intervals."""
    at = evaluation.fidelity.at
    control = evaluation.controllability
    own = {
        f"{section.name}: {row.name.strip()}": round(row.values[0].value, 3)
        for section in evaluation.sections
        for row in section.rows
        if row.values and row.values[0] is not None
    }
    return own | {
        "psnr": {str(a.horizon): round(a.score.value, 2) for a in at},
        "psnr_gain_over_copy": {str(a.horizon): round(a.gain.value, 2) for a in at},
        "psnr_lost_by_shuffled_actions": {
            str(a.horizon): round(a.delta.value, 2) for a in (control.at if control else ())
        },
    }


if __name__ == "__main__":
    main()
