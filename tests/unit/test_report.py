"""The report from SYNTHETIC trials and records: complete, self-contained, without machine paths."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from record_factory import SOURCE
from trial_factory import FAILED, make_experiment, make_results

from schedlab.figures import FIGURES, LEVELS, SEARCHES, TASK_SETS
from schedlab.report.render import render_report
from schedlab.report.results_section import invalid_trials
from schedlab.report.trace_cuts import trace_cuts
from schedlab.results.records import digest, write_json
from schedlab.tables.build import build_tables
from schedlab.tables.schemas import JOBS_SCHEMA, SAMPLES_SCHEMA, TRIALS_SCHEMA

SHOWN = [figure for name, figure in FIGURES.items() if name not in (LEVELS, SEARCHES, TASK_SETS)]
"""Figures of a report without searches, levels and constant-time tasks."""
VOID = {"meta", "link", "br", "input", "img", "hr"}


class Page(HTMLParser):
    """Checks nesting; collects attributes, text and elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.elements: Counter[str] = Counter()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements[tag] += 1
        self.attributes += [(tag, key, value or "") for key, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["script"], ["style"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


@pytest.fixture(scope="module")
def page(report) -> Page:
    return Page(report.read_text())


def test_self_contained(report, page):
    assert page.elements["img"] == page.elements["iframe"] == 0
    assert page.elements["script"] == 2
    for tag, key, value in page.attributes:
        if key in {"src", "href", "xlink:href", "srcset", "data", "action", "poster"}:
            assert value.startswith(("#", "data:,")), (tag, key, value)
        assert not key.startswith("on"), (tag, key)
    text = report.read_text()
    assert "@import" not in text
    for reference in re.findall(r"url\(([^)]*)\)", text):
        assert reference.startswith("#")
    assert page.elements["svg"] == len(SHOWN) == page.elements["figure"]


def test_ids_are_unique_and_references_lead_somewhere(report, page):
    ids = Counter(value for _, key, value in page.attributes if key == "id")
    assert [name for name, times in ids.items() if times > 1] == []
    wanted = {v[1:] for _, k, v in page.attributes if k.endswith("href") and v.startswith("#")}
    wanted |= set(re.findall(r"url\(#([^)]*)\)", report.read_text()))
    assert wanted <= set(ids)


def test_the_first_screen_says_emulation_and_what_ran_on_what(page):
    start = page.text[: page.text.index("Results Results")] if "Results Results" in page.text else (
        page.text[:9000]
    )  # fmt: skip
    for words in (
        "Software emulation",
        "compare only within this report",
        "/dev/kvm does not exist",
        "23 valid of 24",
        "Synthetic processor; 2 cores, 24576 MiB; Linux 0.0-synthetic",
        "1.50 to 2.50 virtual processors",
        "QEMU 10.0.3",
    ):
        assert words in start


def test_numbers_have_interval_and_n_or_say_why_not(report, page):
    text = report.read_text()
    cells = re.findall(r"<td data-cite=[^>]*><b>[^<]+</b><br><small>(.*?)</small>", text)
    assert len(cells) == 8 * 8
    for cell in cells:
        assert re.search(
            r"\[[^]]+, [^]]+\]<br>n=3(&nbsp;†|, all equal)|n=2,<br>n too small", cell
        ), cell
    # The cell with the invalid trial has one in each of eight columns.
    assert sum("n=2" in cell for cell in cells) == 8


def test_how_wide_jobs_fared_is_told_where_jobs_differ_in_width(report, page):
    section = report.read_text().partition('id="behaviour"')[2].partition("</table>")[0]
    assert "Wait of wide jobs" in section and "Wait of urgent jobs" not in section
    rows = re.findall(r'<th scope="row">(.*?)<br>', section)
    assert "gang" in rows and "burst" not in rows
    assert 'id="faults"' not in report.read_text()


def test_invalid_trial_and_lost_jobs_are_named(page):
    assert FAILED in page.text
    assert "the guest compute1 died" in page.text
    assert "6 of 258 jobs did not complete: 3 lost, 3 not submitted" in page.text


def test_an_invalid_trial_names_the_daemons_that_died_in_it():
    died = "kube-apiserver was started again during the trial"
    trial = {"trial": "volcano-n1/poisson/1", "workload": "poisson", "cluster": "volcano-n1"}
    row = {**trial, "repetition": 1, "valid": False, "reasons": ["others took it"]}
    (told,) = invalid_trials(pd.DataFrame([{**row, "daemons": [died]}]))
    assert (told["reasons"], told["daemons"]) == (["others took it"], [died])


def test_lineage_of_every_trial_and_record(report, page):
    text = report.read_text()
    root = report.parent
    for path in [*root.rglob("record.json"), root / "accelerator.json"]:
        assert json.loads(path.read_text())["lineage"] in text, path
    assert digest("disk") in text
    assert "2026-09-21" in page.text  # the newest trial, not today
    assert "All records are those that their successors name" in page.text


def test_every_row_and_figure_leads_to_the_commit_and_the_disk(report, page):
    """Links lead from every row or figure through its trials to the sources."""
    text = report.read_text()
    entries = dict(re.findall(r'<li id="([^"]+)">(.*?)</li>', text, flags=re.DOTALL))

    def reached(start: str) -> set[str]:
        seen, waiting = set(), [start]
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                waiting += re.findall(r'href="#([^"]+)"', entries[current])
        return seen

    rows = re.findall(r'<th scope="row"><a href="#(row-[^"]+)">', text)
    figures = re.findall(r'<figcaption>[^<]*<a href="#(record-figures[^"]+)">', text)
    assert len(rows) == 8 and len(figures) == len(SHOWN)
    commit = next(name for name, entry in entries.items() if SOURCE["commit"] in entry)
    assert commit.startswith("source-")
    for start in rows + figures:
        found = reached(start)
        assert {"record-images.slurm.image", "record-images.slurm.base", commit} <= found
    assert "record-trials.slurm-n1.burst.1" in reached("row-slurm-n1.burst")
    assert "record-trials.slurm-n2.burst.1" not in reached("row-slurm-n1.burst")


def test_a_record_made_again_is_marked_in_the_chain(report, tmp_path):
    shutil.copytree(report.parent, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "clusters" / "slurm-n1" / "configured" / "record.json"
    record = json.loads(path.read_text())
    write_json(path, record | {"created": "2031-01-01T00:00:00+00:00"})
    again = tmp_path / "report.html"
    render_report(tmp_path / "tables", tmp_path / "figures", tmp_path, make_experiment(), again)
    text = Page(again.read_text()).text
    assert "12 links of the chain are broken" in text
    assert "which was made again since, with the same lineage" in text


def test_realised_state_is_shown(page):
    for words in (
        "SelectType=select/cons_tres",
        "<domain type='qemu'>",
        "Synthetic <processor>",
        "QEMU ran as the user root: for a synthetic reason.",
        "root=LABEL=synthetic",
        "slurmd=24.11.5-4",
        "tool-of-provision 1.2.3",
        "slurmctld.log: sched: Allocate (1 ms)",
        "This report compares nothing",
    ):
        assert words in page.text


def test_systems_and_the_kernels_settings_are_shown_as_realised(page):
    text = " ".join(page.text.split())
    # On the first screen, for each variant; and with each cluster.
    assert "Debian GNU/Linux 13 (trixie); Linux 6.12.0-synthetic; slurmd 24.11.5-4" in text
    # Between the cells of a row there is no blank.
    packed = text.replace(" ", "")
    assert "vm.swappiness1010becauseof<this>https://example.org/tuning" in packed
    assert "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governorperformancenotoffered" in packed
    # Nodes that differ are named.
    assert "head: gds: seen by head; mds: Not affected" in text


def test_no_machine_path_and_no_secret(report):
    text = report.read_text()
    for place in ("/tmp", "/srv", "/root", "/home", str(report.parent), "hunter2", "topsecret"):
        assert not re.search(rf"(?<!<){place}\b", text), place
    assert "[path]/head.qcow2" in text
    assert "[path]/d" in text


def test_tables_and_language_are_accessible(report, page):
    assert ("html", "lang", "en") in page.attributes
    assert page.elements["table"] == page.elements["caption"]
    assert page.elements["th"] == sum(1 for t, k, _ in page.attributes if (t, k) == ("th", "scope"))
    labels = [v for t, k, v in page.attributes if (t, k) == ("svg", "aria-label")]
    assert labels == [figure.alt for figure in SHOWN]
    assert page.elements["figcaption"] == len(SHOWN)


def test_figures_take_their_colours_from_the_page(report):
    text = report.read_text()
    pictures = "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))
    assert re.findall(r"#[0-9a-fA-F]{6}\b", pictures) == []
    for variable in set(re.findall(r"var\((--[\w-]+)\)", pictures)):
        assert f"{variable}:" in text


def test_same_bytes_from_the_same_inputs(report, tmp_path):
    root = report.parent
    render_report(
        root / "tables", root / "figures", root, make_experiment(), tmp_path / "again.html"
    )
    assert (tmp_path / "again.html").read_bytes() == report.read_bytes()


def test_missing_records_and_figures_are_named(tmp_path):
    root = tmp_path / "results"
    make_results(root)
    build_tables(sorted(p.parent for p in root.rglob("record.json")), root / "tables")
    for path in root.rglob("record.json"):
        path.unlink()
    render_report(root / "tables", root / "none", root, make_experiment(), root / "report.html")
    page = Page((root / "report.html").read_text())
    assert "record clusters/slurm-n1/configured/record.json cannot be used" in page.text
    assert "The file of this figure is missing" in page.text
    assert "no trial record, so no date" in page.text


def test_empty_tables(tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    schemas = {"jobs": JOBS_SCHEMA, "samples": SAMPLES_SCHEMA, "trials": TRIALS_SCHEMA}
    for name, schema in schemas.items():
        pq.write_table(schema.empty_table(), folder / f"{name}.parquet")
    render_report(folder, tmp_path, tmp_path, make_experiment(), tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    assert "The tables hold no trial" in page.text
    assert "24 trials of the experiment are not in the tables" in page.text


def test_variants_that_could_not_run_are_named_with_the_reason(tmp_path):
    folder = tmp_path / "tables"
    build_tables([], folder)
    why = {"own": "no installation of it is given; remedy: set its prefix"}
    experiment = make_experiment().model_copy(update={"left_out": why})
    render_report(folder, tmp_path, tmp_path, experiment, tmp_path / "report.html")
    text = Page((tmp_path / "report.html").read_text()).text
    assert "Variants left out because they could not run: own." in text
    assert why["own"] in text


def test_values_from_outside_are_escaped(tmp_path):
    root = tmp_path / "results"
    experiment = make_experiment()
    folders = make_results(root, experiment)
    path = next(f for f in folders if f.parts[-3:] == ("slurm-n2", "gang", "2")) / "record.json"
    record = json.loads(path.read_text())
    record["verdict"]["reasons"] = ["<script>alert(1)</script> in /srv/x/y.log"]
    write_json(path, record)
    build_tables(folders, root / "tables")
    render_report(root / "tables", root, root, experiment, root / "report.html")
    page = Page((root / "report.html").read_text())
    assert page.elements["script"] == 2  # the report's own
    assert "<script>alert(1)</script> in [path]/y.log" in page.text


def test_what_was_changed_in_an_archived_trace_is_stated(report: Path) -> None:
    found = trace_cuts([(report.parent, make_experiment())])
    assert {cut["workload"] for cut in found} == {"swf"} and len(found) >= 1
    text = Page(report.read_text()).text
    for cut in found:
        capped = cut["changes"][0]
        assert capped["what"].startswith("wider than the traced machine")
        assert f"{cut['workload']} on {cut['machine']} (sample.swf): {cut['jobs']} jobs" in text
        assert f"{capped['count']} {capped['what']}" in text


def test_capped_jobs_are_counted_and_a_damaged_trace_is_passed_over(
    report: Path, tmp_path: Path
) -> None:
    experiment = make_experiment()
    shutil.copytree(report.parent / "trials", tmp_path / "trials")
    traces = sorted(tmp_path.glob("trials/*/swf/*/trace.json"))
    for path in traces:
        content = json.loads(path.read_text())
        content["scale"] |= {"jobs_capped": 7, "dropped": {"without a runtime": 2}}
        path.write_text(json.dumps(content))
    cut, *_ = trace_cuts([(tmp_path, experiment)])
    assert cut["changes"][0]["count"] == 7 and cut["dropped"] == [("without a runtime", 2)]
    for path in traces:
        content = json.loads(path.read_text())
        part = {"user": "ann", "kind": "lublin", "jobs_capped": 0, "jobs_rounded_up": 5}
        work = {"asked_core_s": 2.5, "taken_core_s": 4.0}
        content["scale"] = {"parts": [{"user": "bob"}, part | work]}
        path.write_text(json.dumps(content))
    cut, *_ = trace_cuts([(tmp_path, experiment)])
    assert (cut["workload"], cut["file"]) == ("swf, part of ann", "lublin")
    assert [change["count"] for change in cut["changes"]] == [5]
    assert cut["work"] == "2.50 core-s asked for, 4 core-s taken"
    for path in traces:
        path.write_text("{")
    assert trace_cuts([(tmp_path, experiment)]) == []
