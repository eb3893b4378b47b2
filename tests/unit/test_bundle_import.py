"""Imported trials stand beside local ones in the report, are never pooled, and can be removed."""

from __future__ import annotations

import ctypes
import errno
import json
import shutil
from pathlib import Path

import pytest
from bundle_factory import analyse, packed, small_experiment

from schedlab.bundle import importing
from schedlab.bundle.importing import import_bundle
from schedlab.bundle.pack import pack
from schedlab.bundle.render import render
from schedlab.bundle.verify import verify
from schedlab.errors import SchedlabError
from schedlab.metrics.cells import cells
from schedlab.outside.exchange import exchange
from schedlab.report.comparison import differences
from schedlab.stages.context import Context
from schedlab.stages.tables import write_tables
from schedlab.tables.build import load_tables


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Results with an import, analysed. Both are the same trials: all ids collide."""
    results = tmp_path_factory.mktemp("both") / "results"
    shutil.copytree(packed().results, results)
    import_bundle(packed().path, results, "lab-b")
    context = Context(small_experiment(), results)
    analyse(context)
    return context


def test_every_table_keeps_them_apart(both: Context) -> None:
    tables = load_tables(both.results / "tables")
    assert tables.trials["source"].tolist() == [""] * 3 + ["lab-b"] * 3
    assert tables.trials["trial"].is_unique
    assert set(tables.trials["cluster"]) == {"slurm-n1", "lab-b:slurm-n1"}
    assert set(tables.samples["trial"].astype(str)) == set(tables.trials["trial"])
    alone = load_tables(packed().results / "tables")
    assert len(tables.jobs) == 2 * len(alone.jobs)


def test_no_estimate_pools_them(both: Context) -> None:
    trials = load_tables(both.results / "tables").trials
    alone = load_tables(packed().results / "tables").trials
    found = cells(trials, "makespan").set_index("cluster")
    assert found["trials"].to_dict() == {"slurm-n1": 3, "lab-b:slurm-n1": 3}
    assert set(found["estimate"]) == set(cells(alone, "makespan")["estimate"])
    rows = differences(trials)["rows"]
    assert [(row["first"], row["second"]) for row in rows] == [("lab-b:slurm", "slurm")]


def test_the_report_says_which_is_whose(both: Context) -> None:
    text = (both.results / "report.html").read_text()
    assert 'id="imported"' in text and packed().digest in text
    assert 'id="cluster-lab-b:slurm-n1"' in text and 'id="cluster-slurm-n1"' in text
    assert "lab-b:slurm-n1.burst.1" in text
    assert "record missing" not in text and "is missing" not in text
    figure = (both.results / "figures/makespan.svg").read_text()
    assert ">lab-b:slurm<" in figure and ">slurm<" in figure


def test_trials_of_different_lineage_are_still_not_pooled(both: Context) -> None:
    trials = load_tables(both.results / "tables").trials
    mixed = trials.copy()
    mixed["cluster"] = mixed["scheduler"] = "slurm-n1"
    mixed.loc[mixed["source"] == "lab-b", "parent"] = "another"
    with pytest.raises(SchedlabError, match="not pooled"):
        cells(mixed, "makespan")


def test_results_with_an_import_can_be_packed_and_rendered(both: Context, tmp_path: Path) -> None:
    path = tmp_path / "both.tar.zst"
    pack(both.results, path, root=packed().checkout)
    verify(path)
    done = render(path, tmp_path / "out", tables=True)
    assert done.different == []
    shutil.copytree(packed().results, tmp_path / "third")
    folder, trials = import_bundle(path, tmp_path / "third")
    assert (folder.name, trials) == ("synthetic", 3), "what it had imported is left out"
    assert not (folder / "imported").exists()


def test_removing_the_folder_undoes_it(tmp_path: Path) -> None:
    results = Path(shutil.copytree(packed().results, tmp_path / "results"))
    before = (results / "tables/trials.parquet").read_bytes()
    folder, _ = import_bundle(packed().path, results, "lab-b")
    context = Context(small_experiment(), results)
    write_tables(context)
    assert (results / "tables/trials.parquet").read_bytes() != before
    shutil.rmtree(folder)
    write_tables(context)
    assert (results / "tables/trials.parquet").read_bytes() == before


def test_nothing_is_replaced_without_being_asked(tmp_path: Path) -> None:
    folder, _ = import_bundle(packed().path, tmp_path, "lab-b")
    (folder / "mark").write_text("")
    with pytest.raises(SchedlabError, match="exists") as caught:
        import_bundle(packed().path, tmp_path, "lab-b")
    assert "--force" in (caught.value.remedy or "") and (folder / "mark").exists()
    import_bundle(packed().path, tmp_path, "lab-b", force=True)
    assert not (folder / "mark").exists()
    assert json.loads((folder / "origin.json").read_text())["bundle"] == packed().digest


def test_a_signal_or_a_kill_while_an_import_is_replaced_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the process ends, there is an import: the earlier one or the new one."""

    class Killed(BaseException):
        pass

    folder, _ = import_bundle(packed().path, tmp_path, "lab-b")
    own_rename, own_exchange = Path.rename, exchange

    def renamed(self: Path, target: Path) -> Path:
        own_rename(self, target)
        raise Killed

    def exchanged(new: Path, old: Path) -> None:
        if moment == "after":
            own_exchange(new, old)
        raise Killed

    # Of two steps, the first one left no import.
    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(importing, "exchange", exchanged, raising=False)
    for moment in ("before", "after"):  # noqa: B007 - read by `exchanged`
        with pytest.raises(Killed):
            import_bundle(packed().path, tmp_path, "lab-b", force=True)
        assert json.loads((folder / "origin.json").read_text())["bundle"] == packed().digest
        assert [path.name for path in (tmp_path / "imported").iterdir()] == ["lab-b"]


def test_an_import_is_not_replaced_where_that_takes_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = import_bundle(packed().path, tmp_path, "lab-b")
    (folder / "mark").write_text("")

    class Lacking:
        @staticmethod
        def renameat2(*_: object) -> int:
            ctypes.set_errno(errno.EINVAL)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Lacking)
    with pytest.raises(SchedlabError, match="is not replaced") as caught:
        import_bundle(packed().path, tmp_path, "lab-b", force=True)
    assert f"remove {folder}" in str(caught.value.remedy) and (folder / "mark").exists()
    assert [path.name for path in (tmp_path / "imported").iterdir()] == ["lab-b"]


def test_an_import_that_ended_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = importing.write_json

    def other_first(path: Path, value: object) -> None:
        monkeypatch.setattr(importing, "write_json", own)
        import_bundle(packed().path, tmp_path, "lab-b")
        (tmp_path / "imported" / "lab-b" / "mark").write_text("")
        own(path, value)

    monkeypatch.setattr(importing, "write_json", other_first)
    with pytest.raises(SchedlabError, match="exists") as caught:
        import_bundle(packed().path, tmp_path, "lab-b")
    assert "--force" in (caught.value.remedy or "")
    assert (tmp_path / "imported" / "lab-b" / "mark").exists()
    assert [path.name for path in (tmp_path / "imported").iterdir()] == ["lab-b"]


def test_a_fault_of_the_folder_that_is_written_is_not_told_of_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        import_bundle(packed().path, tmp_path / "loop" / "results")
    (tmp_path / "gone").symlink_to("nowhere")
    with pytest.raises(OSError, match="gone"):
        import_bundle(packed().path, tmp_path / "gone")


@pytest.mark.parametrize("name", ["../x", "Lab", "a b", "a:b", "", " "])
def test_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="is not a valid name for an import"):
        import_bundle(packed().path, tmp_path, name)
    assert not (tmp_path / "imported").exists()


def test_a_folder_or_a_damaged_bundle_is_not_imported(tmp_path: Path) -> None:
    with pytest.raises(SchedlabError, match="not a bundle"):
        import_bundle(packed().results, tmp_path)
    cut = tmp_path / "cut"
    cut.write_bytes(packed().path.read_bytes()[:-1])
    with pytest.raises(SchedlabError, match="cut short"):
        import_bundle(cut, tmp_path)
    assert not (tmp_path / "imported").exists()


def test_force_replaces_no_folder_that_is_no_import(tmp_path: Path) -> None:
    mine = tmp_path / "imported" / "lab-b" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.touch()
    with pytest.raises(SchedlabError, match="is no import"):
        import_bundle(packed().path, tmp_path, "lab-b", force=True)
    assert list(mine.parent.iterdir()) == [mine]
