"""The defaults of a pod (pkg/apis/core/v1/defaults.go and the admission plug-ins).

Nothing is written into the object that comes in; parts that are complete are kept as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from fabric.api.objects import Object, labels_of
from fabric.api.quantity import parse_quantity
from fabric.apiserver import label_keys

MODE = 0o644
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_CONTAINER = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_SPEC = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
}
_ALIVE_SECONDS = 300
DEFAULT_ACCOUNT = "default"
"""The service account of a pod that names none."""
_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
SYSTEM_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
"""The PriorityClasses that every cluster has, and their values."""
_QOS_RESOURCES = ("cpu", "memory")
_MODED_VOLUMES = ("configMap", "secret", "downwardAPI", "projected")


def admitted(pod: Object) -> Object:
    """Return the pod with what admission adds: service account, priority, tolerations, label keys."""
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        return pod
    extra = {
        "serviceAccountName": service_account_of(spec) or DEFAULT_ACCOUNT,
        "priority": SYSTEM_PRIORITIES.get(spec.get("priorityClassName", ""), spec.get("priority", 0)),
        "preemptionPolicy": spec.get("preemptionPolicy", "PreemptLowerPriority"),
        "tolerations": _tolerations(spec.get("tolerations") or []),
    }
    return {**pod, "spec": label_keys.merged({**spec, **extra}, labels_of(pod))}


def readmitted(pod: Object, old: Object) -> Object:
    """Return a changed pod with what admission adds at updates: tolerations, and its old priority."""
    spec, before = pod.get("spec"), old.get("spec") or {}
    if not isinstance(spec, dict):
        return pod
    kept = {field: before[field] for field in ("priority", "preemptionPolicy") if field in before}
    return {**pod, "spec": {**kept, **spec, "tolerations": _tolerations(spec.get("tolerations") or [])}}


def service_account_of(spec: Object) -> str:
    """The name of the pod's service account, by either of its two fields; empty when it names none."""
    return str(spec.get("serviceAccountName") or spec.get("serviceAccount") or "")


def _tolerations(tolerations: list[Object]) -> list[Object]:
    missing = [key for key in _TOLERATED if not any(_tolerates(t, key) for t in tolerations)]
    return [*tolerations, *(_toleration(key) for key in missing)]


def _tolerates(toleration: Object, key: str) -> bool:
    return toleration.get("key", "") in ("", key) and toleration.get("effect", "") in ("", "NoExecute")


def _toleration(key: str) -> Object:
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _ALIVE_SECONDS}


def defaulted(pod: Object) -> Object:
    """The pod with every default of its spec filled in."""
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        return pod
    full = _filled(spec, _SPEC)
    if account := service_account_of(full):
        for field in ("serviceAccountName", "serviceAccount"):
            full = full if full.get(field) == account else {**full, field: account}
    host_network = bool(full.get("hostNetwork"))
    for field in ("containers", "initContainers", "ephemeralContainers"):
        full = _with_each(full, field, lambda c: _container(c, host_network=host_network))
    full = _with_each(full, "volumes", _volume)
    full = _pod_requests(full)
    return pod if full is spec else {**pod, "spec": full}


def _pod_requests(spec: Object) -> Object:
    """The spec with the pod's own limits as requests, where neither it nor a container asks for anything."""
    resources = spec.get("resources")
    if not isinstance(resources, dict):
        return spec
    resources = quantities(resources)
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    asked = {name for each in containers for name in each["resources"].get("requests") or ()}
    limits = {name: amount for name, amount in (resources.get("limits") or {}).items() if name not in asked}
    if limits:
        resources = {**resources, "requests": {**limits, **(resources.get("requests") or {})}}
    return _replaced(spec, "resources", resources)


def status_defaulted(pod: Object) -> Object:
    """The pod with its quality-of-service class in the status."""
    status = pod.get("status") or {}
    if "qosClass" in status:
        return pod
    return {**pod, "status": {**status, "qosClass": qos_class(pod.get("spec") or {})}}


def _filled(obj: Object, defaults: Mapping[str, Any]) -> Object:
    missing = {name: value for name, value in defaults.items() if name not in obj}
    return {**obj, **missing} if missing else obj


def _with_each(obj: Object, field: str, change: Any) -> Object:
    items = obj.get(field)
    if not items:
        return obj
    changed = [change(item) for item in items]
    same = all(new is old for new, old in zip(changed, items, strict=True))
    return obj if same else {**obj, field: changed}


def _container(container: Object, *, host_network: bool) -> Object:
    full = _filled(container, {**_CONTAINER, "imagePullPolicy": pull_policy(container.get("image", ""))})
    full = _with_each(full, "ports", lambda port: _port(port, host_network=host_network))
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(full.get(probe), dict):
            full = _replaced(full, probe, _probe(full[probe]))
    if isinstance(full.get("lifecycle"), dict):
        full = _replaced(full, "lifecycle", _lifecycle(full["lifecycle"]))
    resources = quantities(full["resources"])
    full = _replaced(full, "resources", resources)
    limits, requests = resources.get("limits"), resources.get("requests") or {}
    if limits and any(name not in requests for name in limits):
        full = {**full, "resources": {**resources, "requests": {**limits, **requests}}}
    return _with_each(full, "env", _env)


def quantities(resources: Object) -> Object:
    """Resources with every quantity as text, as it is shown: `cpu: 1` becomes `cpu: "1"`."""
    changed = {name: amounts_as_text(value) for name, value in resources.items()}
    return resources if all(changed[name] is resources[name] for name in changed) else changed


def amounts_as_text(amounts: Any) -> Any:
    """The map with numbers as text; the same map when all are text."""
    if not isinstance(amounts, dict) or all(isinstance(amount, str) for amount in amounts.values()):
        return amounts
    return {name: amount if isinstance(amount, str) else str(amount) for name, amount in amounts.items()}


def _replaced(obj: Object, field: str, value: Any) -> Object:
    return obj if obj.get(field) is value else {**obj, field: value}


def pull_policy(image: str) -> str:
    """`Always` for no tag or `latest`, else `IfNotPresent`; a digest is a tag."""
    name = image.rpartition("/")[2]
    if "@" in name:
        return "IfNotPresent"
    return "Always" if name.partition(":")[2] in ("", "latest") else "IfNotPresent"


def _port(port: Object, *, host_network: bool) -> Object:
    defaults: Object = {"protocol": "TCP"}
    if host_network and "containerPort" in port:
        defaults["hostPort"] = port["containerPort"]
    return _filled(port, defaults)


def _probe(probe: Object) -> Object:
    full = _filled(probe, _PROBE)
    full = _handler(full)
    if isinstance(full.get("grpc"), dict):
        full = _replaced(full, "grpc", _filled(full["grpc"], {"service": ""}))
    return full


def _lifecycle(hooks: Object) -> Object:
    for hook in ("postStart", "preStop"):
        if isinstance(hooks.get(hook), dict):
            hooks = _replaced(hooks, hook, _handler(hooks[hook]))
    return hooks


def _handler(handler: Object) -> Object:
    """A probe or hook, of which a GET goes to the root by HTTP."""
    if not isinstance(handler.get("httpGet"), dict):
        return handler
    return _replaced(handler, "httpGet", _filled(handler["httpGet"], {"path": "/", "scheme": "HTTP"}))


def _env(variable: Object) -> Object:
    source = variable.get("valueFrom") or {}
    reference = source.get("fieldRef")
    if not reference or "apiVersion" in reference:
        return variable
    return {**variable, "valueFrom": {**source, "fieldRef": {**reference, "apiVersion": "v1"}}}


def _volume(volume: Object) -> Object:
    if len(volume) == 1:
        return {**volume, "emptyDir": {}}
    for source in _MODED_VOLUMES:
        if isinstance(volume.get(source), dict):
            return _replaced(volume, source, _filled(volume[source], {"defaultMode": MODE}))
    if isinstance(volume.get("hostPath"), dict):
        return _replaced(volume, "hostPath", _filled(volume["hostPath"], {"type": ""}))
    return volume


def qos_class(spec: Object) -> str:
    """The quality-of-service class, by quantity (ComputePodQOS): 1000m is 1, and nothing asked for is zero.

    Guaranteed: every container has limits of CPU and memory, and the sums of requests are those of limits.
    Resources of the pod as a whole, where given, count alone.
    """
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    whole = spec.get("resources") or {}
    if any(_qos_amounts(whole.get(part)) for part in ("requests", "limits")):
        containers = [{"resources": whole}]
    requests: dict[str, Decimal] = {}
    limits: dict[str, Decimal] = {}
    limited = True
    for container in containers:
        resources = container.get("resources") or {}
        own_limits = _qos_amounts(resources.get("limits"))
        limited = limited and len(own_limits) == len(_QOS_RESOURCES)
        _add(limits, own_limits)
        _add(requests, _qos_amounts(resources.get("requests")))
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if limited and requests == limits else "Burstable"


def _qos_amounts(quantities: Any) -> dict[str, Decimal]:
    """CPU and memory that are more than zero; validation refuses what cannot be read."""
    read: dict[str, Decimal] = {}
    for name in _QOS_RESOURCES:
        with suppress(ValueError):
            read[name] = parse_quantity((quantities or {}).get(name, 0))
    return {name: amount for name, amount in read.items() if amount > 0}


def _add(total: dict[str, Decimal], more: Mapping[str, Decimal]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, Decimal(0)) + amount
