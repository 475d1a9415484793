"""A client of a cluster's API server for tests that write one object after another, over its unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

SECONDS_MAX = 60.0


class UnixApi(http.client.HTTPConnection):
    """One connection that stays open, and is opened again where the server has closed it meanwhile."""

    def __init__(self, path: Path) -> None:
        super().__init__("fabric", timeout=SECONDS_MAX)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS_MAX)
        self.sock.connect(self._path)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer's object; a refusal is an AssertionError with its message."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        sent = None if body is None else json.dumps(body)
        try:
            self.request(method, path, sent, {"Content-Type": kind})
        except BrokenPipeError:
            self.close()
            self.request(method, path, sent, {"Content-Type": kind})
        answer = self.getresponse()
        value = json.loads(answer.read())
        assert answer.status < 300, f"{method} {path}: {value.get('message', value)}"
        return value
