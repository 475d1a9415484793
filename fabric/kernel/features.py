"""Features are what this machine's kernel can do for a pod network, found out by trying.

Every trial runs in a child process with a network namespace (and, without root, a user namespace) of its own,
which ends with it: nothing of the host's is changed. A feature that is missing says what that costs and what
brings it.
"""

from __future__ import annotations

import json
import os
import signal
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from fabric.errors import FabricError
from fabric.kernel import trials

PROBE_SECONDS_MAX = 20


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature is something that the kernel, or a tool, can or cannot do here."""

    name: str
    present: bool
    detail: str
    """Which variant there is, or what Linux answered."""
    remedy: str
    """What to do when it is missing; empty when it is present."""


_MODULE = "{0}, or boot a kernel that has it (Debian: linux-image-amd64, user-mode-linux)"
_REMEDIES: dict[str, str] = {
    "netns": "run as root, or allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1",
    "veth": _MODULE.format("modprobe veth"),
    "bridge": _MODULE.format("modprobe bridge"),
    "vxlan": _MODULE.format("modprobe vxlan") + "; without it use the backend host-gw",
    "tun": _MODULE.format("modprobe tun") + "; /dev/net/tun must be writable",
    "ipip": _MODULE.format("modprobe ipip") + "; without it tunl0 is carried in user space, over tun",
    "vlan": _MODULE.format("modprobe 8021q"),
    "netem": _MODULE.format("modprobe sch_netem") + "; without it links have no delay and no loss",
    "tbf": _MODULE.format("modprobe sch_tbf") + "; without it links have no rate",
    "ipv6": "boot without ipv6.disable=1",
    "iptables": "apt-get install iptables; modprobe ip_tables or nf_tables",
    "ip6tables": "apt-get install iptables; modprobe ip6_tables or nf_tables",
    "ipset": "apt-get install ipset; modprobe ip_set ip_set_hash_net xt_set",
    "bridge-nf": "modprobe br_netfilter; without it pods of one node bypass network policy",
    "cgroup2": "mount -t cgroup2 none /sys/fs/cgroup, and run as root: Linux 5.14 or later (cgroup.kill)",
    "pids": "echo +pids > cgroup.subtree_control at the root of cgroup v2, or boot with cgroup_no_v1=pids; "
    "without it pods can use up the machine's processes",
}


def probe(names: Collection[str] = tuple(_REMEDIES)) -> Mapping[str, Feature]:
    """Try these features, or all; unknown names are left out. At most PROBE_SECONDS_MAX. Forks.

    What a pod network needs takes some tens of milliseconds, all of it a third of a second.
    """
    wanted = [name for name in _REMEDIES if name in names]
    answers = json.loads(_in_child(lambda: _try_all(wanted)) or "{}")
    ended_early = (False, "the trials ended early")
    return {name: _feature(name, *answers.get(name, ended_early)) for name in wanted}


def _feature(name: str, present: bool, detail: str) -> Feature:
    return Feature(name, present, detail, "" if present else _REMEDIES[name])


def _in_child(work: Callable[[], str]) -> bytes:
    """Return what `work` returns in a child that ends with it; empty when it did not end by itself."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(PROBE_SECONDS_MAX)
            os.write(writable, work().encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writable)
    with os.fdopen(readable, "rb") as answers:
        answer = answers.read()
    os.waitpid(pid, 0)
    return answer


def _try_all(names: Iterable[str]) -> str:
    answers = {"netns": _try(trials.enter)}
    if answers["netns"][0]:
        answers |= {name: _try(trials.TRIALS[name]) for name in names if name in trials.TRIALS}
    return json.dumps(answers)


def _try(trial: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, trial()
    except (OSError, FabricError) as error:
        detail = getattr(error, "detail", "")
        return False, f"{getattr(error, 'strerror', None) or error}{f': {detail}' if detail else ''}"
