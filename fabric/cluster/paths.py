"""The paths of a cluster's files: sockets and pids in /run, what must survive a reboot in /var/lib.

Nothing of a cluster lies anywhere else, and `down` removes both folders whole. FABRIC_RUN_DIR and
FABRIC_STATE_DIR move the roots, for machines where /run or /var/lib are not to be used.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fabric.errors import BadInput, FabricError, Problem, plural, refusal_in

_TRIES = 100
SOCKET_PATH_BYTES_MAX = 107
_LONGEST_SOCKET_BYTES = len("/.components.sock.4194304")
"""A socket is made under a hidden name with the pid of its server, of which Linux counts four millions."""
ROOT_MODE = 0o755
FABRIC_PORT = 6443
"""Where the API server listens inside the fabric, at the control plane's address."""


def run_root() -> Path:
    return Path(os.environ.get("FABRIC_RUN_DIR", "/run/fabric"))


def state_root() -> Path:
    return Path(os.environ.get("FABRIC_STATE_DIR", "/var/lib/fabric"))


def lock_name(cluster: str) -> str:
    return f"{cluster}.lock"


@dataclass(frozen=True, slots=True)
class Folders:
    """The two roots below which a command keeps its clusters' files."""

    run: Path
    state: Path

    @classmethod
    def of_environment(cls) -> Folders:
        return cls(run_root().absolute(), state_root().absolute())

    @classmethod
    def parse(cls, text: str) -> Folders:
        """Undo `text`."""
        run, _, state = text.partition("\0")
        return cls(Path(run), Path(state))

    @property
    def text(self) -> str:
        return f"{self.run}\0{self.state}"

    def have(self, cluster: str) -> bool:
        """True when a file of the cluster is in them, its lock among them."""
        files = (self.run / cluster, self.run / lock_name(cluster), self.state / cluster)
        return any(path.exists() for path in files)

    def __str__(self) -> str:
        return f"FABRIC_RUN_DIR={self.run} FABRIC_STATE_DIR={self.state}"


@dataclass(frozen=True, slots=True)
class ClusterPaths:
    """The paths of one cluster."""

    cluster: str

    @property
    def run(self) -> Path:
        return run_root() / self.cluster

    @property
    def state(self) -> Path:
        return state_root() / self.cluster

    @property
    def spec(self) -> Path:
        """The file with what `up` last asked for; every component reads it and follows its changes."""
        return self.state / "spec.json"

    @property
    def lock(self) -> Path:
        """Held by `up` and `down` while they work, so that there is one of them at a time."""
        return run_root() / lock_name(self.cluster)

    @property
    def api_socket(self) -> Path:
        return self.run / "api.sock"

    @property
    def components_socket(self) -> Path:
        """The API server's socket for components, in frames."""
        return self.run / "components.sock"

    @property
    def store_socket(self) -> Path:
        return self.run / "store.sock"

    @property
    def kubeconfig(self) -> Path:
        return self.run / "kubeconfig"

    @property
    def pids(self) -> Path:
        return self.run / "pids"

    @property
    def store(self) -> Path:
        return self.state / "store.db"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    def runtime_socket(self, worker: int) -> Path:
        return self.run / f"runtime-{worker}.sock"

    def runtime_state(self, worker: int) -> Path:
        return self.run / f"runtime-{worker}"

    @property
    def nodes(self) -> Path:
        return self.state / "nodes"

    def node(self, name: str) -> Path:
        """The node's private files: its /run, /var/lib, /etc/cni as the host sees them."""
        return self.nodes / name

    def refuse_long(self) -> None:
        """Raise BadInput where Linux would take no socket in the folder of sockets."""
        spare = SOCKET_PATH_BYTES_MAX - len(os.fsencode(self.run)) - _LONGEST_SOCKET_BYTES
        if spare < 0:
            raise BadInput(
                Problem(
                    "FABRIC_RUN_DIR",
                    f"{run_root()} is too long by {plural(-spare, 'byte')}: a socket's path has "
                    f"{SOCKET_PATH_BYTES_MAX} at most; choose a shorter folder",
                )
            )

    def full_disks(self) -> list[str]:
        """Return a sentence for each of the two folders whose disk has no room left."""
        return [f"the disk of {folder} is full" for folder in (self.run, self.state) if _is_full(folder)]

    def make(self) -> None:
        """Create the folders, for root alone; the roots show the names of clusters to everybody."""
        for root in (run_root(), state_root()):
            make_folder(root, ROOT_MODE)
        for folder in (self.run, self.state, self.pids, self.logs):
            make_folder(folder)


def _is_full(folder: Path) -> bool:
    try:
        return os.statvfs(folder).f_bavail == 0
    except OSError:
        return False


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn what Linux refuses of files and processes into a FabricError that names the file."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise refusal_in(error) or FabricError(f"{where}{error.strerror}") from error


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Make it with its parents, also while another cluster's `down` removes parents that are empty."""
    for _ in range(_TRIES):
        try:
            folder.mkdir(mode, parents=True, exist_ok=True)
            return
        except FileNotFoundError:
            continue
    raise FabricError(f"cannot make {folder}: its parent keeps vanishing")


def folders_in(root: Path) -> list[str]:
    """Names of the folders in `root`, none when it is not there; FabricError when it is root's alone."""
    try:
        return [entry.name for entry in os.scandir(root) if entry.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FabricError(f"{root}: {error.strerror}; is it fabric's folder? run it with sudo") from None


def known_clusters() -> list[str]:
    """Names of all clusters that left a folder on this machine, running or not."""
    return sorted({*folders_in(run_root()), *folders_in(state_root())})
