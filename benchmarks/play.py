"""A step of each shipped world on one core: time, frames a second, and by operator.

    python benchmarks/play.py                        # all that ship
    python benchmarks/play.py genie-coinrun --top 8  # one of them, its eight dearest operators

Times are processor time of one thread, medians; shares are those of PyTorch's profiler.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from gymnasium.spaces import Discrete
from torch.profiler import ProfilerActivity, profile

from wmlearn import hub
from wmlearn.world import World


def stepper(name: str) -> Callable[[], object] | None:
    """One step of a world with its caches full, again and again; None where there is no world."""
    try:
        world: World = hub.load_world(name)
    except hub.CheckpointError:
        return None
    state = world.reset(hub.load_starts(name)[torch.arange(1)])
    discrete = isinstance(world.action_space, Discrete)
    action = (
        torch.zeros(1, dtype=torch.int64) if discrete else torch.zeros(1, *world.action_space.shape)
    )
    generator = torch.Generator().manual_seed(0)
    for _ in range(8):
        state, _ = world.step(state, action, generator)
    return lambda: world.step(state, action, generator)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", default=hub.list_checkpoints())
    parser.add_argument("--top", type=int, default=4, help="operators to name")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| World | ms a step | frames/s | of which |\n|---|---|---|---|")
    for name in args.names:
        if (step := stepper(name)) is None:
            continue
        times = []
        for _ in range(60):
            start = time.process_time()
            step()
            times.append(time.process_time() - start)
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            for _ in range(20):
                step()
        spent = {event.key: event.self_cpu_time_total for event in seen.key_averages()}
        top = sorted(spent, key=spent.get, reverse=True)[: args.top]
        shares = ", ".join(
            f"{key.rpartition('::')[2]} {spent[key] / sum(spent.values()):.0%}" for key in top
        )
        median = statistics.median(times)
        print(f"| {name} | {1000 * median:.1f} | {1 / median:.0f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
