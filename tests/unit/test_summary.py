"""What a run says at its end, also of records that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundle_factory import make_stages, small_experiment

from schedlab.results.records import load_record, write_json
from schedlab.snakefile import Pipeline

DAMAGE = {
    "absent": None,
    "torn": '{"resident_mib": ',
    "deep": "[" * 5000,
    "no number": '{"resident_mib": NaN}',
    "a list": "[]",
    "of another release": '{"schema": "schedlab.record/1", "resident_mib": 99999999}',
    "text": '"resident_mib": "99999999"',
    "no text": "\udcff",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_record_that_cannot_be_read_ends_no_run_in_a_traceback(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Pipeline, "keep_state", lambda _: None)
    experiment = small_experiment()
    make_stages(Path("results").absolute(), experiment)
    pipeline = Pipeline(experiment, "experiments.yaml", "results", tmp_path)
    sound = Path("results/clusters/slurm-n1/configured/record.json")
    write_json(sound, load_record(sound) | {"resident_mib": 2048})
    path = Path("results/clusters/slurm-n1/provisioned/record.json")
    content = DAMAGE[damage]
    if content is None:
        path.unlink()
    elif damage == "text":
        write_json(path, load_record(path) | {"resident_mib": "99999999"})
    else:
        path.write_text(content, encoding="utf-8", errors="surrogateescape")
    pipeline.summarise()
    told = capsys.readouterr().out
    assert told.startswith("schedlab: the largest cluster had 2.0 GiB of memory resident; ")
