"""Whose is a file? Each learning management system (LMS) says so in a field of its own.

=========== ========================================================== =================
System      Layout of its download                                     Identity
=========== ========================================================== =================
Canvas      ``lovelaceada_[LATE_]USER_ATTACHMENT_name.ipynb``           Canvas's user id
Moodle      ``Ada Lovelace_PARTICIPANT_assignsubmission_file[_]/...``,  participant number
            or the same before the file's name, without folders
Gradescope  ``submission_N/...`` and ``submission_metadata.yml``        sid, else e-mail
Brightspace ``USER-FOLDER - Ada Lovelace - Nov 3, 2026 1035 PM/...``    the first number
plain       ``STUDENT/...``, or ``STUDENT.ipynb``                       the outermost name
=========== ========================================================== =================

The outermost folder is asked first and inner names never: those a student chose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

_CANVAS = re.compile(r"(?P<name>[^_/]*)_(?:LATE_)?(?P<id>\d+)_(?P<order>\d+)_[^/]+", re.S)
_MOODLE = re.compile(r"(?P<name>.*)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)_?", re.S)
_MOODLE_FLAT = re.compile(r"_(\d+)_assignsubmission_(?:file|onlinetext)_")
_BRIGHTSPACE = re.compile(r"(?P<id>\d+)-\d+ - (?P<name>.*) - (?P<time>[^-]+)", re.S)
_BRIGHTSPACE_TIMES = ("%b %d, %Y %I%M %p", "%B %d, %Y %I%M %p", "%d %B, %Y %I%M %p")
_GRADESCOPE = re.compile(r"submission_(\d+)")
_METADATA = "submission_metadata.yml"
_WRAPPERS = re.compile(r"submi|assignment_\d+_export", re.I)
Place = tuple[str, ...]
"""A file's path, in parts."""


class Owner(NamedTuple):
    """Whom the LMS says a file is of.

    Attributes:
        key: the LMS's own identity of the student.
        name: as the LMS writes it, for people to read.
        time: when it was submitted, as far as the LMS tells; newer is larger. None: not told.
    """

    key: str
    name: str
    time: float | None


class Whose(NamedTuple):
    """All files of one download: owners (several for a group), or why there is none."""

    scheme: str
    owners: dict[Place, tuple[Owner, ...]]
    refused: dict[Place, str]
    apart: frozenset[Place]


def identify(places: Sequence[Place], read: Callable[[Place], bytes], assignment: str) -> Whose:
    """Finds the scheme of one download and the owner of each file.

    Args:
        places: the paths of all files, in parts.
        read: a file's content; asked for Gradescope's metadata only.
        assignment: its name, which is no student's.
    """
    inner = _without_wrapper(places, assignment)
    short = {place: place[inner:] for place in places}
    found = _gradescope(short, read)
    if found is not None:
        return found
    firsts = [(place[0], len(place) > 1) for place in short.values()]
    for scheme, of in (("Moodle", _moodle), ("Brightspace", _brightspace), ("Canvas", _canvas)):
        if any(isinstance(of(*first), Owner) for first in firsts):
            return _sorted(scheme, short, of)
    return _sorted("plain", short, lambda first, folder: _plain(first, folder, assignment))


def _sorted(scheme: str, short: dict[Place, Place], of: Callable) -> Whose:
    owners, refused, apart = {}, {}, set()
    for place, parts in short.items():
        owner = of(parts[0], len(parts) > 1)
        if isinstance(owner, Owner):
            owners[place] = (owner,)
        elif len(parts) == 1 and not parts[0].lower().endswith((".ipynb", ".zip")):
            apart.add(place)  # an index page of the LMS, say
        else:
            refused[place] = owner
    return Whose(scheme, owners, refused, frozenset(apart))


def _without_wrapper(places: Sequence[Place], assignment: str) -> int:
    """How many folders around everything are only a wrapping: ``submissions/ada/...`` -> 1."""
    depth = 0
    while places and all(len(place) > depth + 1 for place in places):
        firsts = {place[depth] for place in places}
        if len(firsts) > 1:
            break
        [only] = firsts
        if any(isinstance(of(only, True), Owner) for of in (_moodle, _brightspace)):
            break
        inner = {place[depth + 1] for place in places if len(place) > depth + 2}
        files = {place[depth + 1] for place in places if len(place) == depth + 2}
        listed = any(isinstance(_canvas(f, False), Owner) for f in files) or _METADATA in files
        wrapper = only == assignment or bool(_WRAPPERS.search(only))
        if not (listed or wrapper or len(inner - {assignment}) > 1) or _GRADESCOPE.fullmatch(only):
            break
        depth += 1
    return depth


def _canvas(first: str, folder: bool) -> Owner | str:
    match = None if folder else _CANVAS.fullmatch(first)
    if not match:
        return "it does not carry Canvas's user id, as the other files do."
    return Owner(match["id"], match["name"], float(match["order"][:15]))


def _moodle(first: str, folder: bool) -> Owner | str:
    if folder:
        match = _MOODLE.fullmatch(first)
        return Owner(match["id"], match["name"], None) if match else _NO_PARTICIPANT
    marks = list(_MOODLE_FLAT.finditer(first))
    if len(marks) > 1:
        return (
            "there are several participant numbers in its name, and only one is Moodle's: "
            'download again with "Download submissions in folders".'
        )
    return Owner(marks[0][1], first[: marks[0].start()], None) if marks else _NO_PARTICIPANT


_NO_PARTICIPANT = "it does not carry Moodle's participant number, as the other files do."


def _brightspace(first: str, folder: bool) -> Owner | str:
    match = _BRIGHTSPACE.fullmatch(first) if folder else None
    if not match:
        return "it is in no folder of Brightspace's (`12345-678 - Name - date`), as others are."
    for form in _BRIGHTSPACE_TIMES:
        try:
            time = datetime.strptime(match["time"].strip(), form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return Owner(match["id"], match["name"], time.timestamp())
    return Owner(match["id"], match["name"], None)


def _plain(first: str, folder: bool, assignment: str) -> Owner | str:
    text = first if folder else first.rpartition(".")[0]
    if not text or text == assignment or (not folder and text.startswith(assignment)):
        return f"whose is it? Name it STUDENT.ipynb or STUDENT/{assignment}.ipynb."
    return Owner(text, text, None)


def _gradescope(short: dict[Place, Place], read: Callable[[Place], bytes]) -> Whose | None:
    lists = [place for place, parts in short.items() if parts == (_METADATA,)]
    folders = {p[0] for p in short.values() if len(p) > 1 and _GRADESCOPE.fullmatch(p[0])}
    if not lists or not folders:
        return None
    table = _metadata(read(lists[0]))
    owners, refused = {}, {}
    for place, parts in short.items():
        if place == lists[0]:
            continue
        if len(parts) > 1 and table.get(parts[0]):
            owners[place] = table[parts[0]]
        else:
            refused[place] = f"{_METADATA} does not say whose it is."
    return Whose("Gradescope", owners, refused, frozenset(lists))


def _metadata(content: bytes) -> dict[str, tuple[Owner, ...]]:
    import yaml

    class Plain(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):
        """Reads values of a type that YAML does not know, such as Ruby's, as nothing."""

    Plain.add_multi_constructor("", lambda loader, tag, node: None)
    Plain.yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in pairs if not tag.endswith((":int", ":float"))]
        for first, pairs in Plain.yaml_implicit_resolvers.items()
    }  # a student number 007 stays 007
    try:
        table = yaml.load(content.decode("utf-8-sig"), Plain)
        return {
            str(folder): tuple(filter(None, (_submitter(p, entry) for p in entry[":submitters"])))
            for folder, entry in table.items()
            if isinstance(entry, dict) and isinstance(entry.get(":submitters"), list)
        }
    except (yaml.YAMLError, UnicodeError, AttributeError, TypeError, RecursionError):
        raise ValueError(f"{_METADATA} is damaged: download the submissions again.") from None


def _submitter(person: dict, entry: dict) -> Owner | None:
    key = person.get(":sid") or person.get(":email")
    time = entry.get(":created_at")
    if isinstance(time, datetime):
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    else:
        time = None
    return Owner(str(key), str(person.get(":name") or key), time) if key else None
