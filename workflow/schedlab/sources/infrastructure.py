"""Which files of Packer's templates, Terraform's modules and C programs a stage depends on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from schedlab.paths import ANSIBLE, GUEST_PROGRAMS, PACKER, TERRAFORM
from schedlab.sources.folders import all_files

_MODULE = re.compile(r'\bsource"?\s*[=:]\s*"(\.{1,2}/[^"]+)"')
_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"\n]+)"', re.MULTILINE)
_TEXT = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_VALUE = re.compile(r"\$\{([a-z_.]+)\}")


def packer_files(folder: Path = PACKER) -> set[Path]:
    """Templates of Packer, and the files that they name.

    If a name contains a variable whose value is not known here, every matching file counts.
    """
    known = {
        "path.root": str(folder),
        "var.ansible_directory": str(ANSIBLE),
        "var.guest_directory": str(GUEST_PROGRAMS),
    }
    found = set(folder.glob("*.pkr.hcl"))
    for template in list(found):
        for text in _TEXT.findall(template.read_text(encoding="utf-8")):
            if _VALUE.match(text):
                found |= _fitting(text, known)
    # The files of the playbook are found by `schedlab.sources.ansible`.
    return {path for path in found if not path.is_relative_to(ANSIBLE)}


def _fitting(text: str, known: Mapping[str, str]) -> set[Path]:
    path = Path(_VALUE.sub(lambda match: known.get(match[1], "*"), text))
    if not path.is_absolute():
        return set()
    root = Path(path.anchor)
    return {found for found in root.glob(str(path.relative_to(root))) if found.is_file()}


def terraform_files(folder: Path = TERRAFORM) -> set[Path]:
    """All files of the root module, of its modules and of theirs.

    Files that Terraform writes do not count. A file outside these folders counts if a module names
    it (``templatefile("${path.module}/...")``).
    """
    found = {path for path in folder.glob("*") if _kept(path)}
    waiting, read = [*found], set[Path]()
    while waiting:
        path = waiting.pop()
        if path in read or not path.name.endswith((".tf", ".tf.json")):
            continue
        read.add(path)
        text = path.read_text(encoding="utf-8")
        added = set[Path]()
        for name in _MODULE.findall(text):
            added |= {file for file in all_files((path.parent / name).resolve()) if _kept(file)}
        known = {"path.module": str(path.parent), "path.root": str(folder)}
        for name in _TEXT.findall(text):
            if _VALUE.match(name):
                added |= {file.resolve() for file in _fitting(name, known) if _kept(file)}
        found |= added
        waiting += added
    return found


def program_files(names: Iterable[str], folder: Path = GUEST_PROGRAMS) -> set[Path]:
    """Source files of C programs: ``NAME.c`` and the headers that these include.

    Raises
    ------
    FileNotFoundError
        When a program has no such source file.
    """
    found: set[Path] = set()
    waiting = [folder / f"{name}.c" for name in names]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            included = _INCLUDE.findall(path.read_text(encoding="utf-8"))
            headers = [(path.parent / name).resolve() for name in included]
            # The compiler looks for other headers in folders of the system.
            waiting += [header for header in headers if header.is_file()]
    return found


def _kept(path: Path) -> bool:
    return (
        path.is_file()
        and not any(part.startswith(".terraform") for part in path.parts)
        and ".tfstate" not in path.name
    )
