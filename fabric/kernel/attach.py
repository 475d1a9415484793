"""Wiring a fresh pod: both namespaces are written without being read first.

A pod's namespace is new, so the plan is known before Linux is asked: a veth pair and what goes with it on the
node, then addresses and routes in the pod. Only when Linux refuses is the truth read and the rest computed.
"""

from __future__ import annotations

from fabric.errors import KernelRefused
from fabric.netstate.objects import NetState, Sysctl
from fabric.netstate.plan import additions, diff
from fabric.netstate.port import Host, Kernel, Owner


async def attach(
    kernel: Kernel, node: str, pod: str, attachment_node: NetState, attachment_pod: NetState
) -> None:
    """Give namespaces `node` and `pod` what the attachment says; what is there already stays.

    KernelRefused when Linux does not take it; nothing is undone then: attach again, or delete the pod.
    """
    try:
        await kernel.apply({node: additions(attachment_node), pod: additions(attachment_pod)})
    except KernelRefused:
        await _repair(kernel.host(node), attachment_node)
        await _repair(kernel.host(pod), attachment_pod)


async def _repair(host: Host, desired: NetState) -> None:
    actual = await host.read(_owner_of(desired))
    await host.apply(diff(desired, actual))


def _owner_of(desired: NetState) -> Owner:
    keys = {obj.key for obj in desired}
    return Owner(
        name="attach",
        kinds=frozenset(map(type, desired)),
        owns=lambda obj: obj.key in keys,
        sysctls=frozenset(obj.path for obj in desired if isinstance(obj, Sysctl)),
    )
