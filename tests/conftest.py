"""Tests choose an experiment and results themselves; what `make` or a user chose does not count."""

from __future__ import annotations

import os

for name in ("SCHEDLAB_EXPERIMENTS", "SCHEDLAB_RESULTS", "SCHEDLAB_IMAGE"):
    os.environ.pop(name, None)
