"""What roles need of a machine's disk, from their variables for its family of distributions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import yaml


@dataclass(frozen=True)
class RoleParts:
    """What roles need of the base disk; each list is sorted and has each entry once.

    Attributes
    ----------
    packages : list of str
        Packages beside those that every base disk has.
    disabled_units : list of str
        Services of these packages that must not start before their role has configured them.
    masked_units : list of str
        Units that would disturb a trial.
    secrets : list of str
        Absolute paths of files that these packages make, and that every machine must make itself.
    """

    packages: list[str]
    disabled_units: list[str]
    masked_units: list[str]
    secrets: list[str]


def role_parts(files: Iterable[Path]) -> RoleParts:
    """Merge what roles need of the base disk.

    Parameters
    ----------
    files : iterable of pathlib.Path
        Files of roles with the keys ``<role>_<list>``, as
        :func:`schedlab.sources.ansible.stated_files` names them. Their other keys are for tasks.
    """
    found: dict[str, set[str]] = {field.name: set() for field in fields(RoleParts)}
    for path in files:
        role = path.parents[1].name
        variables = yaml.safe_load(path.read_text())
        for name, entries in found.items():
            entries.update(variables.get(f"{role}_{name}", ()))
    return RoleParts(**{name: sorted(entries) for name, entries in found.items()})
