"""Reads every import once before tables are made, so that unreadable imports are left out."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from schedlab.config import Experiment
from schedlab.errors import SchedlabError
from schedlab.outside.foreign import foreign
from schedlab.outside.names import inside
from schedlab.paths import RECORD
from schedlab.plain import plain
from schedlab.results.imports import Origin, Origins, origins, reason
from schedlab.results.records import is_stopped, load_record, verify_outputs
from schedlab.tables.schemas import TRIALS_SCHEMA
from schedlab.tables.trial_rows import read_trial


def sound_origins(results: Path, experiment: Experiment) -> Origins:
    """Origins of a results folder whose trials can be read to the end.

    Imports come from others, so their records, samples and rows may have another form. The results'
    own trials are not checked here, because a fault in them is an error.
    """
    found = origins(results, experiment)
    sound = found.sound[:1]
    left_out = dict(found.left_out)
    for origin in found.sound[1:]:
        try:
            with foreign(origin.results, f"remove {origin.results}"):
                _read(origin)
        except (SchedlabError, OSError) as error:
            told = error if isinstance(error, SchedlabError) else SchedlabError(plain(error))
            left_out[origin.name] = reason(told, origin.name, origin.results)
        else:
            sound.append(origin)
    return Origins(sound, dict(sorted(left_out.items())))


def packed_outputs(record: Path) -> list[str]:
    """Outputs of an imported record that exist; a bundle has no blocks and no consoles."""
    names = load_record(record)["outputs"]
    return [name for name in names if inside(record.parent, name).exists()]


def _read(origin: Origin) -> None:
    for folder in origin.trial_folders():
        record = folder / RECORD
        verify_outputs(record, packed_outputs(record))
        if is_stopped(record):
            continue
        rows = read_trial(folder, origin.name)
        pa.Table.from_pylist([_of(rows.trial)], schema=TRIALS_SCHEMA)
        for _ in rows.samples():
            pass


def _of(trial: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in trial.items() if key in TRIALS_SCHEMA.names}
