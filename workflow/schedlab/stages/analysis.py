"""What needs no machine: traces before the trials; tables, figures and the report after them."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from schedlab.config import read_experiment, write_experiment
from schedlab.figures import FIGURES, draw
from schedlab.paths import CHECKOUT, EXPERIMENTS, RECORD, TABLE_FILES, TABLES, figure_file
from schedlab.paths import FIGURES as FIGURES_FOLDER
from schedlab.report.render import render_report
from schedlab.results.provenance import portable
from schedlab.results.records import RecordWriter, beside, verify_outputs
from schedlab.sources import sources
from schedlab.stages.context import Context
from schedlab.tables.build import build_tables
from schedlab.tables.imported import packed_outputs, sound_origins


def _versions(*packages: str) -> dict[str, str]:
    return {name: version(name) for name in packages}


def write_trace(context: Context, workload: str, nodes: int, repetition: int, output: Path) -> None:
    """Write the neutral trace of a workload for a node count and repetition, and its record."""
    spec = context.experiment.workload_spec(workload)
    inputs = [CHECKOUT / name for name in sources(CHECKOUT, "trace")]
    if spec.get("file"):
        inputs.append(CHECKOUT / spec["file"])
        spec["file"] = portable(inputs[-1], CHECKOUT)
    record = RecordWriter("trace", output.stem, CHECKOUT, context.results, inputs=inputs)
    context.experiment.trace(workload, nodes, repetition, CHECKOUT).write(output)
    record.write(
        beside(output),
        outputs=[output],
        settings={"workload": spec, "machine": context.experiment.machine_spec()},
    )


def write_tables(context: Context) -> dict[str, str]:
    """Build the tables from every trial of the experiment, and from imported ones after them.

    Returns
    -------
    dict of str to str
        Imports that are left out because they cannot be read, with the reason.
    """
    sound, left_out = sound_origins(context.results, context.experiment)
    parents: dict[str, Path] = {}
    for origin in sound:
        for key, folder in zip(origin.experiment.trials(), origin.trial_folders(), strict=True):
            path = folder / RECORD
            verify_outputs(path, packed_outputs(path) if origin.name else None)
            parents[origin.label(key.id)] = path
    tables = context.results / TABLES
    record = RecordWriter(
        "tables",
        "tables",
        CHECKOUT,
        context.results,
        parents=parents,
        inputs=[CHECKOUT / name for name in sources(CHECKOUT, "tables")],
    )
    build_tables(sound, tables, left_out)
    record.write(
        tables / RECORD,
        outputs=[tables / name for name in TABLE_FILES],
        tools=_versions("numpy", "pandas", "pyarrow"),
        **({"left_out": left_out} if left_out else {}),
    )
    return left_out


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
        inputs=[CHECKOUT / name for name in sources(CHECKOUT, "figure", figure=figure)],
    )
    output = results / figure_file(figure)
    draw(figure, tables, output)
    record.write(
        beside(output),
        outputs=[output],
        tools=_versions("matplotlib", "numpy", "pandas", "pyarrow"),
    )


def write_report(context: Context, output: Path) -> None:
    """Render the report from tables, figures and records, and keep the experiment beside it.

    The report is of what was kept, so that it can be rendered anew from a bundle.
    """
    results = context.results
    tables, figures = results / TABLES, results / FIGURES_FOLDER
    parents = {"tables": tables / RECORD}
    parents |= {name: beside(figures / f"{name}.svg") for name in FIGURES}
    for path in parents.values():
        verify_outputs(path)
    record = RecordWriter(
        "report",
        "report",
        CHECKOUT,
        results,
        parents=parents,
        inputs=[CHECKOUT / name for name in sources(CHECKOUT, "report")],
    )
    kept = results / EXPERIMENTS
    write_experiment(context.experiment, kept)
    render_report(tables, figures, results, read_experiment(kept), output)
    record.write(
        beside(output),
        outputs=[output, kept],
        tools=_versions("jinja2", "numpy", "pandas", "pyarrow"),
    )
