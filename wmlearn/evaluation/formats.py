"""How a card is written and read: JSON, and the older version 1, whose figures stay as they are."""

from __future__ import annotations

import json
import types
import typing
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from typing import Any, TypeVar

FORMAT = "wmlearn.evaluation"
VERSION = 2
T = TypeVar("T")


def to_json(card: Any) -> str:
    """A dataclass as JSON text, with this format's name and version."""
    document = {"format": FORMAT, "version": VERSION, **asdict(card)}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def from_json(kind: type[T], text: str) -> T:
    """Builds the dataclass ``kind`` from :func:`to_json`'s text.

    Raises:
        ValueError: it is anything else; one sentence says what is wrong, and where.
    """
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"This is not an evaluation card: not valid JSON ({error}).") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f'This is not an evaluation card: its "format" is not "{FORMAT}".')
    version = document.get("version")
    if version == 1:
        try:
            document = _from_version_1(document)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"This evaluation card of version 1 is not whole ({type(error).__name__}: {error})."
            ) from None
    elif version != VERSION:
        raise ValueError(
            f"This evaluation card has version {version!r}, this wmlearn reads versions 1 and "
            f"{VERSION}: run `wmlearn evaluate` again."
        )
    content = {key: document[key] for key in document if key not in ("format", "version")}
    return _decode(kind, content, "card")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not allowed")


def _decode(kind: Any, value: Any, where: str) -> Any:
    """Builds ``kind`` (dataclass, tuple, union with None, str, int, float) from parsed JSON."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        if value is None:
            return None
        (kind,) = (option for option in typing.get_args(kind) if option is not types.NoneType)
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be an object.")
        for field in fields(kind):
            if field.name not in value and _required(field):
                raise ValueError(f"{where}.{field.name} is missing; is the file whole?")
        for name in value:
            if name not in hints:
                raise ValueError(f"{where}.{name} is not known to this version of wmlearn.")
        return kind(
            **{name: _decode(hints[name], value[name], f"{where}.{name}") for name in value}
        )
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where} must be a list.")
        item = typing.get_args(kind)[0]
        return tuple(_decode(item, entry, f"{where}[{i}]") for i, entry in enumerate(value))
    accepted = (int, float) if kind is float else (kind,)
    if (isinstance(value, bool) and kind is not bool) or not isinstance(value, accepted):
        raise ValueError(f"{where} must be {kind.__name__}, not {value!r}.")
    return kind(value)


def _required(field: Field) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


# --- version 1 ---------------------------------------------------------------------------------


def _from_version_1(old: dict) -> dict:
    """The same figures under the names of version 2.

    Version 1 did not write down how many clips and which seeds a figure is made of, but says it of
    each part.
    """
    seeds = old["seeds"]
    new = {key: value for key, value in old.items() if key != "latent_actions"}
    at = [_fidelity_at_1(row, seeds) for row in old["fidelity"]["at"]]
    curve = old["fidelity"]["curve"]
    if not isinstance(curve, dict):
        raise TypeError("the curve must be an object")
    clips, other = curve["clips"], curve["other_actions"]
    steps = {
        "score": [_estimate(e, clips, seeds) for e in curve["dream"]],
        "baseline": [_estimate(e, clips) for e in curve["copy"]],
        "other_actions": other and [_estimate(e, clips, seeds) for e in other],
    }
    new["fidelity"] = {
        "measure": "PSNR",
        "unit": "dB",
        "higher_is_better": True,
        "baseline": "copy last frame",
        "at": at,
        "curve": {"clips": clips, **steps},
    }
    latent = old.get("latent_actions")
    if control := old["controllability"]:
        new["controllability"] = _control_1(control, seeds, latent is not None)
    if utility := old["utility"]:
        new["utility"] = _utility_1(utility)
    if cost := old["cost"]:
        speeds = ("frames_per_second", "frames_per_second_batch")
        new["cost"] = cost | {name: {"value": cost[name], "n": 5} for name in speeds}
    new["sections"] = [] if latent is None else [_latent_1(latent)]
    return new


def _estimate(old: dict | None, n: int | None, seeds: list[int] | None = None) -> dict | None:
    return old and {**old, "n": n, "seeds": seeds or []}


def _fidelity_at_1(row: dict, seeds: list[int]) -> dict:
    clips = row["clips"]
    more = []
    for name, key in (("SSIM", "ssim"), ("Feature distance", "feature_distance")):
        if row[key] is not None:
            more.append(
                {
                    "name": name,
                    "score": _estimate(row[key], clips, seeds),
                    "baseline": _estimate(row[f"{key}_copy"], clips),
                    "reference": _estimate(row.get(f"{key}_real"), clips),
                }
            )
    same = {key: row[key] for key in ("horizon", "clips", "episodes", "too_short")}
    return same | {
        "score": _estimate(row["psnr"], clips, seeds),
        "baseline": _estimate(row["psnr_copy"], clips),
        "gain": _estimate(row["psnr_gain"], clips, seeds),
        "more": more,
    }


def _control_1(old: dict, seeds: list[int], latent: bool) -> dict:
    at = [
        {
            "horizon": row["horizon"],
            "clips": row["clips"],
            "other": _estimate(row["psnr_other"], row["clips"], seeds),
            "delta": _estimate(row["delta"], row["clips"], seeds),
        }
        for row in old["at"]
    ]
    probe = dict(old["probe"]) if old["probe"] else None
    for name in ("real", "dream", "dream_other", "majority") if probe else ():
        drawn = seeds if name.startswith("dream") else []
        probe[name] = _estimate(probe[name], at[-1]["clips"], drawn)
    actions = ["inferred", "random"] if latent else ["true", "other"]
    return {"at": at, "probe": probe, "actions": actions}


def _utility_1(old: dict) -> dict:
    returns = [{**row, "value": _estimate(row["value"], old["episodes"])} for row in old["returns"]]
    rank = old["rank_correlation"]
    found = None if rank is None else {"value": rank, "n": old["ranked"]}
    return {**old, "returns": returns, "rank_correlation": found}


def _latent_1(old: dict) -> dict:
    from wmlearn.evaluation.latent_actions import LatentActionScore, latent_action_section

    n = old["transitions"]
    named = {
        name: _estimate(old[name], n)
        for name in ("many_to_one", "one_to_one", "majority", "recall")
    }
    score = _decode(LatentActionScore, old | named, "latent_actions")
    return json.loads(json.dumps(asdict(latent_action_section(score))))
