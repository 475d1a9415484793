"""A pod's volumes on the node's disk, and the mounts that show them to a container.

An emptyDir (of either medium) is a directory that lives as long as the pod. A hostPath is a path of the
*node*: the runtime looks it up, makes and mounts it where the node's own programs see it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from fabric import folders
from fabric.api.objects import Object, uid_of
from fabric.errors import FabricError, disk_refusals
from fabric.kubelet.environment import Sources
from fabric.kubelet.expansion import expand
from fabric.kubelet.fields import PodFacts
from fabric.kubelet.payload import publish
from fabric.kubelet.podcache import PodCache
from fabric.kubelet.podfiles import write_texts
from fabric.kubelet.podspec import spec_of
from fabric.kubelet.records import MountFailed
from fabric.kubelet.volumes import contents, has_content
from fabric.runtime.contract import Mount, Runtime, RuntimeRefused

log = logging.getLogger(__name__)

ETC_FILES = {"etc-hosts": "/etc/hosts", "hostname": "/etc/hostname", "resolv.conf": "/etc/resolv.conf"}
"""Files in the pod's directory, and where each container sees them."""


def set_up_volumes(directory: Path, facts: PodFacts, sources: Sources) -> dict[str, Mount]:
    """Make the volumes and return by name what to mount (targets are empty); MountFailed names the volume."""
    found = {}
    for volume in spec_of(facts.pod).get("volumes") or ():
        try:
            with disk_refusals(FabricError, "the node's disk"):
                found[volume["name"]] = _set_up(volume, directory / "volumes", facts, sources)
        except FabricError as error:
            raise _failed(volume, error) from error
    return found


async def prepare_host_paths(pod: Object, node: str, runtime: Runtime | PodCache) -> None:
    """Have the runtime check the pod's hostPaths by their types, and make them; MountFailed names one."""
    for volume in spec_of(pod).get("volumes") or ():
        source = volume.get("hostPath")
        if source:
            try:
                await runtime.prepare_host_path(node, source["path"], source.get("type") or "")
            except RuntimeRefused as error:
                raise _failed(volume, error) from error


def refresh_volumes(directory: Path, facts: PodFacts, sources: Sources) -> None:
    """Write what the API has changed since; one that cannot be read or written keeps its old files."""
    for volume in spec_of(facts.pod).get("volumes") or ():
        if has_content(volume):
            try:
                with disk_refusals(MountFailed, f"volume {volume['name']}"):
                    publish(directory / "volumes" / volume["name"], contents(volume, facts, sources))
            except FabricError as error:
                log.info("volume %s of pod %s stays as it is: %s", volume["name"], uid_of(facts.pod), error)


def container_mounts(
    container: Object, volumes: Mapping[str, Mount], directory: Path, env: Mapping[str, str]
) -> tuple[Mount, ...]:
    """All mounts of a container: its volumes, and the /etc files unless it mounts its own there."""
    mounts = []
    for each in container.get("volumeMounts") or ():
        with disk_refusals(MountFailed, f"volumeMount {each['name']} on {each['mountPath']}"):
            mounts.append(_volume_mount(each, volumes, env))
    taken = {mount.target for mount in mounts}
    etc = [Mount(target, directory / name) for name, target in ETC_FILES.items() if target not in taken]
    return (*etc, *sorted(mounts, key=lambda mount: mount.target.count("/")))


def write_etc_files(directory: Path, texts: Mapping[str, str]) -> None:
    """Write the files of ETC_FILES where they differ, in place: containers have them mounted. FabricError."""
    with disk_refusals(FabricError, f"files of the pod's resolver in {directory}"):
        write_texts(str(directory), texts)


def _failed(volume: Object, error: FabricError) -> MountFailed:
    return MountFailed(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}')


def _set_up(volume: Object, directory: Path, facts: PodFacts, sources: Sources) -> Mount:
    path = directory / volume["name"]
    if has_content(volume):
        publish(path, contents(volume, facts, sources))
        return Mount("", path, read_only=True)
    if "hostPath" in volume:
        return Mount("", Path(volume["hostPath"]["path"]), of_node=True)
    if "emptyDir" in volume or not set(volume) - {"name"}:
        if not path.exists():
            folders.make(str(path))
            path.chmod(0o777)
        return Mount("", path)
    kind = next(iter(set(volume) - {"name"}))
    raise MountFailed(
        f"volume type {kind} is not supported; allowed: emptyDir, configMap, secret, downwardAPI, projected, "
        "hostPath"
    )


def _volume_mount(wanted: Object, volumes: Mapping[str, Mount], env: Mapping[str, str]) -> Mount:
    volume = volumes.get(wanted["name"])
    if volume is None or volume.source is None:
        raise MountFailed(f"volumeMount names volume {wanted['name']!r}, which the pod does not have")
    sub_path = wanted.get("subPath") or expand(wanted.get("subPathExpr") or "", env)
    source = volume.source
    read_only = volume.read_only or bool(wanted.get("readOnly"))
    if volume.of_node:
        return Mount(wanted["mountPath"], source, read_only=read_only, of_node=True, sub_path=sub_path)
    if sub_path:
        source = source / sub_path
        if volume.read_only or source.exists():
            source = _inside(volume.source, source)
        else:
            folders.make(str(_inside(volume.source, source)))
    return Mount(wanted["mountPath"], source, read_only=read_only)


def _inside(root: Path, path: Path) -> Path:
    """Follow links, and refuse to leave `root`: what a container wrote must not lead out."""
    found = Path(folders.real_path(str(path)))
    if not found.is_relative_to(folders.real_path(str(root))):
        raise MountFailed(f"{path} leads out of {root}")
    return found
