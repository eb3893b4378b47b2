"""Keep secrets, and what identifies this machine and its user, out of what is shared.

:class:`Identity` knows this machine: its names, users, folders, package mirrors and proxies.
Records, logs and the like pass through it when they are **written**: their digests are those
of the clean content and nothing has to be changed when results are shared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from schedlab.paths import CHECKOUT
from schedlab.privacy.machine_names import homes_and_users, host_names, mirror_hosts
from schedlab.privacy.secrets import mapped, withhold

CONTROLLER, USER, MIRROR = "[controller]", "[user]", "mirror.invalid"
"""In place of names. The last is a name for a host that never exists (RFC 2606): URLs stay URLs."""


class _Trait(NamedTuple):
    """Something that identifies: what it is, its letters for a quick look, where it stands."""

    what: str
    letters: str
    pattern: re.Pattern[str]
    replacement: str


_AFTER = r"(?![\w-])"


@dataclass(frozen=True)
class Identity:
    """What identifies a machine and its user, and how it is replaced.

    A host or user name is replaced wherever it stands alone as a word, unless schedlab's own
    sources use that word: of a controller that is called ``head`` or ``debian`` the name
    tells nothing, and replacing it would spoil what is meant by it. Such a name is replaced only
    where it must be a name: after ``@`` or ``//``.

    Parameters
    ----------
    folders : mapping of str to str
        Absolute path -> what stands for it.
    hosts : tuple of str
        Names of the machine.
    users : tuple of str
        Names of its users.
    mirrors : tuple of str
        Hosts of package mirrors and proxies.
    """

    folders: Mapping[str, str]
    hosts: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()

    @classmethod
    def detect(cls, root: Path = Path("/")) -> Identity:
        """Identity of this machine and user; `root` is where its file system starts."""
        homes, users = homes_and_users()
        results = os.environ.get("SCHEDLAB_RESULTS")
        cache = os.environ.get("SCHEDLAB_CACHE")
        folders: dict[str, str] = {}
        for path, name in (
            *((home, "$HOME") for home in homes),
            (cache, "$CACHE"),
            (CHECKOUT.as_posix(), "$CHECKOUT"),
            (results, "$RESULTS"),
        ):
            if path:
                folders |= {Path(path).absolute().as_posix(): name}
                folders |= {Path(path).resolve().as_posix(): name}
        return cls(
            {path: name for path, name in folders.items() if path != "/"},
            tuple(host_names(root)),
            tuple(users),
            tuple(mirror_hosts(root, [Path(home) for home in homes])),
        )

    @cached_property
    def _patterns(self) -> list[_Trait]:
        found = []
        for path in sorted(self.folders, key=len, reverse=True):
            before = r"(?<![\w.-])" if path.count("/") == 1 else ""
            pattern = re.compile(before + re.escape(path) + _AFTER)
            what = "a folder of this machine"
            found.append(_Trait(what, path.lower(), pattern, self.folders[path]))
        # Longest first: a host's full name holds its short one.
        names = [
            *((name, "a package mirror or proxy", MIRROR) for name in self.mirrors),
            *((name, "the host's name", CONTROLLER) for name in self.hosts),
            *((name, "a user's name", USER) for name in self.users),
        ]
        for name, what, replacement in sorted(names, key=lambda entry: -len(entry[0])):
            flags = re.NOFLAG if replacement == USER else re.IGNORECASE
            lead = r"(?<=[@])|(?<=//)" if _ordinary(name) else r"(?<![\w-])"
            pattern = re.compile(f"(?:{lead}){re.escape(name)}{_AFTER}", flags)
            found.append(_Trait(what, name.lower(), pattern, replacement))
        return found

    def text(self, text: str) -> str:
        """Replace in a text; secrets too."""
        lower = text.lower()
        for trait in self._patterns:
            if trait.letters in lower:
                text = trait.pattern.sub(trait.replacement, text)
        return withhold(text)

    def data(self, value: Any) -> Any:
        """Replace in every text of nested mappings and sequences, and in keys that are no words."""
        return mapped(value, self.text)

    def identifying_words(self, text: str) -> list[str]:
        """Say what of this machine a text still tells, without repeating it."""
        lower = text.lower()
        return sorted(
            {
                trait.what
                for trait in self._patterns
                if trait.letters in lower and trait.pattern.search(text)
            }
        )

    def clean_file(self, path: Path) -> None:
        """Replace in a text file, where there is one."""
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            path.write_text(self.text(text), encoding="utf-8")


@lru_cache
def identity() -> Identity:
    """Identity of this machine and user, found out once a process."""
    return Identity.detect()


@lru_cache
def _vocabulary() -> str:
    """Text of schedlab's own sources and examples."""
    texts = []
    for folder in ("workflow", "config"):
        for path in sorted((CHECKOUT / folder).rglob("*")):
            if path.suffix not in {".pyc", ".json"} and path.is_file():
                texts.append(path.read_text(encoding="utf-8", errors="ignore"))
    return "\n".join(texts)


@lru_cache
def _ordinary(name: str) -> bool:
    """Tell whether a name is a word of schedlab's own, or too short to be recognised."""
    if len(name) < 3:
        return True
    return bool(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", _vocabulary(), re.IGNORECASE))
