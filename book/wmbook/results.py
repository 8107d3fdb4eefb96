"""Tables and figures of what was measured, read from the cards."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache

from wmbook import cards, figures
from wmbook.cards import Measure, estimate
from wmbook.places import ROOT

_DASH = "–"
Row = tuple[str, str, str]  # what, measured, beside it


def table() -> str:
    """A section for each checkpoint that was judged."""
    parts = []
    for name in cards.names():
        rows = list(rows_of(name))
        if rows:
            found = cards.card(name)
            parts += [f"### `{name}`", "", about(found), "", *rows_table(rows), ""]
    return "\n".join(parts)


def rows_of(name: str) -> Iterator[Row]:
    """All that is known of one checkpoint: what, measured, beside it."""
    found = cards.evaluation(name) or {}
    yield from _fidelity(name)
    yield from _latent_actions(found.get("latent_actions"))
    yield from _probes(found)
    yield from _from_card(cards.card(name))
    yield from _cost(found.get("cost"))


def about(card: dict) -> str:
    minutes = card.get("minutes")
    made = f"{card['frames']:,} frames of `{card['env']}`, {card['steps']:,} steps"
    return f"Trained on {made}, {minutes:g} minutes on {card['hardware']}."


def rows_table(rows: list[Row]) -> list[str]:
    lines = ["| What | Measured | Beside it |", "|---|---|---|"]
    return lines + [f"| {a} | {b} | {c} |" for a, b, c in rows]


def _fidelity(name: str) -> Iterator[Row]:
    control = cards.control(name)
    for row in cards.horizons(name):
        ahead = f"{row['horizon']} step{'s' * (row['horizon'] > 1)} ahead"
        dream, copy, gain = (
            estimate(row[key], "dB") for key in ("psnr", "psnr_copy", "psnr_gain")
        )
        beside = f"copying the last frame {copy}; dream minus copy {gain}"
        yield f"PSNR {ahead}", str(dream), beside
        if row["horizon"] in control:
            delta = estimate(control[row["horizon"]]["delta"], "dB")
            yield f"lost under other actions, {ahead} (ΔPSNR)", str(delta), "0 would mean that it does not listen"


def _latent_actions(score: dict | None) -> Iterator[Row]:
    if score:
        classes = ", ".join(score["classes"])
        recall = estimate(score["recall"], "%", 0)
        chance = f"chance {100 / len(score['classes']):.0f} %"
        yield f"{classes} told apart by latent actions", str(recall), chance
        used = f"{score['used']:.0%} of {score['codes']}, perplexity {score['perplexity']:.1f}"
        yield "codes in use", used.replace("%", " %"), f"{score['codes']} would be the most"


def _probes(found: dict) -> Iterator[Row]:
    """Of a frozen encoder: motions and their reversals, beside a twin and an untrained encoder."""
    words = {"pairs": "a motion or its reversal", "all": "which of all motions"}
    for part, row in found.get("features", {}).items():
        if ", one frame" in part:
            continue
        for key, label in words.items():
            beside = []
            alone = found["features"].get(f"{part}, one frame", {}).get(key)
            for other, entry in (
                ("one frame", alone),
                ("its twin that predicts pixels", found.get("pixels", {}).get(part, {}).get(key)),
                ("an untrained encoder", found.get("random", {}).get(part, {}).get(key)),
            ):
                if entry:
                    beside.append(f"{other} {estimate(entry, '%')}")
            yield f"{label}, frozen probe, {part}", str(estimate(row[key], "%")), "; ".join(beside)


def _from_card(card: dict) -> Iterator[Row]:
    """What a card without an evaluation says of features, goals and returns."""
    metrics = card.get("metrics", {})
    for steps in (1, 8):
        if f"l1_{steps}" in metrics:
            own, copy = (estimate(metrics[key], "", 3) for key in (f"l1_{steps}", f"l1_{steps}_copy"))
            yield f"L1 of features, {steps} step{'s' * (steps > 1)} ahead", str(own), f"copying the last features {copy}"
    if "landscape_distance" in metrics:
        own = estimate(metrics["landscape_distance"], "", 2)
        chance = f"chance {metrics['landscape_distance_chance']:.2f}"
        yield "distance from the energy's minimum to the true action (actions reach from −1 to 1)", str(own), chance
    for key, label in (("reach", "reach a goal given as a picture"), ("push_strokes_6", "push a block along a film of ten pictures")):
        if key in metrics:
            short = key.partition("_")[0]
            random = Measure(metrics[f"{short}_random"], unit="%", digits=0)
            yield f"{label}: goals reached", str(estimate(metrics[key], "%", 0)), f"random actions {random}"
    if "return" in metrics:
        value = lambda key: Measure(metrics[key], *metrics[f"{key}_interval"])
        what = f"return in the real {card['env']}, {metrics['episodes']} episodes"
        yield what, str(value("return")), f"random {value('random')}, script {value('script')}"


def _cost(cost: dict | None) -> Iterator[Row]:
    if cost:
        speed = f"{cost['frames_per_second']:.1f} frames/s, one at a time"
        beside = f"{cost['frames_per_second_batch']:.1f} in batches of {cost['batch']}; {cost['machine']}, {cost['threads']} thread"
        yield "speed", speed, beside
        flops = cost["flops_per_frame"]
        yield "size", f"{cost['parameters'] / 1e6:.2f} M parameters", f"{flops / 1e9:.2f} GFLOPs a frame" if flops else _DASH


@cache
def _measured() -> tuple[dict, ...]:
    text = (ROOT / "book/measured.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["measured"])


def measured() -> str:
    """What was measured beside the cards, each with its command."""
    lines = ["### Measured besides", "", "Runs that ship no checkpoint, and tools that write no card:", ""]
    lines += ["| World | What | Measured | Beside it | By |", "|---|---|---|---|---|"]
    for row in _measured():
        by = row["command"] if not row["command"].startswith(("python", "pytest")) else f"`{row['command']}`"
        lines.append(f"| `{row['world']}` | {row['what']} | {row['value']} | {row['beside']} | {by} |")
    return "\n".join(lines)


def commands() -> str:
    """The commands that judge the checkpoints again."""
    lines = ["```bash"]
    for name in cards.names():
        found, card = cards.evaluation(name), cards.card(name)
        if not cards.horizons(name) or card["env"].startswith("procgen"):
            continue
        data = card["data"]
        size = data["frame_shape"][-1]
        record = f"wmlearn record {card['env']} --policy {data['policy']} --hold {data['hold']:g} --frames {card['frames']}"
        record += f" --seed {data['seed']}" + (f" --size {size}" if size != 64 else "")
        lines += [f"# {name}, {found['held_out']} held-out episodes", f"{record} --out data/{name}"]
        lines += [f"wmlearn evaluate {name} --data data/{name}", ""]
    return "\n".join([*lines[:-1], "```", "", "The others, which need a tool of their chapter, are on the page of [checkpoints](checkpoints.md)."])


def horizon_figure() -> str:
    """Curves of PSNR over the horizon for every world that draws frames."""
    worlds, rows = [], []
    for name in cards.evaluations():
        curve = cards.evaluation(name)["fidelity"]["curve"]
        worlds.append((name, curve))
        for step in _steps(len(curve["dream"])):
            dream, copy = (estimate(curve[key][step - 1], "dB") for key in ("dream", "copy"))
            other = curve["other_actions"]
            rows.append((name, step, dream, copy, estimate(other[step - 1], "dB") if other else _DASH))
    longest = {name: len(curve["dream"]) for name, curve in worlds}
    says = "; ".join(
        f"{name}: {curve['dream'][-1]['value']:.1f} dB after {longest[name]} steps, copying {curve['copy'][-1]['value']:.1f}"
        for name, curve in worlds
    )
    header = ("World", "Steps ahead", "Dream", "Copy of the last frame", "Other actions")
    alt = f"PSNR falls with the horizon. {says}."
    title = "PSNR against horizon: solid the dream, dotted a copy of the last frame. Hover for the values; click a name to hide it."
    return figures.show(figures.horizon_curves(worlds), alt, header, rows, title)


def _steps(longest: int) -> list[int]:
    return [step for step in (1, 2, 4, 8, 16, 32) if step <= longest]


def _error_left(name: str) -> tuple[float, float | None, float | None, str] | None:
    """Error of the dream in units of a copy's, 8 steps ahead (or the longest below): value, bounds, unit."""
    rows = [row for row in cards.horizons(name) if row["horizon"] <= 8]
    if rows:
        gain = rows[-1]["psnr_gain"]
        share = lambda decibel: 10 ** (-decibel / 10)
        return share(gain["value"]), share(gain["high"]), share(gain["low"]), "squared error of pixels"
    metrics = cards.card(name).get("metrics", {}) if name in cards.names() else {}
    if "l1_8" in metrics:
        return metrics["l1_8"][0] / metrics["l1_8_copy"][0], None, None, "L1 of features"
    return None


def comparison_figure() -> str:
    """Error left, in units of a copy's, against minutes of training."""
    points, rows = [], []
    everything = [*cards.names(), *(n for n in cards.evaluations() if n not in cards.names())]
    for name in everything:
        found, minutes = _error_left(name), _minutes(name)
        if found and minutes:
            value, low, high, unit = found
            hover = f"{name}<br>{value:.2f} of a copy's {unit}<br>{minutes:g} minutes of training"
            points.append(dict(x=minutes, y=value, low=low, high=high, name=name, hover=hover))
            bounds = f" [{low:.2f}, {high:.2f}]" if low is not None else ""
            rows.append((name, f"{minutes:g}", f"{value:.2f}{bounds}", unit))
    figure = figures.scatter(points, "minutes of training on a CPU", "error left (1 = as a copy)")
    figure.update_yaxes(type="log", tickvals=[0.2, 0.5, 1, 2, 5, 10], ticktext=["0.2", "0.5", "1", "2", "5", "10"])
    figure.add_hline(y=1, line=dict(dash="dot", width=1.5, color="#767676"))
    alt = "Error left eight steps ahead, in units of copying the last frame, against minutes of training. "
    alt += " ".join(f"{p['name']}: {p['y']:.2f} after {p['x']:g} minutes." for p in points)
    header = ("World", "Minutes of training", "Error left, 8 steps ahead", "Error of")
    title = "Error left 8 steps ahead, in units of what copying leaves (dotted line), against minutes of training."
    return figures.show(figure, alt, header, rows, title)


def _minutes(name: str) -> float | None:
    if name in cards.names():
        return cards.card(name).get("minutes")
    return ((cards.evaluation(name) or {}).get("cost") or {}).get("training_minutes")


def comparison() -> str:
    """One row a world: fidelity, control, utility, cost."""
    lines = [
        "| World | Fidelity, 8 steps ahead | Over a copy | Does what the actions say | What was reached with it "
        "| Parameters | Frames/s | Trained, minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in cards.names():
        cost = (cards.evaluation(name) or {}).get("cost") or {}
        speed = f"{cost['frames_per_second']:.0f}" if cost else _DASH
        own, over = _fidelity_cells(name)
        lines.append(
            f"| `{name}` | {own} | {over} | {_control_cell(name)} | {_utility_cell(name)} "
            f"| {cards.parameters(name) / 1e6:.1f} M | {speed} | {_minutes(name):.0f} |"
        )
    return "\n".join(lines)


def _fidelity_cells(name: str) -> tuple[str, str]:
    rows = [row for row in cards.horizons(name) if row["horizon"] <= 8]
    if rows:
        own, gain = (estimate(rows[-1][key], "dB") for key in ("psnr", "psnr_gain"))
        return f"PSNR {own.html()}", gain.html()
    metrics = cards.card(name).get("metrics", {})
    if "l1_8" in metrics:
        own, copy = (estimate(metrics[key], "", 2) for key in ("l1_8", "l1_8_copy"))
        return f"L1 of features {own.html()}", f"a copy: {copy.html()}"
    return _DASH, _DASH


def _control_cell(name: str) -> str:
    control = {h: row for h, row in cards.control(name).items() if h <= 8}
    if control:
        return f"ΔPSNR {estimate(control[max(control)]['delta'], 'dB').html()}"
    metrics = cards.card(name).get("metrics", {})
    if "landscape_distance" in metrics:
        own = estimate(metrics["landscape_distance"], "", 2)
        return f"energy's minimum off by {own.html()}<br>chance {metrics['landscape_distance_chance']:.2f}"
    return _DASH


def _utility_cell(name: str) -> str:
    card = cards.card(name)
    metrics, found = card.get("metrics", {}), cards.evaluation(name) or {}
    if "reach" in metrics:
        reach, push = (estimate(metrics[key], "%", 0) for key in ("reach", "push_strokes_6"))
        return f"goals reached {reach.html()}<br>pushes {push.html()}"
    if "return" in metrics:
        own = Measure(metrics["return"], *metrics["return_interval"])
        return f"return {own.html()}<br>random {Measure(metrics['random'], digits=0)}"
    if "features" in found:
        pairs = estimate(found["features"]["ten labels"]["pairs"], "%")
        return f"motion or reversal, ten labels {pairs.html()}"
    if found.get("latent_actions"):
        score = found["latent_actions"]
        recall = estimate(score["recall"], "%", 0)
        return f"actions told apart {recall.html()}<br>chance {100 / len(score['classes']):.0f} %"
    utility = found.get("utility")
    if utility:
        return "<br>".join(f"{row['name']} {estimate(row['value']).html()}" for row in utility["returns"])
    return _DASH


def fidelity() -> str:
    """The part of the comparison that the page on fidelity shows."""
    lines = ["| World | Column of the map | Fidelity | Utility |", "|---|---|---|---|"]
    from wmlearn.systems import SYSTEMS

    spaces = {entry.name: entry.space for entry in SYSTEMS if entry.name}
    for name in cards.names():
        space = spaces.get(cards.card(name)["system"], "a policy")
        lines.append(f"| `{name}` | {space} | {' '.join(_fidelity_cells(name)[:1])} | {_utility_cell(name)} |")
    return "\n".join(lines)


def five() -> list[Row]:
    """Five numbers for the front door: value, what it is, what stands beside it."""
    diamond, ac = cards.at("diamond-doom-basic"), cards.card("vjepa2-ac-fetch")["metrics"]
    score = cards.evaluation("genie-coinrun")["latent_actions"]
    probe = cards.evaluation("vjepa-metaworld")
    policy = cards.card("actor-critic-doom-basic")["metrics"]
    share = (policy["return"] - policy["random"]) / (policy["script"] - policy["random"])
    pairs = lambda part: 100 * probe[part]["ten labels"]["pairs"]["value"]
    return [
        (f"{diamond['psnr']['value']:.1f} dB", f"PSNR of DIAMOND's dream of DOOM, {diamond['horizon']} steps ahead",
         f"copying the last frame {diamond['psnr_copy']['value']:.1f} dB"),
        (f"{score['recall']['value']:.0%}".replace("%", " %"), "of left, right and jump told apart by actions that Genie found itself",
         f"chance {100 / len(score['classes']):.0f} %"),
        (f"{ac['reach'][0]:.0%}".replace("%", " %"), "of picture goals reached by planning in features",
         f"random actions {ac['reach_random']:.0%}".replace("%", " %")),
        (f"{pairs('features'):.1f} %", "a motion or its reversal, from V-JEPA's frozen features and ten labels",
         f"its twin that predicts pixels {pairs('pixels'):.1f} %, untrained {pairs('random'):.1f} %"),
        (f"{share:.0%}".replace("%", " %"), "of the way from random keys to a script that sees the state, by a policy trained only in a dream",
         f"return {policy['return']:.1f}; random {policy['random']:.0f}, script {policy['script']:.0f}".replace("-", "−")),
    ]  # fmt: skip


def five_numbers() -> str:
    """The landing page's five numbers."""
    rows = five()
    items = "".join(f"<li><b>{a}</b>{b}<small>beside it: {c}</small></li>" for a, b, c in rows)
    return f'<ul class="wm-numbers">{items}</ul>'
