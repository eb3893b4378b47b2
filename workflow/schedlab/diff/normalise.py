"""Removes what differs between any two runs from values: names and numbers chosen for one run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

# schedlab.testbed.session derives names and MAC addresses from the checkout.
_NAME = re.compile(r"\bschedlab-[0-9a-f]{8}-")
_MAC = re.compile(r"\b[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}\b")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")

VOLATILE = frozenset({"run", "checkout", "bridge", "portid"})
"""Keys whose value belongs to one run: process id, checkout, names that the host chose."""

_SYSTEM = ("/usr/", "/dev/", "/proc/", "/sys/", "/boot/", "/lib/", "/bin/", "/sbin/", "/etc/")
"""Folders of the distribution. A different path there is a difference of the infrastructure."""


def without_run_names(text: str) -> str:
    """Replace names of domains, MAC addresses, UUIDs and paths that belong to one run.

    A path outside the system's folders is reduced to the name of the file.
    """
    if re.match(r"(/|\[path\]/|\$[A-Z]+/)", text) and not text.startswith(_SYSTEM):
        text = f".../{PurePosixPath(text).name}"
    text = _NAME.sub("schedlab-*-", text)
    text = _MAC.sub("[mac]", text)
    return _UUID.sub("[uuid]", text)


def flatten(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested data as pairs of a dotted key and a text.

    A list of plain values becomes one text. In other lists the key of an entry is its ``name``, or
    else its position.

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
