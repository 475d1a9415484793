"""A pod's specification is read here, with the API's defaults."""

from __future__ import annotations

from collections.abc import Sequence

from fabric.api.objects import SECONDS_MAX, Object, is_deleting

DEFAULT_GRACE_SECONDS = 30


def spec_of(pod: Object) -> Object:
    return pod.get("spec") or {}


def status_of(pod: Object) -> Object:
    return pod.get("status") or {}


def init_containers(pod: Object) -> Sequence[Object]:
    return spec_of(pod).get("initContainers") or ()


def app_containers(pod: Object) -> Sequence[Object]:
    return spec_of(pod).get("containers") or ()


def field_path(pod: Object, name: str) -> str:
    """Return a container's field path, as events name it: `spec.containers{main}`."""
    is_init = any(container.get("name") == name for container in init_containers(pod))
    return f"spec.{'initContainers' if is_init else 'containers'}{{{name}}}"


def is_sidecar(container: Object) -> bool:
    """An init container that keeps running beside the others."""
    return container.get("restartPolicy") == "Always"


def restart_policy(pod: Object) -> str:
    return str(spec_of(pod).get("restartPolicy") or "Always")


def host_network(pod: Object) -> bool:
    return bool(spec_of(pod).get("hostNetwork"))


def is_terminal(status: Object) -> bool:
    """True for a phase that a pod never leaves."""
    return status.get("phase") in ("Succeeded", "Failed")


def grace_seconds(pod: Object) -> int:
    """Seconds between SIGTERM and SIGKILL: as the deletion says, else as the pod says."""
    if is_deleting(pod):
        of_deletion = pod["metadata"].get("deletionGracePeriodSeconds")
        if of_deletion is not None:
            return int(of_deletion)
    of_pod = spec_of(pod).get("terminationGracePeriodSeconds")
    if of_pod is None:
        return DEFAULT_GRACE_SECONDS
    return 1 if of_pod < 0 else min(int(of_pod), SECONDS_MAX)


def hostname(pod: Object) -> str:
    """The host name that a pod sees: `spec.hostname`, else its name, cut as Linux needs it."""
    name = str(spec_of(pod).get("hostname") or pod["metadata"]["name"])
    return name[:63].rstrip("-.")
