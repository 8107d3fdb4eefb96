"""The two rules of the folders: a shared one names no system (R1); imports go upwards only (R2)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import wmlearn
from wmlearn.hub import list_checkpoints
from wmlearn.systems import SYSTEMS

PACKAGE = Path(wmlearn.__file__).parent
# From the ground up: a file imports only from its own entry and from those before it.
ORDER = (
    "files spelling pixels metrics viz teach envs data nn fast world hub recipes agents train "
    "player systems evaluation chapters grading course cli"
).split()
SYSTEM_ROOMS = ("systems", "chapters", "course")
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.stem in ORDER)
NAMES = {s.name for s in SYSTEMS if s.name} | {s.title.lower() for s in SYSTEMS}
NAMES |= {name.replace("-", "_") for name in NAMES}
NAMED = re.compile(rf"(?<![a-z0-9])({'|'.join(map(re.escape, NAMES))})(?![a-z0-9])", re.I)


def entry(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> list[str]:
    """Modules of wmlearn that the code imports, those under ``if TYPE_CHECKING`` left out."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wmlearn"):
            parts = [node.module] if node.module != "wmlearn" else []
            found += parts or [f"wmlearn.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.startswith("wmlearn.")]
        found += imports(node)
    return found


SHARED = [path for path in FILES if entry(path) not in SYSTEM_ROOMS]


def test_every_entry_has_its_place_in_the_order():
    """A file beside the known ones would otherwise be under no rule at all."""
    entries = {entry(path) for path in PACKAGE.rglob("*.py")} - {"__init__", "__main__"}
    assert entries <= set(ORDER)


def test_imports_are_written_in_full():
    """The two tests below see absolute imports only."""
    assert imports(ast.parse("import wmlearn.hub")) == ["wmlearn.hub"]
    assert imports(ast.parse("def f():\n    from wmlearn import hub, viz")) == [
        "wmlearn.hub", "wmlearn.viz",
    ]  # fmt: skip
    trees = {path: ast.walk(ast.parse(path.read_text("utf-8"))) for path in PACKAGE.rglob("*.py")}
    relative = [
        f"{path.name}: {ast.unparse(node)}"
        for path, nodes in trees.items()
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_upwards_only(path):
    here = ORDER.index(entry(path))
    targets = {name.split(".")[1] for name in imports(ast.parse(path.read_text("utf-8")))}
    above = {name for name in targets if name in ORDER and ORDER.index(name) > here}
    lazy = {"systems"} if entry(path) in ("hub", "train") else set()  # they read the registry
    assert above <= lazy


@pytest.mark.parametrize("path", SHARED, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_shared_folder_imports_no_system(path):
    names = imports(ast.parse(path.read_text("utf-8")))
    assert [n for n in names if re.match(r"wmlearn\.(systems\.\w|chapters)", n)] == []


def words(tree: ast.AST) -> list[str]:
    """Names and texts in the code; what stands as a statement of its own, a docstring, is none."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        values = (getattr(node, field, None) for field in ("id", "attr", "name", "arg", "value"))
        found += [value for value in values if isinstance(value, str)] + words(node)
    return found


@pytest.mark.parametrize("path", SHARED, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_shared_folder_names_no_system(path):
    """Names of shipped checkpoints are those of files."""
    code = set(words(ast.parse(path.read_text("utf-8")))) - set(list_checkpoints())
    assert [word for word in code if NAMED.search(word)] == []


def test_a_name_would_be_found():
    assert NAMED.search("Diamond") and NAMED.search("x.vjepa2_ac") and not NAMED.search("genies")
    found = words(ast.parse('"""genie"""\ndef f(a="sora"): g.h = b'))
    assert set(found) == {"f", "a", "sora", "g", "h", "b"}


SUBJECTS = re.compile(r"(world|system|recipe|agent|policy|player|act|actor|trained|\w+_module)s?$")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nobody_probes_a_world_a_recipe_or_an_agent(path):
    """What they can do is declared (``wmlearn.world``): no ``hasattr``, no ``getattr``."""
    probed = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id not in ("hasattr", "getattr") or len(node.args) < 2:
            continue
        whom, what = ast.unparse(node.args[0]), node.args[1]
        known = isinstance(what, ast.Constant) and not what.value.startswith("__")
        if known and SUBJECTS.search(whom):
            probed.append(ast.unparse(node))
    assert probed == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_unpickles_what_it_reads(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert options.get("weights_only") == "True", f"line {node.lineno}"


BRITISH = re.compile(
    r"colour|centre|(?<![a-z])(centi)?metres?(?![a-z])|neighbour|labell|[a-z]+(al|im|ogn|gan|iti)is(e|ing)"
    r"|tokenis|behaviour|licence|judgement|modell|grey|learnt",
    re.I,
)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_names_have_one_spelling(path):
    """The American one, as PyTorch's: functions, classes, arguments and fields."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.arg):
            found.append(node.arg)
        elif isinstance(node, ast.AnnAssign):
            found.append(ast.unparse(node.target))
    assert [name for name in found if BRITISH.search(name)] == []


def test_the_other_spelling_would_be_found():
    assert all(
        map(BRITISH.search, ("normalise", "centimetres", "optimising", "labelled", "Colour"))
    )
    assert not any(
        map(BRITISH.search, ("parameter", "optimizer", "promise", "centimeters", "noise"))
    )
