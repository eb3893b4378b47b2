"""Private data that must not be in records, logs and the report."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from schedlab.privacy import identity as module
from schedlab.privacy.identity import Identity
from schedlab.privacy.places import without_places
from schedlab.results.records import RecordWriter, lineage, load_record

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----"
ALICE = Identity(
    {"/home/alice": "$HOME", "/home/alice/lab": "$CHECKOUT", "/root": "$HOME"},
    hosts=("galactica", "galactica.fleet.example"),
    users=("alice",),
    mirrors=("apt.fleet.example",),
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("file=/tmp/a/b.log end", "file=[path]/b.log end"),
        ("'/root/.ssh/id'", "'[path]/id'"),
        ("/srv/x: no", "[path]/x: no"),
        ("in /tmp", "in [path]"),
        ("</root><a/>", "</root><a/>"),
        ("SlurmdSpoolDir=/var/spool/slurmd", "SlurmdSpoolDir=/var/spool/slurmd"),
        ("a/srv/b", "a/srv/b"),
        ("/usr/share/work", "/usr/share/work"),
        ("password: hunter2", "password: [withheld]"),
        ("https://me:secret@host/x", "https://[withheld]@host/x"),
        (f"a {KEY} b", "a [withheld] b"),
        ("client-key-data: " + "QUJD" * 20, "client-key-data: [withheld]"),
    ],
)
def test_places_on_any_machine(before: str, after: str) -> None:
    assert without_places(before) == after
    assert without_places({"k": [before]}) == {"k": [after]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/home/alice/lab/results/x", "$CHECKOUT/results/x"),
        ("-I/home/alice/include", "-I$HOME/include"),
        ("/home/alicette", "/home/alicette"),
        ("/usr/root/x /root/x", "/usr/root/x $HOME/x"),
        ("on Galactica:", "on [controller]:"),
        ("galactica.fleet.example said", "[controller] said"),
        ("galactical", "galactical"),
        ("alice@galactica", "[user]@[controller]"),
        ("/data/alice/x", "/data/[user]/x"),
        (
            "Get:1 http://apt.fleet.example/debian trixie",
            "Get:1 http://mirror.invalid/debian trixie",
        ),
        (KEY, "[withheld]"),
    ],
)
def test_an_identity_is_replaced(before: str, after: str) -> None:
    assert ALICE.text(before) == after
    assert not ALICE.identifying_words(after)
    if before != after and before != KEY:
        assert ALICE.identifying_words(before)


@pytest.mark.parametrize("name", ["head", "compute1", "slurm", "debian", "trial", "vm"])
def test_names_that_are_words_of_our_own_do_not_spoil_texts(name: str) -> None:
    named = Identity({}, hosts=(name,), users=(name,))
    text = f"{name}: a {name} b, {name}-n1.burst.1"
    assert named.text(text) == text
    assert named.text(f"ssh://{name}/x") == "ssh://[controller]/x"
    assert named.data({"trial": {name: 1}}) == {"trial": {name: 1}}


def test_keys_that_are_words_stay_and_paths_in_keys_go() -> None:
    before = {"alice": 1, "/home/alice/x": "/home/alice", "token": "t0k", "n": 3}
    after = {"alice": 1, "$HOME/x": "$HOME", "token": "[withheld]", "n": 3}
    assert ALICE.data(before) == after


def test_the_machine_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt = tmp_path / "etc/apt"
    (apt / "sources.list.d").mkdir(parents=True)
    (apt / "apt.conf.d").mkdir()
    (apt / "sources.list").write_text(
        "deb http://canary-one.example/debian trixie main\n"
        "deb http://deb.debian.org/debian trixie main\n"
    )
    (apt / "sources.list.d/x.sources").write_text(
        "Types: deb\nURIs: https://canary-two.example/debian\nSuites: trixie\nComponents: main\n"
    )
    (apt / "apt.conf.d/proxy").write_text(
        'Acquire::http::Proxy "http://canary-three.example:3142";'
    )
    (tmp_path / "etc/hosts").write_text("127.0.1.1 canary-host.lab.example canary-host\n")
    (tmp_path / "etc/pip.conf").write_text("[global]\nindex-url = https://canary-four.example/s\n")
    monkeypatch.setattr(socket, "gethostname", lambda: "canary-host")
    monkeypatch.setenv("https_proxy", "canary-five.example:3128")
    monkeypatch.setenv("GOPROXY", "https://u:p@canary-six.example,direct")
    monkeypatch.setenv("HOME", "/var/lib/canary-home")
    monkeypatch.setenv("USER", "canary-user")
    found = Identity.detect(tmp_path)
    assert {"canary-host", "canary-host.lab.example"} <= set(found.hosts)
    assert "canary-user" in found.users
    assert found.folders["/var/lib/canary-home"] == "$HOME"
    numbers = ("one", "two", "three", "four", "five", "six")
    assert {f"canary-{number}.example" for number in numbers} <= set(found.mirrors)
    assert "deb.debian.org" not in found.mirrors
    text = " ".join(f"https://canary-{number}.example/x" for number in numbers)
    assert "canary" not in found.text(f"{text} canary-user@canary-host /var/lib/canary-home/x")


def test_a_record_is_clean_before_its_digest_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schedlab.results.records.identity", lambda: ALICE)
    path = tmp_path / "record.json"
    written = RecordWriter("base", "x", tmp_path, tmp_path).write(
        path, log="/home/alice/lab/a", by="alice"
    )
    record = load_record(path)
    assert record == written
    assert record["log"] == "$CHECKOUT/a" and record["by"] == "[user]"
    assert record["lineage"] == lineage(record)


def test_the_vocabulary_is_that_of_the_sources() -> None:
    assert module._ordinary("slurm") and not module._ordinary(f"zyx{os.getpid()}")
