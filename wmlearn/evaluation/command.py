"""The command line of evaluation: ``wmlearn evaluate CHECKPOINT --data FOLDER``."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from gymnasium.spaces import Discrete

from wmlearn import hub
from wmlearn.agents.actor_critic import ActorCritic, Player
from wmlearn.agents.policy import Mixture
from wmlearn.evaluation.budget import FULL, extent, time_step
from wmlearn.evaluation.evaluator import HORIZONS, evaluate, split
from wmlearn.recipes.tiers import current_tier
from wmlearn.viz import KINDS
from wmlearn.world import FeatureWorld, Needs, WorldModel

SHARES = (0, 0.25, 0.5, 0.75, 1)  # of random actions, for the rank correlation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``wmlearn evaluate``."""
    add = parser.add_argument
    add("checkpoint", help="name or folder of a checkpoint")
    add("--data", type=Path, required=True, help="folder of recorded episodes")
    add("--out", type=Path, help="where to write the card (JSON)")
    add("--figure", type=Path, help="where to draw the card (.png, .svg)")
    add("--horizons", type=int, nargs="+", help="steps ahead (default 1 8 32)")
    add("--clips", type=int, help="clips for each horizon (default 64, fewer on a laptop)")
    add("--seeds", type=int, nargs="+", help="of the dreams (default 0 1 2, on a laptop 0)")
    add("--full", action="store_true", help="64 clips, seeds 0 1 2, horizons 1 8 32, at any tier")
    add("--holdout", type=float, default=0.1, help="held-out share of the episodes (default 0.1)")
    add(
        "--policy",
        action="append",
        default=[],
        help="checkpoint of a policy trained in the world, to be evaluated in the real environment",
    )
    add("--episodes", type=int, help="episodes of each policy (default 100)")
    add(
        "--probe_steps",
        type=int,
        help="training steps of the inverse-dynamics probe (default 500, on a laptop 200; 0: none)",
    )
    add("--no_cost", action="store_true", help="leave out parameters, FLOPs and speed")
    add(
        "--judge",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the evaluation that only this system has",
    )


def run(args: argparse.Namespace) -> None:
    """Runs ``wmlearn evaluate`` and prints the card.

    The rank correlation is that of the first policy's mixtures with 0, 25, 50, 75 and 100 % of
    random actions.
    """
    if args.figure and args.figure.suffix.lstrip(".").lower() not in KINDS:
        raise ValueError(
            f"--figure {args.figure}: choose a name that ends in .{', .'.join(KINDS)}."
        )
    system = hub.load(args.checkpoint)
    players = {hub.find(name).name: _player(name, args.checkpoint, system) for name in args.policy}
    ranked = {
        f"{share:.0%} random": Mixture(player, player.network.config.num_actions, share)
        for player in list(players.values())[:1]
        for share in SHARES
    }
    quick = _quick(args, system)
    asked = {"clips": args.clips, "seeds": args.seeds}
    asked = {name: value for name, value in asked.items() if value is not None}
    card = evaluate(
        system,
        args.data,
        holdout=args.holdout,
        cost=not args.no_cost,
        training_minutes=system.card.get("minutes"),
        policies=players,
        ranked=ranked,
        episodes=args.episodes,
        judge=dict(map(_option, args.judge)),
        name=hub.find(args.checkpoint).name,
        progress=partial(print, flush=True),
        **{"horizons": args.horizons, "probe_steps": args.probe_steps, **asked, **quick},
    )
    print(f"\n{card}")
    if quick and (quick["clips"], quick["seeds"]) != FULL:
        print("\nThis was a look of about a minute; --full judges with 64 clips and three seeds.")
    if args.out:
        print(f"\nwritten to {card.save(args.out)}")
    if args.figure:
        print(f"drawn in {card.figure().save(args.figure)}")


QUICK_PROBE_STEPS = 200


def _quick(args: argparse.Namespace, system: object) -> dict[str, Any]:
    """What ``evaluate`` is asked on a laptop where nothing was said: about a minute's worth.

    Empty at other tiers, for what has no world, and where --clips, --seeds or --full was given.
    """
    said = args.full or args.clips is not None or args.seeds is not None
    if said or current_tier().name not in ("smoke", "laptop") or not isinstance(system, WorldModel):
        return {}
    world = system.world()
    store, _, held_out = split(args.data, args.holdout)
    fits = extent(time_step(world, store, held_out), args.horizons or HORIZONS)
    found: dict[str, Any] = {"clips": fits.clips, "seeds": fits.seeds}
    if args.horizons is None:  # what was asked for stays
        found["horizons"] = fits.horizons
    asked = args.probe_steps is not None or isinstance(world, FeatureWorld)
    if isinstance(store.action_space, Discrete) and not asked:
        found["probe_steps"] = QUICK_PROBE_STEPS
    return found


def _player(name: str, world_name: str, system: object) -> Player:
    """The policy of a checkpoint; refused in a sentence if it cannot play in this world."""
    network = hub.load(name)
    if not isinstance(network, ActorCritic):
        raise ValueError(f"--policy {name} holds a {network.card['system']}, not a policy.")
    if not isinstance(system, WorldModel):
        raise ValueError(f"--policy needs a world, and '{world_name}' has none: leave it out.")
    world, config = system.world(), network.config
    Needs(discrete=True, rewards=True, frames=True).check("--policy", world)
    wanted = (int(world.action_space.n), *world.frame_shape)
    got = (config.num_actions, config.image_channels, config.image_size, config.image_size)
    if wanted != got:
        raise ValueError(
            f"--policy {name} plays {got[0]} actions on frames of {list(got[1:])}, but "
            f"'{world_name}' has {wanted[0]} actions and frames of {list(wanted[1:])}."
        )
    return Player(network)


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--judge takes NAME=VALUE; got {text!r}.")
    return name, value
