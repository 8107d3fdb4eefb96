"""A card as text and as HTML: the same tables in both."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from wmlearn.evaluation.card import EvaluationCard, FidelityAt, Section
from wmlearn.metrics import Estimate

MISSING = "not measured"


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first cell of a row is its name."""

    title: str
    header: list[str]
    rows: list[list[str]]
    note: str = ""


def as_text(card: EvaluationCard) -> str:
    """The card in columns of plain text."""
    lines = [_title(card), _caption(card)]
    for part in tables(card):
        table = [[part.title, *part.header], *part.rows]
        columns = max(len(row) for row in table)
        widths = [
            max((len(row[c]) for row in table if c < len(row)), default=0) for c in range(columns)
        ]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))
            for row in table
        ]
        lines += ["", text[0].rstrip(), "-" * (sum(widths) + 2 * (columns - 1))]
        lines += [line.rstrip() for line in text[1:]]
        lines += [part.note] if part.note else []
    return "\n".join(lines)


def as_html(card: EvaluationCard) -> str:
    """The card as HTML tables with captions, and with headers for rows and columns."""
    align = 'style="text-align:left"'
    parts = [f"<p><strong>{escape(_title(card))}</strong><br>{escape(_caption(card))}</p>"]
    for part in tables(card):
        head = "".join(
            f'<th scope="col" {align}>{escape(cell)}</th>' for cell in ["", *part.header]
        )
        body = "".join(
            f'<tr><th scope="row" style="text-align:left;font-weight:normal">{escape(row[0])}'
            "</th>" + "".join(f"<td {align}>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
            for row in part.rows
        )
        head = f"<thead><tr>{head}</tr></thead>" if part.header else ""
        caption = f'<caption style="text-align:left">{escape(part.title)}</caption>'
        parts.append(f"<table>{caption}{head}<tbody>{body}</tbody></table>")
        parts += [f"<p>{escape(part.note)}</p>"] if part.note else []
    return "\n".join(parts)


def tables(card: EvaluationCard) -> list[Table]:
    """Fidelity, controllability, the judge's sections, utility, cost."""
    return [
        _fidelity(card),
        *_controllability(card),
        *map(_section, card.sections),
        _utility(card),
        _cost(card),
    ]


def _title(card: EvaluationCard) -> str:
    return f"{card.name} on {card.environment}"


def _caption(card: EvaluationCard) -> str:
    seeds = f"{len(card.seeds)} seed{'s' if len(card.seeds) > 1 else ''}"
    context = f"{card.context_frames} context frames, " if card.context_frames else ""
    text = (
        f"{card.held_out} held-out episodes ({card.policy} policy), {context}{seeds}. "
        "In brackets: 95% bootstrap intervals over episodes."
    )
    if card.left_out:
        steps = ", ".join(map(str, card.left_out))
        text += f" Not measured at horizon {steps}: the held-out episodes are too short."
    return text


def _fidelity(card: EvaluationCard) -> Table:
    fidelity = card.fidelity
    if fidelity is None:
        return Table("Fidelity", [], [[MISSING]])
    at, digits = fidelity.at, _digits(card)
    name, baseline = fidelity.measure, fidelity.baseline
    sign = "dream minus copy" if fidelity.higher_is_better else "less than that"
    own = "dream" if fidelity.curve else "prediction"
    rows = [
        [_named(card, own), *(_text(row.score, digits) for row in at)],
        [f"{name}, {baseline}", *(_text(row.baseline, digits) for row in at)],
        [f"  {sign}", *(_text(row.gain, digits) for row in at)],
    ]
    names = list(dict.fromkeys(measure.name for row in at for measure in row.more))
    for measure in names:
        found = [next((m for m in row.more if m.name == measure), None) for row in at]
        places = 3 if measure == "SSIM" else 2
        rows += [
            [f"{measure}, dream", *(_text(m and m.score, places) for m in found)],
            [f"{measure}, {baseline}", *(_text(m and m.baseline, places) for m in found)],
        ]
        if any(m and m.reference for m in found):
            real = (_text(m and m.reference, places) for m in found)
            rows.append([f"{measure}, other real frames", *real])
    rows += [
        ["clips (episodes)", *(f"{row.clips} ({row.episodes})" for row in at)],
        ["episodes too short", *(str(row.too_short) for row in at)],
    ]
    return Table("Fidelity", [_horizon(row) for row in at], rows)


def _named(card: EvaluationCard, what: str) -> str:
    """The measure of what, with its unit: "PSNR, dream (dB)", "L1 of features, dream"."""
    measure, unit = card.fidelity.measure, card.fidelity.unit
    return f"{measure}, {what} (dB)" if unit == "dB" else f"{unit}, {what}"


def _horizon(row: FidelityAt) -> str:
    return f"horizon {row.horizon}" if row.horizon else "hidden parts"


def _controllability(card: EvaluationCard) -> list[Table]:
    control, fidelity = card.controllability, card.fidelity
    if control is None or fidelity is None:
        return [Table("Controllability", [], [[MISSING]])]
    own, other = control.actions
    by_horizon = {row.horizon: row for row in control.at}
    found = [by_horizon.get(row.horizon) for row in fidelity.at]
    digits, name = _digits(card), fidelity.measure
    order = f"{own} minus {other}" if fidelity.higher_is_better else f"{other} minus {own}"
    score = (_text(row.score, digits) for row in fidelity.at)
    rows = [
        [_named(card, f"{own} actions"), *score],
        [f"{name}, {other} actions", *(_text(row and row.other, digits) for row in found)],
        [f"  {order}", *(_text(row and row.delta, digits) for row in found)],
    ]
    tables = [Table("Controllability", [_horizon(row) for row in fidelity.at], rows)]
    if fidelity.unit != "dB":  # the probe looks at pictures
        return tables
    probe = control.probe
    if probe is None:
        rows = [["accuracy", MISSING]]
    else:
        rows = [
            ["real transitions", _percent(probe.real)],
            [f"dreamed, {own} actions", _percent(probe.dream)],
            [f"dreamed, {other} actions", _percent(probe.dream_other)],
            ["majority class", _percent(probe.majority)],
            ["held-out transitions", str(probe.transitions)],
        ]
    return [*tables, Table("Which action was it? (inverse-dynamics probe)", [], rows)]


def _section(section: Section) -> Table:
    def shown(value: Estimate | None) -> str:
        if value is None or section.unit != "%":
            text = _text(value, section.digits)
            return f"{text} {section.unit}" if section.unit and value is not None else text
        return _percent(value, section.digits)

    rows = []
    for row in section.rows:
        cells = [shown(value) for value in row.values]
        if row.text:
            cells[:1] = [f"{cells[0]} {row.text}" if cells else row.text]
        rows.append([row.name, *cells])
    return Table(section.title, list(section.columns), rows, section.note)


def _utility(card: EvaluationCard) -> Table:
    utility = card.utility
    if utility is None:
        return Table("Utility", [], [[MISSING]])
    rows = [[row.name, row.value.format(1)] for row in utility.returns]
    correlation = MISSING
    if utility.rank_correlation is not None:
        correlation = f"{utility.rank_correlation.format(2)} ({utility.ranked} policies)"
    rows.append(["rank correlation, dream and real", correlation])
    title = f"Utility: mean return in real {utility.environment}, {utility.episodes} episodes"
    return Table(title, [], rows)


def _cost(card: EvaluationCard) -> Table:
    cost = card.cost
    if cost is None:
        return Table("Cost", [], [[MISSING]])
    minutes, batch = cost.training_minutes, cost.batch
    rows = [
        ["parameters", _count(cost.parameters)],
        ["FLOPs per frame (MAC = 2)", _count(cost.flops_per_frame)],
        ["frames/s, batch 1", cost.frames_per_second.format(1)],
        [f"frames/s, batch {batch}", cost.frames_per_second_batch.format(1)],
        ["training minutes", MISSING if minutes is None else f"{minutes:.1f}"],
    ]
    threads = f"{cost.threads} thread{'s' if cost.threads > 1 else ''}"
    return Table(f"Cost ({cost.machine}, {threads})", [], rows)


def _digits(card: EvaluationCard) -> int:
    return 1 if card.fidelity.unit == "dB" else 3


def _text(value: Estimate | None, digits: int) -> str:
    return MISSING if value is None else value.format(digits)


def _percent(value: Estimate, digits: int = 0) -> str:
    bounds = [None if x is None else 100 * x for x in (value.low, value.high)]
    return Estimate(100 * value.value, *bounds).format(digits) + " %"


def _count(value: int | None) -> str:
    if value is None:
        return MISSING
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.2f} {unit}"
    return str(value)
