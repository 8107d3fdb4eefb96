"""Policies that are trained inside the simulator alone, and what they return in the real worlds.

In a dream, every action (or a sample of them) is tried, and the best by the learned steps to go is
what a network imitates, in the states that the network itself comes to: search and imitation, which
chapter 4 found to be the first thing that works. Rewards of the real environment are never read.

Two policies: BabyAI's says a move for a mission; the arm's moves towards a picture of its goal.

Legend: B dreams, K candidates, c x h x w a latent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields, is_dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wmlearn.chapters.ch07_unisim.mixture import Mixture
from wmlearn.envs.babyai import MOVES, SENTENCES
from wmlearn.recipes.optim import adamw
from wmlearn.systems.unisim.config import StepsConfig
from wmlearn.systems.unisim.steps import StepsToGo
from wmlearn.systems.unisim.system import UniSim
from wmlearn.systems.unisim.world import UniSimState, UniSimWorld

BATCH = 256  # of the clones
DEPTH = 2  # moves that BabyAI's search looks ahead


class Reader(nn.Module):
    """Latents and a task to what shall be done: the network of both policies.

    Args:
        channels: c.
        side: h = w.
        outputs: numbers out.
        tasks: sentences that name one; 0: a picture does.
    """

    def __init__(self, channels: int, side: int, outputs: int, tasks: int = 0) -> None:
        super().__init__()
        self.task = nn.Embedding(tasks, 64) if tasks else None
        self.body = StepsToGo(StepsConfig(), channels, side, 64 if tasks else 0)
        self.body.head[-1] = nn.Linear(128, outputs)

    def forward(
        self, latent: Tensor, task: Tensor | None = None, goal: Tensor | None = None
    ) -> Tensor:
        """``[B, outputs]``, from latents ``[B, c, h, w]`` and a task ``[B]`` or a goal latent."""
        goal = torch.zeros_like(latent) if goal is None else goal
        vector = None if self.task is None else self.task(task)
        return self.body.features(latent, goal, vector)


def repeated(state: UniSimState, times: int) -> UniSimState:
    """Each dream ``times`` times, one after the other."""

    def each(value):
        if is_dataclass(value):
            parts = {f.name: each(getattr(value, f.name)) for f in fields(value)}
            return type(value)(**parts)
        return value.repeat_interleave(times, 0)

    return each(state)


# --- searches ---------------------------------------------------------------------------------


@torch.no_grad()
def move_values(
    world: UniSimWorld,
    state: UniSimState,
    mission: Tensor,
    generator: torch.Generator,
    depth: int = DEPTH,
) -> tuple[Tensor, UniSimState]:
    """The steps to go through each move, ``[B, 3]``, by looking ahead; and where each leads.

    Args:
        state: B dreams.
        mission: int64 ``[B]``, sentences' numbers.
        generator: of the dreams' noise.
        depth: moves to look ahead.

    Returns:
        Steps, and the state of 3 B dreams: dream by dream, move by move.
    """
    batch, moves = len(mission), len(MOVES)
    there = repeated(state, moves)
    actions = torch.arange(moves, device=mission.device).repeat(batch)
    there = world.imagine(there, actions, generator)
    task = mission.repeat_interleave(moves)
    left = world.steps_to_go(there, task)
    if depth > 1:
        deeper, _ = move_values(world, there, task, generator, depth - 1)
        left = torch.minimum(left, deeper.amin(1))
    return 1 + left.view(batch, moves), there


# --- training inside ----------------------------------------------------------------------------


def any_frames(mixture: Mixture, domain: str, count: int, generator: torch.Generator) -> Tensor:
    """The numbers of real frames of a domain, int64 ``[count]``."""
    return mixture.draw(count, 1, generator, shares={domain: 1.0}).index[:, 0]


def train_mover(
    model: UniSim, mixture: Mixture, latents: Tensor, seconds: float, batch: int, log: Callable,
    horizon: int = 10, domain: str = "babyai",
) -> Reader:  # fmt: skip
    """BabyAI's policy: real starts, missions that the recording says, dreams, search."""
    world = model.world({"domain": domain, "num_steps": 1})
    c, side = model.config.autoencoder.latent_channels, model.config.latent_size
    device, begin, rounds = mixture.device, time.monotonic(), 0
    generator = torch.Generator(device).manual_seed(5)
    policy = Reader(c, side, len(MOVES), len(SENTENCES)).to(device)
    optimizer = adamw(policy.parameters(), 1e-3, 1e-3, fused=device.type == "cuda")
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    while (gone := (time.monotonic() - begin) / seconds) < 1:
        pick = torch.randint(len(mixture.spoken), (batch,), generator=generator, device=device)
        rows = mixture.spoken[pick]
        mission, state = mixture.sentence_after(rows), world.begin(latents[rows])
        for _ in range(horizon):
            values, there = move_values(world, state, mission, generator)
            wanted = (-values / 0.3).softmax(1)
            kept.append((state.latent, mission, wanted))
            with torch.no_grad():
                odds = policy(state.latent, mission).softmax(1)
                odds = 0.2 * wanted + 0.7 * odds + 0.1 / len(MOVES)
                move = torch.multinomial(odds, 1, generator=generator)[:, 0]
            chosen = torch.arange(batch, device=device) * len(MOVES) + move
            state = picked(there, chosen)
            if (time.monotonic() - begin) / seconds > 1:
                break
        rounds += 1
        del kept[: max(0, len(kept) - 200)]
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * max(0.05, 1 - gone)
        for _ in range(2 * horizon):
            n = torch.randint(len(kept), (2,), generator=generator, device=device).tolist()
            z, task, wanted = (torch.cat([kept[i][j] for i in n]) for j in range(3))
            z = z + 0.1 * torch.randn(z.shape, generator=generator, device=device)
            loss = -(wanted * policy(z, task).log_softmax(1)).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if rounds % 3 == 1:
            log("mover", {"rounds": rounds, "loss": round(float(loss.detach()), 4)})
    log("mover", {"rounds": rounds, "loss": round(float(loss.detach()), 4)})
    return policy.eval()


def picked(state: UniSimState, rows: Tensor) -> UniSimState:
    """Some dreams of a state."""

    def each(value):
        if is_dataclass(value):
            return type(value)(**{f.name: each(getattr(value, f.name)) for f in fields(value)})
        return value[rows]

    return each(state)


def improve_mover(
    model: UniSim, mixture: Mixture, latents: Tensor, seconds: float, batch: int, log: Callable,
    policy: Reader, horizon: int = 10, domain: str = "babyai",
) -> Reader:  # fmt: skip
    """Actor-critic in the dream, on from a policy: what is paid is the steps that each move saves.

    Returns to come are those of generalized advantage estimation (Schulman et al. 2015), with the
    learned steps to go as what a state is worth, less what a critic of its own expects.
    """
    world = model.world({"domain": domain, "num_steps": 1})
    c, side = model.config.autoencoder.latent_channels, model.config.latent_size
    device, begin, rounds = mixture.device, time.monotonic(), 0
    generator = torch.Generator(device).manual_seed(15)
    actor = Reader(c, side, len(MOVES), len(SENTENCES)).to(device)
    actor.load_state_dict(policy.state_dict())
    critic = Reader(c, side, 1, len(SENTENCES)).to(device)
    parameters = [*actor.parameters(), *critic.parameters()]
    optimizer = adamw(parameters, 3e-4, 1e-3, fused=device.type == "cuda")
    while (gone := (time.monotonic() - begin) / seconds) < 1:
        pick = torch.randint(len(mixture.spoken), (batch,), generator=generator, device=device)
        rows = mixture.spoken[pick]
        mission, state = mixture.sentence_after(rows), world.begin(latents[rows])
        seen, said, left = [], [], [world.steps_to_go(state, mission)]
        for _ in range(horizon):
            with torch.no_grad():
                odds = actor(state.latent, mission).softmax(1)
                move = torch.multinomial(odds, 1, generator=generator)[:, 0]
            seen.append(state.latent)
            said.append(move)
            state = world.imagine(state, move, generator)
            left.append(world.steps_to_go(state, mission))
        steps = torch.stack(left).clamp(0, model.config.steps.most)  # [horizon + 1, B]
        saved = (steps[:-1] - steps[1:]).clamp(-3, 3)
        gain, returns = torch.zeros_like(saved[0]), []
        for t in reversed(range(horizon)):
            gain = saved[t] + 0.8 * gain
            returns.insert(0, gain)
        z, task = torch.stack(seen).flatten(0, 1), mission.repeat(horizon)
        gains, moves = torch.stack(returns).flatten(), torch.stack(said).flatten()
        for part in torch.randperm(len(moves), device=device).chunk(4):
            expected = critic(z[part], task[part])[:, 0]
            advantage = (gains[part] - expected).detach()
            advantage = advantage / advantage.std().clamp(min=1e-3)
            logits = actor(z[part], task[part]).log_softmax(1)
            chosen = logits.gather(1, moves[part][:, None])[:, 0]
            entropy = -(logits.exp() * logits).sum(1).mean()
            warm = min(1.0, rounds / 10)  # the critic first
            loss = -warm * ((advantage * chosen).mean() + 0.01 * entropy)
            loss = loss + F.smooth_l1_loss(expected, gains[part])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            for group in optimizer.param_groups:
                group["lr"] = 3e-4 * max(0.05, 1 - gone)
            optimizer.step()
        rounds += 1
        if rounds % 10 == 1:
            paid = round(float(saved.sum(0).mean()), 3)
            log("actor-critic", {"rounds": rounds, "steps saved": paid})
    return actor.eval()


@torch.no_grad()
def inside(
    model: UniSim, mixture: Mixture, latents: Tensor, policy: Reader | None, count: int = 512,
    horizon: int = 24, seed: int = 21, domain: str = "babyai",
) -> dict[str, float]:  # fmt: skip
    """What a policy of missions reaches in dreams, by the reward and by its judge; None: at random.

    A mission counts as done where, at any step of the dream, less than half a step is left.
    Starts are held-out frames, each with a mission that was said there.
    """
    world = model.world({"domain": domain, "num_steps": 1})
    device = mixture.device
    generator = torch.Generator(device).manual_seed(seed)
    rows = mixture.spoken_held_out
    rows = rows[torch.randint(len(rows), (count,), generator=generator, device=device)]
    mission, state = mixture.sentence_after(rows), world.begin(latents[rows])
    least = {name: torch.full((count,), 99.0, device=device) for name in ("reward", "judge")}
    for _ in range(horizon):
        odds = torch.full((count, len(MOVES)), 1 / len(MOVES), device=device)
        if policy is not None:
            odds = policy(state.latent, mission).softmax(1)
        move = torch.multinomial(odds, 1, generator=generator)[:, 0]
        state = world.imagine(state, move, generator)
        for name, best in least.items():
            left = world.steps_to_go(state, mission, judge=name == "judge")
            least[name] = torch.minimum(best, left)
    return {name: round(float((best < 0.5).float().mean()), 4) for name, best in least.items()}


# --- the rivals: cloned straight from the recording ---------------------------------------------


def clone_mover(
    model: UniSim, mixture: Mixture, latents: Tensor, steps: int = 600, within: int = 10
) -> tuple[Reader, int]:
    """Imitates the recorded moves that led to a mission, by hindsight; also how many there are.

    A move counts where at most ``within`` steps later the episode ended by its own mission.
    """
    device = mixture.device
    number = torch.arange(len(mixture), device=device)
    said = mixture.sentence_after(number)
    babyai = mixture.domain == model.config.number_of("babyai")
    reached = mixture.reached[mixture.end] & babyai
    good = (mixture.end - number <= within) & (number < mixture.end) & reached & ~mixture.held_out
    rows = number[good & (said >= 0) & (said < len(MOVES))]
    policy = fit(
        Reader(latents.shape[1], latents.shape[2], len(MOVES), len(SENTENCES)).to(device), steps,
        lambda policy, pick: F.cross_entropy(
            policy(latents[rows[pick]], mixture.mission[rows[pick]]), said[rows[pick]]
        ),
        len(rows), device,
    )  # fmt: skip
    return policy, len(rows)


def fit(policy: Reader, steps: int, loss: Callable, count: int, device) -> Reader:
    """A policy after so many steps; ``loss`` takes it, and ``BATCH`` rows of ``count``."""
    generator = torch.Generator(device).manual_seed(7)
    optimizer = adamw(policy.parameters(), 1e-3, 1e-2, fused=torch.device(device).type == "cuda")

    def value() -> Tensor:
        return loss(policy, torch.randint(count, (BATCH,), generator=generator, device=device))

    descend(optimizer, value, lambda step: step / steps, lambda step, gone: 1 - gone)
    return policy.eval()


def descend(
    optimizer: torch.optim.Optimizer,
    loss: Callable[[], Tensor],
    gone: Callable[[int], float],
    factor: Callable[[int, float], float],
    clip: float | None = None,
) -> None:
    """The training loop of all policies, rewards and clones of the chapter.

    Args:
        optimizer: with its highest rates.
        loss: of a batch that it draws.
        gone: from a step's number to the share of the training that is over; 1 ends it.
        factor: of the rates, from a step's number and that share.
        clip: the gradient's norm is held to this; None: it is not.
    """
    rates, step = [group["lr"] for group in optimizer.param_groups], 0
    while (share := gone(step)) < 1:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * factor(step, share)
        value = loss()
        optimizer.zero_grad()
        value.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], clip)
        optimizer.step()
        step += 1


def within_seconds(seconds: float) -> Callable[[int], float]:
    """The share of so many seconds of processor time that is over, from now on."""
    begin = time.process_time()
    return lambda step: (time.process_time() - begin) / seconds
