"""Names of a role's files that tasks and templates of Ansible make from variables.

A variable whose value is known (from a loop, from the task or from the role's own files) is
replaced by its value. Any other one becomes a ``*``, so that every file counts whose name it may
make.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_FOLDERS = {
    "assemble": "files",
    "copy": "files",
    "include_vars": "vars",
    "script": "files",
    "template": "templates",
    "unarchive": "files",
    "with_fileglob": "files",
    "with_filetree": "files",
    "with_first_found": "files",
}
"""Module or loop -> the role's folder in which it looks for files."""

_LOOKUPS = {"file": "files", "fileglob": "files", "template": "templates", "unvault": "files"}
_LOOKUP = re.compile(
    r"\b(?:lookup|query|q)\(\s*['\"](?:ansible\.builtin\.)?(\w+)['\"]\s*,([^()]*)\)"
)
_QUOTED = re.compile(r"['\"]([^'\"]+)['\"]")
_EXPRESSION = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_STEPS = re.compile(r"\.(\w+)|\[\s*['\"]?(\w+)['\"]?\s*\]")
_GIVEN = "schedlab_"
"""Prefix of the variables that stages pass; as names of files they are absolute paths, which are
inputs of the stage."""


def patterns(task: Mapping[str, Any], variables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the names that a task makes from variables or that are patterns already.

    Parameters
    ----------
    task : mapping
        The task as it is written.
    variables : mapping
        Values of the role's variables.

    Yields
    ------
    folder, pattern : str
        The role's folder, and a pattern of names below it.
    """
    known = {"role_path": "", **variables, **(task.get("vars") or {})}
    control = task.get("loop_control") or {}
    loop_variable = str(control.get("loop_var", "item"))
    for key, value in task.items():
        folder = _FOLDERS.get(str(key).rpartition(".")[2])
        for text in _given(value) if folder else ():
            # What a loop over files yields was found by its own pattern.
            for item in [None] if str(key).startswith("with_") else _items(task, known):
                name = _rendered(text, {**known, loop_variable: item})
                if folder and name and ("{{" in text or any(sign in name for sign in "*?[")):
                    yield folder, name
    for text in _texts(task):
        yield from looked_up(text, known)


def looked_up(text: str, variables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the files that lookups in a text read, as :func:`patterns` does."""
    for plug_in, arguments in _LOOKUP.findall(text):
        folder = _LOOKUPS.get(plug_in)
        if folder is None or arguments.strip().startswith(_GIVEN):
            continue
        literal = [] if "~" in arguments or "+" in arguments else _QUOTED.findall(arguments)
        for name in literal or [_rendered(f"{{{{ {arguments.strip()} }}}}", variables) or ""]:
            if name:
                yield folder, name


def _given(value: Any) -> Iterator[str]:
    """Texts of a module's arguments that name files of the controller."""
    if isinstance(value, str):
        named = re.findall(r"\b(?:src|file|cmd)=((?:\{\{.*?\}\}|\S)+)", value)
        # `script: run.sh argument` runs the first word.
        yield from named or ([value] if "{{" in value else value.split()[:1])
    elif isinstance(value, Mapping):
        if not value.get("remote_src"):
            for key in ("src", "file", "dir", "cmd", "files", "paths", "_raw_params"):
                yield from _given_texts(value.get(key))
    else:
        yield from _given_texts(value)


def _given_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _given(inner)


def _items(task: Mapping[str, Any], known: Mapping[str, Any]) -> Sequence[Any]:
    """Values of the loop's variable; one unknown value (None) if they are not known."""
    for key in ("loop", "with_items", "with_list"):
        looped = task.get(key)
        if isinstance(looped, str):
            match = _EXPRESSION.fullmatch(looped.strip())
            looped = _value(match[1], known) if match else None
        if isinstance(looped, list):
            return looped
    return [] if any(_FOLDERS.get(str(key)) and "with_" in str(key) for key in task) else [None]


def _rendered(text: str, known: Mapping[str, Any]) -> str | None:
    """Pattern of what a text becomes; None if it begins with a path that a stage passes."""
    if re.match(rf"\{{\{{\s*{_GIVEN}", text):
        return None

    def value(match: re.Match[str]) -> str:
        found = _value(match[1], known)
        return found if isinstance(found, str) and "{{" not in found else "*"

    name = _EXPRESSION.sub(value, text)
    # With `role_path`, the name begins at the role's own folder.
    return re.sub(r"^/+(?:files|templates|vars)/", "", name) if name.startswith("/") else name


def _value(expression: str, known: Mapping[str, Any]) -> Any:
    """Value of a variable, or of a part of it such as ``item.src``; None if it is not known."""
    match = re.fullmatch(r"(\w+)((?:\.\w+|\[\s*['\"]?\w+['\"]?\s*\])*)", expression)
    found = known.get(match[1]) if match else None
    for steps in _STEPS.findall(match[2]) if match else ():
        step = steps[0] or steps[1]
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)
