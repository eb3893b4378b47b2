"""JSON schema of the experiment, for editors and for Snakemake's `validate`.

`python -m schedlab.config.schema` writes workflow/schemas/experiments.schema.json anew.
"""

from __future__ import annotations

import json
from pathlib import Path

from schedlab.config.model import Experiment

SCHEMA_PATH = Path(__file__).resolve().parents[2] / "schemas" / "experiments.schema.json"


def schema_text() -> str:
    """Return the schema as it is written to the file."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Experiment.model_json_schema(),
    }
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def write_schema(path: Path = SCHEMA_PATH) -> None:
    """Write the schema."""
    path.write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    write_schema()
