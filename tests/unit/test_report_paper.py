"""Methods section and BibTeX entry of a report (SYNTHETIC records)."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest
from record_factory import SOURCE, make_records
from trial_factory import make_experiment, make_results

from schedlab.citation import read_citation
from schedlab.paths import CITATION
from schedlab.report.paper import bibtex
from schedlab.report.render import render_report
from schedlab.tables.build import build_tables


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    root = tmp_path_factory.mktemp("results")
    experiment = make_experiment()
    make_records(root, experiment)
    build_tables(make_results(root, experiment), root / "tables")
    render_report(root / "tables", root, root, experiment, root / "report.html")
    page = (root / "report.html").read_text()
    found = re.findall(r'<pre class="wrapped"[^>]*>(.*?)</pre>', page, flags=re.DOTALL)
    methods, entry = map(unescape, found)
    return methods, entry


def test_the_methods_are_those_of_configuration_and_records(texts: tuple[str, str]) -> None:
    methods, _ = texts
    for words in (
        "scheduler (slurm), compute nodes (1, 2)",
        "poisson (poisson, ",
        "planned 3 times",
        "seed 7",
        "Of 24 trials, 23 passed",
        "Synthetic processor, 2 cores",
        "Accelerator: tcg (software emulation",
        "QEMU 10.0.3",
        "tool-of-provision 1.2.3",
        "Linux in the guests: 6.12.0-synthetic",
        "Clock sources of the guests: tsc",
        "95 % intervals by Student's t",
        "Limits of the checks: ",
    ):
        assert words in methods
    assert "Holm" not in methods  # Nothing was compared.


def test_the_entry_names_version_commit_and_year(texts: tuple[str, str]) -> None:
    _, entry = texts
    citation = read_citation(CITATION.read_bytes())
    assert entry.startswith("@misc{schedlab-synthetic,\n") and entry.endswith("}")
    assert entry.count("{") == entry.count("}")
    assert f"version = {{{citation['version']}}}" in entry
    assert f"commit {SOURCE['commit']}" in entry
    assert "year = {2026}" in entry
    assert "Report of the experiment synthetic" in entry


def test_letters_of_latex_are_escaped_and_no_year_is_invented() -> None:
    citation = {"title": "T & U", "version": "1_0", "authors": [{"name": "A"}]}
    entry = bibtex(citation, "a_b", "", [{"commit": None, "dirty": False}], json.dumps("x"))
    assert r"T \& U" in entry and r"1\_0" in entry and r"experiment a\_b" in entry
    assert "year" not in entry and "commit" not in entry


def test_the_citation_is_a_source_of_the_report() -> None:
    from schedlab.sources import stage_files

    assert CITATION in {Path(path) for path in stage_files("report")}
