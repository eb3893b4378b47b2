"""Replaces secrets (keys, certificates, tokens, passwords) in text, and finds them in bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

WITHHELD = "[withheld]"
_NAMES = (
    r"passwd|password|token|secret|client-key-data|client-certificate-data"
    r"|certificate-authority-data"
)
"""Names of values that are secret."""
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL), WITHHELD),
    # The same in base64, as in kubeconfigs; and signed tokens.
    (re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]{20,}"), WITHHELD),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), WITHHELD),
    (
        re.compile(rf"(?i)\b({_NAMES})(\s*[=:]\s*)(['\"]?)[^\s'\"<>&]+\3"),
        rf"\1\2{WITHHELD}",
    ),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@:'\"<>]*:[^\s/@'\"<>]*@"), rf"\1{WITHHELD}@"),
    # A token in place of a user name. Those of ssh and libvirt are names of people.
    (re.compile(r"(?i)\b((?:https?|ftp)://)(?!\[withheld\])[^\s/@:'\"<>]+@"), rf"\1{WITHHELD}@"),
)
_SECRET_KEY = re.compile(rf"(?i)({_NAMES})")


def withhold(text: str) -> str:
    """Replace private keys, certificates, tokens, passwords and credentials in URLs."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def mapped(value: Any, replace: Callable[[str], str]) -> Any:
    """Apply `replace` to every text of nested mappings and sequences.

    The value of a key that names a secret is withheld.

    Parameters
    ----------
    value : object
        Nested mappings and sequences. Values that are not text do not change.
    replace : callable
        Returns the replacement of a text. It is applied to keys too, unless they are plain words.
    """
    if isinstance(value, str):
        return replace(value)
    if isinstance(value, dict):
        return {
            # Plain words are schedlab's own keys, which a user called `trial` must not change.
            replace(key) if isinstance(key, str) and not key.isidentifier() else key: (
                WITHHELD
                if isinstance(key, str) and isinstance(entry, str) and _SECRET_KEY.fullmatch(key)
                else mapped(entry, replace)
            )
            for key, entry in value.items()
        }
    if isinstance(value, list | tuple):
        return [mapped(entry, replace) for entry in value]
    return value


_MARKERS: tuple[tuple[str, bytes, re.Pattern[bytes]], ...] = (
    (
        "a private key or certificate",
        b"-----BEGIN ",
        re.compile(
            rb"-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|CERTIFICATE)-----(?:\\[nr]|\s)+"
            rb"[A-Za-z0-9+/=]{20,}"
        ),
    ),
    ("a private key or certificate", b"LS0tLS1CRUdJTi", re.compile(rb"LS0tLS1CRUdJTi[\w+/=]{40,}")),
    (
        "a kubeconfig",
        b"-data",
        re.compile(
            rb"(?:client-key|client-certificate|certificate-authority)-data\\?[\"']?\s*:\s*\\?[\"']?"
            rb"[A-Za-z0-9+/=]{20,}"
        ),
    ),
    ("a signed token", b"eyJ", re.compile(rb"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}")),
)


def secrets_in(data: bytes) -> set[str]:
    """Return the kinds of secrets that bytes contain, in UTF-16 too, without the secrets."""
    forms = [data, data.replace(b"\0", b"")] if b"\0" in data else [data]
    return {
        what
        for form in forms
        for what, mark, pattern in _MARKERS
        if mark in form and pattern.search(form)
    }
