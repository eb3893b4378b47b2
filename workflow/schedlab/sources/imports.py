"""Finds which modules a module imports, directly or through others, from the source texts.

An import inside a function counts; one for type checking alone (``if TYPE_CHECKING:``) does not.
Importing ``a.b`` also runs ``a``, so the packages above a module count too if they have more than a
docstring. A plug-in, whose name is known only when the program runs, is not found. The caller names
it (:mod:`schedlab.sources.stages`).
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from schedlab.paths import PACKAGE

_ROOT = PACKAGE.name
_LEAVES = (ast.Name, ast.Constant, ast.expr_context, ast.operator, ast.cmpop)
"""Most nodes of a tree. They contain nothing that is looked for, so they are passed over."""
_PLUG_INS = "schedulers"


def closure(
    entries: Iterable[str], skipped: Callable[[str], bool] = lambda module: False
) -> frozenset[str]:
    """Modules of this package that modules import, themselves included.

    Parameters
    ----------
    entries : iterable of str
        Names of modules. For a plug-in outside this package, the modules of its own top-level
        package count too.
    skipped : callable
        Tells whether a module is left out. Modules that only this module imports are left out too.
    """
    found: set[str] = set()
    waiting = list(entries)
    packages = {_ROOT} | {entry.partition(".")[0] for entry in waiting}
    while waiting:
        module = waiting.pop()
        if module in found or module.partition(".")[0] not in packages:
            continue
        if module_file(module) is None or skipped(module):
            continue
        found.add(module)
        waiting += _read(module).names
        waiting += [module.rpartition(".")[0]] if "." in module else []
    return frozenset(module for module in found if not _read(module).empty)


@cache
def module_file(module: str) -> Path | None:
    """Source file of a module; None if the name is not the name of a module."""
    first, *rest = module.split(".")
    if first == _ROOT:
        path = PACKAGE.joinpath(*rest)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
        if rest[:1] != [_PLUG_INS] or len(rest) < 2:
            return None
        # An adapter may be in a further folder, which the register adds to its package.
        importlib.import_module("schedlab.schedulers").scheduler_names()
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(found.origin) if found and found.origin else None


class _Read(NamedTuple):
    """What a source file imports and calls (if the first argument is text), and if it is empty."""

    names: tuple[str, ...]
    calls: frozenset[tuple[str, str]]
    empty: bool


@cache
def _read(module: str) -> _Read:
    path = module_file(module)
    assert path is not None
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    # The tree is not kept: those of a hundred files take more memory than everything else here.
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: list[str] = []
    calls: set[tuple[str, str]] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and (runs := _at_run_time(node.test)) is not None:
            waiting += node.body if runs else node.orelse
            continue
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += _from(node, package)
        elif isinstance(node, ast.Call) and node.args:
            first, function = node.args[0], node.func
            called = (
                function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            )
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                calls.add((called, first.value))
        waiting += (n for n in ast.iter_child_nodes(node) if not isinstance(n, _LEAVES))
    for called, text in calls:
        if called in {"import_module", "__import__"}:
            names.append(f"{package}{text}" if text.startswith(".") else text)
    docstring = len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr)
    return _Read(tuple(names), frozenset(calls), docstring or not tree.body)


def _at_run_time(test: ast.expr) -> bool | None:
    """Value of a condition in a running program; None if it is known only there.

    Type checkers set ``TYPE_CHECKING``; in a running program it is false.
    """
    if isinstance(test, ast.Name | ast.Attribute):
        name = test.id if isinstance(test, ast.Name) else test.attr
        return False if name == "TYPE_CHECKING" else None
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        value = _at_run_time(test.operand)
        return None if value is None else not value
    if isinstance(test, ast.BoolOp):
        deciding = isinstance(test.op, ast.Or)
        values = [_at_run_time(part) for part in test.values]
        if deciding in values:
            return deciding
        return None if None in values else not deciding
    return None


def _from(node: ast.ImportFrom, package: str) -> list[str]:
    """Names of ``from ... import ...``; some are attributes of modules rather than modules."""
    above = package.split(".")
    parts = above[: len(above) + 1 - node.level] if node.level else []
    base = ".".join([*parts, *([node.module] if node.module else [])])
    return [base, *(f"{base}.{alias.name}" for alias in node.names)]


def literal_arguments(module: str, function: str) -> set[str]:
    """First arguments, as far as they are literal text, of a function's calls in a module."""
    return {text for called, text in _read(module).calls if called == function}
