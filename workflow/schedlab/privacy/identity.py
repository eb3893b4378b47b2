"""Keep secrets, and what identifies this machine and its user, out of what is shared.

:class:`Identity` knows this machine: its names, users, folders, package mirrors and proxies.
Records, logs and the like pass through it when they are **written**: their digests are those
of the clean content and nothing has to be changed when results are shared.

:func:`neutral` knows no machine. The report passes through it, so that it has the same bytes
wherever it is rendered.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from schedlab.paths import CHECKOUT
from schedlab.privacy.machine_names import homes_and_users, host_names, mirror_hosts

WITHHELD = "[withheld]"
CONTROLLER, USER, MIRROR = "[controller]", "[user]", "mirror.invalid"
"""In place of names. The last is a name for a host that never exists (RFC 2606): URLs stay URLs."""

_PLACES = (
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/work",
    "/root",
    "/home",
    "/mnt",
    "/media",
    "/srv",
    "/scratch",
    "/run/user",
)
"""Folders that belong to one machine or one user."""

# A slash after `<` closes an XML element, one after a letter or a dot is inside a longer path.
_BEFORE, _AFTER = r"(?<![\w.$<~\]-])", r"(?![\w-])"
_REST = r"(?:/(?P<rest>[^\s\"'<>`,;:()\[\]{}]*))?"
_PLACE = re.compile(
    _BEFORE
    + "(?:"
    + "|".join(map(re.escape, sorted(_PLACES, key=len, reverse=True)))
    + ")"
    + _REST
    + _AFTER
)

_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL), WITHHELD),
    # The same in base64, as kubeconfigs have it, and signed tokens.
    (re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]{20,}"), WITHHELD),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), WITHHELD),
    (
        re.compile(
            r"(?i)\b(passwd|password|token|secret|client-key-data|client-certificate-data"
            r"|certificate-authority-data)(\s*[=:]\s*)(['\"]?)[^\s'\"<>&]+\3"
        ),
        rf"\1\2{WITHHELD}",
    ),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@:'\"<>]*:[^\s/@'\"<>]*@"), rf"\1{WITHHELD}@"),
)
_SECRET_KEY = re.compile(
    r"(?i)(passwd|password|token|secret|client-key-data|client-certificate-data"
    r"|certificate-authority-data)"
)


def withhold(text: str) -> str:
    """Replace private keys, certificates, tokens, passwords and credentials in URLs."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def neutral(value: Any) -> Any:
    """Replace secrets, and paths below folders that belong to one machine, on whatever machine.

    Parameters
    ----------
    value : str, or mappings and sequences of them
        Keys are replaced too; anything but text stays.
    """
    return _mapped(value, lambda text: withhold(_PLACE.sub(_shorten, text)))


def _shorten(match: re.Match[str]) -> str:
    name = (match["rest"] or "").rstrip("/").rpartition("/")[2]
    return f"[path]/{name}" if name else "[path]"


def _mapped(value: Any, replace: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return replace(value)
    if isinstance(value, dict):
        return {
            # Plain words are names of our own: a user called `trial` must not rename them.
            replace(key) if isinstance(key, str) and not key.isidentifier() else key: (
                WITHHELD
                if isinstance(key, str) and isinstance(entry, str) and _SECRET_KEY.fullmatch(key)
                else _mapped(entry, replace)
            )
            for key, entry in value.items()
        }
    if isinstance(value, list | tuple):
        return [_mapped(entry, replace) for entry in value]
    return value


class _Trait(NamedTuple):
    """Something that identifies: what it is, its letters for a quick look, where it stands."""

    what: str
    letters: str
    pattern: re.Pattern[str]
    replacement: str


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
        return _mapped(value, self.text)

    def traces(self, text: str) -> list[str]:
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
