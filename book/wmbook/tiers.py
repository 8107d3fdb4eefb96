"""What each tier's recipe takes: parameters, memory of the optimizer, clips seen."""

from __future__ import annotations

import warnings
from functools import cache

from wmbook import figures

_BYTES = 16  # a parameter: weight, gradient and two averages of AdamW, 4 bytes each
_TIERS = ("laptop", "colab", "node", "pod")


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
        "| System | Tier | For | Parameters | Memory for the optimizer | Frames recorded | Joint "
        "batch | Steps | Samples | Pixels |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows():
        stop = f", at most {row['minutes']:g} minutes" if row["minutes"] else ""
        lines.append(
            f"| {row['system']} | `{row['tier']}` | {row['hardware']} | "
            f"{row['parameters'] / 1e6:.1f} M "
            f"| {_memory(row)} | {row['frames']:,} | {row['batch']:,} | {row['steps']:,}{stop} "
            f"| {row['samples'] / 1e6:.3g} M | {row['size']}² × {row['length']} |"
        )
    return "\n".join(lines)


def _memory(row: dict) -> str:
    return (
        f"{row['megabytes']:,.0f} MB"
        if row["megabytes"] < 1000
        else f"{row['megabytes'] / 1000:.1f} GB"
    )


def figure() -> str:
    """Memory of the optimizer against clips seen, a line for each system from tier to tier."""
    drawn = figures.base(
        xaxis=dict(title="clips seen in training", type="log"),
        yaxis=dict(title="memory for the optimizer (MB)", type="log"),
    )
    names = list(dict.fromkeys(row["system"] for row in rows()))
    for name, hue, dash in zip(names, figures.HUES * 2, figures.DASHES * 2, strict=False):
        own = [row for row in rows() if row["system"] == name]
        drawn.add_scatter(
            x=[row["samples"] for row in own],
            y=[row["megabytes"] for row in own],
            mode="lines+markers+text",
            text=[row["tier"] for row in own],
            textposition=["top center", "top center", "bottom center", "top center"][: len(own)],
            name=name,
            line=dict(color=hue, dash=dash, width=2),
            marker=dict(size=10, symbol=["circle", "square", "diamond", "star"][: len(own)]),
            customdata=[
                [f"{row['parameters'] / 1e6:.1f} M", f"{row['steps']:,}", row["batch"]]
                for row in own
            ],
            hovertemplate="%{fullData.name}, %{text}<br>%{customdata[0]} parameters, %{y:.3g} "
            "MB<br>"
            "%{customdata[1]} steps of %{customdata[2]} clips<extra></extra>",
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
    title = "One code, other numbers: from the laptop to the pod. Hover for parameters and steps."
    return figures.show(drawn, alt, header, data, title)
