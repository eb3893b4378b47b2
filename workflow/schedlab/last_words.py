"""What a tool that failed said itself, and a remedy only where its words tell the cause."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

LONGEST = 1500
"""Largest number of characters of a tool's output in a message."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NETWORK = re.compile(
    r"(?i)could not resolve|temporary failure (?:in name )?resol|no such host"
    r"|network is unreachable|no route to host|could not connect|failed to connect|i/o timeout"
    r"|handshake timeout|connection (?:refused|timed out|reset)|failed to fetch"
    r"|proxy authentication"
)
_CERTIFICATE = re.compile(r"(?i)certificate (?:signed by unknown|verify failed)|CERTIFICATE_VERIFY")


def last_words(text: str, longest: int = LONGEST) -> str:
    """End of a tool's output: whole lines without colours, frames and empty lines."""
    lines = [_COLOURS.sub("", line).strip(" \t│╷╵").rstrip() for line in text.splitlines()]
    kept: list[str] = []
    for line in reversed([line for line in lines if line]):
        if kept and sum(map(len, kept)) + len(kept) + len(line) > longest:
            break
        kept.insert(0, line[-longest:])
    return "\n".join(kept)


def network_remedy(said: str, setting: str) -> str | None:
    """Remedy where a tool said that it could not fetch; otherwise None.

    Parameters
    ----------
    said : str
        The tool's output.
    setting : str
        What names another place to fetch from.
    """
    if _CERTIFICATE.search(said):
        return "name the file with your network's certificates in SSL_CERT_FILE"
    if _NETWORK.search(said):
        return f"check the network and the proxy (https_proxy), or set {setting}"
    return None


def packer_error(lines: Iterable[str]) -> str:
    """What Packer says of a build that failed: what failed in the guest, and its own error.

    In the guest, that is a task of Ansible, or the last line of a script.

    Parameters
    ----------
    lines : iterable of str
        Packer's output.
    """
    plain = [_COLOURS.sub("", line).rstrip() for line in lines]
    fatal = [
        line for line in plain if re.search(r"\b(?:fatal|failed): \[.*(?:FAILED|UNREACH)", line)
    ]
    tasks = [line for line in plain if ": TASK [" in line]
    own = [line for line in plain if re.match(r"(?:--> .*: |Error: |.*\berrored after )", line)]
    shown = [*tasks[-1:], fatal[0]] if fatal else _script(plain)
    return last_words("\n".join([*shown, *own])) or last_words("\n".join(plain))


def _script(plain: Sequence[str]) -> list[str]:
    """The last line that a provisioner's script printed before Packer ended the build for it."""
    for before, line in pairwise(plain):
        if "Provisioning step had errors" in line and ": Provisioning with " not in before:
            return [before]
    return []


@dataclass(frozen=True)
class TaskFailure:
    """A task of Ansible that failed.

    Attributes
    ----------
    task, host : str
        Its name, and the host on which it failed first.
    message : str
        What the module said; of a loop, what it said of the first item that failed.
    """

    task: str
    host: str | None
    message: str


_GENERAL = re.compile(r"(?i)^(?:non-zero return code|one or more items failed|all items completed)")


def ansible_failure(events: Sequence[Mapping[str, Any]]) -> TaskFailure | None:
    """Find the task at which a playbook ended, in ansible-runner's events; None if none failed."""
    failed = [
        event["event_data"]
        for event in events
        if event["event"] in {"runner_on_failed", "runner_on_unreachable"}
        and not event["event_data"].get("ignore_errors")
    ]
    if not failed:
        return None
    # Other hosts may fail at the same task, and an earlier task may have been rescued.
    last = failed[-1]
    first = next(one for one in failed if one.get("task_uuid") == last.get("task_uuid"))
    return TaskFailure(first.get("task", ""), first.get("host"), _message(first.get("res") or {}))


def _message(answer: Mapping[str, Any]) -> str:
    items = [item for item in answer.get("results") or [] if item.get("failed")]
    if items:
        label = items[0].get("_ansible_item_label", items[0].get("item"))
        return last_words(f"{_message(items[0])}\n(item {str(label)[:80]})")
    message = str(answer.get("msg") or "")
    texts = [] if _GENERAL.match(message) else [message]
    for name in ("module_stderr", "stderr", "module_stdout", "stdout", "censored"):
        if not any(texts):
            texts.append(str(answer.get(name) or ""))
    shown = [text for text in texts if text] or [message or str(dict(answer))]
    status = answer.get("rc")
    return last_words(shown[0]) + (f" (status {status})" if status else "")


def task_at_work(events: Iterable[Mapping[str, Any]]) -> str | None:
    """Name of the task that a playbook had begun last, in ansible-runner's events."""
    names = [e["event_data"].get("task") for e in events if e["event"] == "playbook_on_task_start"]
    return names[-1] if names else None
