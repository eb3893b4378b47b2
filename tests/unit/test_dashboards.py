"""Dashboards: their files are those of the definition, and every panel shows something.

The metrics are SYNTHETIC, with the names that a real trial's have.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from click.testing import CliRunner
from simulated_cluster import samples
from trial_factory import START, make_experiment, make_trial

from schedlab import processes
from schedlab.config import TrialKey
from schedlab.dashboards import definition, panels, serve
from schedlab.dashboards.emptiness import empty_panels
from schedlab.dashboards.history import metrics, span
from schedlab.errors import SchedlabError
from schedlab.paths import CHECKOUT, DASHBOARDS
from schedlab.results.store import Store
from schedlab.tables.trial_rows import read_trial
from schedlab.testbed.prometheus import USER, Server
from schedlab.toolchain.cache import Cache
from schedlab.toolchain.grafana import Grafana

TRIALS = ("slurm-n1.burst.1", "slurm-n1.gang.1")


def program(name: str) -> Path:
    """A program of Prometheus, installed or in the cache."""
    from shutil import which

    found = which(name, path=processes.search_path())
    cached = sorted(Cache.default().root.glob(f"{name}/*/content/{name}"))
    if found is None and not cached:
        pytest.skip(f"{name} is neither installed nor in the cache")
    return Path(found) if found else cached[-1]


def all_samples(start_ns: int) -> Iterator[dict[str, Any]]:
    """Series of a trial, with the further ones that dashboards show."""
    yield from samples(["head", "compute1"], start_ns, 40, 1)
    times = [start_ns / 1e9 + second for second in range(41)]
    for node in ("head", "compute1"):
        base = {"instance": node, "cluster": "synthetic", "job": "node"}
        for metric, extra, slope in (
            ("node_memory_MemTotal_bytes", {}, 0.0),
            ("node_memory_MemAvailable_bytes", {}, -1e3),
            ("node_network_receive_bytes_total", {"device": "eth0"}, 9e3),
            ("node_network_transmit_bytes_total", {"device": "eth0"}, 9e3),
        ):
            values = [[t, 1e9 + slope * place] for place, t in enumerate(times)]
            yield {"metric": metric, "labels": base | extra, "values": values}
    yield {
        "metric": "schedlab_slurm_sdiag",
        "labels": {"instance": "head", "job": "schedlab", "counter": "jobs_running"},
        "values": [[t, place % 2] for place, t in enumerate(times)],
    }


def make_block(folder: Path, start_ns: int, cluster: str) -> None:
    """Write a trial's block as Prometheus would have."""
    lines = []
    for metric, found in groupby(sorted(all_samples(start_ns), key=lambda s: s["metric"]),
                                 key=lambda s: s["metric"]):  # fmt: skip
        for one in found:
            labels = one["labels"] | {"cluster": cluster}
            text = ",".join(f'{key}="{value}"' for key, value in labels.items())
            lines += [f"{metric}{{{text}}} {value} {t}\n" for t, value in one["values"]]
    text_file = folder / "text"
    text_file.write_text("".join(lines) + "# EOF\n")
    target = folder / "prometheus" / "block"
    command = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", text_file, target]
    processes.run(command, check=True, capture_output=True, text=True)
    text_file.unlink()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trials; the second one kept no block."""
    root = tmp_path_factory.mktemp("results")
    experiment = make_experiment()
    for order, name in enumerate(TRIALS):
        cluster, workload, repetition = name.split(".")
        key = TrialKey(cluster, workload, int(repetition))
        folder = make_trial(root, key, experiment, order=order)
        if not order:
            make_block(folder, START + 123_456_789, cluster)
    return root


def test_the_files_are_those_of_the_definition() -> None:
    assert sorted(definition.MADE) == panels.names()
    for name in definition.MADE:
        assert (DASHBOARDS / f"{name}.json").read_text() == definition.text(name), (
            "run python -m schedlab.dashboards"
        )


def test_every_query_of_every_panel_shows_something(results: Path, tmp_path: Path) -> None:
    chosen = serve.chosen_trials(Store(results), ())
    before = sorted(path for path in results.rglob("*"))
    with serve.serve(chosen, program("prometheus"), program("promtool"), tmp_path) as served:
        assert served.trials == list(TRIALS) and served.without_block == [TRIALS[1]]
        assert empty_panels(served) == []
        # A query on a metric that does not exist is noticed.
        wrong = panels.Query("x", "no_such_metric", instant=False)
        assert empty_panels(served, [wrong]) == ["x: no_such_metric"]
    assert sorted(path for path in results.rglob("*")) == before


def test_history_counts_every_job_once(results: Path) -> None:
    rows = read_trial(results / "trials/slurm-n1/burst/1")
    found = {
        (name, series[0].get("state", "")): series[2]
        for name, _, series in metrics(rows)
        if name.startswith(("schedlab_jobs", "schedlab_wait", "schedlab_trial_valid"))
    }
    assert found["schedlab_jobs", "ended"][-1] == found["schedlab_jobs_ended", ""][-1] == 12
    assert found["schedlab_jobs", "waiting"][0] == 12
    assert found["schedlab_jobs", "running"][-1] == found["schedlab_jobs", "waiting"][-1] == 0
    waits = sum(row["started"] - row["intended"] for row in rows.jobs) / 1e9
    assert found["schedlab_wait_seconds", ""][-1] == pytest.approx(waits)
    assert set(found["schedlab_trial_valid", ""]) == {1.0}
    first, last = span(rows)
    assert first == rows.trial["start_ns"] / 1e9
    assert last - first == pytest.approx(rows.trial["observed_s"])


def test_a_trial_that_did_not_run_is_refused_with_those_that_did(results: Path) -> None:
    with pytest.raises(SchedlabError) as caught:
        serve.chosen_trials(Store(results), ["slurm-n7.burst.1"])
    assert "slurm-n7" in str(caught.value) and TRIALS[0] in str(caught.value)


GRAFANA = """\
import http.server, json, pathlib, sys
ini = pathlib.Path(sys.argv[sys.argv.index("--config") + 1])
port = int(ini.read_text().split("http_port = ")[1].split()[0])
pathlib.Path(__file__).with_name("started").write_text(ini.read_text())

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()
    log_message = lambda *_: None

http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def test_grafana_gets_the_dashboards_an_anonymous_viewer_and_no_account(tmp_path: Path) -> None:
    stand_in = tmp_path / "grafana-server"
    stand_in.write_text(f"#!{sys.executable}\n{GRAFANA}")
    stand_in.chmod(0o755)
    folder = tmp_path / "grafana"
    stand_in_server = Grafana((stand_in,), None)
    with serve.grafana(stand_in_server, Server("http://127.0.0.1:1", "secret"), folder) as url:
        assert requests.get(f"{url}/api/health", timeout=10).ok
        ini = (tmp_path / "started").read_text()
        for line in ("http_addr = 127.0.0.1", "disable_initial_admin_creation = true",
                     "disable_login_form = true", "org_role = Viewer"):  # fmt: skip
            assert line in ini
        source = folder / "provisioning/datasources/schedlab.yaml"
        assert stat.S_IMODE(source.stat().st_mode) == 0o600
        told = yaml.safe_load(source.read_text())["datasources"][0]
        assert told["basicAuthUser"] == USER
        assert told["secureJsonData"] == {"basicAuthPassword": "secret"}
        # The panels name this data source.
        content = json.loads((DASHBOARDS / "trial.json").read_text())
        used = {p["datasource"]["uid"] for p in content["panels"] if "datasource" in p}
        assert used == {told["uid"]}
        files = yaml.safe_load((folder / "provisioning/dashboards/schedlab.yaml").read_text())
        assert files["providers"][0]["options"]["path"] == str(DASHBOARDS)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/api/health", timeout=10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_ended_and_leaves_nothing(
    results: Path, tmp_path: Path, number: signal.Signals
) -> None:
    places = {str(program(name).parent) for name in ("prometheus", "promtool")}
    environment = os.environ | {
        "PYTHONPATH": str(CHECKOUT / "workflow"),
        "PATH": os.pathsep.join([*places, os.environ["PATH"]]),
        "TMPDIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "schedlab", "dashboard", "--no-grafana", "--results", results]
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests may run in the background of a shell, which lets them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout
        lines = list(iter(process.stdout.readline, "Ctrl-C ends it.\n"))
        told = next(line for line in lines if line.startswith("Prometheus: ")).split()
        address, user, password = told[1], told[3].rstrip(","), told[5].rstrip(")")
        page = f"{address}/api/v1/query?query=up"
        assert requests.get(page, auth=(user, password), timeout=10).ok
        assert requests.get(page, timeout=10).status_code == 401
        # Every address that is printed shows a page; where there are none, the command says so.
        pages = [line.split()[1] for line in lines if line.split(":")[0] in panels.names()]
        if not any(line.startswith("This Prometheus has no pages") for line in lines):
            assert len(pages) == 3
        for address in pages:
            assert requests.get(address, auth=(user, password), timeout=10).ok
        process.send_signal(number)
        try:
            _, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == (0 if number == signal.SIGINT else 143) and errors == ""
    with pytest.raises(requests.ConnectionError):
        requests.get(page, timeout=10)
    assert not list(tmp_path.glob("schedlab-dashboard.*"))


def test_the_command_says_when_there_are_no_trials(tmp_path: Path) -> None:
    from schedlab.cli.main import main
    from schedlab.storage.marks import sign

    sign(tmp_path)
    done = CliRunner().invoke(main, ["dashboard", "--results", str(tmp_path)])
    assert done.exit_code == 1 and "make report" in done.output
