"""Gymnasium's CarRacing-v3, with pixels, as an environment that knows where on the road the car is.

``driving/car-racing``: the picture without its indicators, square, and the true state of each
frame: what a video does not tell and a probe must read off it.
"""

from __future__ import annotations

import math

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from wmlearn.envs.pixels import pixel_space, resize

STATE = ("speed", "lateral", "heading", "curvature", "x", "y", "angle")
"""What ``info["state"]`` holds. speed: meters a second along the car's axis. lateral: road widths
to the left of the center line (beyond 0.5 in size: the grass). heading: radians that the car points
to the left of the road. curvature: radians that the road turns left over the next ``AHEAD`` meters.
x, y, angle: meters and radians in the plane, the car's middle and the way it points."""
KEYS = {
    "noop": (0.0, 0.0, 0.0),
    "left": (-0.8, 0.0, 0.0),
    "right": (0.8, 0.0, 0.0),
    "up": (0.0, 0.8, 0.0),
    "down": (0.0, 0.0, 0.6),
    "upleft": (-0.8, 0.4, 0.0),
    "upright": (0.8, 0.4, 0.0),
}
"""Steering, gas and brake of what the arrow keys press."""
AHEAD = 20.0
"""Meters of road that ``curvature`` looks at."""
ROAD_WIDTH = 80 / 6
"""Meters from edge to edge, as the simulator builds it."""
FPS = 50
"""Steps of the simulator in a second."""
CAR = (slice(46, 62), slice(24, 40))
"""Rows and columns of 64 x 64 in which the car is: it always stands there, pointing up."""
_ROWS, _COLUMNS = slice(0, 84), slice(6, 90)  # of 96 x 96: the indicators are below
_BOUNDS = np.array([-1, 0, 0], np.float32), np.ones(3, np.float32)
_CUT_AFTER = 1000  # steps of the simulator, as Gymnasium registers it


class CarRacingEnv(gymnasium.Env):
    """A car on a track of its own for every seed, seen from above.

    Observation: uint8 ``[size, size, 3]``. Action: ``Box([-1, 0, 0], [1, 1, 1])``: steering (-1
    left), gas, brake (or keys, see below); it lasts ``frame_skip`` steps of 0.02 s. Reward:
    Gymnasium's, 1000 over the number of tiles for each tile that is first visited, and -0.1 a step
    of the simulator (leaving the playfield: -100). A finished lap and a left playfield terminate;
    after 1,000 steps of the simulator an episode is truncated. ``info["state"]`` is float32 with
    ``STATE``.

    The zoom at the beginning of Gymnasium's episodes is left out.

    Args:
        size: height and width of the observation.
        frame_skip: steps of the simulator that an action lasts.
        keys: ``driving/car-racing-keys``: the actions are the numbers of ``KEYS``.

    Raises:
        ModuleNotFoundError: Box2D is not installed.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 25}
    render_mode = "rgb_array"
    state_names = list(STATE)

    def __init__(self, size: int = 64, frame_skip: int = 2, keys: bool = False) -> None:
        self.env_id = "driving/car-racing" + ("-keys" if keys else "")
        self._size, self.frame_skip, self._keys = size, frame_skip, keys
        self._sim = _simulator()
        self.observation_space = pixel_space(size)
        self.action_names = list(KEYS) if keys else None
        self.action_space = Discrete(len(KEYS)) if keys else Box(*_BOUNDS)
        self._steps = None

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        """Starts an episode; ``seed`` sets the generator from which tracks are drawn."""
        super().reset(seed=seed)
        self._sim.reset(seed=int(self.np_random.integers(2**31)))
        tiles = np.array(self._sim.track)
        self._beta, self._middle = tiles[:, 1], tiles[:, 2:]
        self._steps = 0
        return self._observe(), {"state": self._state()}

    def step(self, action):
        if self._steps is None:
            raise RuntimeError("The episode is over: call reset() before step().")
        if self._keys:
            action = list(KEYS.values())[int(action)]
        action = np.clip(np.asarray(action, np.float32), *_BOUNDS)
        total, terminated = 0.0, False
        for _ in range(self.frame_skip):
            _, reward, terminated, _, _ = self._sim.step(action)
            total, self._steps = total + reward, self._steps + 1
            if terminated:
                break
        truncated = self._steps >= _CUT_AFTER and not terminated
        frame, info = self._observe(), {"state": self._state()}
        if terminated or truncated:
            self._steps = None
        return frame, total, bool(terminated), truncated, info

    def render(self) -> NDArray[np.uint8]:
        return self._frame

    def close(self) -> None:
        self._sim.close()

    # --- what the simulator knows ----------------------------------------------------------------

    @property
    def state(self) -> dict[str, float]:
        """``STATE`` by name, now."""
        return dict(zip(STATE, map(float, self._state()), strict=True))

    @property
    def progress(self) -> float:
        """Share of the track's tiles that have been visited."""
        return self._sim.tile_visited_count / len(self._middle)

    def road_ahead(self, meters: float) -> tuple[float, float]:
        """A point of the center line this far ahead: (to the car's right, before it), in meters."""
        point = self._middle[(self._nearest() + round(meters / self._tile())) % len(self._middle)]
        x, y, angle = self._pose()
        right, ahead = _turned(point - (x, y), -angle)
        return float(right), float(ahead)

    def turn_ahead(self, near: float, far: float) -> float:
        """Radians that the road turns left between these two distances ahead, in meters."""
        here, tile = self._nearest(), self._tile()
        at = [self._beta[(here + round(d / tile)) % len(self._beta)] for d in (near, far)]
        return _wrapped(at[1] - at[0])

    def _tile(self) -> float:
        return float(np.linalg.norm(self._middle[1] - self._middle[0]))

    def _pose(self) -> tuple[float, float, float]:
        hull = self._sim.car.hull
        return float(hull.position[0]), float(hull.position[1]), float(hull.angle)

    def _nearest(self) -> int:
        """The tile whose middle is nearest."""
        x, y, _ = self._pose()
        return int(np.square(self._middle - (x, y)).sum(1).argmin())

    def _state(self) -> NDArray[np.float32]:
        x, y, angle = self._pose()
        here = self._nearest()
        beta = self._beta[here]  # the road goes towards (-sin beta, cos beta)
        right, _ = _turned(np.array([x, y]) - self._middle[here], -beta)
        velocity = self._sim.car.hull.linearVelocity
        _, speed = _turned(np.array([velocity[0], velocity[1]]), -angle)
        curvature, heading = self.turn_ahead(0.0, AHEAD), _wrapped(angle - beta)
        known = (speed, -right / ROAD_WIDTH, heading, curvature, x, y, _wrapped(angle))
        return np.array(known, np.float32)

    def _observe(self) -> NDArray[np.uint8]:
        picture = self._sim.picture()
        self._frame = resize(np.ascontiguousarray(picture[_ROWS, _COLUMNS]), self._size)
        return self._frame


def _turned(vector: NDArray, angle: float) -> NDArray:
    """``[2]``, turned left by ``angle`` radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1]])


def _wrapped(angle: float) -> float:
    """In -pi..pi."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


def _simulator():
    """Gymnasium's environment, which draws when it is asked to."""
    try:
        from gymnasium.envs.box2d.car_racing import CarRacing
    except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
        raise ModuleNotFoundError(
            'driving/car-racing needs Box2D: pip install "wmlearn[driving]".'
        ) from error

    return _quick(CarRacing)


def _quick(simulator: type):
    """Gymnasium's environment, which draws the same pictures, but only when asked and faster.

    What lies out of sight is left out before it is turned and scaled, not after; and there are no
    indicators.
    """
    import pygame
    from gymnasium.envs.box2d import car_racing as its

    side = its.GRASS_DIM
    corners = np.arange(-20, 20, 2) * side
    grass = [
        ((x + side, y), (x, y), (x, y + side), (x + side, y + side))
        for x in corners
        for y in corners
    ]
    middles = np.array(grass).mean(1)
    bound = its.PLAYFIELD
    field = ((bound, bound), (bound, -bound), (-bound, -bound), (-bound, bound))
    in_sight = np.hypot(its.WINDOW_W, 1.5 * its.WINDOW_H) / 2 / (its.ZOOM * its.SCALE) + side

    class Quick(simulator):
        def _render(self, mode: str):
            return None

        def picture(self) -> NDArray[np.uint8]:
            """uint8 ``[96, 96, 3]``."""
            zoom, hull = its.ZOOM * its.SCALE, self.car.hull
            place = np.array([hull.position[0], hull.position[1]])
            shift = pygame.math.Vector2(*(-zoom * place)).rotate_rad(-hull.angle)
            shift = (its.WINDOW_W / 2 + shift[0], its.WINDOW_H / 4 + shift[1])
            self.surf = pygame.Surface((its.WINDOW_W, its.WINDOW_H))

            def draw(polygon, color, clip=True) -> None:
                self._draw_colored_polygon(
                    self.surf, polygon, color, zoom, shift, -hull.angle, clip
                )

            draw(field, self.bg_color, clip=False)
            for i in np.flatnonzero(_distance(middles, place) < in_sight):
                draw(grass[i], self.grass_color)
            tiles = np.array([polygon[0] for polygon, _ in self.road_poly])
            for i in np.flatnonzero(_distance(tiles, place) < in_sight):
                polygon, color = self.road_poly[i]
                draw(polygon, [int(value) for value in color])
            self.car.draw(self.surf, zoom, shift, -hull.angle, False)
            self.surf = pygame.transform.flip(self.surf, False, True)
            return self._create_image_array(self.surf, (its.STATE_W, its.STATE_H))

    return Quick()


def _distance(points: NDArray, place: NDArray) -> NDArray:
    return np.hypot(*(points - place).T)
