"""Makes the book's films from the shipped checkpoints: what is real beside what is dreamed.

    python tools/make_films.py              # all of them
    python tools/make_films.py genie-coinrun

Each film is an MP4 of at most 300 kB in ``assets/films``, with a PNG to show before it plays and a
JSON file with its caption and its words for those who cannot see it. Starts are never chosen by how
the dream turns out: it is the first episode, clip or goal of a fixed seed that is long enough.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from fractions import Fraction
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import wmlearn as wm
from wmlearn.viz import DREAM, NEUTRAL, REAL

FILMS = Path(__file__).resolve().parents[1] / "assets/films"
WIDTH, HEAD, FOOT, GAP = 768, 30, 30, 12  # about so wide; strips above and below; between panels
MOST_BYTES = 300_000


def diamond() -> dict:
    """Two stretches of DOOM; DIAMOND has the first four frames and the keys."""
    return dict(
        name="diamond-doom-basic",
        frames=_doom("diamond-doom-basic", "doom/basic", 20_261_123, 60),
        fps=9,
        caption="DOOM's engine (left) and DIAMOND (right) under the same keys. The network saw "
        "four frames; "
        "every later one is made from its own.",
        alt="Two game screens side by side: DOOM's engine, and the same moments as DIAMOND dreams "
        "them. "
        "The player walks and shoots at a monster; in the dream the room stays sharp and the "
        "monster fades.",
    )


def gamengen() -> dict:
    """Two stretches of DOOM; GameNGen has the first sixteen frames and the keys."""
    return dict(
        name="gamengen-doom",
        frames=_doom("gamengen-doom", "doom/defend-the-center-hud", 20_261_128, 80),
        fps=17,
        caption="DOOM's engine (left) and GameNGen (right) under the same keys. The network saw "
        "sixteen frames; every later one is made from its own latents.",
        alt="Two game screens side by side: DOOM's engine, and the same moments as GameNGen dreams "
        "them. The player turns in a round hall and shoots; walls, gun and flash follow the keys, "
        "monsters fade within a second.",
    )


def _doom(name: str, env: str, seed: int, horizon: int) -> Tensor:
    """Two stretches of play that no training used; the dream has the first frames and the keys."""
    world = wm.load_world(name)
    with tempfile.TemporaryDirectory() as folder:
        size = world.frame_shape[-1]
        store = wm.record(env, folder, frames=3000, policy="mixed", seed=seed, size=size)
        length = world.context_frames + horizon
        episodes = [i for i, frames in enumerate(store.lengths) if frames >= length][:2]
        clip = store.clip([(i, 0) for i in episodes], length)
    dreams = _rollout(world, clip)
    keys = [store.info["action_space"]["names"][a] for row in clip.actions for a in row.tolist()]
    parts = []
    for row in range(len(clip)):
        real = clip.frames[row, world.context_frames :]
        played = keys[row * (length - 1) :][world.context_frames - 1 : length - 1]
        panels = {"real": (real, REAL), "dream": (dreams[row], DREAM)}
        parts.append(_film(panels, [f"key: {_key(k)}" for k in played]))
    return torch.cat(parts)


def genie() -> dict:
    """Held-out levels: the real clip, and the dream from its first frame under inferred codes."""
    from wmlearn.data.shipped import find_clips, unpack

    name, horizon = "genie-coinrun", 16
    world = wm.load_world(name)
    with tempfile.TemporaryDirectory() as folder:
        packed = find_clips("procgen/coinrun", "mixed", 4000, world.frame_shape[-1])
        store = unpack(packed, folder, 4000)
        length = world.context_frames + horizon
        episodes = [i for i, frames in enumerate(store.lengths) if frames >= length + 8][:6]
        clip = store.clip([(i, 8) for i in episodes], length)
    codes = world.infer_actions(clip).cpu()
    context = world.context_frames
    dreams = _rollout(world, clip, codes[:, context - 1 :])
    parts = []
    for row in range(len(clip)):
        real = clip.frames[row, context:]
        panels = {"real video": (real, REAL), "dream": (dreams[row], DREAM)}
        parts.append(
            _film(panels, [f"latent action {c}" for c in codes[row, context - 1 :].tolist()])
        )
    return dict(
        name=name,
        frames=torch.cat(parts),
        fps=4,
        caption="CoinRun levels that Genie has never seen (left), and its dream (right) from one "
        "frame and the "
        "latent actions that it read off the video. Nobody ever told it a button.",
        alt="Two screens side by side: a platform game, and the same stretch as Genie dreams it "
        "from one frame "
        "and eight codes for actions. Ground and hero move alike; details of the level that were "
        "out of "
        "sight are invented.",
    )


def sentences() -> dict:
    """Five sentences, each drawn twice."""
    name = "sora-scenes"
    said = (
        "a red ball moves right",
        "a large green square moves up left",
        "a white ball moves down and a cyan square stands still",
        "a purple ball moves right behind a gray bar",
        "a red square moves left",
    )
    drawn = (
        wm.load(name)
        .eval()
        .generate(
            [text for text in said for _ in range(2)], generator=torch.Generator().manual_seed(1)
        )
    )
    parts = []
    for row, text in enumerate(said):
        panels = {"dream": (drawn[2 * row], DREAM), "another dream": (drawn[2 * row + 1], DREAM)}
        parts.append(_film(panels, [text] * drawn.shape[1]))
    return dict(
        name=name,
        frames=torch.cat(parts),
        fps=8,
        caption="Five sentences, and two videos that Sora draws of each. It has never seen a red "
        "square.",
        alt="Two screens side by side, each a dark box in which balls and squares of the named "
        "colors move; below them the sentence that was given.",
    )


def arm() -> dict:
    """A goal picture, the simulated arm, and what the world expected, nearest recorded frame."""
    name = "vjepa2-ac-fetch"
    from wmlearn.chapters.ch12_vjepa2_ac.goal import GoalSession

    world = wm.load_world(name)
    with tempfile.TemporaryDirectory() as folder:
        store = wm.record("clips/fetch", folder, progress=False)
        clips = store.clip([(i, 0) for i in range(len(store))], min(store.lengths))
    session = GoalSession(world, clips, "fetch/reach", seed=0)
    goals, reals, dreams, feet = [], [], [], []
    for goal in (0, 4, 2, 5):
        for view in session.pursue(goal):
            goals.append(session.images[goal])
            reals.append(torch.from_numpy(view.real.copy()).permute(2, 0, 1))
            dreams.append(torch.from_numpy(view.imagined.copy()).permute(2, 0, 1))
            feet.append(f"step {view.step}: {view.centimeters:.0f} cm from the goal")
    session.close()
    panels = {
        "goal": (torch.stack(goals), NEUTRAL),
        "real": (torch.stack(reals), REAL),
        "expected": (torch.stack(dreams), DREAM),
    }
    return dict(
        name=name,
        frames=_film(panels, feet),
        fps=3,
        caption="A goal picture, the simulated arm that is sent there, and what V-JEPA 2-AC "
        "expected of each "
        "action. It plans in features; shown is the recorded frame whose features are nearest.",
        alt="Three pictures side by side: the goal, a robot arm over a table, and the recorded "
        "frame nearest to "
        "what the model expected. In eight steps for each of four goals the arm moves to where "
        "the goal shows it.",
    )


def mask() -> dict:
    """Clips of an arm: whole, as the encoder sees them, and where its guess was how wrong."""
    name = "vjepa-metaworld"
    from wmlearn.chapters.ch11_vjepa.mask import center_block, mask_error, paint, seen_frames
    from wmlearn.chapters.ch11_vjepa.motion import motion_clips
    from wmlearn.data.motions import CLASSES

    system = wm.load(name)
    with tempfile.TemporaryDirectory() as folder:
        store = wm.record("clips/metaworld", folder, progress=False)
        clips = motion_clips(store)
    hidden, parts = center_block(system), []
    for row in range(0, 80, 10):
        clip = clips.test[row : row + 1]
        frames = seen_frames(system, clip)
        covered = paint(frames, hidden.float().expand(len(frames), -1, -1), NEUTRAL, 1.0)
        shades = mask_error(system, clip, hidden).shades().nan_to_num()
        wrong = paint(frames, shades.expand(len(frames), -1, -1), DREAM, 0.9)
        panels = {
            "real": (frames, REAL),
            "seen": (covered, NEUTRAL),
            "error of the guess": (wrong, DREAM),
        }
        task = CLASSES[int(clips.test_labels[row])]
        parts.append(_film(panels, [task] * len(frames)))
    return dict(
        name=name,
        frames=torch.cat(parts),
        fps=6,
        caption="Clips of a robot arm, what V-JEPA's encoder sees of them, and where its guess of "
        "the hidden "
        "features was wrong (the more orange, the more).",
        alt="Three pictures side by side: a robot arm that opens or closes something; the same "
        "clip with all "
        "but its border hidden; and the clip under orange squares, the stronger the worse the "
        "features of the "
        "hidden part were guessed.",
    )


def car() -> dict:
    """Held-out drives, and both of Cosmos's families on them under the same steering."""
    names = {"cosmos-driving": "diffusion", "cosmos-ar-driving": "language model"}
    with tempfile.TemporaryDirectory() as folder:
        store = wm.record("clips/driving", folder, progress=False)
        clip = store.clip([(len(store) - 40 + i, 0) for i in (0, 5, 12, 18, 25, 31)], 49)
    worlds = {title: wm.load_world(name) for name, title in names.items()}
    dreams = {title: _rollout(world, clip) for title, world in worlds.items()}
    parts = []
    for row in range(len(clip)):
        real = clip.frames[row, -dreams["diffusion"].shape[1] :]
        panels = {"real": (real, REAL)}
        panels |= {title: (frames[row], DREAM) for title, frames in dreams.items()}
        feet = [f"{(number + 1) / 25:.2f} s" for number in range(len(real))]
        parts.append(_film(panels, feet))
    return dict(
        name="cosmos-driving",
        frames=torch.cat(parts),
        fps=12,
        caption="Six drives that Cosmos has never seen (left, half as fast), and what its two "
        "families made of the first 17 frames and the steering: diffusion (middle) and a language "
        "model of video (right). What comes into sight they must invent.",
        alt="Three screens side by side: a red car on a gray road over a lawn, seen from above, "
        "and the same drive as a diffusion model and a language model dream it. The road turns "
        "alike; the lawn is blurred, and bends that were out of sight differ.",
    )


def three_worlds() -> dict:
    """Held-out stretches of UniSim's three worlds, each dreamed on under actions of its format."""
    name = "unisim-three-worlds"
    from wmlearn.chapters.ch07_unisim.control import CONTEXT, dream
    from wmlearn.chapters.ch07_unisim.mixture import Mixture
    from wmlearn.chapters.ch07_unisim.record import load

    system = wm.load(name)
    recordings = load(wm.hub.find(name) / "clips.npz")
    mixture = Mixture(recordings, system.config, all_held_out=("fetch", "doom", "passive"))
    draws, parts = torch.Generator().manual_seed(2), []
    kinds = {"fetch": ("motions", 20), "doom": ("keys", 16), "babyai": ("sentences", 8)}
    for domain, (kind, length) in kinds.items():
        batch = mixture.draw(2, CONTEXT + length, draws, True, {domain: 1.0}, whole=True)
        clip = mixture.clip(batch)
        dreamed = dream(system.world({"domain": domain}), clip, clip.actions)
        names = system.config.domains[system.config.number_of(domain)].actions
        for row in range(len(clip)):
            feet = [f"{domain}: {kind}"] * length
            if names:
                done = clip.actions[row, CONTEXT - 1 :][:length].tolist()
                feet = [f"{domain}: {_key(names[number])}" for number in done]
            panels = {"real": (clip.frames[row, CONTEXT:], REAL), "dream": (dreamed[row], DREAM)}
            parts.append(_film(panels, feet))
    return dict(
        name=name,
        frames=torch.cat(parts),
        fps=6,
        caption="Three worlds in one network, each told in its own way what is done: an arm by "
        "motions, DOOM by keys, a room of tiles by sentences. Left the real one, right UniSim's "
        "dream from four frames and the same actions.",
        alt="Two screens side by side, a real world and UniSim's dream of it: a robot arm over a "
        "table that is moved by numbers, a room in DOOM by keys, and a board of colored things by "
        "sentences. The arm goes where it is told and grows soft.",
    )


MAKERS = {
    "cosmos-driving": car,
    "diamond-doom-basic": diamond,
    "gamengen-doom": gamengen,
    "genie-coinrun": genie,
    "sora-scenes": sentences,
    "unisim-three-worlds": three_worlds,
    "vjepa-metaworld": mask,
    "vjepa2-ac-fetch": arm,
}


def _rollout(world, clip, actions: Tensor | None = None) -> Tensor:
    from wmlearn.evaluation import rollout

    return rollout(world, clip, torch.Generator().manual_seed(0), actions)


def _key(name: str) -> str:
    return {"noop": "none", "attack": "shoot"}.get(name, name)


def _film(panels: dict[str, tuple[Tensor, str]], feet: list[str]) -> Tensor:
    """Panels side by side, a colored strip with a name above each, a line of text below."""
    columns, pixel = [], WIDTH // (64 * len(panels))  # each pixel of a frame becomes a square
    for name, (frames, color) in panels.items():
        frames = frames.repeat_interleave(pixel, -1).repeat_interleave(pixel, -2)
        head = Image.new("RGB", (frames.shape[-1], HEAD), color)
        at = (head.width / 2, HEAD / 2)
        ImageDraw.Draw(head).text(at, name, "black", ImageFont.load_default(size=17), anchor="mm")
        head = _tensor(head).expand(len(frames), -1, -1, -1)
        columns += [torch.cat([head, frames], -2)]
        columns += [torch.full((*columns[0].shape[:-1], GAP), 20, dtype=torch.uint8)]
    rows = torch.cat(columns[:-1], -1)
    lines = []
    for text in feet:
        foot = Image.new("RGB", (rows.shape[-1], FOOT), (20, 24, 28))
        at = (foot.width / 2, FOOT / 2)
        ImageDraw.Draw(foot).text(at, text, "#e4e8ec", ImageFont.load_default(size=16), anchor="mm")
        lines.append(_tensor(foot))
    return torch.cat([rows, torch.stack(lines)], -2)


def _tensor(image: Image.Image) -> Tensor:
    import numpy as np

    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def write(name: str, frames: Tensor, fps: int, caption: str, alt: str) -> None:
    """Writes the film, its first picture and its words; raises ValueError if it gets too large."""
    import av

    FILMS.mkdir(parents=True, exist_ok=True)
    height, width = (side // 2 * 2 for side in frames.shape[-2:])
    path = FILMS / f"{name}.mp4"
    for quality in range(24, 45, 3):
        with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(fps))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.options = {"crf": str(quality), "preset": "veryslow", "tune": "animation"}
            for frame in frames[:, :, :height, :width].permute(0, 2, 3, 1).contiguous().numpy():
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        if path.stat().st_size <= MOST_BYTES:
            break
    else:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes; make it shorter.")
    poster = frames[min(len(frames) - 1, fps), :, :height, :width].permute(1, 2, 0)
    Image.fromarray(poster.numpy()).save(path.with_suffix(".png"), optimize=True)
    words = dict(caption=caption, alt=alt, width=width, height=height, frames=len(frames), fps=fps,
                 made_by=f"python tools/make_films.py {name}")  # fmt: skip
    text = json.dumps(words, indent=1) + "\n"
    path.with_suffix(".json").write_text(text, encoding="utf-8")
    print(f"{path.name}: {len(frames)} frames, {path.stat().st_size / 1000:.0f} kB, crf {quality}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MAKERS)}")
    args = parser.parse_args()
    if unknown := set(args.names) - set(MAKERS):
        parser.error(f"no film is made of {', '.join(unknown)}; there are: {', '.join(MAKERS)}")
    torch.set_num_threads(1)
    for name in args.names or MAKERS:
        write(**MAKERS[name]())


if __name__ == "__main__":
    main()
