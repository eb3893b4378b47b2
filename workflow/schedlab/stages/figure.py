"""Draw one figure from the tables."""

from __future__ import annotations

from pathlib import Path

from schedlab.figures import draw
from schedlab.paths import CHECKOUT, RECORD, TABLES, figure_file
from schedlab.results.records import RecordWriter, beside, verify_outputs
from schedlab.sources import stage_files
from schedlab.stages.context import library_versions


def draw_figure(results: Path, figure: str) -> None:
    """Draw one figure from the tables."""
    tables = results / TABLES
    verify_outputs(tables / RECORD)
    record = RecordWriter(
        "figure",
        figure,
        CHECKOUT,
        results,
        parents={"tables": tables / RECORD},
        inputs=stage_files("figure", figure=figure),
    )
    output = results / figure_file(figure)
    draw(figure, tables, output)
    record.write(
        beside(output),
        outputs=[output],
        tools=library_versions("matplotlib", "numpy", "pandas", "pyarrow"),
    )
