"""Checkpoints: save and load by name, as safetensors and JSON only; and published weights.

Nothing is unpickled.

A checkpoint is a folder::

    model.safetensors   weights, nothing else
    card.json           what it is: system, config, data recipe, tier, steps, hardware, minutes,
                        seed, commit, metrics, log (what was tried), and the SHA-256 of the weights
    starts.safetensors  optional: a few real clips to start dreaming from (no simulator needed)
    likeness.safetensors  optional: how like the world's training frames a frame is
"""

from __future__ import annotations

import json
import os
import pickle
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from wmlearn.data.clip import Clip
from wmlearn.data.likeness import Likeness
from wmlearn.fast import speed_up
from wmlearn.files import (
    assets_dir,
    cache_dir,
    fetch,
    list_checkpoints,
    read_json,
    sha256,
    weights_address,
    write_whole,
)
from wmlearn.spelling import perhaps
from wmlearn.world import World, WorldModel

FORMAT = "wmlearn-checkpoint"
VERSION = 1
STARTS = "starts.safetensors"
LIKENESS = "likeness.safetensors"


class CheckpointError(ValueError):
    """A checkpoint that is missing, truncated, tampered with or made for something else."""


def find(name: str | Path) -> Path:
    """The folder of a checkpoint: a path, a shipped name, or one fetched (now, or earlier).

    Looked for in this order: the path itself, the repository's assets, the cache, the address
    where checkpoints are published. What is fetched is checked by the hashes in its card first.

    Raises:
        CheckpointError: there is none; it says where the weights are.
    """
    folders = [Path(name), assets_dir() / "checkpoints" / str(name)]
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]*", str(name)):
        folders.append(cache_dir() / "checkpoints" / str(name))
    for folder in folders:
        if (folder / "card.json").is_file():
            return folder
    if len(folders) == 3 and weights_address():
        if _fetch(f"{weights_address()}/{name}", folders[2]):
            return folders[2]
    known = ", ".join(list_checkpoints())
    where = (
        f"one of the shipped names ({known})"
        if known
        else "shipped here: the weights are in assets/checkpoints of the course's repository "
        "(WMLEARN_ASSETS=its assets folder)"
    )
    raise CheckpointError(
        f"There is no checkpoint '{name}': it is neither a folder with a card.json nor {where}."
        f"{perhaps(name, list_checkpoints())}"
    )


def _fetch(address: str, folder: Path) -> bool:
    """A published checkpoint into ``folder``, the card last: half of one is never found."""
    card = folder / "card.json.fetched"
    if not fetch(f"{address}/card.json", card, most=2**20):
        return False
    try:
        content = read_json(card)
        files = {"model.safetensors": content["sha256"], **content.get("files", {})}
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{address}/card.json is not the card of a checkpoint.") from error
    for name, digest in files.items():
        if Path(name).name != name or not fetch(f"{address}/{name}", folder / name, digest):
            raise CheckpointError(f"{address} lacks {name}, which its card names.")
    card.replace(folder / "card.json")
    return True


def save(
    folder: str | Path,
    module: nn.Module,
    system: str,
    card: dict[str, Any],
    starts: Clip | None = None,
    dtype: torch.dtype = torch.float32,
    likeness: Likeness | None = None,
) -> Path:
    """Writes a checkpoint folder; each file appears whole or not at all.

    Args:
        folder: where to; made if needed.
        module: has a frozen dataclass ``config``.
        system: "diamond", "genie", "vjepa" or "actor-critic", what ``load`` builds again.
        card: facts about the run (JSON values); config and hash are added here.
        starts: real clips to start dreaming from, with what was done or said in them.
        dtype: of stored weights; ``torch.float16`` halves the file (buffers stay as they are).
        likeness: of the frames that it was trained on.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: (value.to(dtype) if value.is_floating_point() else value).contiguous().cpu()
        for name, value in module.state_dict().items()
    }
    write_whole(folder / "model.safetensors", lambda path: save_file(weights, path))
    if starts is not None:
        tensors = {name: getattr(starts, name) for name in ("frames", "actions", "state")}
        tensors = {k: value.contiguous() for k, value in tensors.items() if value is not None}
        write_whole(folder / STARTS, lambda path: save_file(tensors, path))
    if likeness is not None:
        write_whole(folder / LIKENESS, lambda path: save_file(likeness.tensors(), path))
    beside = [name for name, part in ((STARTS, starts), (LIKENESS, likeness)) if part is not None]
    card = {
        "format": FORMAT,
        "version": VERSION,
        "system": system,
        "config": asdict(module.config),
        "sha256": sha256(folder / "model.safetensors"),
        **({"files": {name: sha256(folder / name) for name in beside}} if beside else {}),
        **({"starts_text": list(starts.text)} if starts is not None and starts.text else {}),
        **card,
    }
    write_whole(folder / "card.json", json.dumps(card, indent=2) + "\n")
    return folder


def read_card(name: str | Path) -> dict[str, Any]:
    """The card of a checkpoint (a name or a folder)."""
    path = find(name) / "card.json"
    try:
        card = read_json(path)
        known = card["format"] == FORMAT and card["version"] == VERSION
        whole = isinstance(card.get("files", {}), dict)
        missing = [] if whole else ["files"]
        missing += [key for key in ("system", "sha256") if not isinstance(card.get(key), str)]
    except (ValueError, KeyError, OSError) as error:
        raise CheckpointError(f"{path} is not the card of a wmlearn checkpoint.") from error
    if not known:
        raise CheckpointError(
            f"{path} is of format {card['format']} {card['version']}, but this version reads "
            f"{FORMAT} {VERSION}; update wmlearn."
        )
    if missing or not isinstance(card.get("config"), dict):
        raise CheckpointError(
            f"{path} is not whole ({', '.join(missing or ['config'])}); fetch the checkpoint again."
        )
    return card


def load(name: str | Path) -> nn.Module:
    """The trained system of a checkpoint, ready for ``.world()`` or to act; on the CPU.

    Args:
        name: a shipped name such as ``"diamond-doom-basic"``, or a folder.

    Raises:
        CheckpointError: nothing there, or a file that is not what its card says.
    """
    return _load(name, "module")


def _load(name: str | Path, part: str) -> nn.Module:
    """What ``part`` of the registry's entry builds, with the checkpoint's weights."""
    folder = find(name)
    card = read_card(folder)
    path = folder / "model.safetensors"
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; fetch the checkpoint again.")
    if sha256(path) != card["sha256"]:
        raise CheckpointError(
            f"{path} is not the file that card.json describes (truncated or changed); fetch the "
            "checkpoint again."
        )
    module = _build(card, part)
    try:
        weights = load_file(path)
        weights = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
        module.load_state_dict(weights)
    except (SafetensorError, RuntimeError) as error:
        raise CheckpointError(
            f"The weights in {path} do not fit the config in card.json; fetch the checkpoint again."
        ) from error
    for weight, value in weights.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(
                f"{path}: {weight} holds numbers that are not finite, so the training had failed: "
                "train again, or fetch another checkpoint."
            )
    module.card = card
    return speed_up(module.eval())


def load_world(name: str | Path, sampler: Any = None) -> World:
    """The learned world of a checkpoint.

    Args:
        name: as for :func:`load`.
        sampler: how it draws, as the system defines it: its ``Sampler``, or a mapping of what
            shall differ from the checkpoint's own.

    Its ``system`` is the trained networks alone, without what training needs; where that is wanted,
    too, ``load(name).world()`` gives the same world.
    """
    system = _load(name, "network")
    if not isinstance(system, WorldModel):
        raise CheckpointError(f"'{name}' holds a {system.card['system']}, not a world.")
    world = system.world(sampler)
    world.likeness = load_likeness(name)
    return world


def load_starts(name: str | Path) -> Clip:
    """Real clips that come with a checkpoint, to start dreaming from without a simulator."""
    folder = find(name)
    path = folder / STARTS
    if not path.is_file():
        raise CheckpointError(f"The checkpoint '{name}' comes without start clips ({path}).")
    card = read_card(folder)
    digest = card.get("files", {}).get(STARTS)
    if sha256(path) != digest:  # a card that does not name them does not vouch for them, either
        raise CheckpointError(f"{path} is not the file that card.json describes; fetch it again.")
    try:
        tensors = load_file(path)
        said = card.get("starts_text")
        text = tuple(map(str, said)) if isinstance(said, list) else None
        return Clip(
            tensors["frames"], tensors.get("actions"), text=text, state=tensors.get("state")
        )
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged; fetch the checkpoint again.") from error


def load_likeness(name: str | Path) -> Likeness | None:
    """How like a world's training frames a frame is; None where its checkpoint does not say."""
    folder = find(name)
    path, digest = folder / LIKENESS, read_card(folder).get("files", {}).get(LIKENESS)
    if digest is None:
        return None
    if not path.is_file() or sha256(path) != digest:
        raise CheckpointError(f"{path} is not the file that card.json describes; fetch it again.")
    try:
        return Likeness(**load_file(path))
    except (SafetensorError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged; fetch the checkpoint again.") from error


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a file that lies beside a checkpoint; ``CheckpointError`` where it cannot."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is missing or damaged; fetch it again.") from error


def load_published(system: str, path: str | Path, config: Any = None) -> nn.Module:
    """A system with the weights that its authors published, as :func:`load` gives one of ours.

    Args:
        system: a name of the registry whose entry names a converter: ``"diamond"``.
        path: the authors' file, or for some systems their folder; where it is to be had stands in
            the system's ``published.py``. Weights only: code inside a pickle is refused, not run.
        config: the system's config where the file's sizes are not those of the paper.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no converter for this system, or a file that is damaged, foreign or of other
            sizes.
    """
    from wmlearn.systems import LOADABLE

    convertible = [name for name, entry in LOADABLE.items() if entry.published]
    if system not in convertible:
        raise ValueError(
            f"No published weights are known for '{system}'; there is a converter for "
            f"{', '.join(convertible)}."
        )
    module = LOADABLE[system].load("published")(path, config)
    facts = {"file": Path(path).name, "weights": "the authors', converted"}
    module.card = {"system": system, "config": asdict(module.config), "published": facts}
    return speed_up(module.eval())


def read_published(path: str | Path) -> dict[str, Any]:
    """What a file of the authors' holds by name; code inside a pickle is refused, not run.

    Args:
        path: ``.safetensors``, or ``.pt`` as ``torch.save`` wrote it (weights only).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, foreign, or holds more than tensors and numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No checkpoint at {path}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(
            f"{path} cannot be read as plain weights (truncated, or not a weights-only file); "
            "download it again from the authors."
        ) from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no named tensors; expected a checkpoint of the authors'.")
    return found


def part_of(weights: Mapping[str, Tensor], prefix: str, source: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it.

    Args:
        source: whose checkpoints have such names, for the error's sentence.
    """
    part = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    if not part:
        raise ValueError(f"No weights named '{prefix}...' in this file; is it {source}?")
    return part


def renamed(name: str, rules: Sequence[tuple[str, str]]) -> str:
    """A published name in our words: each rule (pattern, ours) in turn, as ``re.sub`` does it."""
    for pattern, ours in rules:
        name = re.sub(pattern, ours, name)
    return name


def fill(module: nn.Module, weights: Mapping[str, Tensor], source: str | Path) -> nn.Module:
    """``module`` with converted ``weights``, every one of them; returned.

    Raises:
        ValueError: a tensor is missing, too much or of another size; it names the first.
    """
    own = module.state_dict()
    wrong = [
        *(f"{name} is missing" for name in own if name not in weights),
        *(f"{name} has no place here" for name in weights if name not in own),
        *(
            f"{name} is {tuple(weights[name].shape)}, not {tuple(value.shape)}"
            for name, value in own.items()
            if name in weights and weights[name].shape != value.shape
        ),
    ]
    if wrong:
        raise ValueError(
            f"The weights in {source} do not fit this configuration ({wrong[0]}"
            f"{f', and {len(wrong) - 1} more' if wrong[1:] else ''}): give the config that they "
            "were made with."
        )
    module.load_state_dict(dict(weights))
    return module


def read_config(system: str, fields: Mapping[str, Any]) -> Any:
    """The config of a system from JSON, as in a card; each field is checked.

    Raises:
        CheckpointError: a field that there is not, or of another kind.
    """
    from wmlearn.systems import LOADABLE

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", type=LOADABLE[system].load("config"))
    try:
        parsed = parser.parse_object({"config": fields})
        return parser.instantiate(parsed).config
    except Exception as error:  # jsonargparse raises its own kinds for each way to be wrong
        raise CheckpointError(
            f"The config in this card is not one of a {system}: {error}"
        ) from error


def run_facts() -> dict[str, Any]:
    """What a card says of the machine and the code: hardware, versions, commit."""
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", str(here))
        commit = git("rev-parse", "--short=12", "HEAD") + (" and changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "hardware": gpu or f"CPU, {os.cpu_count()} cores, {torch.get_num_threads()} threads used",
        "platform": f"{platform.system()} {platform.machine()}",
        "torch": torch.__version__,
        "commit": commit,
    }


def _build(card: dict[str, Any], part: str) -> nn.Module:
    """The untrained module that a card describes; its config is checked against the dataclass."""
    from wmlearn.systems import LOADABLE

    if card["system"] not in LOADABLE:
        raise CheckpointError(
            f"This checkpoint holds the system '{card['system']}', which this version does not "
            f"know ({', '.join(LOADABLE)}); update wmlearn."
        )
    entry = LOADABLE[card["system"]]
    build = entry.load(part if getattr(entry, part) else "module")
    config = read_config(card["system"], card["config"])
    try:
        return build(config)
    except ValueError as error:
        raise CheckpointError(
            f"The config in this card is not one of a {card['system']}: {error}"
        ) from error
