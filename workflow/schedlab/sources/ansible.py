"""Finds which files of a playbook and its roles a stage depends on, from task to task.

A role has two parts. The part for the image begins at ``tasks/install.yml``; the part for
provisioned machines begins at ``tasks/main.yml``. After an edit to a template, for example, only
the second part runs again, from the provisioned snapshot. A file counts when a task names it: tasks
and variables that are included, sources of copied files and templates, and what these include.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from schedlab.errors import SchedlabError
from schedlab.paths import ANSIBLE, GUEST_PROGRAMS, ROLES
from schedlab.sources.ansible_names import looked_up, patterns
from schedlab.sources.folders import all_files

FAMILIES = ("Debian", "RedHat")
"""Families of distributions. A role has a file of variables for each one that it works on, with its
lists of packages, their services and secrets."""
FAMILY_FILE = "{{ schedlab_os_family }}.yml"
"""How tasks name the file of the family of their machine."""

_ROLE = re.compile(r"(?:ansible\.builtin\.)?(?:import|include)_role$")
_TASKS = re.compile(r"(?:ansible\.builtin\.)?(?:import|include)_tasks$")
_INCLUDED = re.compile(r"\{%[-+]?\s*(?:include|import|extends|from)\s+([^%]*?)(?:\bimport\b|%)")
_QUOTED = re.compile(r"['\"]([^'\"]+)['\"]")
_PLUG_INS = ("library", "module_utils", "filter_plugins", "lookup_plugins", "action_plugins")
"""Folders of a role with code of its own, which Ansible loads without being told."""
_NOT_FILES = {"name", "dest", "path", "when"}
"""Keys of tasks whose text never names a file of the role, even if one has this name."""
_VARIABLE = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")


@dataclass
class Playbook:
    """A playbook with the roles that it applies.

    Parameters
    ----------
    name : str
        File name in ``playbooks/``.
    roles : sequence of str
        Roles for which a variable stands where the playbook should have a role's name.
    folder : pathlib.Path
        Ansible's folder.
    """

    name: str
    roles: Sequence[str] = ()
    folder: Path = ANSIBLE
    _files: set[Path] = field(default_factory=set, init=False)

    def files(self) -> set[Path]:
        """The playbook, and the files of its roles that it uses."""
        if not self._files:
            self._playbook(self.folder / "playbooks" / self.name)
            for role, part in self.parts():
                self._task_file(role, f"{part}.yml")
                self._beside(role, part)
        return self._files

    def parts(self) -> list[tuple[str, str]]:
        """Roles, each with the task file that it begins with, in the order in which they run."""
        found: list[tuple[str, str]] = []
        for play in self._plays(self.folder / "playbooks" / self.name):
            for entry in play.get("roles", []):
                name = entry if isinstance(entry, str) else entry.get("role", entry.get("name"))
                found += [(role, "main") for role in self._named(name)]
            for section in ("pre_tasks", "tasks", "post_tasks"):
                for name, part in _applied(play.get(section, [])):
                    found += [(role, part) for role in self._named(name)]
        return [
            (role, part)
            for role, part in dict.fromkeys(found)
            # A role without an install part adds nothing to an image.
            if part == "main" or self._path(role, "tasks", f"{part}.yml").is_file()
        ]

    def _plays(self, path: Path) -> Iterator[dict[str, Any]]:
        """Plays of a playbook and of those that it imports, in order."""
        for play in _read(path):
            imported = play.get("import_playbook", play.get("ansible.builtin.import_playbook"))
            if imported:
                yield from self._plays(path.parent / imported)
            else:
                yield play

    def _playbook(self, path: Path) -> None:
        """Add a playbook, the files beside it that it names, and the variables of its groups."""
        if path in self._files:
            return
        self._files.add(path)
        for key, text in _texts(_read(path)):
            named = path.parent / text
            if key in _NOT_FILES or text.strip("./") == "" or not named.is_file():
                continue
            if key.endswith("import_playbook"):
                self._playbook(named)
            else:
                self._files.add(named)
        for folder in ("group_vars", "host_vars"):
            self._files.update(all_files(path.parent / folder))

    def _named(self, name: str) -> Sequence[str]:
        return self.roles if "{{" in name else (name,)

    def _path(self, role: str, *parts: str) -> Path:
        return self.folder.joinpath("roles", role, *parts)

    def _task_file(self, role: str, name: str, folder: str = "tasks") -> None:
        path = self._path(role, folder, name)
        if path in self._files:
            return
        self._files.add(path)
        tasks = _read(path)
        for other, part in _applied(tasks):
            self._task_file(other, f"{part}.yml")
            self._beside(other, part)
        for key, text in _texts(tasks):
            if _TASKS.match(key) and "{{" in text:
                raise SchedlabError(
                    f"{path} includes {text}: the files that it depends on cannot be determined",
                    remedy="include task files by their names, with a condition",
                )
            if key not in _NOT_FILES:
                self._mentioned(role, text)
        known = self._variables(role)
        for task in _mappings(tasks):
            for folder, pattern in patterns(task, known):
                self._fitting(role, folder, pattern)

    def _variables(self, role: str) -> dict[str, Any]:
        """Values of the role's variables, as far as its own files give them."""
        found: dict[str, Any] = {}
        for folder in ("defaults", "vars"):
            for path in sorted(self._path(role, folder).glob("*.yml")):
                found |= _read(path) or {}
        return found

    def _fitting(self, role: str, folder: str, pattern: str) -> None:
        """Add the files in a role's folder whose names, or whose folders' names, fit a pattern."""
        for path in all_files(self._path(role, folder)):
            name = path.relative_to(self._path(role, folder))
            if any(fnmatchcase(str(here), pattern.rstrip("/")) for here in (name, *name.parents)):
                self._add(role, path)

    def _mentioned(self, role: str, text: str) -> None:
        """Add the files of a role that a text of a task names."""
        if "\n" in text or text.startswith("/") or text.strip("./") == "":
            return
        if text == FAMILY_FILE:
            paths = (self._path(role, "vars", f"{family}.yml") for family in FAMILIES)
            self._files.update(path for path in paths if path.is_file())
            return
        if "{{" in text:
            self._files.update(_programs(text))
            return
        for kind in ("tasks", "vars", "files", "templates"):
            path = self._path(role, kind, text)
            if kind == "tasks" and path.is_file():
                self._task_file(role, text)
            elif path.is_dir() and kind == "files":
                self._files.update(all_files(path))
            elif path.is_file():
                self._add(role, path)

    def _add(self, role: str, path: Path) -> None:
        if path in self._files:
            return
        self._files.add(path)
        templates = self._path(role, "templates")
        if not path.is_relative_to(templates):
            return
        text = path.read_text(encoding="utf-8", errors="replace")
        for statement in _INCLUDED.findall(text):
            names = _QUOTED.findall(statement)
            if not names:
                self._fitting(role, "templates", "*")
            for name in names:
                beside = path.parent / name
                self._add(role, beside if beside.is_file() else templates / name)
        for folder, pattern in looked_up(text, self._variables(role)):
            self._fitting(role, folder, pattern)

    def _beside(self, role: str, part: str) -> None:
        """Add the files that no task names, if this part of the role uses them."""
        if part != "main":
            # `files/disk` is installed from a disk, and Packer runs `verify.sh`.
            disk = self._path(role, "files", "disk")
            named = self._path(role, "files", "verify.sh")
            self._files.update(p for p in (*all_files(disk), named) if p.is_file())
        used = " ".join(
            path.read_text(encoding="utf-8", errors="replace")
            for path in self._files
            if path.is_relative_to(self._path(role))
        )
        for name in ("defaults/main.yml", "vars/main.yml"):
            path = self._path(role, name)
            variables = (_read(path) or {}) if path.is_file() else {}
            if path.is_file() and (
                part == "main" or any(re.search(rf"\b{name}\b", used) for name in variables)
            ):
                self._files.add(path)
        if part == "main":
            meta = [self._path(role, "meta", name) for name in ("main.yml", "argument_specs.yml")]
            self._files.update(path for path in meta if path.is_file())
        handlers = self._path(role, "handlers", "main.yml")
        if handlers.is_file() and "notify:" in used:
            self._task_file(role, "main.yml", "handlers")
        for folder in _PLUG_INS:
            self._files.update(all_files(self._path(role, folder)))
        if self._path(role, "meta", "main.yml").is_file():
            depends = _read(self._path(role, "meta", "main.yml")).get("dependencies", [])
            for entry in depends:
                other = entry if isinstance(entry, str) else entry["role"]
                self._task_file(other, "main.yml")
                self._beside(other, "main")


def stated_files(roles: Iterable[str], family: str) -> list[Path]:
    """Files in which roles list what they need of a family's base disk, in the roles' order."""
    files = [ROLES / role / "vars" / f"{family}.yml" for role in roles]
    return [path for path in files if path.is_file()]


def _read(path: Path) -> Any:
    # Every start of Snakemake reads all roles; the loader in C is ten times as fast.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


def _applied(tasks: Any) -> Iterator[tuple[str, str]]:
    """Roles that tasks apply, each with the task file that it begins with.

    Raises
    ------
    SchedlabError
        When a variable stands for the task file.
    """
    for task in _mappings(tasks):
        for key, value in task.items():
            if _ROLE.match(str(key)):
                part = re.sub(r"\.ya?ml$", "", value.get("tasks_from", "main"))
                if "{{" in part:
                    raise SchedlabError(
                        f"a task applies {part} of role {value['name']}: the files that it depends"
                        " on cannot be determined",
                        remedy="apply parts of roles by their names, with a condition",
                    )
                yield value["name"], part


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from _mappings(inner)


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Texts below a value, with the key that each is written under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key)


def _programs(text: str) -> Iterator[Path]:
    """Guest programs that a text with the variable of their folder names."""
    match = _VARIABLE.match(text)
    if match and match[1] == "schedlab_guest_directory":
        yield from GUEST_PROGRAMS.glob(text[match.end() :].lstrip("/"))
