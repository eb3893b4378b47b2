"""Imports of valid bundles whose records have another form, or name files outside."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundle_factory import analyse, as_is, packed, small_experiment
from click.testing import CliRunner

from schedlab.bundle.archive_format import MANIFEST
from schedlab.bundle.importing import import_bundle
from schedlab.bundle.verify import unpack, verify
from schedlab.cli.main import main
from schedlab.errors import SchedlabError
from schedlab.results.digests import file_digest
from schedlab.results.records import lineage
from schedlab.stages.context import Context
from schedlab.stages.tables import write_tables
from schedlab.tables.imported import sound_origins

TRIAL = "results/trials/slurm-n1/burst/1"
JSON = (
    f"{TRIAL}/record.json",
    f"{TRIAL}/trace.json",
    f"{TRIAL}/translations.json",
    f"{TRIAL}/driver/driver.json",
    "results/clusters/slurm-n1/configured/record.json",
    "results/toolchain.json",
)
ODD: tuple[Any, ...] = (
    None, True, -1, 10**18, 2**63, 1e300, 0.5, "", "x" * 3000, "../../x", "\u001b[2J", [], {}, [[]],
    {"a": None}, [1, "a"],
)  # fmt: skip


def unpacked(folder: Path) -> Path:
    folder.mkdir()
    unpack(packed().path, folder)
    return folder


def seal(folder: Path, path: Path) -> Path:
    """Pack a folder into a bundle that passes verification; trials' records fit their files."""
    record_path = folder / TRIAL / "record.json"
    try:
        record = json.loads(record_path.read_text())
        for name in record["outputs"]:
            if (folder / TRIAL / name).is_file():
                record["outputs"][name] = file_digest(folder / TRIAL / name)
        record["lineage"] = lineage(record)
        record_path.write_text(json.dumps(record))
    except (KeyError, TypeError, ValueError, OSError, AttributeError):
        pass
    verify(as_is(folder, path))
    return path


def edited(folder: Path, name: str, edit: Callable[[Any], Any]) -> None:
    path = folder / name
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = dict(enumerate(value)) if isinstance(value, list) else value
    for key, entry in items.items() if isinstance(items, dict) else ():
        found += places(entry, (*path, key))
    return found


def mutated(value: Any, chance: random.Random) -> Any:
    """The data with one value removed or replaced."""
    result = copy.deepcopy(value)
    path = chance.choice(places(value))
    here = result
    for key in path[:-1]:
        here = here[key]
    if chance.random() < 0.3:
        del here[path[-1]]
    else:
        here[path[-1]] = chance.choice(ODD)
    return result


@pytest.mark.parametrize("seed", range(12))
def test_records_of_another_shape_are_refused_or_left_out(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    folder = unpacked(tmp_path / "theirs")
    edited(folder, JSON[seed % len(JSON)], lambda value: mutated(value, chance))
    results = tmp_path / "results"
    try:
        import_bundle(seal(folder, tmp_path / "b.tar.zst"), results, "lab-b")
    except SchedlabError as error:
        assert error.remedy and not list(results.glob("imported/*"))
        return
    sound, left_out = sound_origins(results, small_experiment())
    assert len(sound) + len(left_out) == 2
    for why in left_out.values():
        assert why.endswith("to end this message, remove imported/lab-b from the results")
        assert str(tmp_path) not in why


def huge_host_list(folder: Path) -> None:
    log = folder / TRIAL / "native/slurmctld.log"
    log.write_text(log.read_text().replace("compute1", "n[1-99999999]"))


def no_stamps_node(folder: Path) -> None:
    stamps = folder / TRIAL / "stamps.jsonl"
    stamps.write_text(stamps.read_text().replace('"compute1"', '"compute9"'))


def bomb(folder: Path) -> None:
    import gzip

    with gzip.open(folder / TRIAL / "samples.json.gz", "wb") as handle:
        for _ in range(70):
            handle.write(bytes(1 << 20))


@pytest.mark.parametrize("spoil", [huge_host_list, bomb])
def test_the_local_report_goes_on_without_what_cannot_be_read(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = unpacked(tmp_path / "theirs")
    spoil(folder)
    results = Path(shutil.copytree(packed().results, tmp_path / "results"))
    import_bundle(seal(folder, tmp_path / "b.tar.zst"), results, "lab-b")
    before = file_digest(results / "tables/jobs.parquet")
    context = Context(small_experiment(), results)
    left_out = write_tables(context)
    if spoil is huge_host_list:
        assert left_out == {}, "a list that is too long is no placement"
        return
    assert list(left_out) == ["lab-b"]
    assert file_digest(results / "tables/jobs.parquet") == before
    analyse(context)
    assert json.loads((results / "tables/record.json").read_text())["left_out"] == left_out
    text = (results / "report.html").read_text()
    assert 'id="left-out"' in text and "remove imported/lab-b" in text


def test_stamps_of_a_node_without_a_clock_are_not_imported(tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "theirs")
    no_stamps_node(folder)
    with pytest.raises(SchedlabError, match="node is 'compute9', of which record.json has no"):
        import_bundle(seal(folder, tmp_path / "b.tar.zst"), tmp_path / "results", "lab-b")


@pytest.mark.parametrize(
    "name", ["../../../secret", "/etc/hostname", "a/../../x", "a\u0000b", "a\nb", "..", ""]
)
@pytest.mark.parametrize("key", ["outputs", "inputs", "path"])
def test_names_that_lead_elsewhere_are_refused(name: str, key: str, tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "theirs")
    (tmp_path / "secret").write_text("of this machine")

    def edit(record: Any) -> Any:
        if key == "path":
            record["parents"]["configured"]["path"] = name
        else:
            record[key][name] = "0" * 64
        return record

    edited(folder, f"{TRIAL}/record.json", edit)
    with pytest.raises(SchedlabError, match="is damaged") as caught:
        import_bundle(seal(folder, tmp_path / "b.tar.zst"), tmp_path / "results", "lab-b")
    assert "b.tar.zst" in caught.value.message and "schedlab-bundle-" not in str(caught.value)
    assert not list((tmp_path / "results").rglob("*"))


def test_a_file_that_is_not_in_the_bundle_is_not_imported(tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "theirs")
    (folder / TRIAL / "trace.json").unlink()
    with pytest.raises(SchedlabError, match="trace.json is not in the bundle, although a record"):
        import_bundle(seal(folder, tmp_path / "b.tar.zst"), tmp_path / "results", "lab-b")


def test_links_and_devices_are_neither_replaced_nor_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").write_text("keep")
    results = tmp_path / "results"
    (results / "imported").mkdir(parents=True)
    (results / "imported/lab-b").symlink_to(elsewhere)
    with pytest.raises(SchedlabError, match="symbolic link"):
        import_bundle(packed().path, results, "lab-b", force=True)
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "imported").symlink_to(elsewhere)
    with pytest.raises(SchedlabError, match="symbolic link"):
        import_bundle(packed().path, linked, "lab-b", force=True)
    assert [path.name for path in elsewhere.iterdir()] == ["mine"]


@pytest.mark.parametrize("kind", ["fifo", "link", "folder", "device"])
def test_an_output_that_is_no_file_is_not_replaced(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    if kind == "fifo":
        os.mkfifo(target)
    elif kind == "link":
        (tmp_path / "other").write_text("keep")
        target.symlink_to(tmp_path / "other")
    elif kind == "folder":
        target.mkdir()
    else:
        target = Path("/dev/null")
    before = target.lstat()
    from schedlab.bundle.pack import pack

    with pytest.raises(SchedlabError, match="neither replaced nor followed"):
        pack(packed().results, target, force=True, root=packed().checkout)
    after = target.lstat()
    assert (before.st_mode, before.st_ino) == (after.st_mode, after.st_ino)


def test_render_writes_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    output = tmp_path / "out"
    output.mkdir()
    (output / "report.html").symlink_to(tmp_path / "mine")
    for place in (output, tmp_path / "link"):
        if place != output:
            place.symlink_to(output)
        done = CliRunner().invoke(
            main, ["render", str(packed().path), "--output", str(place), "--force"]
        )
        assert done.exit_code == 1 and "neither replaced nor followed" in done.output
    assert (tmp_path / "mine").read_text() == "keep"


def test_what_a_bundle_tells_is_shown_escaped(tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "theirs")
    name = "\u001b]0;owned\u0007\u202egnp.exe\nother: sound"
    edited(folder, "bundle.json", lambda told: told | {"name": name})
    done = CliRunner().invoke(main, ["verify", str(seal(folder, tmp_path / "b.tar.zst"))])
    assert done.exit_code == 0 and len(done.output.splitlines()) == 2
    assert "\\u001b]0;owned\\u0007\\u202egnp.exe\\u000aother: sound" in done.output


def test_names_in_a_manifest_are_shown_escaped(tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "theirs")
    row = {"path": "a\u001b[2Jb", "sha256": "0", "size": 1}
    with (folder / MANIFEST).open("a") as handle:
        handle.write(json.dumps(row) + "\n")
    done = CliRunner().invoke(main, ["verify", str(folder)])
    assert done.exit_code == 1 and "\u001b" not in done.output


@pytest.mark.parametrize("path", ["/dev/zero", "fifo"])
def test_a_bundle_that_never_ends_is_not_read(path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for command in ("verify", "import"):
        arguments = [command, str(tmp_path / path)]
        arguments += ["--results", str(tmp_path / "results")] if command == "import" else []
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 1 and "is not a file" in done.output
