"""A driver that learns in the dream alone: a linear policy, improved by the cross-entropy method.

    python -m wmlearn.chapters.ch08_cosmos.learned cosmos-driving data/cars --out policy.json

It sees what the probe reads off the last frames, five numbers and a constant, and acts once a
chunk. Its return in the dream is the metres of road that it makes there, by the same probe, until
it first leaves the road: what the dream says of a car on the grass is not to be believed, and
neither is what it says of gas and brake as nobody has used them (``Habit``). Only then it drives in
the real CarRacing, on tracks of its own, beside random actions, a policy of the same form that was
cloned from the recording, and the expert.

Shapes: K policies, S beginnings, A = 3 numbers of an action, F = 6 numbers that a policy sees.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch08_cosmos.driving import GAP, DrivingProbe, load_probe, road_meters
from wmlearn.chapters.ch08_cosmos.measure import held_out, plain
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.envs.drivers import expert
from wmlearn.envs.driving import CarRacingEnv
from wmlearn.evaluation.rollout import draw_windows
from wmlearn.files import write_whole
from wmlearn.metrics import Estimate, mean_estimate
from wmlearn.world import World

FEATURES, ACTIONS = 6, 3
LEARNED = "learned in the dream"
_LOW, _HIGH = torch.tensor([-1.0, 0.0, 0.0]), torch.tensor([1.0, 1.0, 0.7])


def features(read: Tensor) -> Tensor:
    """``KNOWN`` ``[..., 4]`` -> ``[..., F]``, each about one in size."""
    speed, lateral, heading, curvature = read.unbind(-1)
    rest = curvature.abs(), torch.ones_like(speed)
    return torch.stack([speed / 40, lateral, 2 * heading, 2 * curvature, *rest], dim=-1)


def mirrored(numbers: Tensor) -> Tensor:
    """Six numbers -> the weights ``[..., A, F]`` of a policy that does not know left from right.

    What steers changes its sign in a mirror: ``steer = n0 lateral + n1 heading + n2 curvature``.
    What drives does not, and the brake is gas below zero:
    ``gas = -brake = n3 + n4 speed + n5 |curvature|``.

    Args:
        numbers: ``[..., 6]``, factors of ``features``.
    """
    weights = numbers.new_zeros(*numbers.shape[:-1], ACTIONS, FEATURES)
    weights[..., 0, 1:4] = numbers[..., :3]
    weights[..., 1, [5, 0, 4]] = numbers[..., 3:]
    weights[..., 2, :] = -weights[..., 1, :]
    return weights


def free(numbers: Tensor) -> Tensor:
    """``[..., 18]`` -> weights ``[..., A, F]``, each of its own."""
    return numbers.unflatten(-1, (ACTIONS, FEATURES))


FORMS: dict[str, tuple[int, Callable[[Tensor], Tensor]]] = {
    "mirrored": (6, mirrored),
    "free": (ACTIONS * FEATURES, free),
}
"""How many numbers a policy is, and the weights that they make."""


@dataclass(frozen=True)
class LinearPolicy:
    """Actions that are linear in what is read, as far as they go.

    Attributes:
        weights: ``[A, F]``.
    """

    weights: Tensor

    def act(self, read: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """``KNOWN`` ``[B, 4]`` -> actions float32 ``[B, 3]``."""
        return (features(read) @ self.weights.T).clamp(_LOW, _HIGH)


def cloned(read: Tensor, actions: Tensor) -> LinearPolicy:
    """The mirrored policy nearest to recorded actions, by least squares.

    Args:
        read: ``KNOWN`` ``[N, 4]``, before each action.
        actions: float32 ``[N, 3]``.
    """
    seen = features(read)
    steer = torch.linalg.lstsq(seen[:, 1:4], actions[:, :1]).solution[:, 0]
    push = torch.linalg.lstsq(seen[:, [5, 0, 4]], actions[:, 1:2] - actions[:, 2:]).solution[:, 0]
    return LinearPolicy(mirrored(torch.cat([steer, push])))


@dataclass(frozen=True)
class Habit:
    """What was done in the recording: a dream knows that, and little of anything else.

    Attributes:
        clone: what was usual.
        spread: ``[A]``, deviation of the recorded actions from it.
    """

    clone: LinearPolicy
    spread: Tensor

    @classmethod
    def of(cls, read: Tensor, actions: Tensor) -> Habit:
        """Of recorded actions ``[N, 3]``, and what was read before each, ``[N, 4]``."""
        clone = cloned(read, actions)
        return cls(clone, (actions - clone.act(read)).std(0))

    def trust(self, read: Tensor, action: Tensor) -> Tensor:
        """How far a dream of an action is to be believed, 0 to 1: ``[B]``.

        The probability density of its gas and brake under the habit, over its highest. Steering is
        left out: the recorded drivers steer all over, and with any steering something is known.
        """
        off = (action - self.clone.act(read)) / self.spread
        return (-0.5 * off[:, 1:].square().sum(-1)).exp()


@torch.inference_mode()
def dreamed_meters(
    weights: Tensor,
    probe: DrivingProbe,
    start: Clip,
    world: World,
    chunks: int,
    seed: int = 0,
    habit: Habit | None = None,
) -> Tensor:
    """Metres of road that each of many linear policies makes in the dream: ``[K]``.

    Args:
        weights: ``[K, A, F]``.
        probe: reads the dream.
        start: S real clips; every policy goes on from each.
        world: the dream.
        chunks: that they drive.
        seed: of the dream; the same noise for all policies would be no fairer, as they part.
        habit: a metre is worth what the dream of the action before it is to be trusted.
    """
    count, size = len(weights), len(start)
    rows = torch.arange(size).repeat(count)
    state, worth = world.reset(start[rows]), []
    recent, frames = start.frames[rows, -GAP - 1 :], [start.frames[rows, -GAP:]]
    generator = torch.Generator().manual_seed(seed)
    for _ in range(chunks):
        read = probe.read(recent)[:, -1]
        seen = features(read).view(count, size, -1)
        action = (seen @ weights.transpose(1, 2)).clamp(_LOW, _HIGH).flatten(0, 1)
        state, step = world.step(state, action, generator)
        frames.append(step.frames)
        trust = torch.ones(len(rows)) if habit is None else habit.trust(read, action)
        worth.append(trust[:, None].expand(-1, world.chunk))
        recent = torch.cat([recent, step.frames], dim=1)[:, -GAP - 1 :]
    read = probe.read(torch.cat(frames, dim=1))
    return road_meters(read, False, torch.cat(worth, 1)).view(count, size).mean(1)


def learn(
    probe: DrivingProbe,
    draw: Callable[[np.random.Generator], Clip],
    world: World,
    rounds: int = 6,
    policies: int = 24,
    elites: int = 6,
    chunks: int = 12,
    seed: int = 0,
    form: str = "mirrored",
    habit: Habit | None = None,
    steering: Tensor | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[LinearPolicy, list[float]]:
    """Cross-entropy search for numbers that make metres of road in the dream.

    Args:
        probe: reads the dream.
        draw: real beginnings, others in each round.
        world: the dream.
        rounds: of the search, which begins with random policies: mean 0, deviation 1.
        policies: K of a round.
        elites: the best of them, to whose mean and deviation the next round moves.
        chunks: that a policy drives.
        seed: of the draws.
        form: one of ``FORMS``.
        habit: see ``dreamed_meters``.
        steering: three numbers of a mirrored policy, found before: the search begins with them,
            deviation 0.1 (and 1/2 for the others).
        say: called with a line of text for each round.

    Returns:
        The mean of the last elites, and the mean metres of each round's policies.
    """
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    count, weights_of = FORMS[form]
    mean, spread = torch.zeros(count), torch.ones(count)
    if steering is not None:
        mean = torch.cat([steering, torch.zeros(3)])
        spread = torch.tensor([0.1, 0.1, 0.1, 0.5, 0.5, 0.5])
    history = []
    for number in range(rounds):
        numbers = mean + spread * torch.randn(policies, count, generator=generator)
        metres = dreamed_meters(weights_of(numbers), probe, draw(rng), world, chunks, number, habit)
        best = numbers[metres.topk(elites).indices]
        mean, spread = best.mean(0), best.std(0, correction=0).clamp(min=0.05)
        history.append(metres.mean().item())
        found = " ".join(f"{x:.4f}" for x in mean.tolist())
        say(f"round {number + 1}: mean {history[-1]:.1f} m, best {metres.max():.1f} m; {found}")
    return LinearPolicy(weights_of(mean)), history


def real_returns(
    policy: Any, seeds: list[int], probe: DrivingProbe | None = None, frames: int = 500
) -> Tensor:
    """Returns of whole episodes in the real CarRacing: float64 ``[len(seeds)]``.

    Args:
        policy: one that sees what the probe reads, once every four frames; or, without a probe,
            ``act(env, rng) -> action`` at each.
        seeds: of the tracks.
        probe: see above.
        frames: most of an episode; the environment's own limit is 500.
    """
    env, returns = CarRacingEnv(), []
    for seed in seeds:
        rng = np.random.default_rng([seed, 7])
        frame, _ = env.reset(seed=seed)
        seen, total, action = [frame], 0.0, np.zeros(3, np.float32)
        for number in range(frames):
            if probe is None:
                action = policy(env, rng)
            elif number >= GAP and number % GAP == 0:
                last = torch.from_numpy(np.stack(seen[-GAP - 1 :])).permute(0, 3, 1, 2)[None]
                action = policy.act(probe.read(last)[:, -1], rng)[0].numpy()
            frame, reward, terminated, truncated, _ = env.step(action)
            seen, total = [*seen[-GAP:], frame], total + reward
            if terminated or truncated:
                break
        returns.append(total)
    env.close()
    return torch.tensor(returns, dtype=torch.float64)


def compare(
    policies: Mapping[str, LinearPolicy],
    probe: DrivingProbe,
    seeds: list[int],
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Real returns on the same tracks, and by how much each is above random and above the clone.

    Args:
        policies: by name, ``LEARNED`` and "cloned" among them; random actions and the expert are
            added.
        probe: what they see with.
        seeds: of the tracks.
        say: called with a line of text for each.
    """
    drives = expert(1.0)
    returns = {"random": real_returns(lambda env, rng: rng.uniform(_LOW, _HIGH), seeds)}
    for name, policy in policies.items():
        returns[name] = real_returns(policy, seeds, probe)
        say(f"{name}: {returns[name].mean():.0f}")
    returns["expert"] = real_returns(lambda env, rng: drives(env), seeds)

    def above(which: str) -> dict[str, Estimate]:
        rest = {name: its for name, its in returns.items() if name != which}
        return {name: mean_estimate(its - returns[which]) for name, its in rest.items()}

    return {
        "real return": {name: mean_estimate(its) for name, its in returns.items()},
        "above random": above("random"),
        "above the clone": above("cloned"),
        "lowest and highest return": [f(returns[LEARNED]).item() for f in (torch.min, torch.max)],
    }


def recorded(
    store: EpisodeStore, episodes: list[int], probe: DrivingProbe, count: int, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """What a policy would have seen, ``[count, 4]``, and what was done then, ``[count, 3]``."""
    pool = draw_windows(store.lengths.tolist(), episodes, GAP + 2, 2**31 - 1)
    rows = np.random.default_rng([seed, 8]).choice(len(pool), count, replace=False)
    clip = store.clip([pool[row] for row in rows], GAP + 2)
    return probe.read(clip.frames[:, : GAP + 1])[:, 0], clip.actions[:, GAP].float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("world", help="checkpoint; its probe is used, too")
    parser.add_argument("data", type=Path, help="episodes: real beginnings are drawn from them")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--form", choices=FORMS, default="mirrored")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--policies", type=int, default=24)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--chunks", type=int, default=12)
    parser.add_argument("--steps", type=int, default=1, help="of the denoiser")
    parser.add_argument("--memory", type=int, default=2, help="latents that the dream remembers")
    parser.add_argument("--trusting", action="store_true", help="all metres are worth the same")
    parser.add_argument("--steering", type=float, nargs=3, help="numbers that were found before")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tracks", type=int, default=24, help="0: no real drives")
    args = parser.parse_args()
    torch.set_num_threads(1)
    store, probe, system = EpisodeStore(args.data), load_probe(args.world), hub.load(args.world)
    system.config = replace(system.config, play_latents=args.memory)
    world = system.world({"num_steps": args.steps})
    length = world.context_frames
    train = [number for number in range(len(store)) if number not in held_out(store)]
    pool = draw_windows(store.lengths.tolist(), train, length, 2**31 - 1)

    def draw(rng: np.random.Generator) -> Clip:
        """Some begin where episodes do, with a car that stands: what rolls needs no gas."""
        standing = max(1, args.starts // 6)
        rows = [(int(i), 0) for i in rng.choice(train, standing)]
        while len(rows) < args.starts:
            row = pool[rng.choice(len(pool))]
            seen = probe.read(store.clip([row], length).frames[:, -GAP - 1 :])[0, -1]
            if seen[1].abs() < 0.5:  # on the road
                rows.append(row)
        return store.clip(rows, length)

    habit = Habit.of(*recorded(store, train, probe, 1500))
    policy, history = learn(
        probe, draw, world, args.rounds, args.policies, chunks=args.chunks, seed=args.seed,
        form=args.form, habit=None if args.trusting else habit,
        steering=None if args.steering is None else torch.tensor(args.steering),
        say=lambda text: print(text, flush=True),
    )  # fmt: skip
    found = {
        "form": args.form,
        "weights": policy.weights.tolist(),
        "weights of the clone": habit.clone.weights.tolist(),
        "spread of the habit": habit.spread.tolist(),
        "trusting": args.trusting,
        "steering it began with": args.steering,
        "memory": args.memory,
        "metres of each round": history,
        "denoising steps": args.steps,
        "policies": args.policies,
        "seconds": args.chunks * world.chunk / 25,
    }
    write_whole(args.out, json.dumps(plain(found), indent=2) + "\n")
    if args.tracks:
        tracks = list(range(7000, 7000 + args.tracks))
        found |= compare({"cloned": habit.clone, LEARNED: policy}, probe, tracks)
        write_whole(args.out, json.dumps(plain(found), indent=2) + "\n")


if __name__ == "__main__":
    main()
