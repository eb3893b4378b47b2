"""Which modules a module imports, itself or through others, read from the source texts.

An import inside a function counts; one for type checking alone (``if TYPE_CHECKING:``) does not.
Importing ``a.b`` also runs ``a``, so that the packages above a module count too, where they are
more than a docstring. A module that is imported by a name that is known only when the program runs
(a plug-in) is not found: whoever asks names it (:mod:`schedlab.sources.stages`).
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from schedlab.paths import PACKAGE

_ROOT = PACKAGE.name


def closure(
    entries: Iterable[str], skipped: Callable[[str], bool] = lambda module: False
) -> frozenset[str]:
    """Modules of this package that modules import, themselves included.

    Parameters
    ----------
    entries : iterable of str
        Names of modules. A plug-in outside this package brings in modules of its own top-level
        package too.
    skipped : callable
        Tells whether a module is left out; what only it imports is left out with it.
    """
    found: set[str] = set()
    waiting = list(entries)
    packages = {_ROOT} | {entry.partition(".")[0] for entry in waiting}
    while waiting:
        module = waiting.pop()
        if module in found or module.partition(".")[0] not in packages:
            continue
        path = module_file(module)
        if path is None or skipped(module):
            continue
        found.add(module)
        waiting += imported(path, module)
        waiting += [module.rpartition(".")[0]] if "." in module else []
    return frozenset(module for module in found if not _is_empty(module))


@cache
def module_file(module: str) -> Path | None:
    """Source file of a module; None where the name is not that of a module."""
    first, *rest = module.split(".")
    if first == _ROOT:
        path = PACKAGE.joinpath(*rest)
        return next(
            (p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None
        )
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(found.origin) if found and found.origin else None


@cache
def imported(path: Path, module: str) -> tuple[str, ...]:
    """Names that a source file imports; some are attributes of modules rather than modules."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return tuple(_names(_parsed(path), package))


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _is_empty(module: str) -> bool:
    """Whether a module is a docstring at most."""
    path = module_file(module)
    assert path is not None
    body = _parsed(path).body
    return not body or (len(body) == 1 and isinstance(body[0], ast.Expr))


def _names(node: ast.AST, package: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for other in child.orelse:
                yield from _names(other, package)
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - child.level]
            parts = [*(above if child.level else ()), *([child.module] if child.module else ())]
            base = ".".join(parts)
            yield base
            yield from (f"{base}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.Call):
            yield from _by_call(child)
        yield from _names(child, package)


def _by_call(call: ast.Call) -> Iterator[str]:
    """Module that ``import_module("name")`` imports."""
    if _called(call) == "import_module" and call.args and isinstance(call.args[0], ast.Constant):
        yield str(call.args[0].value)


def _called(call: ast.Call) -> str:
    function = call.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def literal_arguments(module: str, function: str) -> set[str]:
    """First arguments of a function's calls in a module, where they are written as text."""
    path = module_file(module)
    assert path is not None
    return {
        call.args[0].value
        for call in ast.walk(_parsed(path))
        if isinstance(call, ast.Call)
        and _called(call) == function
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }
