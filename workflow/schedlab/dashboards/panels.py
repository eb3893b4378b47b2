"""Reads the dashboards' files: which panels they have, and their queries with values filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode

from schedlab.paths import DASHBOARDS

RATE = "15s"
"""Window of a rate, as Grafana chooses it for samples that are 1 s apart and a short range."""


class Query(NamedTuple):
    """One query of a panel.

    `instant` tells that it is asked for the end of the range only.
    """

    panel: str
    expression: str
    instant: bool


def names() -> list[str]:
    """Names of the dashboards."""
    return sorted(path.stem for path in DASHBOARDS.glob("*.json"))


def queries(dashboard: str) -> Iterator[Query]:
    """Yield the queries of a dashboard's panels, in their order."""
    content = json.loads((DASHBOARDS / f"{dashboard}.json").read_text(encoding="utf-8"))
    for panel in content["panels"]:
        for inner in [panel, *panel.get("panels", [])]:
            for target in inner.get("targets", []):
                yield Query(inner["title"], target["expr"], bool(target.get("instant")))


def filled(expression: str, seconds: float, trials: str = ".+") -> str:
    """Fill the values in that Grafana would.

    Parameters
    ----------
    expression : str
        The query.
    seconds : float
        Length of the range, s.
    trials : str
        Regular expression of the trials that are chosen.
    """
    whole = f"{max(1, round(seconds))}s"
    values = {"__rate_interval": RATE, "__interval": RATE, "__range": whole, "trial": trials}
    return re.sub(r"\$(\w+)", lambda found: values.get(found[1], ".+"), expression)


def graph(dashboard: str, first: float, last: float) -> str:
    """Return the path of the page on which Prometheus itself draws a dashboard's queries.

    Parameters
    ----------
    dashboard : str
        Its name.
    first, last : float
        Range, Unix time in s.
    """
    seconds = max(1.0, last - first)
    words: dict[str, str] = {}
    for number, query in enumerate(queries(dashboard)):
        words |= {
            f"g{number}.expr": filled(query.expression, seconds),
            f"g{number}.tab": "1" if query.instant else "0",
            f"g{number}.range_input": f"{round(seconds)}s",
            f"g{number}.end_input": f"{datetime.fromtimestamp(last, UTC):%Y-%m-%d %H:%M:%S}",
        }
    return f"/graph?{urlencode(words)}"
