"""Blocks of trials, from the record to the report (SYNTHETIC trials)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bundle_factory import small_experiment
from trial_factory import make_results

from schedlab.invocation import CAMPAIGN, campaign
from schedlab.report import blocks_section
from schedlab.report.render import render_report
from schedlab.results.records import load_record, write_json
from schedlab.tables.build import build_tables, load_trials
from schedlab.tables.trial_rows import read_trial
from schedlab.testbed.host_load import host_boot, host_description

BEGAN, LATER = "2026-09-21T14:00:00+00:00", "2026-09-21T14:10:00+00:00"


def changed(folder: Path, *, boot: str | None = None, **conditions: Any) -> dict[str, Any]:
    """Row of a trial whose record says something else."""
    record = load_record(folder / "record.json")
    record["conditions"] |= conditions
    if boot is not None:
        record["conditions"]["host"]["boot"] = boot
    write_json(folder / "record.json", record)
    return read_trial(folder).trial


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return make_results(tmp_path, small_experiment())


def test_every_process_of_a_run_knows_when_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CAMPAIGN, raising=False)
    began = campaign()
    assert began == campaign() and began.endswith("+00:00")
    command = "from schedlab.invocation import campaign; print(campaign())"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == began
    monkeypatch.setenv(CAMPAIGN, BEGAN)
    assert campaign() == BEGAN


def test_a_boot_has_one_name_and_tells_no_id_of_the_kernel() -> None:
    assert host_boot() == host_boot() and len(host_boot()) == 12
    assert host_boot() not in Path("/proc/sys/kernel/random/boot_id").read_text()
    # It is no part of what makes two hosts alike.
    assert "boot" not in host_description()


def test_a_block_is_a_run_on_a_boot(folders: list[Path]) -> None:
    rows = [read_trial(folder).trial for folder in folders]
    assert len({row["block"] for row in rows}) == 1 and rows[0]["block"]
    assert (rows[0]["campaign"], rows[0]["bridge"]) == (BEGAN, False)
    other = changed(folders[0], campaign=LATER, bridge=LATER)
    assert other["block"] != rows[0]["block"] and other["bridge"] is True
    assert changed(folders[1], boot="another")["block"] not in (
        rows[0]["block"],
        other["block"],
        None,
    )
    assert changed(folders[2], campaign=None)["block"] is None
    assert read_trial(folders[2]).trial["host"] == rows[0]["host"]


def test_what_others_took_is_beside_the_load(folders: list[Path]) -> None:
    row = read_trial(folders[0]).trial
    checks = {check["name"]: check["value"] for check in row["checks"]}
    assert row["others"] == checks["processor time of others"] >= 0
    assert row["stalled"] == checks["time stalled for memory"] == 0.0
    assert changed(folders[0], host={"cores": 2})["others"] is None


def test_the_report_shows_blocks_and_says_what_they_mean(
    folders: list[Path], tmp_path: Path
) -> None:
    def report() -> str:
        build_tables(folders, tmp_path / "tables")
        page = tmp_path / "report.html"
        figures = tmp_path / "figures"
        render_report(tmp_path / "tables", figures, tmp_path, small_experiment(), page)
        return page.read_text()

    assert "The trials are of" not in report() and "block 1" not in report()
    changed(folders[0], campaign=LATER, bridge=LATER)
    page = report()
    assert 'The trials are of <a href="#blocks">2 blocks</a>' in page
    assert '<a href="#blocks">block 1, 2</a>' in page
    first, second = blocks_section.blocks(load_trials(tmp_path / "tables"))
    assert (first["number"], first["began"]) == (1, "2026-09-21 14:00:00 UTC")
    assert (first["trials"], first["bridges"]) == (2, 0)
    assert (second["trials"], second["bridges"]) == (1, 1)
    assert second["began"] == "2026-09-21 14:10:00 UTC" and second["began"] in page


def test_blocks_of_imports_and_of_old_records_are_apart(
    folders: list[Path], tmp_path: Path
) -> None:
    changed(folders[0], campaign=None)
    build_tables(folders, tmp_path / "tables")
    trials = load_trials(tmp_path / "tables")
    both = pd.concat([trials, trials.assign(source="lab-b", cluster="lab-b:slurm-n1")])
    found = blocks_section.blocks(both)
    assert [(one["source"], one["trials"]) for one in found] == [
        ("", 1), ("", 2), ("lab-b", 1), ("lab-b", 2),
    ]  # fmt: skip
    assert found[0]["began"] == "not recorded"
    cells = blocks_section.of_cells(both, found)
    assert cells == {("burst", "slurm-n1"): "1, 2", ("burst", "lab-b:slurm-n1"): "3, 4"}
    assert len(blocks_section.sentences(found)) == 1
    assert blocks_section.sentences(found[1:]) == []
