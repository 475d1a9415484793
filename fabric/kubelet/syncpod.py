"""SyncPod carries out a pod's actions: volumes, sandbox, network, files, then containers, in this order.

A pod's containers start only after its network is up. What is done already is found done: every
step may be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fabric.api.hostports import host_ports
from fabric.api.objects import Object, uid_of
from fabric.control.clock import Clock
from fabric.control.events import Events
from fabric.errors import FabricError, disk_refusals
from fabric.kubelet.backoff import KeyedBackoff
from fabric.kubelet.catalogue import Image
from fabric.kubelet.config import KubeletConfig
from fabric.kubelet.containers import container_spec
from fabric.kubelet.environment import Sources, environment, references
from fabric.kubelet.fields import PodFacts
from fabric.kubelet.hostfiles import hosts, resolv_conf
from fabric.kubelet.images import Puller
from fabric.kubelet.mounts import (
    container_mounts,
    prepare_host_paths,
    refresh_volumes,
    set_up_volumes,
    write_etc_files,
)
from fabric.kubelet.network import PodNetwork, pod_ref
from fabric.kubelet.podactions import ContainerStart, PodActions, restart_key
from fabric.kubelet.podcache import PodCache
from fabric.kubelet.podfiles import PodFiles, make_folder
from fabric.kubelet.podspec import field_path, host_network, hostname, restart_policy, spec_of
from fabric.kubelet.records import (
    LABEL_CONTAINER,
    LABEL_RESTARTS,
    ConfigError,
    CreateFailed,
    MountFailed,
    Waiting,
)
from fabric.kubelet.sources import SourceCache
from fabric.kubelet.volumes import volume_references
from fabric.runtime.contract import ContainerStatus, Mount, RuntimeRefused, SandboxSpec

CONFIG_RETRY_SECONDS = 10.0


@dataclass(frozen=True)
class SyncResult:
    """The result of one sync: containers that still wait, and when to look again."""

    waiting: Mapping[str, Waiting]
    wake_seconds: float | None = None

    def and_then(self, later: SyncResult) -> SyncResult:
        """Join two results: the later word on a container stands."""
        wakes = [each.wake_seconds for each in (self, later) if each.wake_seconds is not None]
        return SyncResult({**self.waiting, **later.waiting}, min(wakes, default=None))


class PodSyncer:
    """A pod syncer starts the pods of one node."""

    def __init__(
        self,
        config: KubeletConfig,
        pod_cache: PodCache,
        network: PodNetwork,
        sources: SourceCache,
        puller: Puller,
        backoff: KeyedBackoff,
        recorder: Events,
        clock: Clock,
        allocatable: Mapping[str, str],
    ) -> None:
        self._config = config
        self._pod_cache = pod_cache
        self._network = network
        self._sources = sources
        self._puller = puller
        self.backoff = backoff
        self._recorder = recorder
        self._clock = clock
        self._allocatable = allocatable
        self._volumes: dict[str, dict[str, Mount]] = {}
        self._files: dict[str, PodFiles] = {}

    async def sync_pod(self, pod: Object, actions: PodActions) -> SyncResult:
        """Do what the actions say; FabricError (after an event) when sandbox, network or volumes refuse."""
        if actions.sandbox != "keep":
            self._volumes.pop(uid_of(pod), None)
        volumes = await self._volumes_of(pod)
        try:
            await self._ensure_sandbox(pod, actions)
        except FabricError as error:
            self._recorder.event(
                pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}"
            )
            raise
        waiting = dict(actions.waiting)
        wakes = [actions.wake_seconds] if actions.wake_seconds else []
        for start in actions.start:
            why, seconds = await self._start(pod, start, volumes)
            if why:
                waiting[start.container["name"]] = why
                wakes.append(seconds)
        return SyncResult(waiting, min(wakes, default=None))

    def is_up(self, pod: Object) -> bool:
        """True when the pod needs no network, or has it."""
        return host_network(pod) or self._network.is_up(uid_of(pod))

    def pod_ips(self, pod: Object) -> tuple[str, ...]:
        return self._config.addresses if host_network(pod) else self._network.addresses(uid_of(pod))

    async def refresh(self, pod: Object) -> None:
        """Write what the API changed in the pod's mounted maps and secrets."""
        wanted = volume_references(pod)
        if wanted and uid_of(pod) in self._volumes:
            sources = await self._sources.fetch(pod["metadata"]["namespace"], wanted)
            refresh_volumes(self._files_of(pod).volumes, self._facts(pod), sources)

    def forget(self, uid: str) -> None:
        self._volumes.pop(uid, None)
        self._files.pop(uid, None)
        self._puller.forget(uid)
        self.backoff.forget(f"{uid}/")

    async def _volumes_of(self, pod: Object) -> dict[str, Mount]:
        uid = uid_of(pod)
        if uid not in self._volumes:
            sources = await self._sources.fetch(pod["metadata"]["namespace"], volume_references(pod))
            directory = self._files_of(pod).volumes
            try:
                await prepare_host_paths(pod, self._config.node_name, self._pod_cache)
                self._volumes[uid] = set_up_volumes(directory, self._facts(pod), sources)
            except MountFailed as error:
                self._recorder.event(pod, "Warning", "FailedMount", str(error))
                raise
        return self._volumes[uid]

    async def _ensure_sandbox(self, pod: Object, actions: PodActions) -> None:
        uid = uid_of(pod)
        if actions.sandbox == "restart":
            await self._pod_cache.stop_sandbox(uid)
        if actions.sandbox != "keep":
            self._network.lose(uid)
            await self._pod_cache.start_sandbox(self._sandbox_spec(pod))
        if not self.is_up(pod):
            await self._network.attach(pod_ref(pod), host_ports(spec_of(pod)))
        self._write_etc_files(pod)

    def _sandbox_spec(self, pod: Object) -> SandboxSpec:
        in_host = host_network(pod)
        name = self._config.node_name if in_host else hostname(pod)
        return SandboxSpec(uid_of(pod), self._config.node_name, name, in_host, self._config.ipv6)

    def _write_etc_files(self, pod: Object) -> None:
        config = self._config
        name = config.node_name if host_network(pod) else hostname(pod)
        texts = {
            "etc-hosts": hosts(pod, self.pod_ips(pod), config.cluster_domain, config.node_name),
            "hostname": f"{name}\n",
            "resolv.conf": resolv_conf(pod, config.cluster_dns, config.cluster_domain),
        }
        write_etc_files(self._files_of(pod).volumes, texts)

    async def _start(
        self, pod: Object, start: ContainerStart, volumes: Mapping[str, Mount]
    ) -> tuple[Waiting | None, float]:
        """Start one container; return why it waits and for how many seconds, or (None, 0)."""
        now = self._clock.now().timestamp()
        image, why, seconds = self._puller.pull(pod, start.container, now)
        if image is None:
            self._tell_pull(pod, start.container, why)
            return why, seconds
        sources = await self._sources.fetch(pod["metadata"]["namespace"], references(start.container))
        try:
            status = await self._run(pod, start, image, volumes, sources)
        except (ConfigError, MountFailed, CreateFailed, RuntimeRefused) as error:
            self._tell(pod, start.container, "Warning", "Failed", f"Error: {error}")
            return Waiting(_reason(error), str(error)), CONFIG_RETRY_SECONDS
        if start.after:
            self.backoff.next(restart_key(pod, start.container), start.after.finished_at)
        await self._trim(pod, start)
        return self._told(pod, start, status), 0.01

    async def _run(
        self, pod: Object, start: ContainerStart, image: Image, volumes: Mapping[str, Mount], sources: Sources
    ) -> ContainerStatus:
        files = self._files_of(pod)
        env = environment(start.container, self._facts(pod), sources)
        mounts = container_mounts(start.container, volumes, files.volumes, env)
        log_path = files.log(start.container["name"], start.restart_count)
        node = self._config.node_name
        spec = container_spec(pod, start.container, start.restart_count, image, env, mounts, log_path, node)
        with disk_refusals(CreateFailed, f"directory {log_path.parent}"):
            make_folder(str(log_path.parent))
        return await self._pod_cache.start_container(spec)

    def _told(self, pod: Object, start: ContainerStart, status: ContainerStatus) -> Waiting | None:
        container = start.container
        name = container["name"]
        if status.state == "exited" and status.reason == "StartError":
            self._tell(
                pod, container, "Warning", "Failed", f"Error: failed to start container: {status.message}"
            )
            return Waiting("RunContainerError", status.message) if restart_policy(pod) != "Never" else None
        image = container.get("image", "")
        self._tell(
            pod, container, "Normal", "Pulled", f'Container image "{image}" already present on machine'
        )
        self._tell(pod, container, "Normal", "Created", f"Created container: {name}")
        self._tell(pod, container, "Normal", "Started", f"Started container {name}")
        return None

    def _tell_pull(self, pod: Object, container: Object, why: Waiting | None) -> None:
        name = container.get("image", "")
        if why and why.reason == "ErrImagePull":
            self._tell(pod, container, "Warning", "Failed", f'Failed to pull image "{name}": {why.message}')
            self._tell(pod, container, "Warning", "Failed", "Error: ErrImagePull")
        elif why:
            self._tell(pod, container, "Normal", "BackOff", f'Back-off pulling image "{name}"')
            self._tell(pod, container, "Warning", "Failed", "Error: ImagePullBackOff")

    def _tell(self, pod: Object, container: Object, type: str, reason: str, message: str) -> None:
        where = field_path(pod, container["name"])
        self._recorder.event(pod, type, reason, message, field_path=where)

    async def _trim(self, pod: Object, start: ContainerStart) -> None:
        """Keep the last end of a container beside its present start; forget earlier ones and their logs."""
        if start.restart_count < 2:
            return
        files = self._files_of(pod)
        name = start.container["name"]
        for container in self._pod_cache.containers(uid_of(pod)):
            count = int(container.labels.get(LABEL_RESTARTS, "0"))
            if container.labels.get(LABEL_CONTAINER) == name and count < start.restart_count - 1:
                await self._pod_cache.remove_container(uid_of(pod), container.id)
                files.remove_log(name, count)

    def _files_of(self, pod: Object) -> PodFiles:
        found = self._files.get(uid_of(pod))
        if found is None:
            found = self._files[uid_of(pod)] = PodFiles.of(self._config, pod)
        return found

    def _facts(self, pod: Object) -> PodFacts:
        config = self._config
        return PodFacts(pod, config.node_name, config.addresses, self.pod_ips(pod), self._allocatable)


def _reason(error: FabricError) -> str:
    at_fault = isinstance(error, CreateFailed | RuntimeRefused)
    return "CreateContainerError" if at_fault else "CreateContainerConfigError"
