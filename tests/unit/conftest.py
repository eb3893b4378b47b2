"""What several unit tests start from."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import pandas as pd
    from selenium import webdriver

    from schedlab.config import Experiment


def openssl(folder: Path, words: str) -> None:
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server's certificate for 127.0.0.1 and a client's, by the openssl program."""
    folder = tmp_path_factory.mktemp("certificates")
    curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    openssl(folder, f"req -x509 {curve} -subj /CN=test -keyout ca.key -out ca.crt")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl(folder, f"req {curve} -subj /CN={name} -keyout {name}.key -out {name}.csr")
        openssl(
            folder,
            f"x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2"
            f" -extfile names -out {name}.crt",
        )
    return folder


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Report of a results folder with everything; who changes the folder takes a copy.

    It is made once for all processes of the tests, because that takes long.
    """
    from report_factory import make_report

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    made = folder / "report-made"
    with (folder / "report-lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not made.exists():
            make_report(folder / "report")
            made.touch()
    return folder / "report" / "report.html"


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser; each test shows what it needs by `browsing.screen`."""
    from browsing import browser

    with browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="session")
def virtual_results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Experiment]:
    """Slurm on 2 real and on 2, 4 and 16 virtual nodes (SYNTHETIC): results and experiment."""
    from trial_factory import make_experiment, make_results

    from schedlab.tables.build import build_tables

    root = tmp_path_factory.mktemp("virtual")
    experiment = make_experiment(
        nodes=[2, 4, 16],
        repetitions=4,
        virtual={"carriers": 2, "real": [2]},
        workloads=[
            {"name": "burst", "kind": "burst", "jobs": 40, "runtime": 0.5},
            {"name": "poisson", "kind": "poisson", "jobs": 15, "rate": 4.0, "runtime": 0.5},
        ],
    )
    build_tables(make_results(root, experiment), root / "tables")
    return root, experiment


@pytest.fixture
def trials(virtual_results: tuple[Path, Experiment]) -> pd.DataFrame:
    """Table of the trials of `virtual_results`; modules with other trials have their own."""
    from schedlab.tables.build import load_tables

    return load_tables(virtual_results[0] / "tables").trials


@pytest.fixture
def jobs(virtual_results: tuple[Path, Experiment]) -> pd.DataFrame:
    """Table of their jobs."""
    from schedlab.tables.build import load_tables

    return load_tables(virtual_results[0] / "tables").jobs
