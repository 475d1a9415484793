"""A node as its kubelet describes it: the Node's labels, capacity, addresses and conditions. Pure."""

from __future__ import annotations

import functools
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import fabric
from fabric.api.objects import Object, changed_conditions, timestamp
from fabric.kubelet.config import DEFAULT_CAPACITY, KUBELET_VERSION, KubeletConfig
from fabric.plugin.contract import AgentStatus

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

_SAID = ("type", "status", "reason", "message")
_CALM = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)
_CONDITION_EVENTS = {
    ("MemoryPressure", "False"): "NodeHasSufficientMemory",
    ("DiskPressure", "False"): "NodeHasNoDiskPressure",
    ("PIDPressure", "False"): "NodeHasSufficientPID",
    ("Ready", "True"): "NodeReady",
    ("Ready", "False"): "NodeNotReady",
}


@dataclass(frozen=True, slots=True)
class Health:
    """The health of a node: whether pods can run here."""

    runtime: bool
    network: AgentStatus

    @property
    def ready(self) -> bool:
        return self.runtime and self.network.ready


def capacity(config: KubeletConfig) -> dict[str, str]:
    """Capacity by resource; allocatable is the same: nothing is reserved."""
    return {**DEFAULT_CAPACITY, **config.capacity}


def node_labels(config: KubeletConfig) -> dict[str, str]:
    arch = architecture()
    return {
        "beta.kubernetes.io/arch": arch,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": arch,
        "kubernetes.io/hostname": config.node_name,
        "kubernetes.io/os": "linux",
        **config.labels,
    }


def new_node(config: KubeletConfig) -> Object:
    """The Node to create."""
    spec: Object = {}
    if config.taints:
        spec["taints"] = [dict(taint) for taint in config.taints]
    metadata = {"name": config.node_name, "labels": node_labels(config)}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}


def node_status(config: KubeletConfig, before: Object, health: Health, now: datetime) -> Object:
    """The fields of the status that the kubelet owns; heartbeat times are `now`."""
    resources = capacity(config)
    addresses = [{"type": "InternalIP", "address": address} for address in config.addresses]
    return {
        "capacity": resources,
        "allocatable": resources,
        "addresses": [*addresses, {"type": "Hostname", "address": config.node_name}],
        "nodeInfo": dict(node_info()),
        "conditions": _conditions(before, health, now),
    }


def stands(before: Object, status: Object) -> bool:
    """True when `before` says what `status` says, but for the times."""
    same = all(before.get(name) == value for name, value in status.items() if name != "conditions")
    return same and _said(before) == _said(status)


def status_patch(before: Object, status: Object) -> Object:
    """The strategic merge patch that makes `before` say `status`; conditions of other writers stay.

    The addresses' merge key is their type, of which there may be several: they are replaced, as by kubelet.
    """
    return {
        **status,
        "conditions": changed_conditions(before.get("conditions") or (), status["conditions"]),
        "addresses": [*status["addresses"], {"$patch": "replace"}],
    }


def condition_events(before: Object, status: Object) -> tuple[str, ...]:
    """Return the reasons of the events that kubelet records when its conditions become those of `status`."""
    standing = {entry.get("type"): entry.get("status") for entry in before.get("conditions") or ()}
    changed = [
        (entry["type"], entry["status"])
        for entry in status["conditions"]
        if standing.get(entry["type"]) != entry["status"]
    ]
    return tuple(
        _CONDITION_EVENTS[it]
        for it in changed
        if it in _CONDITION_EVENTS and (it != ("Ready", "False") or "Ready" in standing)
    )


@functools.cache
def node_info() -> Mapping[str, str]:
    """Return what the machine is; it is read once."""
    machine = _first_line("/etc/machine-id")
    return {
        "architecture": architecture(),
        "bootID": _first_line("/proc/sys/kernel/random/boot_id"),
        "containerRuntimeVersion": f"fabric://{fabric.__version__}",
        "kernelVersion": platform.release(),
        "kubeProxyVersion": KUBELET_VERSION,
        "kubeletVersion": KUBELET_VERSION,
        "machineID": machine,
        "operatingSystem": "linux",
        "osImage": _os_image(),
        "systemUUID": machine,
    }


def architecture() -> str:
    """The machine's architecture in Go's words."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def _conditions(before: Object, health: Health, now: datetime) -> list[Object]:
    standing = {entry.get("type", ""): entry for entry in before.get("conditions") or ()}
    network = health.network
    unavailable = not network.ready
    ours = [
        _condition("NetworkUnavailable", unavailable, network.reason, network.message, standing, now),
        *(_condition(type_, False, reason, message, standing, now) for type_, reason, message in _CALM),
    ]
    ours.append(_condition("Ready", health.ready, *_readiness(health), standing, now))
    names = {condition["type"] for condition in ours}
    return [*ours, *(entry for type_, entry in standing.items() if type_ not in names)]


def _said(status: Object) -> set[tuple[str, ...]]:
    conditions = status.get("conditions") or ()
    return {tuple(str(entry.get(word, "")) for word in _SAID) for entry in conditions}


def _readiness(health: Health) -> tuple[str, str]:
    if not health.runtime:
        return "KubeletNotReady", "container runtime is down"
    if not health.network.ready:
        message = health.network.message or health.network.reason
        return "KubeletNotReady", f"container runtime network not ready: NetworkReady=false message:{message}"
    return "KubeletReady", "kubelet is posting ready status"


def _condition(
    type_: str, holds: bool, reason: str, message: str, standing: Mapping[str, Object], now: datetime
) -> Object:
    before = standing.get(type_) or {}
    status = "True" if holds else "False"
    since = before.get("lastTransitionTime") if before.get("status") == status else None
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": timestamp(now),
        "lastTransitionTime": since or timestamp(now),
    }


def _os_image() -> str:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return "Linux"
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("PRETTY_NAME", "Linux").strip('"')


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
