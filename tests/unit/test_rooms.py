"""The package's rooms: their imports form no cycle, and no file is too long."""

from __future__ import annotations

import ast
import graphlib
from collections import defaultdict
from pathlib import Path

from schedlab.paths import CHECKOUT, PACKAGE

MODULE_LINES, RULE_LINES = 400, 150


def room(module: str) -> str:
    """Room of a module: the part of its name below the package."""
    return module.split(".")[1] if "." in module else ""


def arrows() -> dict[str, set[str]]:
    """Rooms that each room imports, in functions and for types too."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        here = room(".".join((PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts)))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name):
                modules = [node.module or ""]
                if node.module == PACKAGE.name:
                    modules = [f"{PACKAGE.name}.{alias.name}" for alias in node.names]
                found[here] |= {room(module) for module in modules} - {here}
    return found


def test_rooms_import_in_no_circle() -> None:
    graphlib.TopologicalSorter(arrows()).prepare()


def too_long(paths: list[Path], limit: int) -> dict[str, int]:
    """Files of more lines than the limit."""
    lengths = {path.name: len(path.read_text().splitlines()) for path in paths}
    assert lengths
    return {name: lines for name, lines in lengths.items() if lines > limit}


def test_modules_and_rule_files_are_short() -> None:
    assert not too_long(list((CHECKOUT / "workflow" / "rules").glob("*.smk")), RULE_LINES)
    assert not too_long(list(PACKAGE.rglob("*.py")), MODULE_LINES)
