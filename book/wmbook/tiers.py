"""What each tier's recipe takes: parameters, memory of the optimizer, clips seen."""

from __future__ import annotations

import warnings
from functools import cache

from wmbook import figures
from wmbook.places import ROOT

_BYTES = 16  # a parameter: weight, gradient and two averages of AdamW, 4 bytes each
_TIERS = ("laptop", "colab", "node", "pod")


@cache
def measured() -> dict[str, tuple[float, float]]:
    """Clips a second and peak GiB of each system's step at tier colab, on the benchmarks' page."""
    text = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    head, _, table = text.partition("| System, colab tier |")[2].partition("\n")
    names = [name.strip() for name in head.split("|")]
    clips, peak = names.index("Clips/s"), names.index("Peak GiB")
    found = {}
    for line in table.partition("\n\n")[0].strip().split("\n")[1:]:
        first, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        found[first] = float(cells[clips]), float(cells[peak])
    return found


def _rate(row: dict) -> tuple[float, float] | None:
    own = measured().get(row["system"], measured().get(row["system"].removesuffix(" 1")))
    return own if row["tier"] == "colab" else None


def _time(row: dict) -> str:
    if row["minutes"]:
        return f"at most {row['minutes']:g} minutes"
    if rate := _rate(row):
        return f"{row['samples'] / rate[0] / 3600:.1f} h on an H200, {rate[1]:g}\u00a0GiB"
    return "–"


@cache
def rows() -> tuple[dict, ...]:
    """One for each system and tier; parameters are counted on the meta device."""
    import torch

    from wmlearn.recipes.tiers import TIERS
    from wmlearn.systems import SYSTEMS

    found = []
    for entry in (entry for entry in SYSTEMS if ":" in entry.recipe):
        recipe = entry.load("recipe")
        for tier in _TIERS:
            run, config = recipe.preset(tier)
            with torch.device("meta"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                system = recipe.build(config)
            count = sum(p.numel() for p in system.parameters())
            found.append(
                dict(
                    system=entry.title, tier=tier, hardware=TIERS[tier].hardware, parameters=count,
                    megabytes=count * _BYTES / 1e6, frames=run.frames, batch=run.batch_size,
                    steps=run.max_steps, samples=run.batch_size * run.max_steps,
                    minutes=run.max_minutes, size=run.image_size, length=run.clip_frames,
                )
            )  # fmt: skip
    return tuple(found)


def table() -> str:
    lines = [
        "| System | Tier | Parameters | Optimizer | Frames | Joint batch | Steps | Clips | Time | "
        "Pixels |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows():
        lines.append(
            f"| {row['system']} | `{row['tier']}` | {row['parameters'] / 1e6:,.1f} M "
            f"| {_memory(row)} | {row['frames']:,} | {row['batch']:,} | {row['steps']:,} "
            f"| {_count(row['samples'])} | {_time(row)} "
            f"| {row['size']}²\u00a0×\u00a0{row['length']} |"
        )
    return "\n".join(lines)


def _count(clips: int) -> str:
    return f"{clips / 1e6:.3g}\u00a0M" if clips >= 1_000_000 else f"{clips:,}"


def hardware() -> str:
    """What each tier is for, as a list."""
    from wmlearn.recipes.tiers import TIERS

    return "\n".join(f"- `{tier}`: {TIERS[tier].hardware}" for tier in _TIERS)


def _memory(row: dict) -> str:
    return (
        f"{row['megabytes']:,.0f} MB"
        if row["megabytes"] < 1000
        else f"{row['megabytes'] / 1000:.1f} GB"
    )


_MARKS = dict(zip(_TIERS, ("circle", "square", "diamond", "star"), strict=True))


def figure() -> str:
    """Memory of the optimizer against clips seen, a line for each system from tier to tier."""
    drawn = figures.base(
        height=580,
        xaxis=dict(title="clips seen in training", type="log", dtick=1),
        yaxis=dict(title="memory for the optimizer (MB)", type="log", dtick=1),
    )
    names = list(dict.fromkeys(row["system"] for row in rows()))
    for name, hue, dash in zip(names, figures.HUES * 3, figures.DASHES * 3, strict=False):
        own = [row for row in rows() if row["system"] == name]
        drawn.add_scatter(
            x=[row["samples"] for row in own],
            y=[row["megabytes"] for row in own],
            mode="lines+markers",
            name=name,
            line=dict(color=hue, dash=dash, width=2),
            marker=dict(size=11, symbol=[_MARKS[row["tier"]] for row in own]),
            customdata=[
                [row["tier"], f"{row['parameters'] / 1e6:.1f} M", f"{row['steps']:,}", row["batch"]]
                for row in own
            ],
            hovertemplate="%{fullData.name}, %{customdata[0]}<br>%{customdata[1]} parameters, "
            "%{y:.3g} MB<br>%{customdata[2]} steps of %{customdata[3]} clips<extra></extra>",
        )
    first, last = rows()[0], max(rows(), key=lambda row: row["megabytes"])
    alt = (
        "Memory for the optimizer against clips seen in training, one line for each system from "
        "the laptop's tier "
        f"to the pod's. {first['system']} on a laptop: {_memory(first)}, {first['samples']:,} "
        f"clips. The "
        f"largest is {last['system']} at tier {last['tier']}: {_memory(last)}."
    )
    header = ("System", "Tier", "Parameters", "Memory for the optimizer", "Clips seen")
    data = [
        (r["system"], r["tier"], f"{r['parameters'] / 1e6:.1f} M", _memory(r), f"{r['samples']:,}")
        for r in rows()
    ]
    marks = ", ".join(f"{mark} {tier}" for tier, mark in _MARKS.items())
    title = f"One code, other numbers, from the laptop to the pod ({marks}). Hover for parameters "
    title += "and steps; click a name to hide it, twice to see it alone."
    return figures.show(drawn, alt, header, data, title)
