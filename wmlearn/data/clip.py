"""The Clip: a batch of video with what is known about it; every system trains on it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Clip:
    """A batch of video clips, each from one episode; frames outside of it are ``padded``.

    T frames have T - 1 transitions between them: ``actions[:, t]`` was taken after
    ``frames[:, t]`` was seen and led to ``frames[:, t + 1]``, with ``rewards[:, t]``.
    A passive video simply has no actions (``None``).

    Attributes:
        frames: uint8 ``[B, T, C, H, W]``, 0..255.
        actions: int64 ``[B, T - 1]`` (discrete) or float32 ``[B, T - 1, A]`` (continuous).
        rewards: float32 ``[B, T - 1]``, in the environment's own units.
        terminated: bool ``[B, T - 1]``, the episode ended with this transition by its own rules.
        truncated: bool ``[B, T - 1]``, the episode was cut here (time limit, end of the recording).
        text: one caption or instruction per clip.
        state: float32 ``[B, T, S]``, ground truth of the simulator; for probes only.
        padded: bool ``[B, T]``, frames before an episode's first or after its last one (which are
            repeated there); ``None`` means none. Losses leave them out.
    """

    frames: Tensor
    actions: Tensor | None = None
    rewards: Tensor | None = None
    terminated: Tensor | None = None
    truncated: Tensor | None = None
    text: tuple[str, ...] | None = None
    state: Tensor | None = None
    padded: Tensor | None = None

    def __post_init__(self) -> None:
        if self.frames.ndim != 5 or self.frames.dtype != torch.uint8:
            raise ValueError(
                "Clip.frames must be uint8 [B, T, C, H, W]; "
                f"got {self.frames.dtype} {list(self.frames.shape)}."
            )
        batch, steps = self.frames.shape[:2]
        for name in ("actions", "rewards", "terminated", "truncated"):
            value = getattr(self, name)
            if value is not None and value.shape[:2] != (batch, steps - 1):
                raise ValueError(
                    f"Clip.{name} must start with [B, T - 1] = [{batch}, {steps - 1}], "
                    f"one entry between two frames; got {list(value.shape)}."
                )
        if self.padded is not None and self.padded.shape != (batch, steps):
            raise ValueError(
                f"Clip.padded must be [B, T] = [{batch}, {steps}]; got {list(self.padded.shape)}."
            )

    def __len__(self) -> int:
        return self.frames.shape[0]

    @property
    def real_frames(self) -> Tensor:
        """bool ``[B, T]``: the frames that are no padding."""
        if self.padded is None:
            return torch.ones(self.frames.shape[:2], dtype=torch.bool, device=self.frames.device)
        return ~self.padded

    @property
    def length(self) -> int:
        """T, the number of frames in each clip."""
        return self.frames.shape[1]

    def require(self, *names: str) -> Clip:
        """Returns the clip, or raises ``ValueError`` that says which of ``names`` it lacks."""
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            raise ValueError(
                f"This clip has no {' or '.join(missing)} (a passive video?), but they are needed "
                "here: record them with `wmlearn record`, or choose a system that learns without."
            )
        return self

    def to(self, *args, **kwargs) -> Clip:
        """``Tensor.to`` for every tensor (dtype conversions are not meant: pass a device)."""
        return self._map(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self) -> Clip:
        return self._map(Tensor.pin_memory)

    def __getitem__(self, index: slice | Tensor) -> Clip:
        """Selects clips of the batch (a slice, index tensor or mask; the batch axis stays)."""
        clip = self._map(lambda tensor: tensor[index])
        if self.text is not None:
            rows = torch.arange(len(self))[index].tolist()
            clip = replace(clip, text=tuple(self.text[row] for row in rows))
        return clip

    def time(self, start: int, stop: int) -> Clip:
        """The frames ``start`` to ``stop`` (exclusive) of each clip, and what lies between them."""
        start, stop, _ = slice(start, stop).indices(self.length)
        per_frame = {"frames", "state", "padded"}
        cut = {
            field.name: value[:, start : (stop if field.name in per_frame else stop - 1)]
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **cut)

    def _map(self, function) -> Clip:
        tensors = {
            field.name: function(value)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **tensors)
