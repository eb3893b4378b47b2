"""A server on loopback that asks for a client certificate, as an API server does."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class TlsServer(ThreadingHTTPServer):
    """Serves with the certificates of the fixture of that name."""

    daemon_threads = True

    def __init__(self, certificates: Path, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
        context.load_verify_locations(certificates / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.certificates = certificates

    def api(self) -> dict[str, Any]:
        """Address of the server and the client's credentials, as in the driver's plan."""
        return {
            "url": f"https://127.0.0.1:{self.server_port}",
            "certificate": str(self.certificates / "client.crt"),
            "key": str(self.certificates / "client.key"),
            "authority": str(self.certificates / "ca.crt"),
            "answer": {"id": "metadata.name", "message": ["message"]},
            "repeat": True,
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class JsonHandler(BaseHTTPRequestHandler):
    """Reads and answers JSON over kept connections."""

    protocol_version = "HTTP/1.1"

    def body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, status: int, content: Any) -> None:
        text = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_arguments: Any) -> None:
        pass


@contextmanager
def serving(server: TlsServer) -> Iterator[None]:
    """Serve until the block ends."""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
