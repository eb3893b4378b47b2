"""Snakemake's private parts that are read exist, and its version is one that was reviewed."""

from __future__ import annotations

import asyncio
import os
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from schedlab.errors import SchedlabError
from schedlab.lineage import snakemake_internals as internals
from schedlab.lineage import snakemake_metadata as metadata

packaging = pytest.importorskip("packaging.version")


def test_this_snakemake_was_looked_at() -> None:
    """If it fails: review the module's uses of Snakemake, run the workflow tests, raise TESTED."""
    first, before = map(packaging.Version, internals.TESTED)
    assert first <= packaging.Version(version("snakemake")) < before


def test_a_plan_may_contain_outputs_that_are_only_to_be_read(tmp_path: Path) -> None:
    import snakemake.cli  # noqa: F401
    from snakemake.exceptions import ProtectedOutputException
    from snakemake.jobs import Job

    class Output(str):
        flags: ClassVar[dict[str, object]] = {}

        async def protected(self) -> bool:
            return True

    job = SimpleNamespace(
        output=[Output("results/report.html")], rule=None, jobid=1, wildcards=None
    )
    with internals.write_protection_ignored():
        asyncio.run(Job.check_protected_output(job))
    with pytest.raises(ProtectedOutputException):
        asyncio.run(Job.check_protected_output(job))


def test_what_is_read_is_there() -> None:
    # First: the modules of Snakemake import one another in a circle.
    import snakemake.cli  # noqa: F401
    from snakemake.dag import DAG
    from snakemake.jobs import Reason
    from snakemake.persistence import PersistenceBase

    for kind, names in {
        DAG: ("toposorted", "needrun", "reason", "dependencies", "jobs"),
        PersistenceBase: ("metadata", "input_checksums", "params_changed", "code_changed"),
        Reason: ("forced", "incomplete_output", "updated_input"),
    }.items():
        there = dir(kind) + list(getattr(kind, "__slots__", ()))
        for name in names:
            assert name in there or name in getattr(kind, "__annotations__", {}), (kind, name)


@pytest.mark.parametrize("error", [AttributeError("x"), ImportError("x"), KeyError("x")])
def test_another_snakemake_is_named(error: Exception) -> None:
    with pytest.raises(SchedlabError) as caught, internals.structure_errors():
        raise error
    said = str(caught.value)
    assert version("snakemake") in said and internals.TESTED[0] in said and "uv.lock" in said


@pytest.mark.parametrize("name", ["a.json", "f" * 200 + "/" + "g" * 200 + "/é.json"])
def test_metadata_is_where_snakemake_has_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snakemake.persistence.file import FilePersistence

    monkeypatch.chdir(tmp_path)
    output = Path("results") / name
    output.parent.mkdir(parents=True)
    output.write_text("{}")
    os.utime(output, (100, 100))
    assert list(metadata.stored_metadata(Path("results"))) == []
    assert not metadata.has_metadata(output)
    metadata.write_metadata(output, {"endtime": 100.0})
    (written,) = (path for path in Path(".snakemake").rglob("*") if path.is_file())
    folder = SimpleNamespace(_fetch_max_len=lambda _: 255)
    theirs = FilePersistence._record_path(folder, ".snakemake/metadata", str(output))
    assert str(written) == theirs
    (stored,) = metadata.stored_metadata(Path("results"))
    assert stored.output == output and stored.fits() and metadata.has_metadata(output)
    os.utime(output, (200, 200))
    assert not stored.fits()
    written.write_text("{")
    (stored,) = metadata.stored_metadata(Path("results"))
    assert not stored.fits() and stored.content == {}
