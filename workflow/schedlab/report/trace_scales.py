"""What the traces of trials tell of how they were made, as their records have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from schedlab.config.trials import TrialKey
from schedlab.errors import SchedlabError
from schedlab.outside.json_text import read_json
from schedlab.paths import trial_folder


def trace_of(results: Path, key: TrialKey) -> dict[str, Any]:
    """Content of a trial's trace; empty where it is missing or damaged: the chain says so."""
    path = results / trial_folder(key.cluster, key.workload, key.repetition) / "trace.json"
    try:
        content = read_json(path)
    except (OSError, ValueError, SchedlabError):
        return {}
    return content if isinstance(content, dict) else {}


def scale_of(trace: dict[str, Any]) -> dict[str, Any]:
    """What a trace tells of how it was made; empty where it tells nothing."""
    scale = trace.get("scale")
    return scale if isinstance(scale, dict) else {}
