"""Several worlds as one stream of training batches, all of it on the device that trains.

Legend: N frames of all recordings, B batch, T frames of a clip, A numbers of a motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wmlearn.chapters.ch07_unisim.record import Recording
from wmlearn.data.clip import Clip
from wmlearn.envs.babyai import MOVES, SENTENCES
from wmlearn.systems.unisim.actions import ActionCodes, Actions
from wmlearn.systems.unisim.config import Domain, UniSimConfig

DOMAINS = (
    Domain("babyai", "language", SENTENCES),
    Domain("fetch", "motion", (), 3),
    Domain("doom", "keys", ("noop", "left", "right", "attack")),
    Domain("passive", "none", ()),
)
SHARES = {"babyai": 0.46, "fetch": 0.16, "doom": 0.33, "passive": 0.05}
"""Of the clips in a batch. (The paper: weights .1 and .05 by hand, not tuned.)"""
HELD_OUT = 0.05
"""Share of the episodes of each recording, the last ones, that is never trained on."""


class DeviceNoise:
    """Draws like ``SampleNoise``, faster: on the device, from one generator.

    Args:
        device: where the numbers are wanted.
        seed: of the generator.
    """

    def __init__(self, device: torch.device | str, seed: int = 0) -> None:
        self.generator = torch.Generator(device).manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, of this shape."""
        device = self.generator.device
        return torch.randn(shape, generator=self.generator, device=device)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform in [0, 1), of this shape."""
        device = self.generator.device
        return torch.rand(shape, generator=self.generator, device=device)


@dataclass(frozen=True)
class Batch:
    """Clips of several worlds.

    Attributes:
        index: int64 ``[B, T]``, the numbers of their frames in the mixture.
        actions: that led to each frame.
        real: bool ``[B, T]``: frames that are no padding.
    """

    index: Tensor
    actions: Actions
    real: Tensor


class Mixture:
    """Recordings of several domains, one after the other, as tensors.

    Attributes:
        frames: uint8 ``[N, 3, 64, 64]``.
        domain: int64 ``[N]``.
        end: int64 ``[N]``, the number of the last frame of each frame's episode.
        episode: int64 ``[N]``, the number of its episode.
        held_out: bool ``[N]``: never trained on.
        said: int64 ``[N]``, the steps that what is said at each frame takes; -1: unknown.
        reached: bool ``[N]``: this frame ended its episode by the episode's own rules.
        mission: int64 ``[N]``, the sentence of its episode's mission; -1: there is none.
        spoken: int64 ``[M]``, the frames to be trained on at which a mission is said whose steps
            are known.
        spoken_held_out: the same, of frames that are held out.

    Args:
        recordings: by the name of their domain.
        config: its domains; recordings of others are left out.
        device: where to.
        all_held_out: domains whose recording holds nothing that was trained on.
    """

    def __init__(
        self,
        recordings: dict[str, Recording],
        config: UniSimConfig,
        device: torch.device | str = "cpu",
        all_held_out: tuple[str, ...] = (),
    ) -> None:
        self.device, self.config = torch.device(device), config
        self._all_held_out = all_held_out
        codes, parts, first = ActionCodes(config), [], 0
        for number, domain in enumerate(config.domains):
            recording = recordings[domain.name]
            parts.append(self._columns(recording, number, domain, codes, first))
            first += len(recording.frames)
        names = parts[0].keys()
        columns = {name: torch.cat([part[name] for part in parts]).to(device) for name in names}
        self.frames, self.domain = columns["frames"], columns["domain"]
        self.end, self.episode = columns["end"], columns["episode"]
        self.held_out, self.said = columns["held_out"], columns["said"]
        self.reached, self.mission = columns["reached"], columns["mission"]
        self._led = tuple(columns[k] for k in ("sentence", "motion", "valid", "key"))
        mission = self.sentence_after(self._number()) >= len(MOVES)
        spoken = (self.said >= 0) & mission
        self.spoken = torch.nonzero(spoken & ~self.held_out)[:, 0]
        self.spoken_held_out = torch.nonzero(spoken & self.held_out)[:, 0]
        self._starts = {
            (d.name, held): torch.nonzero(
                (self.domain == n) & (self.held_out == held) & (self._number() < self.end)
            )[:, 0]
            for n, d in enumerate(config.domains)
            for held in (False, True)
        }

    def __len__(self) -> int:
        return len(self.frames)

    def sentence_after(self, rows: Tensor) -> Tensor:
        """What is said at these frames, int64 ``[*]``: it leads to the next ones."""
        return self._led[0][torch.minimum(rows + 1, self.end[rows])]

    def motion_after(self, rows: Tensor) -> Tensor:
        """The motion made at these frames, float32 ``[*, A]``."""
        return self._led[1][torch.minimum(rows + 1, self.end[rows])]

    def _number(self) -> Tensor:
        return torch.arange(len(self.frames), device=self.device)

    def _columns(
        self, recording: Recording, number: int, domain: Domain, codes: ActionCodes, first: int
    ) -> dict[str, Tensor]:
        count, episodes = len(recording.frames), len(recording.lengths)
        episode = torch.from_numpy(np.repeat(np.arange(episodes), recording.lengths))
        ends = torch.from_numpy(np.cumsum(recording.lengths) - 1)
        frames = torch.from_numpy(recording.frames).permute(0, 3, 1, 2).contiguous()
        actions = torch.from_numpy(recording.actions)
        before = torch.cat([torch.zeros_like(actions[:1]), actions[:-1]])
        if domain.format == "none":
            before = torch.zeros(count, dtype=torch.long)
        which = torch.full((count,), number)
        led = codes(before[:, None], which)
        few = max(1, round(HELD_OUT * episodes))
        first_held_out = 0 if domain.name in self._all_held_out else episodes - few
        said, mission = torch.full((count,), -1), torch.full((count,), -1)
        if domain.format == "language":
            said = said_steps(recording)
            mission = torch.from_numpy(recording.state[:, 3]).long()
        return {
            "frames": frames,
            "domain": which,
            "end": first + ends[episode],
            "episode": episode,
            "held_out": episode >= first_held_out,
            "said": said,
            "reached": torch.from_numpy(recording.reached),
            "mission": mission,
            "sentence": led.sentence[:, 0],
            "motion": led.motion[:, 0],
            "valid": led.valid[:, 0],
            "key": led.key[:, 0],
        }

    def draw(
        self,
        count: int,
        length: int,
        generator: torch.Generator,
        held_out: bool = False,
        shares: dict[str, float] | None = None,
        whole: bool = False,
    ) -> Batch:
        """Random clips; the part of one that lies after its episode repeats the last frame.

        Args:
            count: B.
            length: T.
            generator: on the mixture's device.
            held_out: of the episodes that are never trained on.
            shares: of the domains; by default ``SHARES``.
            whole: only clips that lie inside their episode.
        """
        shares = {d.name: SHARES[d.name] for d in self.config.domains} if shares is None else shares
        total, rows, left = sum(shares.values()), [], count
        for i, (name, share) in enumerate(shares.items()):
            number = left if i == len(shares) - 1 else round(count * share / total)
            left -= number
            starts = self._starts[name, held_out]
            if whole:
                starts = starts[starts + length - 1 <= self.end[starts]]
            pick = torch.randint(len(starts), (number,), generator=generator, device=self.device)
            rows.append(starts[pick])
        return self.clips(torch.cat(rows), length)

    def clips(self, first: Tensor, length: int) -> Batch:
        """The clips that begin at these frames, int64 ``[B]``."""
        index = first[:, None] + torch.arange(length, device=self.device)
        end = self.end[first][:, None]
        real, index = index <= end, torch.minimum(index, end)
        sentence, motion, valid, key = (column[index] for column in self._led)
        begins = torch.zeros_like(real)
        begins[:, 0] = True  # nobody says what led to the first frame
        actions = Actions(
            sentence.masked_fill(begins, -1), motion, valid & ~begins[..., None],
            key.masked_fill(begins, -1), self.domain[first],
        )  # fmt: skip
        return Batch(index, actions, real)

    def clip(self, batch: Batch) -> Clip:
        """Clips of one domain with its own actions, as a world takes them."""
        domain = self.config.domains[int(batch.actions.domain[0])]
        a, own = batch.actions, len(domain.actions)
        if domain.format == "motion":
            return Clip(self.frames[batch.index], a.motion[:, 1:, : domain.dimensions])
        numbers = a.sentence if domain.format == "language" else a.key
        names = self.config.words_of(domain.format)
        back = torch.zeros(len(names) + 1, dtype=torch.long)  # the last one: -1
        for number in range(own):
            back[names.index(domain.actions[number])] = number
        return Clip(self.frames[batch.index], back.to(self.device)[numbers[:, 1:]])


def said_steps(recording: Recording) -> Tensor:
    """The steps that the sentence said at each frame takes, int64 ``[N]``; -1: not shown."""
    ends = np.cumsum(recording.lengths) - 1
    result = torch.full((len(recording.frames),), -1)
    frames = torch.from_numpy(recording.frames)
    for first, last in zip(recording.starts, ends, strict=True):
        length = int(last - first)  # transitions
        if not length:
            continue
        clip = frames[first : last + 1].permute(0, 3, 1, 2)
        actions = torch.from_numpy(recording.actions[first:last])
        still = (clip[1:] == clip[:-1]).flatten(1).all(1)
        own, steps = int(recording.state[last, 3]), -1  # the episode's own mission ends it
        for t in reversed(range(length)):
            goes_on = t + 1 < length and actions[t + 1] == actions[t]
            if still[t]:
                steps = 0
            elif t + 1 == length and recording.reached[last] and actions[t] == own:
                steps = 1
            else:
                steps = steps + 1 if goes_on and steps >= 0 else -1
            result[first + t] = steps
    return result
