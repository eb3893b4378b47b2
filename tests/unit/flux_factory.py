"""SYNTHETIC records of Flux, in the form that a real instance leaves (see data/flux-*.jsonl)."""

from __future__ import annotations

import json
from typing import Any

BASE = 1_795_685_461.0
"""Instant (s) that the times below count from."""

FACTS = {
    "versions": {"flux-core": "0.88.0", "flux-sched": "0.54.0"},
    "configuration": {
        "modules": {
            "alternatives": {"sched": "sched-simple"},
            "sched-simple": {"args": ["queue-depth=16"]},
        }
    },
    "parameters": {},
    "statistics": {
        "job-manager": {"active_jobs": 0, "inactive_jobs": 4},
        "jobs": {"job_states": {"inactive": 4}, "queues": []},
    },
}
"""What an instance with sched-simple tells of itself (`facts` of schedlab_flux.py)."""


def event(seconds: float, name: str, **context: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"timestamp": BASE + seconds, "name": name}
    return found | ({"context": context} if context else {})


def resources(nodes: str, ranks: str, cores: str) -> dict[str, Any]:
    return {
        "version": 1,
        "execution": {
            "R_lite": [{"rank": ranks, "children": {"core": cores}}],
            "nodelist": [nodes],
            "starttime": BASE,
            "expiration": BASE + 60,
        },
    }


def begun() -> list[dict[str, Any]]:
    return [
        event(0.1, "submit", userid=1000, urgency=16, flags=0, version=1),
        event(0.11, "validate"),
        event(0.12, "depend"),
        event(0.13, "priority", priority=16),
    ]


def ended(status: int = 0) -> list[dict[str, Any]]:
    return [
        *begun(),
        event(0.2, "alloc"),
        event(0.3, "start"),
        event(1.4, "finish", status=status),
        event(1.41, "release", ranks="all", final=True),
        event(1.42, "free"),
        event(1.5, "clean"),
    ]


def log_line(
    job: int,
    events: list[dict[str, Any]],
    found: Any = None,
    played: Any = None,
    execution: list[dict[str, Any]] | None = None,
) -> str:
    """Line of eventlogs.jsonl."""
    row = {"id": job, "eventlog": events, "exec": execution or [], "R": found}
    return json.dumps(row | ({"played": played} if played else {})) + "\n"


def journal_lines(
    job: int, events: list[dict[str, Any]], found: Any = None, played: Any = None
) -> str:
    """Lines of journal.jsonl."""
    rows = []
    for entry in events:
        row = {"id": job, **entry, "context": entry.get("context", {})}
        row |= {"R": found} if entry["name"] == "alloc" and found else {}
        rows.append(row | ({"played": played} if entry["name"] == "submit" and played else {}))
    return "".join(json.dumps(row) + "\n" for row in rows)
