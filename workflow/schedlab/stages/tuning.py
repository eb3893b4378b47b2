"""How the kernel of the nodes was to be set, and how it is: role common's ``vars/tuning.yml``.

The role writes the settings into the image; they are in force from a cluster's first boot. This
module reads every one back from the running nodes.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import yaml

from schedlab.errors import SchedlabError
from schedlab.paths import ROLES
from schedlab.testbed.ssh import Node

STAGE = "configure"
TABLE = ROLES / "common/vars/tuning.yml"
KINDS = ("sysctl", "file", "limit", "unit", "recorded")
SYSTEMD = {"unlimited": "infinity"}
"""Values of limits that systemd names otherwise than a shell."""

# A line for each file that a pattern matches: number of the setting, file, value.
_FUNCTIONS = r"""
show() { number=$1; shift; for file; do [ -r "$file" ] || continue
printf '%s\t%s\t%s\n' "$number" "$file" "$(tr '\n\t' '  ' <"$file" 2>/dev/null)"; done; }
say() { printf '%s\t%s\t%s\n' "$1" "$2" "$3"; }
"""
_ULIMIT = {"NOFILE": "n", "MEMLOCK": "l"}


def settings() -> list[dict[str, str]]:
    """The settings, in their order; see the file for their keys."""
    found: list[dict[str, str]] = yaml.safe_load(TABLE.read_text(encoding="utf-8"))["common_tuning"]
    return found


def script(asked: Sequence[Mapping[str, str]]) -> str:
    """Shell script that prints what a node has: lines of number, place and value, by tabs."""
    lines = [_FUNCTIONS]
    for number, setting in enumerate(asked):
        key = setting["key"]
        match setting["kind"]:
            case "sysctl":
                lines.append(f"show {number} {shlex.quote('/proc/sys/' + key.replace('.', '/'))}")
            case "file" | "recorded":
                # Not quoted: it may be a pattern.
                lines.append(f"show {number} {key}")
            case "unit":
                state = f"$(systemctl is-active {shlex.quote(key)})"
                lines.append(f'say {number} {shlex.quote(key)} "{state}"')
            case "limit":
                service = f"$(systemctl show --value --property=DefaultLimit{key})"
                lines.append(f'say {number} sessions "$(ulimit -{_ULIMIT[key]})"')
                lines.append(f'say {number} services "{service}"')
    return "\n".join(lines) + "\n"


def chosen(text: str) -> str:
    """Value in force in a file of the kernel: ``always`` of ``[always] madvise never``."""
    words = text.split()
    marked = [word.strip("[]") for word in words if word[0] == "[" and word[-1] == "]"]
    return marked[0] if len(words) > 1 and len(marked) == 1 else " ".join(words)


def parse(printed: str) -> dict[int, dict[str, str]]:
    """Read what the script printed: number of a setting -> place -> value."""
    found: dict[int, dict[str, str]] = {}
    for line in printed.splitlines():
        number, place, value = line.split("\t", 2)
        found.setdefault(int(number), {})[place] = chosen(value)
    return found


def read_back(nodes: Mapping[str, Node]) -> list[dict[str, Any]]:
    """Read all settings from all nodes at once, and check them.

    Returns
    -------
    list of dict
        The settings, each with ``found``: node -> place (a file, for example) -> value. A node
        whose kernel does not offer the setting has no place.

    Raises
    ------
    SchedlabError
        When a node has another value than the one that was set; it names all of them.
    """
    asked = settings()
    text = script(asked)
    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        printed = pool.map(lambda node: parse(node.run(text).stdout), nodes.values())
        read = dict(zip(nodes, printed, strict=True))
    rows = [
        {**setting, "found": {node: found.get(number, {}) for node, found in read.items()}}
        for number, setting in enumerate(asked)
    ]
    if wrong := differences(rows):
        raise SchedlabError(
            "the kernel is not set as it was to be:\n  " + "\n  ".join(wrong),
            stage=STAGE,
            remedy=f"correct what overrides it in the image, or change {TABLE.name} of role common",
        )
    return rows


def differences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """List the values that differ from those that were to be set, one line each."""
    return [
        f"{node}: {row['key']} ({place}) is {value}, {wanted(row, place)} was to be set"
        for row in rows
        if row["kind"] != "recorded"
        for node, places in row["found"].items()
        for place, value in places.items()
        if not same(value, wanted(row, place))
    ]


def wanted(row: Mapping[str, Any], place: str) -> str:
    """Value that a setting is to have at a place."""
    value = str(row["value"])
    return SYSTEMD.get(value, value) if place == "services" else value


def same(found: str, asked: str) -> bool:
    """Whether a unit's state or a value is the one that was to be set."""
    # A unit that does not exist is unknown to older releases of systemd.
    return found == asked or (asked == "inactive" and found == "unknown")
