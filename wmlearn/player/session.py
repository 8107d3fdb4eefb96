"""One game, played twice: in the real environment and in a learned world, under the same actions.

This file knows nothing of widgets, so that the player, its fallback without threads, the figures
of the notebooks and the tests all play by the same rules.

Rules:
    - A restart takes ``context_frames - 1`` no-op steps in a freshly reset real environment,
      and gives these frames to the world; where no action does nothing, random ones by the seed.
      Without an environment, a stored clip does the same.
    - From then on both sides get the same actions and never see each other's frames.
    - A side that ends keeps its last frame. The episode is over when both sides have ended, or
      ``grace`` steps after the first of them: the dream may be a little early or late.
    - The guard: where a world can tell how like its training frames a frame is, a dream that was
      less like them than held-out real frames are for ``STRAYED`` steps is over, and says so.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import torch

from wmlearn.data.clip import Clip
from wmlearn.metrics import MAX_PSNR, psnr
from wmlearn.player.forms import axes_of, form_of, same_actions, spoken_keys
from wmlearn.player.keys import controls
from wmlearn.world import Needs, PromptedWorld, World

NEEDS = Needs(frames=True)
STRAYED = 10  # steps below the bar; real play is there for a jump's length, now and then


@dataclass(frozen=True)
class View:
    """What both sides show after one step.

    Attributes:
        step: number of actions since the restart; 0 is the start itself.
        real: uint8 ``[H, W, 3]``; ``None`` where only the dream is played.
        dream: uint8 ``[H, W, 3]``.
        psnr: of the dream against the real frame, in dB (``MAX_PSNR`` if equal); ``nan`` without a
            real frame, and when a side has ended.
        real_reward, dream_reward: of this step.
        real_return, dream_return: sums since the restart.
        real_ended, dream_ended: whether that side has ended.
        over: whether the episode is over, so that ``restart`` must come next.
        likeness: of the dream to the frames that its world was trained on, 1 at the bar (see
            ``wmlearn.data.likeness``); ``nan`` where nobody measures it.
        strayed: whether the guard ended the dream.
    """

    step: int
    real: np.ndarray | None
    dream: np.ndarray
    psnr: float
    real_reward: float = 0.0
    dream_reward: float = 0.0
    real_return: float = 0.0
    dream_return: float = 0.0
    real_ended: bool = False
    dream_ended: bool = False
    over: bool = False
    likeness: float = math.nan
    strayed: bool = False

    @property
    def note(self) -> str:
        """One sentence on what has ended; empty while both sides run."""
        if self.strayed:
            return "The dream has left what it knows: restart from a real frame."
        if self.real_ended and self.dream_ended:
            return "The episode ended in both."
        if self.real_ended:
            return "The real episode ended."
        if self.dream_ended:
            return "The episode ended in the dream."
        return ""


class PlaySession:
    """A real environment and a world side by side; logic without widgets, one step at a time.

    The session starts at once: ``session.view`` is the first picture. Everything follows from
    ``seed``: the k-th restart of two sessions with equal seeds and actions is the same game.

    Args:
        world: any ``World`` of frames whose actions are ``Discrete``, or a ``Box`` with one axis.
            Where it gives several frames a step (``chunk``), the real side takes as many steps
            under the same action; ``film`` has a view of each of them, ``view`` is the last.
        env: a ``gymnasium.Env`` with uint8 observations ``[H, W, 3]``, or ``None``: only the
            dream is played, from ``context``.
        context: real clips to start from where there is no ``env``; one of them at each restart,
            in turn.
        keys: browser key -> action, see ``KeyMap``; default: those that ``wmlearn.envs`` finds
            for the names, or the digits.
        names: one name per action; default: the environment's ``action_names``.
        seed: of the environment and of the world's noise.
        noop: index of the action that does nothing; default: the world's ``idle``, else what the
            environment declares or names so (see ``controls``), or there is none.
        grace: steps that one side may go on after the other has ended.
        history: how many views are kept for a GIF.
        note: a sentence to show to the player, e.g. why there is no real side.
        prompt: what to show, in words; for a ``PromptedWorld``.
        guard: whether a dream that has left what its world knows is ended; does nothing where the
            world has no ``likeness``.
        close_env: whether ``close`` closes the environment too.

    Raises:
        ValueError: a one-sentence reason, if the world, environment and context do not fit.
    """

    def __init__(
        self,
        world: World,
        env: gymnasium.Env | None = None,
        *,
        context: Clip | None = None,
        keys: Mapping[str, int] | None = None,
        names: Sequence[str] | None = None,
        seed: int = 0,
        noop: int | None = None,
        grace: int = 15,
        history: int = 600,
        note: str = "",
        prompt: str | None = None,
        guard: bool = True,
        close_env: bool = False,
    ) -> None:
        NEEDS.check("The player", world)
        if prompt is not None and not isinstance(world, PromptedWorld):
            raise ValueError("This world takes no prompt: leave prompt out.")
        self.world, self.env, self.context = world, env, context
        noop = world.idle if noop is None else noop
        self.seed, self.grace, self.note = seed, grace, note
        self.prompt, self.guard = prompt, guard
        self._close_env = close_env and env is not None
        space = world.action_space
        self.axes = axes_of(space)
        self.num_actions = 0 if self.axes else int(space.n)
        self.device = world.device
        self.generator = torch.Generator(self.device)
        self.restarts = 0
        self.history: deque[View] = deque(maxlen=history)
        if env is None and context is None:
            raise ValueError(
                "Nothing to start from: pass env=..., or context= a Clip of real frames."
            )
        if env is not None and not same_actions(space, env.action_space):
            has = f"{self.axes} numbers" if self.axes else f"{self.num_actions} actions"
            raise ValueError(
                f"The world has {has}, the environment {env.action_space}: "
                "pass the environment that the world was trained on."
            )
        if form_of(space)["kind"] == "say":
            names = names or space.names
            keys = spoken_keys(names) if keys is None else keys
        self.names, self.keymap = controls(self.num_actions, env, keys, names, noop)
        self.noop = self.keymap.noop
        self.view = self.restart()

    @torch.inference_mode()
    def restart(self) -> View:
        """Starts the next episode from real frames and returns its first view."""
        seed = self.seed + self.restarts
        self.restarts += 1
        self.generator.manual_seed(seed)
        clip = self._real_start(seed) if self.env is not None else self._stored_start(seed)
        if tuple(clip.frames.shape[2:]) != tuple(self.world.frame_shape):
            raise ValueError(
                f"The world's frames are {list(self.world.frame_shape)}, but the start's "
                f"are {list(clip.frames.shape[2:])}: use the size it was trained on."
            )
        if clip.length < self.world.context_frames:
            raise ValueError(
                f"The world needs {self.world.context_frames} frames to start from; "
                f"the context has {clip.length}."
            )
        clip = clip.to(self.device)
        if self.prompt is None:
            self._state = self.world.reset(clip)
        else:
            self._state = self.world.reset(clip, (self.prompt,))
        self._first_end: int | None = None
        self._below = 0
        last = _picture(clip.frames[0, -1])
        real = last if self.env is not None else None
        closeness = math.nan if real is None else MAX_PSNR
        self.view = View(0, real, last, closeness, likeness=self._likeness(clip.frames[0, -1]))
        self.film: tuple[View, ...] = (self.view,)
        self.history.append(self.view)
        return self.view

    @torch.inference_mode()
    def step(self, action: int | Sequence[float]) -> View:
        """Gives ``action`` to both sides and returns what they show.

        Args:
            action: its number; or its numbers, ``axes`` of them, where actions are continuous.

        Raises:
            RuntimeError: the episode is over; call ``restart`` first.
        """
        old = self.view
        if old.over:
            raise RuntimeError("The episode is over: call restart() first.")
        action = np.asarray(action, np.float32) if self.axes else int(action)
        real, real_reward, real_ended = old.real, 0.0, old.real_ended
        reals, dreams = [], []
        if self.env is not None and not real_ended:
            for _ in range(self.world.chunk):
                real, reward, terminated, truncated, _ = self.env.step(action)
                real, real_reward = np.array(real), real_reward + float(reward)
                real_ended = bool(terminated or truncated)
                reals.append(real)
                if real_ended:
                    break
        dream, dream_reward, dream_ended = old.dream, 0.0, old.dream_ended
        likeness = old.likeness
        if not dream_ended:
            actions = torch.as_tensor(np.array([action]), device=self.device)
            self._state, result = self.world.step(self._state, actions, self.generator)
            dream, dream_reward = _picture(result.frame[0]), float(result.reward[0])
            dreams = [] if result.frames is None else [_picture(f) for f in result.frames[0]]
            dream_ended = bool(result.terminated[0])
            likeness = self._likeness(result.frame[0])
            self._below = self._below + 1 if likeness < 1 else 0

        strayed = self.guard and self._below >= STRAYED
        step = old.step + 1
        if self._first_end is None and (real_ended or dream_ended):
            self._first_end = step
        all_ended = dream_ended and (real_ended or self.env is None)
        waited = self._first_end is not None and step - self._first_end >= self.grace
        both_run = real is not None and not old.real_ended and not old.dream_ended
        self.view = View(
            step=step,
            real=real,
            dream=dream,
            psnr=_closeness(real, dream) if both_run else math.nan,
            real_reward=real_reward,
            dream_reward=dream_reward,
            real_return=old.real_return + real_reward,
            dream_return=old.dream_return + dream_reward,
            real_ended=real_ended,
            dream_ended=dream_ended,
            over=all_ended or waited or strayed,
            likeness=likeness,
            strayed=strayed,
        )
        self.film = self._between(old, reals, dreams, both_run)
        self.history.extend(self.film)
        return self.view

    def _between(
        self, old: View, reals: list[np.ndarray], dreams: list[np.ndarray], both_run: bool
    ) -> tuple[View, ...]:
        """A view of each frame that came of a step, the last of them ``self.view``."""
        if len(dreams) < 2:
            return (self.view,)
        reals += [self.view.real] * (len(dreams) - len(reals))
        between = [
            replace(
                old,
                step=self.view.step,
                real=real,
                dream=dream,
                psnr=_closeness(real, dream) if both_run else math.nan,
            )
            for real, dream in zip(reals[:-1], dreams[:-1], strict=False)
        ]
        return (*between, self.view)

    def rollout(self, actions: Iterable[int | Sequence[float]]) -> list[View]:
        """Restarts, plays ``actions`` and returns every view, the start first.

        The list is shorter than ``actions`` where the episode is over before.
        """
        views = [self.restart()]
        for action in actions:
            if views[-1].over:
                break
            views.append(self.step(action))
        return views

    def recent(self, frames: int) -> list[View]:
        """The last views, at most ``frames`` of them, the oldest first."""
        return list(self.history)[-frames:]

    def close(self) -> None:
        """Closes the environment, if it was made for this session."""
        if self._close_env:
            self.env.close()

    def _likeness(self, frame: torch.Tensor) -> float:
        """Of a frame uint8 ``[C, H, W]``; nan where the world cannot tell."""
        measure = self.world.likeness
        return math.nan if measure is None else float(measure(frame))

    def _real_start(self, seed: int) -> Clip:
        """A Clip ``[1, context_frames]`` of the real environment, with no-ops or random actions."""
        observation, _ = self.env.reset(seed=seed)
        observation = np.asarray(observation)
        if observation.ndim != 3 or observation.shape[2] != 3 or observation.dtype != np.uint8:
            raise ValueError(
                "The player needs uint8 observations [H, W, 3]; this environment gives "
                f"{observation.dtype} {list(observation.shape)}: make it with wmlearn.envs.make()."
            )
        frames, rewards = [np.array(observation)], []
        steps = self.world.context_frames - 1
        if self.axes:
            actions = np.zeros((steps, self.axes), np.float32)
        elif self.noop is None:
            actions = np.random.default_rng(seed).integers(self.num_actions, size=steps)
        else:
            actions = np.full(steps, self.noop)
        for action in actions if self.axes else actions.tolist():
            observation, reward, terminated, truncated, _ = self.env.step(action)
            if terminated or truncated:
                raise ValueError(
                    "The environment ended during the steps that give the world its context."
                )
            frames.append(np.array(observation))
            rewards.append(float(reward))
        none = torch.zeros(1, len(rewards), dtype=torch.bool)
        return Clip(
            frames=torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)[None].contiguous(),
            actions=torch.from_numpy(actions if self.axes else actions.astype(np.int64))[None],
            rewards=torch.tensor([rewards], dtype=torch.float32),
            terminated=none,
            truncated=none,
        )

    def _stored_start(self, seed: int) -> Clip:
        """One of the clips of ``context``."""
        row = seed % len(self.context)
        return self.context[row : row + 1]


def _closeness(real: np.ndarray, dream: np.ndarray) -> float:
    """PSNR in dB of two pictures uint8 ``[H, W, 3]``, by the definition of every card."""
    return psnr(*(torch.from_numpy(picture).permute(2, 0, 1) for picture in (dream, real))).item()


def _picture(frame: torch.Tensor) -> np.ndarray:
    """uint8 ``[3, H, W]`` on any device -> uint8 ``[H, W, 3]`` in numpy, its own memory."""
    return frame.permute(1, 2, 0).contiguous().cpu().numpy().copy()
