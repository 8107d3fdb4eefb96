"""A room of BabyAI, seen from above, in which every action is a sentence.

``babyai/go-to-local``: 8 x 8 tiles of 8 pixels each, walls included; a triangle that turns and
walks, and eight things in six colors. It is MiniGrid's ``BabyAI-GoToLocal-v0`` with its whole room
in view instead of the 7 x 7 tiles before the agent.
"""

from __future__ import annotations

import contextlib
import io
from collections import deque

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from wmlearn.envs.pixels import pixel_space, resize

MOVES = ("turn left", "turn right", "go forward")
COLORS = ("red", "green", "blue", "purple", "yellow", "grey")
KINDS = ("ball", "box", "key")
MISSIONS = tuple(f"go to the {color} {kind}" for color in COLORS for kind in KINDS)
SENTENCES = MOVES + MISSIONS
"""The whole grammar: three moves, and eighteen missions."""
_STEPS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])  # right, down, left, up, as MiniGrid turns
_TILE = 8  # pixels


class BabyAIEnv(gymnasium.Env):
    """One room; an action is one of ``SENTENCES``, given as its number.

    Observation: uint8 ``[size, size, 3]``, no tile highlighted. A move does what it says. A mission
    ("go to the red ball") makes the next step of a shortest way to face such a thing, found on the
    map; where there is none, or where it is faced already, nothing moves. So a sentence may be said
    at any length: every step anew, or one for a whole walk.

    An episode has a mission of its own (``mission``, the number of its sentence). Reward:
    MiniGrid's, 1 - 0.9 t / max_steps where after step t the agent faces the mission's thing, which
    ends the episode; else 0. After ``max_steps`` it is truncated. ``info["state"]`` is float32
    ``[4]``: the agent's tile, its direction (0 right, 1 down, 2 left, 3 up), the mission's number.

    Args:
        size: height and width of the observation.
        max_steps: of an episode; MiniGrid's own 64.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    render_mode = "rgb_array"
    frame_skip = 1
    state_names = ["x", "y", "direction", "mission"]

    def __init__(self, size: int = 64, max_steps: int = 64) -> None:
        self.env_id, self._size, self.max_steps = "babyai/go-to-local", size, max_steps
        self.action_names = list(SENTENCES)
        self.action_space = Discrete(len(SENTENCES))
        self.observation_space = pixel_space(size)
        self._game = _game(max_steps)
        self._over = True

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """Starts an episode; ``seed`` sets the generator from which episodes' seeds are drawn."""
        super().reset(seed=seed)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints the rooms that it rejects
            self._game.reset(seed=int(self.np_random.integers(2**31)))
        wanted = self._game.instrs.desc
        self.mission = SENTENCES.index(f"go to the {wanted.color} {wanted.type}")
        self._over = False
        return self._observe(), self._info()

    def step(self, action: int):
        if self._over:
            raise RuntimeError("The episode is over: call reset() before step().")
        if not self.action_space.contains(int(action)):
            raise ValueError(
                f"A sentence's number is 0 to {len(SENTENCES) - 1}; got {int(action)}."
            )
        move = self.next_move(int(action))
        if move is None:
            move = self._game.actions.done  # nothing moves; the clock goes on
        _, reward, ended, cut, _ = self._game.step(move)
        self._over = ended or cut
        return self._observe(), float(reward), bool(ended), bool(cut), self._info()

    def render(self) -> NDArray[np.uint8]:
        return self._frame

    # --- what the map tells --------------------------------------------------------------------

    def next_move(self, sentence: int) -> int | None:
        """The move (a number in ``MOVES``) that a sentence asks for now; None: stay."""
        if sentence < len(MOVES):
            return sentence
        way = self.way(sentence)
        return way[0] if way else None

    def way(self, mission: int) -> list[int] | None:
        """A shortest list of moves after which such a thing is faced; None if it cannot be.

        Breadth first over tiles and directions.

        Args:
            mission: the number of its sentence.
        """
        goals = set(self.places(mission))
        grid, start = self._game.grid, self._pose()
        before: dict[tuple, tuple] = {start: ()}
        queue = deque([start])
        while queue:
            x, y, turn = here = queue.popleft()
            ahead = (x + int(_STEPS[turn][0]), y + int(_STEPS[turn][1]))
            if ahead in goals:
                moves: list[int] = []
                while before[here]:
                    here, move = before[here]
                    moves.append(move)
                return moves[::-1]
            nexts = [(x, y, (turn - 1) % 4), (x, y, (turn + 1) % 4)]
            nexts += [(*ahead, turn)] if grid.get(*ahead) is None else []
            for move, there in enumerate(nexts):
                if there not in before:
                    before[there] = (here, move)
                    queue.append(there)
        return None

    def places(self, mission: int) -> list[tuple[int, int]]:
        """The tiles of the things that a mission names."""
        color, kind = SENTENCES[mission].split()[-2:]
        grid = self._game.grid
        tiles = [(x, y) for x in range(grid.width) for y in range(grid.height)]
        things = {tile: thing for tile in tiles if (thing := grid.get(*tile)) is not None}
        return [t for t, thing in things.items() if (thing.color, thing.type) == (color, kind)]

    def possible(self) -> list[int]:
        """The sentences that make sense now: all moves, and missions whose thing can be faced."""
        missions = range(len(MOVES), len(SENTENCES))
        return [*range(len(MOVES)), *(m for m in missions if self.way(m) is not None)]

    def _pose(self) -> tuple[int, int, int]:
        x, y = self._game.agent_pos
        return int(x), int(y), int(self._game.agent_dir)

    def _info(self) -> dict:
        return {"state": np.array([*self._pose(), self.mission], np.float32)}

    def _observe(self) -> NDArray[np.uint8]:
        self._frame = resize(self._game.get_frame(highlight=False, tile_size=_TILE), self._size)
        return self._frame


def _game(max_steps: int):
    """MiniGrid's own environment."""
    try:
        import minigrid  # noqa: F401  registers its environments
    except ImportError as error:
        raise ModuleNotFoundError(
            'BabyAI needs minigrid: pip install "wmlearn[envs]" (or pip install minigrid).'
        ) from error
    return gymnasium.make(
        "BabyAI-GoToLocal-v0", max_steps=max_steps, disable_env_checker=True
    ).unwrapped
