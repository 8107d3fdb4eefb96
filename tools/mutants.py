"""Every first-order mutant of a solution: one small change each, as a tired person would make it.

A mutant changes one node of the solution's syntax tree: an operator, a comparison, a constant, a
statement that is dropped, two arguments or axes that change places, a random draw that is used
again, an argument that is written to, the first or last step of a loop that is left out.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from typing import NamedTuple

import torch

_OPERATORS = {
    ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div], ast.Div: [ast.Mult],
    ast.Pow: [ast.Mult], ast.FloorDiv: [ast.Mod], ast.Mod: [ast.FloorDiv],
    ast.BitAnd: [ast.BitOr], ast.BitOr: [ast.BitAnd],
}  # fmt: skip
_COMPARISONS = {
    ast.Lt: [ast.LtE, ast.GtE], ast.LtE: [ast.Lt, ast.Gt], ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt], ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot], ast.IsNot: [ast.Is],
}  # fmt: skip
_TWINS = [
    "min max", "argmin argmax", "mean sum", "zeros ones", "sin cos", "any all", "triu tril",
    "sum prod", "mean median", "cumsum cumprod", "zeros_like ones_like", "rand randn", "std var",
    "floor ceil", "square abs", "repeat repeat_interleave", "minimum maximum",
]  # fmt: skip
_OTHER = {a: b for pair in _TWINS for a, b in [pair.split()]} | {
    b: a for pair in _TWINS for a, b in [pair.split()]
}
_RANDOM = {"rand", "randn", "randint", "randperm"}
_STATEMENTS = (ast.Assign, ast.AugAssign, ast.Expr, ast.If, ast.For, ast.Break, ast.Continue)
_LOOPS = (ast.For, ast.While, ast.ListComp, ast.GeneratorExp)
_EVEN = {"abs", "square", "norm"}  # (a - b).abs() is (b - a).abs()
_REDUCTIONS = {"mean", "sum", "std", "var", "amax", "amin", "norm"}
_EVEN_CALLS = {"mse_loss", "l1_loss", "minimum", "maximum", "transpose", "psnr"}
_KEPT_KEYWORDS = {"strict"}  # says nothing about the result


class Mutant(NamedTuple):
    """One changed solution.

    Attributes:
        source: the whole cell.
        line: where the change is, in the original cell.
        old: the changed line before, as ``ast.unparse`` writes it.
        new: and after.
        kind: what was done, in two or three words.
    """

    source: str
    line: int
    old: str
    new: str
    kind: str


def mutants(source: str) -> list[Mutant]:
    """All first-order mutants of the solution regions of an answer cell, each once."""
    tree = ast.parse(source)
    inside = _solution_lines(source)
    original = ast.unparse(tree)
    found: dict[str, Mutant] = {}
    unmade = set(_unmade(tree))
    looped = {id(n) for loop in ast.walk(tree) if isinstance(loop, _LOOPS) for n in ast.walk(loop)}
    for index, node in enumerate(ast.walk(tree)):
        for kind, new in _changes(node, inside):
            if id(node) in unmade and (kind.startswith("swapped") or kind == "constant"):
                continue
            if kind == "reused draw" and id(node) not in looped:
                continue
            clone = copy.deepcopy(tree)
            _put(clone, index, new)
            text = ast.unparse(ast.fix_missing_locations(clone))
            if text == original or text in found:
                continue
            old, changed = _difference(original, text)
            line = getattr(node, "lineno", 0)
            found[text] = Mutant(text, line, old, changed, kind)
    return sorted(found.values(), key=lambda mutant: mutant.line)


# What the mutated code may call


class Written:
    """Whether a mutant did write into an argument."""

    happened = False


def _written(argument: object, result: object) -> object:
    """The result, after the argument was written to."""
    if isinstance(argument, torch.Tensor) and argument.numel():
        Written.happened = True
        result = _own(result)
        with torch.no_grad():
            target = argument.detach()
            target.logical_not_() if target.dtype == torch.bool else target.add_(1)
    elif isinstance(argument, list) and argument:
        Written.happened = True
        argument.append(argument[-1])
    return result


def _own(result: object) -> object:
    if isinstance(result, torch.Tensor):
        return result.clone()
    if isinstance(result, tuple):
        return tuple(map(_own, result))
    return result


def _first(items: object) -> object:
    """A loop that leaves out its first round."""
    return list(items)[1:]


def _last(items: object) -> object:
    """A loop that leaves out its last round."""
    return list(items)[:-1]


_DRAWN: dict = {}


def _reused(draw: object, *sizes: object, generator: object = None, **more: object) -> object:
    """A random draw that is made once for each generator, and used again."""
    key = (id(generator), repr(sizes))
    if key not in _DRAWN:
        _DRAWN[key] = (generator, draw(*sizes, generator=generator, **more))
    return _DRAWN[key][1].clone()


def _one_row(drawn: torch.Tensor) -> torch.Tensor:
    """A random draw of which only the first row is made."""
    return drawn[:1].expand_as(drawn).clone()


HELPERS = {f.__name__: f for f in (_written, _first, _last, _reused, _one_row)}


# The changes


def _changes(node: ast.AST, inside: set[int]) -> Iterator[tuple[str, ast.AST | None]]:
    if getattr(node, "lineno", -1) not in inside:
        return
    yield from _of_node(node)
    if isinstance(node, _STATEMENTS) and not _is_text(node):
        yield "dropped statement", ast.Pass()


def _of_node(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.BinOp():
            for other in _OPERATORS.get(type(node.op), []):
                yield "operator", _with(node, op=other())
            if isinstance(node.op, ast.Sub | ast.Div | ast.Pow | ast.MatMult):
                yield "swapped operands", _with(node, left=node.right, right=node.left)
        case ast.UnaryOp(operand=ast.Constant()):
            pass
        case ast.Constant(value=str()):
            yield "constant", ast.Constant(node.value + "?")
        case ast.UnaryOp():
            yield "dropped sign", node.operand
        case ast.Compare(ops=[op]):
            for other in _COMPARISONS.get(type(op), []):
                yield "comparison", _with(node, ops=[other()])
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield "operator", _with(node, op=other)
        case ast.Constant(value=bool()):
            yield "constant", ast.Constant(not node.value)
        case ast.Constant(value=int() | float()):
            for value in _other_numbers(node.value):
                yield "constant", ast.Constant(value)
        case ast.Slice():
            for end in ("lower", "upper", "step"):
                if getattr(node, end) is not None:
                    yield "dropped slice end", _with(node, **{end: None})
        case ast.Tuple(elts=[_, _, *_]) if isinstance(node.ctx, ast.Load):
            yield "swapped places", _with(node, elts=_swap(node.elts))
        case ast.Subscript() if isinstance(node.ctx, ast.Load):
            yield "dropped index", node.value
        case ast.IfExp():
            yield "swapped branches", _with(node, body=node.orelse, orelse=node.body)
        case ast.For():
            for name in ("_first", "_last"):
                yield "loop's end", _with(node, iter=_call(name, node.iter))
        case ast.comprehension():
            for name in ("_first", "_last"):
                yield "loop's end", _with(node, iter=_call(name, node.iter))
        case ast.AugAssign():
            for other in _OPERATORS.get(type(node.op), []):
                yield "operator", _with(node, op=other())
        case ast.Assign(targets=[ast.Name() as target], value=ast.BinOp() as value) if (
            isinstance(value.left, ast.Name) and value.left.id == target.id
        ):
            yield "in place", ast.AugAssign(target, value.op, value.right)
        case ast.Call():
            yield from _of_call(node)


def _of_call(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    plain = [arg for arg in node.args if not isinstance(arg, ast.Starred)]
    if len(plain) == len(node.args) >= 2:
        for i in range(len(node.args) - 1):
            args = list(node.args)
            args[i], args[i + 1] = args[i + 1], args[i]
            yield "swapped arguments", _with(node, args=args)
    for i, keyword in enumerate(node.keywords):
        if keyword.arg not in _KEPT_KEYWORDS:
            yield "dropped argument", _with(node, keywords=_without(node.keywords, i))
    if isinstance(node.func, ast.Attribute):
        name, value = node.func.attr, node.func.value
        module = isinstance(value, ast.Name) and value.id in ("torch", "F", "math", "np")
        module = module or ast.unparse(value) in ("torch.special", "torch.linalg")
        if name in _OTHER:
            yield "other function", _with(node, func=_with(node.func, attr=_OTHER[name]))
        if module and name in _RANDOM and any(k.arg == "generator" for k in node.keywords):
            yield "reused draw", _with(node, func=ast.Name("_reused"), args=[node.func, *node.args])
            yield "reused draw", _call("_one_row", node)
        elif module and len(plain) == 1 and len(node.args) == 1:
            yield "dropped call", node.args[0]
        elif not module:
            yield "dropped call", value
    elif isinstance(node.func, ast.Name) and len(node.args) == 1 and plain:
        if node.func.id in _OTHER:
            yield "other function", _with(node, func=ast.Name(_OTHER[node.func.id]))
        yield "dropped call", node.args[0]


def writes(source: str) -> Iterator[Mutant]:
    """Mutants that give the right result and then write into one of their arguments."""
    tree, inside = ast.parse(source), _solution_lines(source)
    for index, function in enumerate(tree.body):
        if not isinstance(function, ast.FunctionDef) or function.body[-1].lineno not in inside:
            continue
        for name in [arg.arg for arg in function.args.args]:
            clone = copy.deepcopy(tree)
            kept = ast.Assign([ast.Name("_given")], ast.Name(name))
            clone.body[index].body.insert(_is_text(function.body[0]), kept)
            returns = list(_returns(clone.body[index]))
            for node in returns:
                node.value = _call("_written", ast.Name("_given"), node.value)
            if returns:
                text = ast.unparse(ast.fix_missing_locations(clone))
                old = f"def {function.name}"
                yield Mutant(text, function.lineno, old, f"writes into {name}", "in place")


def _returns(node: ast.AST) -> Iterator[ast.Return]:
    """The return statements of a function, without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Return):
            yield child
        if not isinstance(child, ast.FunctionDef | ast.Lambda):
            yield from _returns(child)


def _other_numbers(value: float) -> list[float]:
    if isinstance(value, int) and abs(value) < 100:
        return [value + 1, value - 1]
    return [value * 2, 0.0] if value else [1.0]


def _unmade(tree: ast.AST) -> Iterator[int]:
    """Nodes of which no mutants are made: their two sides may change places without any effect,
    or they say nothing about the result."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in _KEPT_KEYWORDS:
            yield id(node.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in _EVEN_CALLS:
                yield id(node)
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
                if isinstance(node.right, ast.Constant) and node.right.value == 2:
                    yield id(node.left)
            continue
        if node.func.attr in _EVEN:
            yield id(node.func.value)
        if node.func.attr in _EVEN_CALLS:
            yield id(node)
        if node.func.attr in _REDUCTIONS:
            for axes in [*node.args, *(keyword.value for keyword in node.keywords)]:
                yield id(axes)


def _with(node: ast.AST, **fields: object) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _call(name: str, *args: ast.AST) -> ast.Call:
    return ast.Call(ast.Name(name), list(args), [])


def _swap(items: list) -> list:
    return [items[1], items[0], *items[2:]]


def _without(items: list, index: int) -> list:
    return items[:index] + items[index + 1 :]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _put(tree: ast.AST, index: int, new: ast.AST) -> None:
    """Replaces the node with this number in the order of ``ast.walk``."""
    old = next(node for i, node in enumerate(ast.walk(tree)) if i == index)
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, field, copy.deepcopy(new))
                return
            if isinstance(value, list):
                for i, item in enumerate(value):
                    if item is old:
                        value[i] = copy.deepcopy(new)
                        return


def _solution_lines(source: str) -> set[int]:
    lines, inside = set(), False
    for number, line in enumerate(source.split("\n"), 1):
        if re.search("(BEGIN|END) SOLUTION", line):
            inside = "BEGIN" in line
        elif inside:
            lines.add(number)
    return lines


def _difference(a: str, b: str) -> tuple[str, str]:
    old, new = a.split("\n"), b.split("\n")
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    cut = [part[start : len(part) - end] for part in (old, new)]
    return tuple(" / ".join(line.strip() for line in part) for part in cut)
