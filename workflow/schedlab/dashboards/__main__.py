"""Write the dashboards' JSON files from their definition."""

from __future__ import annotations

from schedlab.dashboards.definition import write
from schedlab.paths import DASHBOARDS

write(DASHBOARDS)
