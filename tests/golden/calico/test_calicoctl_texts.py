"""calicoctl's words: its help, its tables, its report of the IPAM."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address, ip_interface, ip_network

from support.calico_ipam import owner, pool, put_resources
from support.calicoctl import Ctl

from calico.calicoctl.command import SUBCOMMANDS
from calico.calicoctl.node_status import Seen, told
from calico.ipam.allocator import Ipam
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.bgp_filters import BGPFilter
from calico.resources.bgp_peers import BGPPeer
from calico.resources.endpoints import Profile, WorkloadEndpoint, endpoint_name
from calico.resources.felix import FelixConfiguration
from calico.resources.nodes import Node, NodeBGP
from calico.resources.pools import IPReservation
from calico.resources.table import KINDS
from fabric.bird.protocols import BgpSession, Protocol


async def lab() -> Ctl:
    """Two nodes, two pools, one of everything."""
    ctl = await Ctl().began()
    nodes = [
        Node.named(
            f"node-{i}", bgp=NodeBGP(ipv4_address=ip_interface(f"192.168.0.1{i}/24"), as_number=number)
        )
        for i, number in ((1, None), (2, 65002))
    ]
    pod = endpoint_name("node-1", "pod-1")
    await put_resources(
        ctl.store,
        *nodes,
        pool(nat_outgoing=True, vxlan_mode="CrossSubnet"),
        pool("pool-2", "10.244.64.0/18", 26, disabled=True, node_selector="rack == '1'"),
        IPReservation.named("gateways", reserved_cidrs=(ip_network("10.244.0.0/30"),)),
        BGPConfiguration.named("default", as_number=64600, node_to_node_mesh_enabled=False),
        BGPPeer.named("rack-1", node_selector="rack == '1'", peer_ip="192.0.2.1", as_number=65001),
        BGPPeer.named("reflectors", peer_selector="route-reflector == 'true'"),
        BGPFilter.named("none"),
        FelixConfiguration.named("default"),
        Profile.named("kns.default", labels_to_apply={"pcns.team": "blue"}),
        WorkloadEndpoint.named(
            pod,
            "default",
            node="node-1",
            pod="pod-1",
            ip_networks=(ip_network("10.244.0.4/32"),),
            interface_name="cali1",
            profiles=("kns.default",),
        ),
    )
    await Ipam(ctl.store, ctl.clock, "node-1").assign(ip_address("10.244.0.4"), owner())
    await Ipam(ctl.store, ctl.clock, "node-2").assign(ip_address("10.244.0.5"), owner("pod-2", "node-2"))
    return ctl


async def shown(ctl: Ctl, *calls: str) -> str:
    """Each call as typed, and its answer."""
    return "".join([f"$ calicoctl {call}\n{await ctl(*call.split())}" for call in calls])


async def test_help(golden):
    ctl = Ctl()
    calls = ["--help", *(f"{subcommand.usage.name} --help" for subcommand in SUBCOMMANDS)]
    golden("calicoctl-help", await shown(ctl, *calls))


async def test_tables_of_resources(golden):
    ctl = await lab()
    names = [kind.plural for kind in KINDS]
    calls = [f"get {name}{wide}" for name in names for wide in ("", " -o wide")]
    golden("calicoctl-get", await shown(ctl, *calls, "get workloadendpoints -A", "get ippool pool-1 pool-2"))


async def test_resources_as_text(golden):
    ctl = await lab()
    calls = ("get ippool pool-1 -o yaml", "get bgpconfig default -o json", "get bgppeers -o yaml")
    golden("calicoctl-text", await shown(ctl, *calls))


async def test_the_ipam(golden):
    ctl = await lab()
    calls = (
        "ipam show",
        "ipam show --show-blocks",
        "ipam show --show-borrowed",
        "ipam show --show-configuration",
    )
    golden("calicoctl-ipam", await shown(ctl, *calls, "ipam check --show-problem-ips"))


def test_sessions_of_a_node(golden):
    def session(name: str, info: str) -> Protocol:
        state = "up" if info == "Established" else "start"
        return Protocol(name, "BGP", "---", state, "2026-01-01 11:00:00.123", info, bgp=BgpSession(info))

    sessions = (
        session("Mesh_192_168_0_12", "Established"),
        session("Global_192_0_2_1", "Active        Socket: Connection refused"),
    )
    golden("calicoctl-status", told(Seen("node-1", True, sessions, datetime(2026, 1, 1, 12)), headed=True))
