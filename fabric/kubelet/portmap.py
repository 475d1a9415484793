"""Host ports are mapped to pods by the rules of the CNI plugin portmap, as `iptables-save` prints them.

    PREROUTING, OUTPUT  to an address of the node        -> CNI-HOSTPORT-DNAT
    CNI-HOSTPORT-DNAT   to one of the pod's host ports   -> CNI-DN-<hash of the pod>
    CNI-DN-…            from the pod itself or 127.0.0.1 -> CNI-HOSTPORT-SETMARK; then DNAT to the pod
    POSTROUTING         with the mark                    -> CNI-HOSTPORT-MASQ, MASQUERADE

`HostPorts` keeps them on one node: they come with a pod's network, go with it, and are put back.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from fabric.api.hostports import HostPort
from fabric.control.loop import Loop
from fabric.control.netloop import NetLoop
from fabric.errors import FabricError
from fabric.netstate.marks import PORTMAP_MASQUERADE
from fabric.netstate.objects import Chain, Family, IPInterface, Jump, NetObject, NetState, Sysctl, Veth
from fabric.netstate.port import Host, Owner
from fabric.netstate.rules import Rule
from fabric.plugin.contract import Attachment, PodRef

DNAT_CHAIN, SETMARK_CHAIN, MASQ_CHAIN = "CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ"
CHAIN_LENGTH = 28
PORTS_MAX = 15
"""A rule of multiport takes no more."""
CONF_DIR = Path("etc/cni/net.d")
CONVERGE_SECONDS = 0.2
"""A pod is waited for so long, then later and aside: its worker has other pods to see to."""
RESTART_SECONDS = 10.0
"""A kubelet that was started again waits so long for its pods before it removes rules that none wants."""


@dataclass(frozen=True, slots=True)
class PortMap:
    """The host ports of one pod, in its containers' order, and its addresses."""

    sandbox_id: str
    ports: tuple[HostPort, ...]
    ips: tuple[IPInterface, ...]
    origin: str = ""


def portmap_state(network: str, maps: Iterable[PortMap]) -> NetState:
    """Return all rules of a node's host ports; `network` is the name of its CNI configuration."""
    found: list[NetObject] = []
    maps = tuple(maps)
    families: tuple[Family, ...] = (4, 6)
    for family in families:
        of_family = [(it, ip) for it in maps for ip in it.ips[:2] if ip.version == family]
        if of_family:
            entries = [rule for it, _ in of_family for rule in _entry_rules(network, it)]
            found += [*_shared(family), Chain("nat", DNAT_CHAIN, tuple(entries), family)]
            found += [
                Chain("nat", dnat_chain(network, it.sandbox_id), tuple(_dnat_rules(it, ip)), family)
                for it, ip in of_family
            ]
    return frozenset(found)


def dnat_chain(network: str, sandbox_id: str) -> str:
    """Return the name of a pod's own chain: CNI's hash of network and container."""
    digest = hashlib.sha512((network + sandbox_id).encode()).hexdigest()
    return f"CNI-DN-{digest}"[:CHAIN_LENGTH]


def localnet(attachment: Attachment) -> NetState:
    """Return the setting of the pod's device on the node by which packets from 127.0.0.1 may go out there."""
    if not any(ip.version == 4 for ip in attachment.ips):
        return frozenset()
    devices = {obj.master or obj.name for obj in attachment.node if isinstance(obj, Veth)}
    return frozenset(Sysctl(f"net/ipv4/conf/{device}/route_localnet", "1") for device in devices)


def network_name(root: Path) -> str:
    """Return the name of the node's CNI configuration: of its first file, as a container runtime reads it."""
    for path in sorted((root / CONF_DIR).glob("*.conflist")):
        try:
            name = json.loads(path.read_text())["name"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        return str(name)
    return "cbr0"


class HostPorts:
    """The host ports of one node's pods; `run` must be running."""

    def __init__(self, host: Host, root: Path) -> None:
        """`root`: the node's private files."""
        self._root = root
        self._loop = NetLoop(host, _OWNER, name=f"host ports of {host.name}")
        self._maps: dict[str, tuple[PodRef, PortMap]] = {}
        self._awaited: set[str] = set()
        self._needed = asyncio.Event()
        self._late: set[str] = set()
        """Pods whose `put` came back before their ports were mapped."""
        self._telling = Loop(f"late host ports of {host.name}", self._tell_late)
        self.on_mapped: Callable[[str], None] = lambda _: None
        """To be called with a pod's UID when its ports are mapped after all."""

    async def run(self) -> None:
        """Keep the rules for ever, from the first pod on that has a host port, or may have had one."""
        await self._needed.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._loop.run())
            tasks.create_task(self._telling.run())
            await asyncio.sleep(RESTART_SECONDS)
            self._awaited.clear()
            self._publish()

    def resume(self, uids: Iterable[str]) -> None:
        """Expect these pods, which ran before: nothing is removed until they are put, or gone."""
        self._awaited = set(uids)
        self._needed.set()
        self._publish()

    async def put(self, ref: PodRef, ports: Sequence[HostPort], ips: tuple[IPInterface, ...]) -> None:
        """Map a pod's ports; return when they are, or FabricError says soon why they are not yet."""
        self._awaited.discard(ref.uid)
        if ports:
            origin = f"pod {ref.namespace}/{ref.name}"
            self._maps[ref.uid] = (ref, PortMap(ref.sandbox_id, tuple(ports), ips, origin))
            self._needed.set()
        else:
            self._maps.pop(ref.uid, None)
        self._publish()
        if ports:
            await self._programmed(ref.uid)

    def drop(self, uid: str) -> None:
        """Remove the rules of a pod whose network is gone; one that has none costs nothing."""
        if uid in self._awaited or uid in self._maps:
            self._awaited.discard(uid)
            self._maps.pop(uid, None)
            self._late.discard(uid)
            self._publish()

    def _publish(self) -> None:
        if self._needed.is_set() and not self._awaited:
            maps = sorted(
                self._maps.values(), key=lambda each: (each[0].namespace, each[0].name, each[0].uid)
            )
            self._loop.want("portmap", portmap_state(network_name(self._root), (it for _, it in maps)))

    async def _programmed(self, uid: str) -> None:
        try:
            async with asyncio.timeout(CONVERGE_SECONDS):
                await self._loop.until_converged()
        except TimeoutError:
            self._late.add(uid)
            self._telling.trigger()
            why = self._loop.last_error or "pods that ran before have not come back yet"
            raise FabricError(f"host ports are not mapped yet: {why}") from None

    async def _tell_late(self) -> None:
        if self._late:
            await self._loop.until_converged()
        late, self._late = self._late, set()
        for uid in late:
            self.on_mapped(uid)


def _owns(obj: NetObject) -> bool:
    match obj:
        case Chain(table="nat", name=name):
            return name.startswith(("CNI-DN-", "CNI-HOSTPORT-"))
        case Jump(table="nat", rule=rule):
            return rule.target in (DNAT_CHAIN, MASQ_CHAIN)
    return False


_OWNER = Owner("portmap", frozenset((Chain, Jump)), _owns)


def _shared(family: Family) -> Iterator[NetObject]:
    """Yield the hooks and chains that all pods of a node share."""
    for chain in ("PREROUTING", "OUTPUT"):
        rule = Rule("-m addrtype --dst-type LOCAL", f"-j {DNAT_CHAIN}", "portmap")
        yield Jump("nat", chain, rule, "append", family)
    masquerade = '-m comment --comment "CNI portfwd requiring masquerade"'
    yield Jump("nat", "POSTROUTING", Rule(masquerade, f"-j {MASQ_CHAIN}", "portmap"), "anywhere", family)
    mark = Rule(
        '-m comment --comment "CNI portfwd masquerade mark"',
        f"-j MARK --set-xmark {PORTMAP_MASQUERADE}",
        "portmap",
    )
    yield Chain("nat", SETMARK_CHAIN, (mark,), family)
    yield Chain(
        "nat", MASQ_CHAIN, (Rule(f"-m mark --mark {PORTMAP_MASQUERADE}", "-j MASQUERADE", "portmap"),), family
    )


def _entry_rules(network: str, it: PortMap) -> Iterator[Rule]:
    comment = f'-m comment --comment "dnat name: \\"{network}\\" id: \\"{it.sandbox_id}\\""'
    by_protocol: dict[str, list[str]] = {}
    for port in it.ports:
        by_protocol.setdefault(port.protocol.lower(), []).append(str(port.port))
    target = f"-j {dnat_chain(network, it.sandbox_id)}"
    for protocol, ports in sorted(by_protocol.items()):
        for first in range(0, len(ports), PORTS_MAX):
            numbers = ",".join(ports[first : first + PORTS_MAX])
            yield Rule(f"-p {protocol} {comment} -m multiport --dports {numbers}", target, it.origin)


def _dnat_rules(it: PortMap, ip: IPInterface) -> Iterator[Rule]:
    """Yield for each port: mark what comes back to the pod itself, mark 127.0.0.1, and map."""
    host = f"[{ip.ip}]" if ip.version == 6 else str(ip.ip)
    for port in it.ports:
        address = ip_address(port.address) if port.address else None
        if address is not None and address.version != ip.version:
            continue
        to = f"-d {address}/{address.max_prefixlen} " if address and not address.is_unspecified else ""
        protocol = port.protocol.lower()
        match = f"{to}-p {protocol} -m {protocol} --dport {port.port}"
        yield Rule(f"-s {ip.network} {match}", f"-j {SETMARK_CHAIN}", it.origin)
        if ip.version == 4:
            yield Rule(f"-s 127.0.0.1/32 {match}", f"-j {SETMARK_CHAIN}", it.origin)
        yield Rule(match, f"-j DNAT --to-destination {host}:{port.container_port}", it.origin)
