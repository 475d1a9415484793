"""Real clusters for tests: each with a name of its own, driven by the command line, always taken down."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fabric.control.parking import MARK

TOP = Path(__file__).parents[2]
UNDER_DEFAULT_SIGNALS = ("env", "--default-signal")
"""What stands before a command that is to be interrupted: under nohup, signals are ignored."""
SECONDS_MAX = 300
TRACEBACK_LENGTH_MAX = 4000


def run(*argv: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said; `environment` is added to this one."""
    return subprocess.run(
        argv,
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        env={**os.environ, **(environment or {})},
        check=False,
        stdin=subprocess.DEVNULL,
    )


def fabric(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line of this checkout."""
    return run(sys.executable, "-P", "-m", "fabric", *arguments, environment=environment)


@contextmanager
def own_folders() -> Iterator[Mapping[str, str]]:
    """Give an environment with folders of its own for clusters; a socket's path has room in it."""
    with tempfile.TemporaryDirectory(prefix="fabric-") as folder:
        yield {"FABRIC_RUN_DIR": f"{folder}/run", "FABRIC_STATE_DIR": f"{folder}/state"}


def left_in(folders: Mapping[str, str]) -> list[str]:
    """Return the clusters that have files in these folders, and the processes that were told of them."""
    told = os.fsencode(f"FABRIC_RUN_DIR={folders['FABRIC_RUN_DIR']}")
    left = [entry.name for folder in map(Path, folders.values()) for entry in folder.glob("*/")]
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if told in environment.read_bytes():
                left.append(f"process {environment.parent.name}")
    return left


def host_state() -> dict[str, str]:
    """Everything of the host's own network that fabric must not touch, as text."""
    commands = {
        "links": ("ip", "-d", "link"),
        "addresses": ("ip", "-o", "-f", "inet", "address"),
        "routes": ("ip", "route", "show", "table", "all"),
        "rules": ("ip", "rule"),
        "iptables": ("iptables-save",),
        "namespaces": ("ip", "netns", "list"),
    }
    state = {name: without_counters(run(*argv).stdout) for name, argv in commands.items()}
    state["mounts"] = Path("/proc/self/mountinfo").read_text()
    return state


def without_counters(text: str) -> str:
    """iptables-save without the lines that say when it ran."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("# "))


def pod(
    name: str, node: str = "", *, image: str = "echo", namespace: str = "default", **spec: Any
) -> dict[str, Any]:
    """A pod with one container, on that node or on any."""
    where = {"nodeSelector": {"kubernetes.io/hostname": node}} if node else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": image}],
            **where,
            **spec,
        },
    }


class Cluster:
    """One cluster of a test; `close` takes it down whatever state it is in."""

    def __init__(self, folder: Path, **spec: Any) -> None:
        self.name = f"test-{uuid.uuid4().hex[:8]}"
        self.file = folder / f"{self.name}.yaml"
        self.write(**spec)

    @classmethod
    @contextmanager
    def running(cls, folder: Path, **spec: Any) -> Iterator[Cluster]:
        """A cluster that is up while the body runs, and of which nothing is left afterwards."""
        cluster = cls(folder, **spec)
        try:
            cluster.up()
            yield cluster
        finally:
            cluster.close()
        assert cluster.leftovers() == []

    def write(
        self, *, nodes: Any = 2, backend: str = "vxlan", pods: Any = (), underlay: Any = None, **spec: Any
    ) -> None:
        """Write the topology file anew; what is not named here goes below `spec` as it is."""
        topology = {
            "apiVersion": "fabric.dev/v1",
            "kind": "Topology",
            "metadata": {"name": self.name},
            "spec": {
                "nodes": nodes,
                "network": {"plugin": "flannel", "backend": backend},
                "manifests": list(pods),
                **({"underlay": underlay} if underlay else {}),
                **spec,
            },
        }
        self.file.write_text(json.dumps(topology))

    def up(self, *options: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
        """`fabric up`, which must succeed; its report."""
        done = fabric(
            "up", str(self.file), "-o", "json", "--timeout", "60", *options, environment=environment
        )
        assert done.returncode == 0, f"{done.stderr}\n{done.stdout}\n{self.logs()}"
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def start_up(self) -> subprocess.Popen[bytes]:
        """Start `fabric up`, whatever comes of it."""
        argv = [sys.executable, "-P", "-m", "fabric", "up", str(self.file)]
        nothing = subprocess.DEVNULL
        return subprocess.Popen(argv, cwd=TOP, stdin=nothing, stdout=nothing, stderr=nothing)

    def down(self) -> subprocess.CompletedProcess[str]:
        """`fabric down`; a component that had parked a key fails the test."""
        parked = self.parked()
        done = fabric("down", self.name)
        assert not parked, "\n".join(parked)
        return done

    def parked(self) -> list[str]:
        """Each line of the components' logs that tells of a parked key, and the traceback behind it."""
        logs = [path.read_text(errors="replace") for path in (self.state_folder / "logs").glob("*.log")]
        return [MARK + text[:TRACEBACK_LENGTH_MAX] for log in logs for text in log.split(f" {MARK} ")[1:]]

    def exec(self, where: str, *command: str, container: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in a pod, or on a node when `where` begins with `node:`."""
        return fabric(*self._exec_arguments(where, command, container))

    @contextmanager
    def start(self, where: str, *command: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command beside the test, and end it with the body."""
        argv = [sys.executable, "-P", "-m", "fabric", *self._exec_arguments(where, command, "")]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            argv, cwd=TOP, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        ) as started:
            try:
                yield started
            finally:
                started.kill()

    def _exec_arguments(self, where: str, command: tuple[str, ...], container: str) -> list[str]:
        options = ["--cluster", self.name] + (["-c", container] if container else [])
        kind, _, name = where.partition(":")
        target = ["--node", name] if kind == "node" and name else [where]
        return ["exec", *options, *target, "--", *command]

    def get(self, path: str) -> Any:
        """GET from the API server's unix socket."""
        socket = str(self.run_folder / "api.sock")
        done = run("curl", "-sS", "--fail", "--unix-socket", socket, f"http://fabric{path}")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def pod_versions(self) -> dict[str, str]:
        """Resource version of every pod: a write of anything in it changes it."""
        return {
            p["metadata"]["name"]: p["metadata"]["resourceVersion"] for p in self.get("/api/v1/pods")["items"]
        }

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(fabric("status", self.name, "-o", "json").stdout)
        return status

    def pid(self, component: str) -> int:
        """Pid of a component; 0 when it is dead."""
        return next((p["pid"] for p in self.status()["processes"] if p["name"] == component), 0)

    @property
    def run_folder(self) -> Path:
        return Path("/run/fabric") / self.name

    @property
    def state_folder(self) -> Path:
        return Path("/var/lib/fabric") / self.name

    def logs(self) -> str:
        """The ends of all logs, for a failing test's message."""
        return "\n".join(
            f"== {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
            for path in sorted((self.state_folder / "logs").glob("*.log"))
        )

    def leftovers(self) -> list[str]:
        """What is still there of this cluster: folders, cgroups, processes (not those to be reaped)."""
        places = [self.run_folder, self.state_folder, *Path("/sys/fs/cgroup").glob(f"**/fabric/{self.name}")]
        found = [str(path) for path in places if path.exists()]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                dead = (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
                if not dead and f"/fabric/{self.name}" in (process / "cgroup").read_text():
                    found.append(f"{process.name} {(process / 'comm').read_text().strip()}")
            except (FileNotFoundError, ProcessLookupError):
                continue
        return found

    def close(self) -> None:
        done = self.down()
        assert done.returncode == 0 or "no cluster" in done.stderr, done.stderr
