"""The package's rooms: arrows between them go one way, and no file is too long to read."""

from __future__ import annotations

import ast
import graphlib
from collections import defaultdict
from pathlib import Path

from schedlab.paths import CHECKOUT, PACKAGE

MODULE_LINES, RULE_LINES = 400, 150

# Until the model of the experiment imports no adapter: to be removed with that import.
TO_BE_GONE = {("config", "schedulers"), ("schedulers", "config")}


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
    kept = {here: {to for to in rooms if (here, to) not in TO_BE_GONE}
            for here, rooms in arrows().items()}  # fmt: skip
    graphlib.TopologicalSorter(kept).prepare()


def test_what_is_to_be_gone_is_still_there() -> None:
    found = arrows()
    assert all(to in found[here] for here, to in TO_BE_GONE), "remove the entry"


def too_long(paths: list[Path], limit: int) -> dict[str, int]:
    """Files of more lines than the limit."""
    lengths = {path.name: len(path.read_text().splitlines()) for path in paths}
    assert lengths
    return {name: lines for name, lines in lengths.items() if lines > limit}


def test_modules_and_rule_files_are_short() -> None:
    assert not too_long(list((CHECKOUT / "workflow" / "rules").glob("*.smk")), RULE_LINES)
    long = too_long(list(PACKAGE.rglob("*.py")), MODULE_LINES)
    # Six lines over: its groups move to the schedulers' packages.
    assert long.keys() <= {"guest_binaries.py"}
