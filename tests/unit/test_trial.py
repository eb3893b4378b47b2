"""How a trial takes what happens to its guest driver, without a guest."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from schedlab.errors import Interrupted, SchedlabError
from schedlab.stages import trial as stage
from schedlab.stages.trial import Trial


def trial_of(folder: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Trial, Any]:
    """A trial, and a head on which the driver is `program`."""
    made = Trial.__new__(Trial)
    limits = SimpleNamespace(trial=600.0)
    made.context = SimpleNamespace(experiment=SimpleNamespace(limits=limits))  # type: ignore[assignment]
    made.cluster = SimpleNamespace(id="slurm-n1")  # type: ignore[assignment]
    made.id, made.folder, made.reasons = "slurm-n1.burst.1", folder, []
    monkeypatch.setattr(stage, "require_running", lambda *_: None)
    command = [sys.executable, "-c", program]
    return made, SimpleNamespace(name="head", command=lambda *_: command)


def test_a_driver_that_failed_says_why_in_the_trials_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "schedlab_driver: job 1 could not be submitted: KeyError: 'argv'"
    made, head = trial_of(tmp_path, f"import sys; print({said!r}, file=sys.stderr); sys.exit(4)",
                          monkeypatch)  # fmt: skip
    with pytest.raises(SchedlabError) as caught:
        made._require_driver(head, made._drive(None, head, ["head"], 2))  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert caught.value.node == "head"


def test_a_signal_is_no_reason_of_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the driver here and passes every handler of failures."""
    program = "import time; print('{}', flush=True); time.sleep(3600)"
    made, head = trial_of(tmp_path, program, monkeypatch)

    def stop(*_: object, **__: object) -> None:
        raise Interrupted(15)

    monkeypatch.setattr("builtins.print", stop)
    with pytest.raises(Interrupted):
        made._drive(None, head, ["head"], 2)  # type: ignore[arg-type]
    assert made.reasons == []
