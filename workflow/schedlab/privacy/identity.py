"""Removes secrets, and words that identify this machine and its user, from shared files.

:class:`Identity` holds these words: names of the machine, users, folders, package mirrors and
proxies. Records, logs and similar files are cleaned when they are **written**. Their digests are
therefore those of the clean content, and nothing has to be changed when results are shared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from schedlab.paths import CHECKOUT, cache_root
from schedlab.privacy.machine_names import homes_and_users, host_names, mirror_hosts
from schedlab.privacy.secrets import mapped, withhold

CONTROLLER, USER, MIRROR = "[controller]", "[user]", "mirror.invalid"
"""Replacements of names. No host is called `mirror.invalid` (RFC 2606), and URLs stay valid."""


class _Trait(NamedTuple):
    """Something that identifies a machine.

    Parameters
    ----------
    kind : str
        What it is, for messages.
    letters : str
        Its text in lower case. A text without it need not be searched with the pattern.
    pattern : re.Pattern
        Finds it in a text.
    replacement : str
        Replaces it.
    """

    kind: str
    letters: str
    pattern: re.Pattern[str]
    replacement: str


_AFTER = r"(?![\w-])"


@dataclass(frozen=True)
class Identity:
    """Words that identify a machine and its user, and their replacements.

    A host or user name is replaced wherever it is a whole word, unless schedlab's own sources use
    that word. If a controller is called ``head`` or ``debian``, the name identifies nothing, and
    replacing it everywhere would damage other text. Such a name is replaced only after ``@`` or
    ``//``, where it must be a name.

    Parameters
    ----------
    folders : mapping of str to str
        Replacement by absolute path.
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
        """Detect the identity of this machine and user.

        Parameters
        ----------
        root : pathlib.Path
            Root of the machine's file system.
        """
        homes, users = homes_and_users()
        results = os.environ.get("SCHEDLAB_RESULTS")
        cache = str(cache_root()) if os.environ.get("SCHEDLAB_CACHE") else None
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
            kind = "a folder of this machine"
            found.append(_Trait(kind, path.lower(), pattern, self.folders[path]))
        # Longest first, because the full name of a host contains the short one.
        names = [
            *((name, "a package mirror or proxy", MIRROR) for name in self.mirrors),
            *((name, "the host's name", CONTROLLER) for name in self.hosts),
            *((name, "a user's name", USER) for name in self.users),
        ]
        for name, kind, replacement in sorted(names, key=lambda entry: -len(entry[0])):
            flags = re.NOFLAG if replacement == USER else re.IGNORECASE
            lead = r"(?<=[@])|(?<=//)" if _ordinary(name) else r"(?<![\w-])"
            pattern = re.compile(f"(?:{lead}){re.escape(name)}{_AFTER}", flags)
            found.append(_Trait(kind, name.lower(), pattern, replacement))
        return found

    def text(self, text: str) -> str:
        """Return a text without identifying words and secrets."""
        lower = text.lower()
        for trait in self._patterns:
            if trait.letters in lower:
                text = trait.pattern.sub(trait.replacement, text)
        return withhold(text)

    def data(self, value: Any) -> Any:
        """Return nested mappings and sequences with every text cleaned as by :meth:`text`.

        Keys are cleaned too, unless they are plain words.
        """
        return mapped(value, self.text)

    def identifying_words(self, text: str) -> list[str]:
        """Return the kinds of identifying words that a text contains, without the words."""
        lower = text.lower()
        return sorted(
            {
                trait.kind
                for trait in self._patterns
                if trait.letters in lower and trait.pattern.search(text)
            }
        )

    def clean_file(self, path: Path) -> None:
        """Clean a text file in place, if it exists."""
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            path.write_text(self.text(text), encoding="utf-8")


@lru_cache
def identity() -> Identity:
    """Return the identity of this machine and user, detected once in a process."""
    return Identity.detect()


@lru_cache
def _vocabulary() -> str:
    """Return the text of schedlab's own sources and examples."""
    texts = []
    for folder in ("workflow", "config"):
        for path in sorted((CHECKOUT / folder).rglob("*")):
            if path.suffix not in {".pyc", ".json"} and path.is_file():
                texts.append(path.read_text(encoding="utf-8", errors="ignore"))
    return "\n".join(texts)


@lru_cache
def _ordinary(name: str) -> bool:
    """Tell whether schedlab's sources use a name as a word, or it is too short to identify."""
    if len(name) < 3:
        return True
    return bool(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", _vocabulary(), re.IGNORECASE))
