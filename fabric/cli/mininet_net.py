"""A running cluster that looks like a Mininet network: nodes, switches, routers and pods are Mininet's nodes.

What Mininet's command line asks of its network is answered from the cluster's spec and API; what it would do
to a wire is written into the spec, as `fabric link` does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mininet.log import error, output
from mininet.net import Mininet

from fabric.api import kinds
from fabric.api.objects import Key, Object, condition_is, key_of, uid_of
from fabric.cli.mininet_nodes import Cable, Host, Pod, Port, Router, Shelled, Switch
from fabric.cluster import lookup
from fabric.cluster.lookup import container_id, container_name
from fabric.cluster.paths import ClusterPaths
from fabric.cluster.runtimes import Shell, Shells
from fabric.cluster.spec import ClusterSpec
from fabric.cluster.underlay import links
from fabric.cluster.underlay.hosts import wanted_hosts
from fabric.cluster.underlay.state import Underlay
from fabric.errors import FabricError
from fabric.topology.addressing import port_name
from fabric.topology.underlay import BRIDGE
from fabric.topology.wiring import Device, Link

IPERF_PORT, IPERF_SECONDS = 5201, 5
IPERF_TRIES, IPERF_WAIT_SECONDS = 20, 0.1
_CLASSES: dict[str, type[Shelled]] = {"host": Host, "switch": Switch, "router": Router}


class Net:
    """The network as Mininet's command line asks for it."""

    ping, pingFull = Mininet.ping, Mininet.pingFull
    pingAll, pingAllFull = Mininet.pingAll, Mininet.pingAllFull
    pingPair, pingPairFull = Mininet.pingPair, Mininet.pingPairFull
    _parsePing = staticmethod(Mininet._parsePing)
    _parsePingFull = staticmethod(Mininet._parsePingFull)

    def __init__(
        self, paths: ClusterPaths, spec: ClusterSpec, shells: Shells, pids: Mapping[str, int]
    ) -> None:
        """`pids` are those of hosts by name and of pods by UID."""
        self._paths, self._spec, self._shells, self._pids = paths, spec, shells, pids
        self._underlay = Underlay.of(spec)
        self._workers = wanted_hosts(spec)
        self.controllers: list[Any] = []
        self.terms: list[Any] = []
        self.nameToNode = {it.name: self._device(it) for it in self._underlay.wiring.devices}
        self.links = [self._cable(link) for link in self._underlay.wiring.links]
        pods = [self._pod(pod) for pod in lookup.every(paths, kinds.POD) if condition_is(pod, "Ready")]
        self.nameToNode |= {pod.name: pod for pod in pods}
        self.switches = [it for it in self.values() if isinstance(it, Switch | Router)]
        self.hosts = [*(self.nameToNode[node.name] for node in spec.nodes), *pods]

    def __iter__(self) -> Iterator[str]:
        return iter(self.nameToNode)

    def __contains__(self, name: object) -> bool:
        return name in self.nameToNode

    def __getitem__(self, name: str) -> Shelled:
        return self.nameToNode[name]

    def __len__(self) -> int:
        return len(self.nameToNode)

    get = __getitem__

    def keys(self) -> list[str]:
        return list(self.nameToNode)

    def values(self) -> list[Shelled]:
        return list(self.nameToNode.values())

    def items(self) -> list[tuple[str, Shelled]]:
        return list(self.nameToNode.items())

    def configLinkStatus(self, src: str, dst: str, status: str) -> None:
        """Pull the cables between two devices, or put them back, and wait until Linux has done it."""
        try:
            links.change(self._paths, src, dst, 0, lambda it: replace(it, up=status == "up"))
            asyncio.run(links.applied(self._paths, (src, dst)))
        except FabricError as refused:
            error(f"{refused}\n")
            return
        for cable in self.links:
            if {cable.intf1.node.name, cable.intf2.node.name} == {src, dst}:
                cable.up = status == "up"

    def iperf(self, hosts: list[Shelled] | None = None, l4Type: str = "TCP", udpBw: str = "10M") -> list[str]:
        """Measure between two, or between the first and the last, with iperf3: [server's rate, client's]."""
        client, server = hosts or [self.hosts[0], self.hosts[-1]]
        output("*** Iperf: testing", l4Type, "bandwidth between", client, "and", server, "\n")
        udp = f"-u -b {udpBw}" if l4Type == "UDP" else ""
        ask = f"iperf3 -J -c {server.IP()} -p {IPERF_PORT} -t {IPERF_SECONDS} {udp}"
        why, result = "", list[str]()
        for _ in range(IPERF_TRIES):
            # A server ends with its first client, also with one that gave up before it was answered.
            server.cmd(f"iperf3 -s -1 -D -p {IPERF_PORT}")
            why, result = _rates(client.cmd(ask))
            if result:
                break
            client.cmd(f"sleep {IPERF_WAIT_SECONDS}")
        if not result:
            error(f"iperf3: {why}\n")
        output(f"*** Results: {[udpBw] * bool(udp) + result}\n")
        return result

    def _device(self, device: Device) -> Shelled:
        name = device.name
        start = partial(self._shells.on_host, self._workers[name], name)
        node = _CLASSES[device.role](name, self._pids.get(name, 0), start)
        given = self._underlay.addresses
        if device.role == "host":
            node.add("eth0", str(given.hosts[name].ip))
            return node
        if (loopback := given.loopbacks.get(name)) is not None:
            node.add("lo", str(loopback.ip))
        if (bridge := given.ports.get((name, BRIDGE))) is not None:
            node.add(BRIDGE, str(bridge.ip))
        for link in self._underlay.wiring.links_of(name):
            here = port_name(self._underlay.wiring, link, name)
            address = given.ports.get((name, here))
            node.add(here, str(address.ip) if address else "")
        return node

    def _cable(self, link: Link) -> Cable:
        cable = Cable(self._port(link, link.a), self._port(link, link.b), link.up)
        cable.intf1.link = cable.intf2.link = cable
        return cable

    def _port(self, link: Link, name: str) -> Port:
        device = port_name(self._underlay.wiring, link, name)
        found: Port = self.nameToNode[name].nameToIntf[f"{name}-{device}"]
        return found

    def _pod(self, pod: Object) -> Pod:
        key = key_of(pod)
        name = key.name if key.namespace == "default" else str(key)
        node = Pod(name, self._pids.get(uid_of(pod), 0), partial(self._shell_in, key))
        node.add("eth0", pod["status"]["podIP"])
        return node

    def _shell_in(self, key: Key, argv: Sequence[str]) -> Shell:
        """Start a shell in a pod's first container, whichever that is by now."""
        pod = lookup.need_pod(self._paths, key.name, key.namespace)
        container = container_id(pod, container_name(pod, None))
        return self._shells.in_container(self._workers[pod["spec"]["nodeName"]], container, argv)


def _rates(said: str) -> tuple[str, list[str]]:
    """Return the rates that iperf3 measured at server and client, as iperf prints them, or its error."""
    try:
        answer = json.loads(said[said.index("{") :])
        if "error" in answer:
            return str(answer["error"]), []
        end = answer["end"]
        sides = [end.get(side) or end["sum"] for side in ("sum_received", "sum_sent")]
        return "", [_rate(side["bits_per_second"]) for side in sides]
    except (ValueError, KeyError):
        return said.strip() or "no answer", []


def _rate(bits: float) -> str:
    for unit, size in (("Gbits/sec", 1e9), ("Mbits/sec", 1e6), ("Kbits/sec", 1e3)):
        if bits >= size:
            return f"{bits / size:.3g} {unit}"
    return f"{bits:.3g} bits/sec"
