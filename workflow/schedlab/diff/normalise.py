"""What differs between two runs of one thing is taken out: identities, not facts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

# schedlab.testbed.session: names carry the checkout, MAC addresses a hash of the same.
_NAME = re.compile(r"\bschedlab-[0-9a-f]{8}-")
_MAC = re.compile(r"\b[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}\b")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")

VOLATILE = frozenset({"run", "checkout", "bridge", "portid"})
"""Keys whose value belongs to one run: process id, checkout, names that the host chose."""

_SYSTEM = ("/usr/", "/dev/", "/proc/", "/sys/", "/boot/", "/lib/", "/bin/", "/sbin/", "/etc/")
"""Paths that the distribution decides: a difference there is one of the infrastructure."""


def without_run(text: str) -> str:
    """Replace names, MAC addresses, UUIDs and this machine's paths in a value.

    Of a path outside the system's own folders only the file's name is kept.
    """
    if re.match(r"(/|\[path\]/|\$[A-Z]+/)", text) and not text.startswith(_SYSTEM):
        text = f".../{PurePosixPath(text).name}"
    text = _NAME.sub("schedlab-*-", text)
    text = _MAC.sub("[mac]", text)
    return _UUID.sub("[uuid]", text)


def flatten(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Write nested data as pairs of a dotted key and a text, as a configuration file has them.

    Lists of plain values are one text; entries of others go by their ``name``, or by position.

    >>> dict(flatten({"node": {"vcpus": 2}, "nodes": [1, 2], "of": [{"name": "a", "n": None}]}))
    {'node.vcpus': '2', 'nodes': '[1, 2]', 'of.a.n': 'null'}
    """
    if isinstance(value, Mapping):
        for name, entry in value.items():
            if name not in VOLATILE:
                yield from flatten(entry, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and any(isinstance(entry, Mapping | list) for entry in value):
        for index, entry in enumerate(value):
            named = isinstance(entry, Mapping) and "name" in entry
            rest = {k: v for k, v in entry.items() if k != "name"} if named else entry
            yield from flatten(rest, f"{key}.{entry['name'] if named else index}")
    else:
        yield key, value if isinstance(value, str) else json.dumps(value)
