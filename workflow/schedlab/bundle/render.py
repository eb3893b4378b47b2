"""Makes figures and report of a bundle again, and compares them with those in the bundle.

This needs only the Python environment: no network, privileges, libvirt or Snakemake.
"""

from __future__ import annotations

import filecmp
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schedlab.bundle.open import opened
from schedlab.bundle.versions import versions
from schedlab.config import read_experiment
from schedlab.errors import SchedlabError
from schedlab.figures import FIGURES, draw
from schedlab.outside.names import require_writable
from schedlab.paths import FIGURES as FIGURES_FOLDER
from schedlab.paths import REPORT, TABLE_FILES, TABLES, figure_file
from schedlab.report.render import render_report
from schedlab.tables.build import build_tables, load_left_out
from schedlab.tables.imported import sound_origins


@dataclass(frozen=True)
class Rendered:
    """Outcome of rendering a bundle.

    Attributes
    ----------
    same, different : list of str
        Files that are equal to those of the bundle byte for byte, and files that are not.
    versions : dict of str to (str, str)
        Libraries whose version differs: the version in the bundle, and the one here.
    left_out : dict of str to str
        Imports in the bundle that cannot be read, with the reason.
    """

    same: list[str]
    different: list[str]
    versions: dict[str, tuple[str, str]]
    left_out: dict[str, str]


def render(path: Path, output: Path, *, tables: bool = False, force: bool = False) -> Rendered:
    """Render a bundle, or a results folder, into a folder.

    Parameters
    ----------
    path : pathlib.Path
        The bundle or results folder.
    output : pathlib.Path
        Folder for `figures/`, `report.html` and, if `tables` is set, `tables/`.
    tables : bool
        Make the tables from the trials first, instead of using those of the bundle.
    force : bool
        Write into a folder that is not empty.

    Raises
    ------
    SchedlabError
        `output` is not empty, or the bundle is not sound.
    """
    require_writable(output, folder=True)
    if output.exists() and any(output.iterdir()) and not force:
        raise SchedlabError(
            f"{output} is not empty", remedy="use another --output, or --force to write into it"
        )
    for name in (FIGURES_FOLDER, TABLES):
        require_writable(output / name, folder=True)
    for name in (REPORT, *map(figure_file, FIGURES), *(f"{TABLES}/{file}" for file in TABLE_FILES)):
        require_writable(output / name)
    with opened(path) as source:
        experiment = read_experiment(source.experiments)
        if tables:
            sound, left_out = sound_origins(source.results, experiment)
            build_tables(sound, output / TABLES, left_out)
        else:
            left_out = load_left_out(source.results / TABLES)
        made = output / TABLES if tables else source.results / TABLES
        for name in FIGURES:
            draw(name, made, output / figure_file(name))
        render_report(
            made,
            output / FIGURES_FOLDER,
            source.results,
            experiment,
            output / REPORT,
        )
        names = [*map(figure_file, FIGURES), REPORT]
        names += [f"{TABLES}/{name}" for name in TABLE_FILES] * tables
        same = [name for name in names if _equal(source.results / name, output / name)]
        description = source.verified.description if source.verified else {}
        then: dict[str, Any] = description.get("versions", {})
    return Rendered(
        same,
        [name for name in names if name not in same],
        {
            name: (str(then[name]), now)
            for name, now in versions().items()
            if then.get(name, now) != now
        },
        left_out,
    )


def _equal(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)
