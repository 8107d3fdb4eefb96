"""Play a learned world beside the real environment: ``wm.play(world, env="doom/basic")``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from wmlearn.player.keys import KeyMap
from wmlearn.player.session import PlaySession, View

if TYPE_CHECKING:
    import gymnasium

    from wmlearn.data.clip import Clip
    from wmlearn.player.fallback import StepPlayer
    from wmlearn.player.textbox import PromptBox, PromptForm
    from wmlearn.player.widget import Player
    from wmlearn.world import World, WorldModel

__all__ = ["KeyMap", "PlaySession", "View", "play", "text_box"]


def play(
    world: World | WorldModel | str,
    env: str | gymnasium.Env | None = None,
    *,
    context: Clip | None = None,
    keys: Mapping[str, int] | None = None,
    names: Sequence[str] | None = None,
    noop: int | None = None,
    fps: float = 30,
    seed: int = 0,
    prompt: str | None = None,
    sampler: Any = None,
    guard: bool = True,
    threads: bool | None = None,
    autostart: bool = False,
    width: int = 256,
) -> Player | StepPlayer:
    """Plays a world in the notebook, beside the real environment and under the same keys.

    The player starts paused: click on it, or press Enter, and use the keys that it shows.
    While no key is pressed the game goes on with the no-op, or waits where there is none. When an
    episode has ended on both sides (or a moment after it ended on one), a new one starts by itself.

    Args:
        world: a ``World``; a system that has one; or the name of a shipped checkpoint.
        env: an environment's name such as ``"doom/basic"``, a ``gymnasium.Env`` with uint8
            observations ``[H, W, 3]``, or ``None``: then only the dream is played.
        context: real clips for the dream to start from where there is no ``env``; one at each
            restart, in turn. It is also what is used when ``env`` is not installed.
        keys: browser key -> action, e.g. ``{"ArrowLeft": 1, "Space": 3}``; a plus joins keys
            that are pressed together. Default: those of ``env``, or the digits.
        names: one name per action, for the buttons.
        noop: the action that does nothing. Default: what the environment declares or names so.
        fps: frames a second that are aimed at; the player has a slider for it.
        seed: the k-th restart of two players with one seed is the same game.
        prompt: what to show, in words, to a world that can be told (``PromptedWorld``).
        sampler: how frames are drawn, for a system or a checkpoint's name: the system's
            ``Sampler``, or a mapping of what shall differ from its own way.
        guard: end a dream that has left what its world knows, and say so; ``False`` lets it go on.
            It acts where the checkpoint brings a measure (``World.likeness``).
        threads: ``False`` gives step buttons and an image, for notebook programs in which the
            player's frames do not move. Default: chosen by the platform.
        autostart: play at once instead of waiting for the reader.
        width: of each picture on the page, in CSS pixels.

    Returns:
        The widget, to be shown as a cell's last line: a ``Player``, or a ``StepPlayer``.

    Raises:
        ImportError: the widgets or the environment are not installed.
        ValueError: world, environment and context do not fit together.
    """
    threads = sys.platform != "emscripten" if threads is None else threads
    require_widgets("ipywidgets", "PIL", *(["anywidget"] if threads else []))
    if isinstance(world, str) and context is None:
        context = _shipped_starts(world)
    world = _as_world(world, sampler)

    def build() -> PlaySession:
        real, note, names_here = env, "", names
        if isinstance(env, str):
            from wmlearn.envs import make

            try:
                real = make(env, size=world.frame_shape[-1])
            except ImportError as error:
                if context is None:
                    raise
                real, note = None, f"Only the dream is played: {error}"
                names_here = names or _known_names(env)
        try:
            return PlaySession(
                world,
                real,
                context=context,
                keys=keys,
                names=names_here,
                noop=noop,
                seed=seed,
                note=note,
                prompt=prompt,
                guard=guard,
                close_env=real is not env,
            )
        except BaseException:
            if real is not None and real is not env:
                real.close()
            raise

    if not threads:
        from wmlearn.player.fallback import StepPlayer

        return StepPlayer(build(), width)
    from wmlearn.player.widget import Player

    player = Player(build, fps=fps, width=width)
    if autostart:
        player.start()
    return player


def text_box(
    world: World | WorldModel | str,
    *,
    examples: Sequence[str] = (),
    fps: float = 8,
    seed: int = 0,
    sampler: Any = None,
    threads: bool | None = None,
    width: int = 256,
) -> PromptBox | PromptForm:
    """A text box in the notebook: a sentence becomes a video.

    A word that the world has never read is named beside its nearest known ones, and nothing is
    drawn.

    Args:
        world: a ``PromptedWorld``; a system that has one; or the name of a shipped checkpoint.
        examples: sentences on buttons; the first one stands in the field.
        fps: frames a second of the loop.
        seed: of the noise: two boxes with one seed draw the same videos.
        sampler, threads: as for :func:`play`.
        width: of the picture on the page, in CSS pixels.

    Raises:
        ImportError: the widgets are not installed.
        ValueError: the world takes no words.
    """
    threads = sys.platform != "emscripten" if threads is None else threads
    require_widgets("ipywidgets", "PIL", "anywidget")
    from wmlearn.player.textbox import PromptBox, PromptForm, PromptSession

    session = PromptSession(_as_world(world, sampler), seed)
    return (PromptBox if threads else PromptForm)(session, examples, fps, width)


def require_widgets(*modules: str) -> None:
    """Says in one sentence what is missing for a widget; a plain script gets a warning."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise ImportError(
            f'The player needs {" and ".join(missing)}: pip install "wmlearn[course]"'
        )
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        warnings.warn(
            "wm.play makes a widget, which only a notebook shows: `wmlearn lab` opens one.",
            stacklevel=3,
        )


def _as_world(world: World | WorldModel | str, sampler: Any) -> World:
    """The world that was meant: of a checkpoint's name, of a system, or itself."""
    from wmlearn.world import WorldModel

    if isinstance(world, str):
        from wmlearn import hub

        return hub.load_world(world, sampler)
    if isinstance(world, WorldModel):
        return world.world(sampler)
    if sampler is not None:
        raise ValueError(
            "This world is already made: give the sampler where you make it, "
            "e.g. system.world(sampler)."
        )
    return world


def _shipped_starts(name: str) -> Clip | None:
    """The real clips that come with a checkpoint, if there are any."""
    from wmlearn import hub

    return hub.load_starts(name) if (hub.find(name) / "starts.safetensors").is_file() else None


def _known_names(env_id: str) -> list[str] | None:
    """The actions of an environment that cannot be made here, where a table has them."""
    from wmlearn.envs.doom import SCENARIOS

    scenario = env_id.removeprefix("doom/").removesuffix("-endless").removesuffix("-hud")
    buttons = SCENARIOS.get(scenario)
    return None if buttons is None else ["noop", *buttons]
