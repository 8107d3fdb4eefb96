"""The chapter's slower tables: how a trained world is played, 30 s of free play, can one tell.

    python -m wmlearn.chapters.ch05_gamengen.tables gamengen-doom runs/defend OUT.json

Nothing is trained but the instruments and the judges; all clips are of held-out play. A part that
OUT.json has already is left as it is, so that a stopped run goes on; ``--parts`` names some of
them.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from wmlearn import hub
from wmlearn.chapters.ch05_gamengen import past_and_play
from wmlearn.chapters.ch05_gamengen.ablations import summary
from wmlearn.chapters.ch05_gamengen.clip_judge import pairs_told_apart, train_judge
from wmlearn.chapters.ch05_gamengen.distill import facts_of, load_student
from wmlearn.chapters.ch05_gamengen.judge import flicker, gradient, in_place, still_pixels
from wmlearn.chapters.ch05_gamengen.lost import STEPS as LOST_AT
from wmlearn.chapters.ch05_gamengen.lost import known, lost
from wmlearn.chapters.ch05_gamengen.measure import (
    draw_clips,
    held_out,
    instruments,
    share_in_place,
    through_autoencoder,
)
from wmlearn.chapters.ch05_gamengen.policies import Player, beginnings, compare
from wmlearn.chapters.ch05_gamengen.short_cut import appears, quiet_moments
from wmlearn.data.clip import Clip
from wmlearn.data.episodes import EpisodeStore
from wmlearn.evaluation.rollout import draw_windows, rollout_batches
from wmlearn.files import write_whole
from wmlearn.metrics import Estimate, mean_estimate, psnr
from wmlearn.systems.gamengen.network import GameNGenNetwork
from wmlearn.systems.gamengen.system import GameNGen
from wmlearn.systems.gamengen.world import GameNGenState, GameNGenWorld
from wmlearn.world import World

HORIZON = 32  # own steps of the tables on sampling
STEPS = (1, 2, 3, 4, 8)  # of DDIM
NOISES = (0.1, 0.3, 0.7)  # added to the past at play
PASTS = (1, 2, 4, 8)  # frames that are left of the past
FREE = 600  # own steps of free play: 34 s at 17.5 frames a second
SECOND = 17  # frames
SHORT = 28  # frames of the paper's short clips, 1.6 s
PARTS = ["lost", "known", "ranking", "sampling", "short_cut", "decoder", "tell"]
JUDGING = 200  # steps of a judge's training
SHARE = 0.25  # decisions at random in free play


class ShortPast(GameNGenWorld):
    """A world that sees fewer past frames than it was trained with.

    What is older than the last ``keep`` frames is replaced by the oldest of them, which stood still
    under action 0: so an episode's first frames look in training, too.

    Args:
        system: a trained GameNGen.
        keep: frames of the past that it sees, 1..``context_frames``.
    """

    def __init__(self, system: GameNGen, keep: int) -> None:
        super().__init__(system)
        if not 1 <= keep <= self.context_frames:
            raise ValueError(f"keep must be 1..{self.context_frames}, got {keep}.")
        self.keep = keep

    def step(self, state: GameNGenState, action: Tensor, generator=None):
        old = self.context_frames - self.keep
        latents, actions = state.latents, state.actions
        first = latents[:, old : old + 1].expand(-1, old, -1, -1, -1)
        latents = torch.cat([first, latents[:, old:]], 1)
        actions = torch.cat([torch.zeros_like(actions[:, :old]), actions[:, old:]], 1)
        return super().step(GameNGenState(latents, actions), action, generator)


def plain(value):
    """For JSON: estimates and floats to three decimals, in dicts, too; all else as it is."""
    if isinstance(value, Estimate):
        facts = {k: getattr(value, k) for k in ("value", "low", "high")}
        return {k: None if v is None else round(v, 3) for k, v in facts.items()}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, float) or (isinstance(value, Tensor) and value.ndim == 0):
        return round(float(value), 3)
    return value


def figures(dream: Tensor, clip: Clip, n: int, episodes: Tensor, readers) -> dict:
    """Of dreams ``[B, HORIZON, ...]``: PSNR, monsters, bullets; sharpness and flicker over real."""
    hud, finder = readers
    real, found = clip.frames[:, n : n + HORIZON], {}
    for h in (1, 8, HORIZON):
        frames, state = dream[:, h - 1], clip.state[:, n + h - 1]
        found[f"psnr {h}"] = mean_estimate(psnr(frames, real[:, h - 1]), episodes)
        found[f"monsters {h}"] = share_in_place(*in_place(finder, frames, state), episodes)
        bullets = hud.read(frames)["ammo"] == state[:, 0].round()
        found[f"ammo {h}"] = mean_estimate(bullets.float(), episodes)
    found["sharpness"] = gradient(dream[:, -1]).mean() / gradient(real).mean()
    still = still_pixels(real)
    found["flicker"] = flicker(dream, still) / flicker(real, still)
    return {name: plain(value) for name, value in found.items()}


def sampling(system: GameNGen, store: EpisodeStore, readers, clips: int) -> dict:
    """The shipped weights, played otherwise: steps of DDIM, noise on the past, a shorter past."""
    worlds: dict[str, World] = {f"steps {k}": system.world({"num_steps": k}) for k in STEPS}
    worlds |= {f"noise {level}": system.world({"context_noise": level}) for level in NOISES}
    worlds |= {f"past {keep}": ShortPast(system, keep) for keep in PASTS}
    n = system.config.denoiser.context_frames
    clip, episodes = draw_clips(store, n + HORIZON, clips)
    found = {"clips": clips}
    for name, world in worlds.items():
        found[name] = figures(rollout_batches(world, clip, 0), clip, n, episodes, readers)
        print(name, found[name], flush=True)
    last = clip.frames[:, n - 1 : n].expand(-1, HORIZON, -1, -1, -1)
    real = clip.frames[:, n:]
    for name, frames in (("copy", last), ("autoencoder", through_autoencoder(system, real)),
                         ("real", real)):  # fmt: skip
        found[name] = figures(frames, clip, n, episodes, readers)
    return found


def one_step(
    system: GameNGen, student: GameNGenNetwork, store: EpisodeStore, readers, clips: int
) -> dict:
    """One step, undistilled and of the distilled student, beside the steps of the shipped world.

    ``beside one`` and ``beside shipped`` are what the student is ahead of the other two: PSNR by
    steps ahead, and the share of clips whose bullets are right.
    """
    n, shipped = system.config.denoiser.context_frames, system.config.sampler.num_steps
    clip, episodes = draw_clips(store, n + HORIZON, clips, 13)
    worlds = {"one": system.world({"num_steps": 1}), "shipped": system.world()}
    worlds["student"] = student.world()
    real, found, scores = clip.frames[:, n:], {}, {}
    for name, world in worlds.items():
        dream = rollout_batches(world, clip, 0)
        found[name] = figures(dream, clip, n, episodes, readers)
        scores[name] = {f"psnr {h}": psnr(dream[:, h - 1], real[:, h - 1]) for h in (1, 8, HORIZON)}
        for h in (8, HORIZON):
            bullets = readers[0].read(dream[:, h - 1])["ammo"]
            right = bullets == clip.state[:, n + h - 1, 0].round()
            scores[name][f"ammo {h}"] = right.float()
    for name in ("one", "shipped"):
        found[f"beside {name}"] = {
            key: plain(mean_estimate(value - scores[name][key], episodes))
            for key, value in scores["student"].items()
        }
    return found | {"clips": clips, "episodes": len(episodes.unique()), "steps": shipped}


def where_lost(system: GameNGen, store: EpisodeStore, finder, clips: int) -> dict:
    """Monsters in place after encoder and decoder, one step, own steps (see ``lost``)."""
    world, n = system.world(), system.config.denoiser.context_frames
    clip, episodes = draw_clips(store, n + max(LOST_AT), clips, 11)
    dream = rollout_batches(world, clip, 0)
    return {"clips": clips, "steps": plain(lost(world, system, clip, dream, episodes, finder))}


def to_know(store: EpisodeStore, clips: int, past: int = 16, memory: int = 128) -> dict:
    """How many monsters a memory of ``past`` frames would place, and one of ``memory`` frames.

    The second is of long episodes only, as their clips must be as long.
    """
    found = {}
    for length in (past, memory):
        clip, episodes = draw_clips(store, length + 32, clips, 1)
        rows = known(clip.state, length - 1, episodes)
        found[str(length)] = plain(rows) | {"clips": clips, "episodes": len(episodes.unique())}
    return found


def twins(folder: Path) -> dict:
    """What ``ablations`` has written to a folder, as the chapter's tables."""
    facts = json.loads((folder / "ablations.json").read_text())
    with np.load(folder / "ablations.npz") as kept:
        curves, copied, episodes = (
            torch.from_numpy(kept[name]) for name in ("curves", "copy", "episodes")
        )
    about = {"batch": facts["batch"], "runs": len(facts["runs"])}
    about |= {k: facts["runs"][0][k] for k in ("steps", "frames")}
    return about | plain(summary(facts["runs"], curves, copied, episodes))


def short_cut(system: GameNGen, store: EpisodeStore, readers, count: int) -> dict:
    """How often a monster comes into view after a shot at nothing, and after another key."""
    n, steps = system.config.denoiser.context_frames, 12
    world, found = system.world(), {"steps": steps}
    moments = quiet_moments(store, held_out(store), n, steps, count)
    for name, places in zip(("shot", "other"), moments, strict=True):
        clip = store.clip(places, n + steps)
        episodes = torch.tensor([episode for episode, _ in places])
        real = clip.frames[:, n:]
        dream = rollout_batches(world, clip, 0)
        kinds = {"engine": real, "autoencoder": through_autoencoder(system, real), "dream": dream}
        for kind, frames in kinds.items():
            share = mean_estimate(appears(readers[1], frames), episodes)
            found[f"{name} {kind}"] = plain(share) | {"moments": len(places)}
    return found


@torch.inference_mode()
def free_play(world: World, starts: Clip, player: Player, steps: int = FREE) -> Tensor:
    """Frames ``[B, steps, ...]`` of dreams that go on when an episode would end."""
    state, generator = world.reset(starts), torch.Generator().manual_seed(0)
    player.reset(len(starts))
    frame, frames = starts.frames[:, -1], []
    for _ in range(steps):
        state, step = world.step(state, player.act(frame), generator)
        frame = step.frame
        frames.append(frame)
    return torch.stack(frames, 1)


def told_apart(
    real: Tensor, dreams: Tensor, side: Tensor, groups: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Trains a judge on each half, tests it on the other one's pairs.

    Args:
        real: uint8 ``[N, T, 3, 64, 64]``.
        dreams: as many and as long; number i is paired with real number i.
        side: bool ``[N]``, the half of each pair; no group is in both.
        groups: int64 ``[N]``.
        steps: of either training.

    Returns:
        Whether the real one was named, float ``[N]``, and the pairs' groups.
    """
    right = []
    for half in (False, True):
        train, test = side == half, side != half
        judge = train_judge(real[train], dreams[train], steps)
        right.append(pairs_told_apart(judge, real[test], dreams[test]).float())
    return torch.cat(right), torch.cat([groups[side], groups[~side]])


def can_one_tell(system: GameNGen, store: EpisodeStore, player: Path, dreams: int) -> dict:
    """The automatic judge: short clips after a real past, and the last seconds of free play."""
    world, n, numbers = system.world(), system.config.denoiser.context_frames, held_out(store)
    places = draw_windows(store.lengths, list(numbers), n + SHORT, 2 * dreams, 5)
    clip = store.clip(places, n + SHORT)
    episode = torch.tensor([number for number, _ in places])
    right, groups = told_apart(
        clip.frames[:, n:], rollout_batches(world, clip, 0), episode % 2 == 1, episode, JUDGING
    )
    found = {"short": plain(mean_estimate(right, groups)) | {"pairs": len(right)}}
    print(found, flush=True)
    starts = beginnings(store, n, dreams)
    frames = free_play(world, starts, Player(player, SHARE))
    windows = 6  # seconds at the end
    late = frames[:, -windows * SECOND :].unflatten(1, (windows, SECOND)).flatten(0, 1)
    dream = torch.arange(dreams).repeat_interleave(windows)
    places = []  # as many real clips; those of one half of the episodes stand beside one of dreams
    for number in range(dreams):
        half = [i for i in numbers if i % 2 == number % 2]
        places += draw_windows(store.lengths, half, SECOND + n, windows, 100 + number)
    real = store.clip(places, SECOND + n).frames[:, n:]
    right, groups = told_apart(real, late, dream % 2 == 1, dream, JUDGING)
    order = torch.arange(len(late))  # of the answers: first the odd half, which is tested first
    last = torch.cat([order[dream % 2 == 1], order[dream % 2 == 0]]) % windows == windows - 1
    found["late"] = plain(mean_estimate(right, groups)) | {"pairs": len(right)}
    found["last second"] = plain(mean_estimate(right[last])) | {"pairs": int(last.sum())}
    base = gradient(real).mean()
    found["free sharpness"] = {
        str(at): plain(gradient(frames[:, at - 1]).mean() / base) for at in (1, 100, 300, FREE)
    }
    found |= {"dreams": dreams, "steps": FREE, "random": SHARE}
    return found


def decoder(before: Path, after: GameNGen, store: EpisodeStore, readers, frames: int) -> dict:
    """The shipped decoder beside an earlier state of the same autoencoder.

    Args:
        before: safetensors file with the decoder's earlier weights, by their names in ``after``.
        after: the shipped system.
        store: held-out frames are drawn from it.
        readers: see ``instruments``.
        frames: how many.
    """
    earlier = copy.deepcopy(after)
    earlier.load_state_dict(earlier.state_dict() | load_file(before))
    clip, episodes = draw_clips(store, 1, frames, 7)
    real, found = clip.frames, {"frames": frames}
    for name, system in (("before", earlier), ("after", after)):
        drawn = through_autoencoder(system, real)[:, 0]
        bullets = (readers[0].read(drawn)["ammo"] == clip.state[:, 0, 0].round()).float()
        found[name] = {
            "psnr": plain(mean_estimate(psnr(drawn, real[:, 0]), episodes)),
            "sharpness": plain(gradient(drawn).mean() / gradient(real).mean()),
            "ammo": plain(mean_estimate(bullets, episodes)),
        }
    return found


def ranking(system: GameNGen, store: EpisodeStore, player: Path, episodes: int) -> dict:
    """Returns of five policies in the dream and in the engine, with what they say together."""
    result = compare(system.world(), store, player, episodes, 150)
    found: dict = {"steps": result.steps, "episodes": episodes}
    for name in ("spearman", "pearson", "bias"):
        value = getattr(result, name)()
        found[name] = None if value is None else plain(value)
    found["returns"] = {
        name: {"dream": dreamed.tolist(), "engine": real.tolist()}
        for name, dreamed, real in zip(result.names, result.dreamed, result.real, strict=True)
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("data", type=Path, help="what record_agent wrote")
    parser.add_argument("out", type=Path)
    parser.add_argument("--parts", nargs="+", default=PARTS)
    parser.add_argument("--ablations", type=Path, help="folder, for the part ``ablations``")
    parser.add_argument("--past-and-play", type=Path, help="folder, for that part")
    parser.add_argument("--student", type=Path, help="what distill wrote, for ``one_step``")
    parser.add_argument("--before", type=Path, help="safetensors, for the part ``decoder``")
    parser.add_argument("--count", type=int, default=16, help="of clips, dreams, moments")
    parser.add_argument("--episodes", type=int, default=12, help="of each policy")
    args = parser.parse_args()
    torch.set_num_threads(1)
    system, store = hub.load(args.checkpoint), EpisodeStore(args.data / "agent")
    player = args.data / "player.zip"
    found = json.loads(args.out.read_text()) if args.out.exists() else {}
    missing = [part for part in args.parts if part not in found]
    needed = {"lost", "sampling", "one_step", "short_cut", "decoder"}
    readers = instruments(store) if needed & set(missing) else None
    parts = {
        "ablations": lambda: twins(args.ablations),
        "past_and_play": lambda: plain(past_and_play.read(args.past_and_play)),
        "lost": lambda: where_lost(system, store, readers[1], 4 * args.count),
        "known": lambda: to_know(store, 6 * args.count),
        "ranking": lambda: ranking(system, store, player, args.episodes),
        "sampling": lambda: sampling(system, store, readers, args.count),
        "one_step": lambda: (
            one_step(system, load_student(system, args.student), store, readers, 3 * args.count)
            | {"distilled": facts_of(args.student)}
        ),
        "short_cut": lambda: short_cut(system, store, readers, 2 * args.count),
        "decoder": lambda: decoder(args.before, system, store, readers, 8 * args.count),
        "tell": lambda: can_one_tell(system, store, player, args.count),
    }
    for part in missing:
        found[part] = parts[part]()
        print(part, json.dumps(found[part])[:2000], flush=True)
        write_whole(args.out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
