"""The runtime's order for one start of one container, from the pod, the image and the volumes. Pure.

`command` replaces the image's entry point and drops its arguments; `args` replaces the arguments.
Variables come from the image, then `HOSTNAME`, then the pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fabric.api.objects import Object, uid_of
from fabric.kubelet.catalogue import Image
from fabric.kubelet.expansion import check_arguments, expand
from fabric.kubelet.images import image_id
from fabric.kubelet.podspec import host_network, hostname, spec_of
from fabric.kubelet.records import (
    LABEL_CONTAINER,
    LABEL_IMAGE,
    LABEL_IMAGE_ID,
    LABEL_NAME,
    LABEL_NAMESPACE,
    LABEL_RESTARTS,
    LABEL_UID,
    ConfigError,
    container_id,
)
from fabric.runtime.contract import ContainerSpec, Mount
from fabric.runtime.processes.capabilities import DEFAULT_NAMES, NUMBERS

ALL = "ALL"


def container_spec(
    pod: Object,
    container: Object,
    restart_count: int,
    image: Image,
    env: Mapping[str, str],
    mounts: tuple[Mount, ...],
    log_path: Path,
    node_name: str,
) -> ContainerSpec:
    """Return what to start; ConfigError or CreateFailed says why it cannot be."""
    uid, gid = _user(pod, container)
    security = container.get("securityContext") or {}
    argv = command_line(container, image, env)
    full_env = {**image.env, "HOSTNAME": node_name if host_network(pod) else hostname(pod), **env}
    check_arguments(argv, full_env)
    return ContainerSpec(
        id=container_id(uid_of(pod), container["name"], restart_count),
        sandbox=uid_of(pod),
        name=container["name"],
        argv=argv,
        env=full_env,
        cwd=container.get("workingDir") or image.cwd or "/",
        root=image.root,
        mounts=(*image.mounts, *mounts),
        log_path=log_path,
        uid=uid,
        gid=gid,
        read_only_root=bool(security.get("readOnlyRootFilesystem")),
        capabilities=capabilities_of(security),
        labels=_labels(pod, container, restart_count, image),
    )


def command_line(container: Object, image: Image, env: Mapping[str, str]) -> tuple[str, ...]:
    """Program and arguments; ConfigError when neither pod nor image names a program."""
    command = tuple(expand(str(word), env) for word in container.get("command") or ())
    args = tuple(expand(str(word), env) for word in container.get("args") or ())
    words = (*command, *args) if command else (*image.entrypoint, *(args or image.cmd))
    if image.serves_ports and not command and not args:
        words += _port_flags(container)
    if not words:
        name = container.get("image")
        raise ConfigError(f"image {name!r} has no program of its own; give the container a command")
    return words


def _port_flags(container: Object) -> tuple[str, ...]:
    """Return what tells a server of ours to serve each containerPort."""
    found: dict[str, list[str]] = {}
    for port in container.get("ports") or ():
        ports = found.setdefault((port.get("protocol") or "TCP").lower(), [])
        if (number := str(port["containerPort"])) not in ports:
            ports.append(number)
    return tuple(word for protocol, ports in found.items() for word in (f"--{protocol}", ",".join(ports)))


def capabilities_of(security: Object) -> tuple[str, ...] | None:
    """Return the capabilities that a securityContext asks for, None for the default set, as containerd does.

    `ALL` goes before single names, and what is dropped by name goes last.
    """
    wanted = security.get("capabilities") or {}
    add, drop = (tuple(_bare(name) for name in wanted.get(verb) or ()) for verb in ("add", "drop"))
    if not add and not drop:
        return None
    kept = set(NUMBERS if ALL in add else DEFAULT_NAMES)
    if ALL in drop:
        kept = set()
    kept |= set(add) - {ALL}
    return tuple(sorted(kept - set(drop)))


def _bare(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def _user(pod: Object, container: Object) -> tuple[int, int]:
    of_pod = spec_of(pod).get("securityContext") or {}
    of_container = container.get("securityContext") or {}
    merged = {**of_pod, **of_container}
    uid, gid = int(merged.get("runAsUser") or 0), int(merged.get("runAsGroup") or 0)
    if merged.get("runAsNonRoot") and uid == 0:
        raise ConfigError("container has runAsNonRoot and image will run as root")
    return uid, gid


def _labels(pod: Object, container: Object, restart_count: int, image: Image) -> dict[str, str]:
    meta = pod["metadata"]
    return {
        LABEL_UID: uid_of(pod),
        LABEL_NAME: meta["name"],
        LABEL_NAMESPACE: meta.get("namespace", ""),
        LABEL_CONTAINER: container["name"],
        LABEL_RESTARTS: str(restart_count),
        LABEL_IMAGE: container.get("image", ""),
        LABEL_IMAGE_ID: image_id(image),
    }
