"""A node's init is PID 1 of a PID namespace, with a root of its own over the host's."""

from __future__ import annotations

import os

from fabric.runtime.namespaces import roots
from fabric.runtime.namespaces.netns import prepare_node
from fabric.runtime.processes import linux, program
from fabric.runtime.processes.files import to_null

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fabric.runtime.namespaces.root_template import RootTemplate
    from fabric.runtime.processes.pending import Channel, Exec, Prepare

_OF_A_NODE = linux.CLONE_NEWNET | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC
NAMESPACES = linux.CLONE_NEWPID | _OF_A_NODE
PAUSE = ["catatonit", "-P"]


def node(spec: dict[str, Any], template: RootTemplate) -> Prepare:
    """Return what the child does that becomes a node's init."""

    def set_up(channel: Channel) -> Exec:
        linux.unshare(_OF_A_NODE)
        prepare_node(spec.get("ipv6", False), spec["name"])
        mounts = [{"target": "/dev", "source": "/dev"}, {"target": "/run"}, *spec.get("mounts", ())]
        trees = roots.Trees({mount["target"]: mount for mount in mounts}.values())
        template.enter_copy()
        roots.enter(template, ("/layer", "/host"), suid=True)
        roots.mount_proc(-1)
        roots.mount_sys(read_only=False)
        trees.attach()
        os.chdir("/")
        to_null((0, 1))
        channel.hello()
        return lambda: program.become(PAUSE, {"PATH": program.PATH})

    return set_up
