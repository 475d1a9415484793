"""The catalogue of images: names that manifests use, mapped onto programs of this host.

Registry and tag say nothing: `docker.io/library/nginx:1.25` is `nginx`. The longest known ending of a
repository's path wins. What an image runs must be on the host, else resolving it says what to install;
every image has the host's other programs as well (sh, ip, ping, ss, curl, nc, iperf3 …).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fabric.errors import FabricError
from fabric.runtime.builtin.echo import PROGRAM as ECHO
from fabric.runtime.contract import Mount
from fabric.runtime.processes.program import PATH

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Image:
    """An image is the program that its containers run unless the pod says otherwise, and their root."""

    name: str
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    root: Path | None = None
    """An unpacked root; None is the host's programs."""
    ports: tuple[int, ...] = ()
    mounts: tuple[Mount, ...] = ()
    """Files that belong to the image; a pod's own mounts come after them."""
    package: str = ""
    """The Debian package that has its program."""
    serves_ports: bool = False
    """Its program is told each containerPort, by `--tcp`, `--udp` and `--sctp`, unless the pod has args."""

    @property
    def argv(self) -> tuple[str, ...]:
        return self.entrypoint + self.cmd


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of `fabric images`."""

    image: Image
    names: tuple[str, ...]
    is_builtin: bool
    missing: str
    """Why it cannot run here and what to do; "" when it can."""


class Catalogue:
    """Images by name."""

    def __init__(self, images: Iterable[Image], aliases: Mapping[str, str] | None = None) -> None:
        self._images = {image.name: image for image in images}
        self._aliases = dict(aliases or {})
        self._added: frozenset[str] = frozenset()

    @classmethod
    def default(cls, added: Iterable[Image] = ()) -> Catalogue:
        """Return the built-in images, and over them those that a cluster adds."""
        images = list(added)
        names = frozenset(image.name for image in images)
        aliases = {alias: of for alias, of in _ALIASES.items() if alias not in names}
        catalogue = cls([*_builtin(), *images], aliases)
        catalogue._added = names
        return catalogue

    def resolve(self, reference: str) -> Image:
        """Return the image of a reference; FabricError says what is missing and what to do."""
        image = self._find(reference)
        if image is None:
            known = ", ".join(sorted(self._images))
            raise FabricError(
                f'image "{reference}": no image of that name is in the catalogue; it has {known}; '
                "add yours to spec.images of the topology, or use one of these"
            )
        missing = _missing(image)
        if missing:
            raise FabricError(f'image "{reference}": {missing}')
        return image

    def list(self) -> list[Listed]:
        """Return all images by name, with their other names and why one cannot run."""
        rows = []
        for name, image in sorted(self._images.items()):
            others = sorted(alias for alias, of in self._aliases.items() if of == name)
            rows.append(Listed(image, (name, *others), name not in self._added, _missing(image)))
        return rows

    def _find(self, reference: str) -> Image | None:
        parts = repository(reference).split("/")
        for first in range(len(parts)):
            name = "/".join(parts[first:])
            image = self._images.get(self._aliases.get(name, name))
            if image is not None:
                return image
        return None


def repository(reference: str) -> str:
    """Return a reference without its digest and its tag: `a.b:5000/c/d:1@sha256:…` is `a.b:5000/c/d`."""
    path = reference.partition("@")[0]
    head, slash, last = path.rpartition("/")
    return head + slash + last.partition(":")[0]


def _missing(image: Image) -> str:
    if image.root is not None:
        return "" if image.root.is_dir() else f"its root {image.root} is not a directory; unpack it there"
    if not image.argv or image.argv[0] == ECHO:
        return ""
    program = image.argv[0]
    if shutil.which(program, path=image.env.get("PATH", PATH)):
        return ""
    remedy = f" (Debian: apt-get install {image.package})" if image.package else ""
    return f'the host has no program "{program}"; install it{remedy}'


_CURL = 'if command -v -- "$1" >/dev/null 2>&1; then exec "$@"; else exec curl "$@"; fi'


def _builtin() -> list[Image]:
    shell = Image("busybox", cmd=("sh",))
    nginx_files = (
        Mount("/etc/nginx/nginx.conf", _HERE / "nginx.conf", read_only=True),
        Mount("/usr/share/nginx/html/index.html", _HERE / "nginx.html"),
    )
    return [
        Image("pause", ("catatonit", "-P"), package="catatonit"),
        shell,
        *(replace(shell, name=name) for name in ("alpine", "netshoot")),
        *(Image(name, cmd=("bash",), package="bash") for name in ("debian", "ubuntu")),
        Image("curl", ("sh", "-c", _CURL, "curl-entrypoint"), ("curl",), package="curl"),
        Image("python", cmd=("python3",), mounts=_python(), package="python3"),
        Image("iperf3", ("iperf3",), ("-s",), ports=(5201,), package="iperf3"),
        Image(
            "nginx", ("nginx",), ("-g", "daemon off;"), ports=(80,), mounts=nginx_files, package="nginx-light"
        ),
        Image("echo", (ECHO,), ports=(8080, 9000), serves_ports=True),
        Image(
            "whoami",
            (ECHO,),
            env={"HTTP_PORT": "80", "TCP_PORT": "0", "UDP_PORT": "0"},
            ports=(80,),
            serves_ports=True,
        ),
    ]


def _python() -> tuple[Mount, ...]:
    """Return what makes `python` a name of the host's python3."""
    program = shutil.which("python3", path=PATH)
    if program is None or shutil.which("python", path=PATH):
        return ()
    return (Mount("/usr/local/bin/python", Path(program).resolve(), read_only=True),)


_ALIASES = {
    "echoserver": "echo",
    "echo-server": "echo",
    "agnhost": "echo",
    "e2e-test-images/agnhost": "echo",
    "hello-app": "echo",
    "pause-amd64": "pause",
    "alpine/curl": "curl",
    "nginx-unprivileged": "nginx",
    "network-multitool": "netshoot",
    "busybox-curl": "busybox",
}
