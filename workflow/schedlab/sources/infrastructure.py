"""Which files of Packer's templates and Terraform's modules a stage depends on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from schedlab.paths import ANSIBLE, GUEST_PROGRAMS, PACKER, TERRAFORM

_MODULE = re.compile(r'^\s*source\s*=\s*"(\.{1,2}/[^"]+)"', re.MULTILINE)
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
    """All files of the root module and its modules, without those that Terraform writes."""
    found = {path for path in folder.glob("*") if _kept(path)}
    for path in [path for path in found if path.suffix == ".tf"]:
        for name in _MODULE.findall(path.read_text(encoding="utf-8")):
            module = (folder / name).resolve()
            found |= {file for file in module.rglob("*") if _kept(file)}
    return found


def _kept(path: Path) -> bool:
    return (
        path.is_file()
        and not any(part.startswith(".terraform") for part in path.parts)
        and ".tfstate" not in path.name
    )
