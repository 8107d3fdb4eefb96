"""Tables and figures of what was measured, read from the cards."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import takewhile

from wmbook import cards, rows
from wmbook.cards import Measure, estimate
from wmbook.places import ROOT
from wmlearn.systems import SPACES, SYSTEMS

_DASH = "–"
Row = tuple[str, str, str]  # what, measured, beside it


def table() -> str:
    """A section for each checkpoint that was judged."""
    parts = []
    for name in cards.names():
        lines = list(rows_of(name))
        if lines:
            found = cards.card(name)
            parts += [f"### `{name}`", "", about(found), "", *rows_table(lines), ""]
    return "\n".join(parts)


def rows_of(name: str) -> Iterator[Row]:
    """All that is known of one checkpoint: what, measured, beside it."""
    found = cards.evaluation(name) or {}
    yield from _fidelity(name)
    yield from _latent_actions(found.get("latent_actions"))
    yield from _sections(found)
    yield from _from_card(cards.card(name))
    for line in rows.of(name):
        beside = "; ".join(f"{label} {value}" for label, value in line["others"])
        yield line["what"], str(line["own"]), beside or _DASH
    yield from _cost(name, found.get("cost"))


def about(card: dict) -> str:
    """On what, how long and where a checkpoint was trained."""
    made = f"{card['frames']:,} frames of `{card['env']}`, {card['steps']:,} steps"
    hardware = re.sub(r"\b1 threads used", "one thread used", card.get("hardware", ""))
    spent = [f"{card['minutes']:g} minutes"] if card.get("minutes") else []
    return f"Trained on {made}{', '.join(['', *spent])}{f' on {hardware}' * bool(hardware)}."


def rows_table(lines: list[Row]) -> list[str]:
    head = ["| What | Measured | Beside it |", "|---|---|---|"]
    return head + [f"| {a} | {b} | {c} |" for a, b, c in lines]


def _fidelity(name: str) -> Iterator[Row]:
    control = cards.control(name)
    for row in cards.horizons(name):
        ahead = f"{row['horizon']} frame{'s' * (row['horizon'] > 1)} ahead"
        dream, copy, gain = (estimate(row[key], "dB") for key in ("psnr", "psnr_copy", "psnr_gain"))
        beside = f"copying the last frame {copy}; dream minus copy {gain}"
        yield f"PSNR {ahead}", str(dream), beside
        if row["horizon"] in control:
            delta = estimate(control[row["horizon"]]["delta"], "dB")
            yield (
                f"lost under other actions, {ahead} (ΔPSNR)",
                str(delta),
                "0 would mean that it does not listen",
            )


def _latent_actions(score: dict | None) -> Iterator[Row]:
    if score:
        classes = ", ".join(score["classes"])
        recall = estimate(score["recall"], "%", 0)
        chance = f"chance {100 / len(score['classes']):.0f} %"
        yield f"{classes} told apart by latent actions", str(recall), chance
        used = f"{score['used']:.0%} of {score['codes']}, perplexity {score['perplexity']:.1f}"
        yield "codes in use", used.replace("%", " %"), f"{score['codes']} would be the most"


def _sections(found: dict) -> Iterator[Row]:
    """What a system's own judge added; an indented row stands beside the one above it."""
    for section in found.get("sections", []):
        columns = section["columns"] or [""]
        lines = section["rows"]
        for index, row in enumerate(lines):
            if row["name"].startswith(" "):
                continue
            beside = list(takewhile(lambda r: r["name"].startswith(" "), lines[index + 1 :]))
            for column, (label, value) in enumerate(zip(columns, row["values"], strict=False)):
                own = estimate(value, section["unit"], section["digits"])
                others = [
                    f"{r['name'].strip()} {estimate(r['values'][column], section['unit'], 1)}"
                    for r in beside
                    if r["values"][column : column + 1]
                ]
                yield f"{row['name']}: {label}".rstrip(": "), str(own or _DASH), "; ".join(others)


def _probe(name: str) -> dict[str, dict]:
    """The rows of a card's section of probes, by name: the values of its first column."""
    for section in (cards.evaluation(name) or {}).get("sections", []):
        if section["name"] == "probe":
            return {row["name"].strip(): row["values"][0] for row in section["rows"]}
    return {}


def _from_card(card: dict) -> Iterator[Row]:
    """What a card without an evaluation says of features, goals and returns."""
    metrics = card.get("metrics", {})
    for steps in (1, 8):
        if f"l1_{steps}" in metrics:
            own, copy = (
                estimate(metrics[key], "", 3) for key in (f"l1_{steps}", f"l1_{steps}_copy")
            )
            yield (
                f"L1 of features, {steps} step{'s' * (steps > 1)} ahead",
                str(own),
                f"copying the last features {copy}",
            )
    if "landscape_distance" in metrics:
        own = estimate(metrics["landscape_distance"], "", 2)
        chance = f"chance {metrics['landscape_distance_chance']:.2f}"
        yield (
            "distance from the energy's minimum to the true action (actions reach from −1 to 1)",
            str(own),
            chance,
        )
    for key, label in (
        ("reach", "reach a goal given as a picture"),
        ("push_strokes_6", "push a block along a film of ten pictures"),
    ):
        if key in metrics:
            short = key.partition("_")[0]
            random = Measure(metrics[f"{short}_random"], unit="%", digits=0)
            yield (
                f"{label}: goals reached",
                str(estimate(metrics[key], "%", 0)),
                f"random actions {random}",
            )
    if "return" in metrics:
        own, random, script = (
            str(Measure(metrics[key], *metrics[f"{key}_interval"]))
            for key in ("return", "random", "script")
        )
        what = f"return in the real {card['env']}, {metrics['episodes']} episodes"
        yield what, own, f"random {random}, script {script}"


def _cost(name: str, cost: dict | None) -> Iterator[Row]:
    if cost is None:
        size = f"{cards.parameters(name) / 1e6:.2f} M parameters"
        yield "size", size, _DASH
        return
    speed = f"{cost['frames_per_second']:.1f} frames/s, one at a time"
    beside = f"{cost['frames_per_second_batch']:.1f} in batches of {cost['batch']}; "
    beside += f"{cost['machine']}, {cost['threads']} thread"
    yield "speed", speed, beside
    flops = cost["flops_per_frame"]
    yield (
        "size",
        f"{cost['parameters'] / 1e6:.2f} M parameters",
        f"{flops / 1e9:.2f} GFLOPs a frame" if flops else _DASH,
    )


@cache
def _measured() -> tuple[dict, ...]:
    text = (ROOT / "book/measured.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["measured"])


def measured() -> str:
    """What was measured beside the cards, each with its command."""
    lines = [
        "### Measured besides",
        "",
        "Runs that ship no checkpoint, and tools that write no card:",
        "",
    ]
    lines += ["| World | What | Measured | Beside it | By |", "|---|---|---|---|---|"]
    for row in _measured():
        by = (
            row["command"]
            if not row["command"].startswith(("python", "pytest"))
            else f"`{row['command']}`"
        )
        lines.append(
            f"| `{row['world']}` | {row['what']} | {row['value']} | {row['beside']} | {by} |"
        )
    return "\n".join(lines)


def commands() -> str:
    """The commands that judge the checkpoints again."""
    lines = ["```bash"]
    for name in cards.names():
        found, card = cards.evaluation(name), cards.card(name)
        data = card.get("data", {})
        if found is None or "hold" not in data or card["env"].startswith("procgen"):
            continue
        size = data["frame_shape"][-1]
        record = f"wmlearn record {card['env']} --policy {data['policy']} --hold {data['hold']:g}"
        record += f" --frames {card['frames']}"
        record += f" --seed {data['seed']}" + (f" --size {size}" if size != 64 else "")
        lines += [f"# {name}, {found['held_out']} held-out episodes", f"{record} --out data/{name}"]
        lines += [f"wmlearn evaluate {name} --data data/{name}", ""]
    return "\n".join(
        [
            *lines[:-1],
            "```",
            "",
            "The others, which need a tool of their chapter, are on the page of "
            "[checkpoints](checkpoints.md).",
        ]
    )


def comparison() -> str:
    """One row a world: fidelity, control, utility, cost."""
    lines = [
        "| World | Fidelity, 8 frames ahead | Over a copy | Does what it is told "
        "| What was reached with it | Parameters | Frames/s | Trained |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in cards.names():
        minutes, cost = cards.minutes(name), (cards.evaluation(name) or {}).get("cost")
        speed = cost["frames_per_second"] if cost else None
        if speed is None and (row := rows.speed(name)):
            speed = row.value
        shown = _DASH if speed is None else f"{speed:.0f}"
        own, over = _fidelity_cells(name)
        trained = f"{minutes:.0f} min, {cards.device(name)}" if minutes else cards.device(name)
        lines.append(
            f"| {link(name)} | {own} | {over} | {_control_cell(name)} | {_utility_cell(name)} "
            f"| {cards.parameters(name) / 1e6:.1f} M | {shown} | {trained} |"
        )
    return "\n".join(lines)


def link(name: str, root: str = "") -> str:
    """A checkpoint's name, linked to the page of its system where there is one."""
    system = cards.card(name)["system"]
    pages = {entry.name for entry in SYSTEMS if entry.name}
    return f"[`{name}`]({root}systems/{system}.md)" if system in pages else f"`{name}`"


def _fidelity_cells(name: str) -> tuple[str, str]:
    near = [row for row in cards.horizons(name) if row["horizon"] <= 8]
    if near:
        own, gain = (estimate(near[-1][key], "dB") for key in ("psnr", "psnr_gain"))
        return f"PSNR {own.html()}", gain.html()
    metrics = cards.card(name).get("metrics", {})
    if "l1_8" in metrics:
        own, copy = (estimate(metrics[key], "", 2) for key in ("l1_8", "l1_8_copy"))
        return f"L1 of features {own.html()}", f"a copy: {copy.html()}"
    for row in rows.of(name):
        if row.get("part") == "fidelity":
            copy = f"a copy: {row['others'][0][1].html()}" if row["others"] else _DASH
            return f"{row['cell']} {row['own'].html()}", copy
    return _DASH, _DASH


def _control_cell(name: str) -> str:
    control = {h: row for h, row in cards.control(name).items() if h <= 8}
    if control:
        return f"ΔPSNR {estimate(control[max(control)]['delta'], 'dB').html()}"
    metrics = cards.card(name).get("metrics", {})
    if "landscape_distance" in metrics:
        own = estimate(metrics["landscape_distance"], "", 2)
        chance = metrics["landscape_distance_chance"]
        return f"energy's minimum off by {own.html()}<br>chance {chance:.2f}"
    return "<br>".join(rows.cell(name, "control")) or _DASH


def _utility_cell(name: str) -> str:
    card = cards.card(name)
    metrics, found = card.get("metrics", {}), cards.evaluation(name) or {}
    if "reach" in metrics:
        reach, push = (estimate(metrics[key], "%", 0) for key in ("reach", "push_strokes_6"))
        return f"goals reached {reach.html()}<br>pushes {push.html()}"
    if "return" in metrics:
        own = Measure(metrics["return"], *metrics["return_interval"])
        return f"return {own.html()}<br>random {Measure(metrics['random'], digits=0)}"
    if probe := _probe(name):
        pairs = estimate(probe["the encoder, ten labels"], "%")
        return f"motion or reversal, ten labels {pairs.html()}"
    if found.get("latent_actions"):
        score = found["latent_actions"]
        recall = estimate(score["recall"], "%", 0)
        return f"actions told apart {recall.html()}<br>chance {100 / len(score['classes']):.0f} %"
    utility = found.get("utility")
    if utility:
        return "<br>".join(
            f"{row['name']} {estimate(row['value']).html()}" for row in utility["returns"]
        )
    return "<br>".join(rows.cell(name, "utility")) or _DASH


def utility_share(name: str) -> tuple[float, str] | None:
    """How far a world carries on the way from chance, 0, to the best possible, 1; and at what."""
    found = cards.evaluation(name) or {}
    metrics = cards.card(name).get("metrics", {})
    if "reach" in metrics:
        return metrics["reach"][0], "picture goals reached"
    if score := found.get("latent_actions"):
        chance = 1 / len(score["classes"])
        return (score["recall"]["value"] - chance) / (1 - chance), "actions told apart"
    for row in rows.of(name):
        if row.get("share"):
            return row["own"].value, row["cell"]
    return _return_share(name)


def _return_share(world: str) -> tuple[float, str] | None:
    """Of a world in which a policy was trained that ships: random is 0, the script is 1."""
    for name in cards.names():
        policy = cards.card(name)
        inside = world in re.findall(r"[a-z0-9-]+", policy.get("note", ""))
        if inside and "script" in policy.get("metrics", {}):
            own, random, script = (policy["metrics"][key] for key in ("return", "random", "script"))
            return (own - random) / (script - random), "return of a policy trained in it"
    return None


def fidelity() -> str:
    """The part of the comparison that the page on fidelity shows, column by column of the map."""
    head = "| Column of the map | World | Fidelity | Over a copy | Utility |"
    lines = [head, "|---|---|---|---|---|"]
    spaces = {entry.name: entry.space for entry in SYSTEMS if entry.name}
    found = []
    for name in cards.names():
        space = spaces.get(cards.card(name)["system"], "a policy")
        cells = (*_fidelity_cells(name), _utility_cell(name))
        if set(cells) != {_DASH}:
            found.append((space, name, cells))
    order = [*SPACES, "a policy"]
    for space, name, cells in sorted(found, key=lambda row: order.index(row[0])):
        lines.append(f"| {space} | {link(name)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def five() -> list[Row]:
    """Five numbers for the front door: value, what it is, what stands beside it."""
    diamond, ac = cards.at("diamond-doom-basic"), cards.card("vjepa2-ac-fetch")["metrics"]
    score = cards.evaluation("genie-coinrun")["latent_actions"]
    probe = {
        key: str(Measure(value["value"], unit="%"))
        for key, value in _probe("vjepa-metaworld").items()
    }
    policy = cards.card("actor-critic-doom-basic")["metrics"]
    share = (policy["return"] - policy["random"]) / (policy["script"] - policy["random"])
    percent = {
        key: str(Measure(value, unit="%", digits=0))
        for key, value in dict(
            recall=score["recall"]["value"],
            chance=1 / len(score["classes"]),
            reach=ac["reach"][0],
            random=ac["reach_random"],
            share=share,
        ).items()
    }
    returns = [str(Measure(policy[key], digits=0)) for key in ("return", "random", "script")]
    return [
        (
            str(Measure(diamond["psnr"]["value"], unit="dB")),
            f"PSNR of DIAMOND's dream of DOOM, {diamond['horizon']} steps ahead",
            f"copying the last frame {Measure(diamond['psnr_copy']['value'], unit='dB')}",
        ),
        (
            percent["recall"],
            "of left, right and jump told apart by actions that Genie found itself",
            f"chance {percent['chance']}",
        ),
        (
            percent["reach"],
            "of picture goals reached by planning in features",
            f"random actions {percent['random']}",
        ),
        (
            probe["the encoder, ten labels"],
            "a motion or its reversal, from V-JEPA's frozen features and ten labels",
            "its twin that predicts pixels {}, untrained {}".format(
                probe["its twin, which predicts pixels, ten labels"],
                probe["never trained, ten labels"],
            ),
        ),
        (
            percent["share"],
            "of the way from random keys to a script that sees the state, by a policy trained "
            "only in a dream",
            "return {}; random {}, script {}".format(*returns),
        ),
    ]


def five_numbers() -> str:
    """The landing page's five numbers."""
    rows = five()
    items = "".join(f"<li><b>{a}</b>{b}<small>beside it: {c}</small></li>" for a, b, c in rows)
    return f'<ul class="wm-numbers">{items}</ul>'
