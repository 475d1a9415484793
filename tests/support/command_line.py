"""The command line in the test's own process, on clusters that are only files and an API that is a table."""

from __future__ import annotations

import copy
import json
import socketserver
import threading
from collections import ChainMap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from fabric.api.kinds import NETWORK_POLICY
from fabric.cli import choice, host_commands, main
from fabric.cluster import down
from fabric.cluster import spec as specs
from fabric.cluster.paths import ClusterPaths
from fabric.topology.load import loads

FLANNEL = "nodes: 2, network: {plugin: flannel}"
RACKS = "nodes: 2, network: {plugin: flannel}, underlay: {kind: leaf-spine}"


@dataclass(frozen=True)
class Answer:
    """The exit code of a command, and what it said."""

    code: int
    out: str
    err: str


class CommandLine:
    """Runs commands as `python -m fabric` does, up to the exit, for a root whose clusters are in a folder."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], folder: Path) -> None:
        self._patch = patch
        self._capture = capture
        self.folder = folder
        patch.setenv("FABRIC_RUN_DIR", str(folder / "run"))
        patch.setenv("FABRIC_STATE_DIR", str(folder / "state"))
        patch.delenv("FABRIC_CLUSTER", raising=False)
        patch.setattr("os.geteuid", lambda: 0)
        for module in (down, choice, host_commands):  # Others run clusters on this machine, too.
            patch.setattr(module, "all_clusters", self._clusters)
        patch.setattr(choice, "clusters_with_cgroup", self._clusters)
        patch.setattr(choice, "clusters_elsewhere", dict)
        patch.setattr(down, "down", _refuse)

    def __call__(self, *words: str) -> Answer:
        app = copy.copy(main.app)
        app.registered_commands, app.registered_groups = [], []
        self._patch.setattr(main, "app", app)
        self._patch.setattr("sys.argv", ["fabric", *words])
        self._capture.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main.main()
        said = self._capture.readouterr()
        return Answer(int(exit_.value.code or 0), said.out, said.err)

    def _clusters(self) -> list[str]:
        return sorted({path.parent.name for path in (self.folder / "state").glob("*/logs")})

    def file(self, text: str, name: str = "t.yaml") -> Path:
        """A topology file with this `spec`."""
        path = self.folder / name
        path.write_text(topology("t", text))
        return path

    def cluster(self, name: str = "lab", spec: str = FLANNEL) -> ClusterPaths:
        """A cluster that was asked for, and of which nothing runs."""
        paths = ClusterPaths(name)
        paths.make()
        chosen = specs.choose(loads(topology(name, spec), Path("t.yaml")), None, api_port=1, workers=1)
        specs.write(paths.spec, chosen)
        return paths


def _refuse(name: str) -> None:
    raise AssertionError(f"a unit test takes cluster {name} down")


def topology(name: str, spec: str) -> str:
    return f"apiVersion: fabric.dev/v1\nkind: Topology\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    answers: Mapping[str, Any]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        found = server.answers.get(self.path)
        body = json.dumps(found if found is not None else {"message": f"{self.path} is not there"}).encode()
        self.send_response(200 if found is not None else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""


@contextmanager
def api(paths: ClusterPaths, answers: Mapping[str, Any]) -> Iterator[None]:
    """An API server on the cluster's socket: what it answers, by path; anything else is not there.

    It has no NetworkPolicies unless the test gives it some.
    """
    with _Server(str(paths.api_socket), _Handler) as server:
        server.answers = ChainMap(answers, {NETWORK_POLICY.path(): listed()})
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def listed(*objects: Mapping[str, Any]) -> dict[str, Any]:
    return {"items": list(objects)}
