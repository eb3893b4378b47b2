"""Prometheus as a process of a trial, with a stand-in for its program."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path

import pytest

from schedlab import processes
from schedlab.errors import SchedlabError
from schedlab.testbed import prometheus


class Ready(http.server.BaseHTTPRequestHandler):
    """Another program that answers that it is ready."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_another_program_that_took_the_port_first_is_not_taken_for_prometheus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "prometheus"
    program.write_text("#!/bin/sh\necho address already in use >&2\nexit 1\n")
    program.chmod(0o755)
    genuine = prometheus._ready

    def slowly_ready(url: str) -> bool:
        answer = genuine(url)
        # When the port is asked, the program has already found it taken.
        started[0].wait()
        return answer

    started: list[processes.subprocess.Popen[bytes]] = []
    popen = processes.subprocess.Popen
    monkeypatch.setattr(
        processes.subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[0]
    )
    monkeypatch.setattr(prometheus, "_ready", slowly_ready)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ready) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        monkeypatch.setattr(prometheus, "free_port", lambda: other.server_address[1])
        with (
            pytest.raises(SchedlabError, match="address already in use"),
            prometheus.prometheus(program, tmp_path / "p", {}),
        ):
            pass
        other.shutdown()
