"""Host ports: portmap's names and rules, and the loop that keeps them over a kubelet's restarts."""

from __future__ import annotations

import asyncio
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from support.one_node import NODE_NAME, OneNode, container

from fabric.api.hostports import HostPort
from fabric.errors import KernelRefused
from fabric.kubelet.portmap import PortMap, dnat_chain, network_name, portmap_state
from fabric.netstate.objects import Chain, Jump, NetObject, Sysctl
from fabric.netstate.plan import Plan

ID = (
    "icee6giejonei6sohng6ahngee7laquohquee9shiGo7fohferakah3Feiyoolu2pei7ciPhoh7shaoX6vai3vuf0ahfaeng8yohb9ceu0daez5"
    "hashee8ooYai5wa3y"
)
MAPPED = {"containerPort": 80, "hostPort": 8080, "protocol": "TCP"}

IPV4 = [
    "chain nat CNI-DN-own\n"
    "  -A CNI-DN-own -s 10.0.0.0/24 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK\n"
    "  -A CNI-DN-own -s 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK\n"
    "  -A CNI-DN-own -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80\n"
    "  -A CNI-DN-own -s 10.0.0.0/24 -p udp -m udp --dport 53 -j CNI-HOSTPORT-SETMARK\n"
    "  -A CNI-DN-own -s 127.0.0.1/32 -p udp -m udp --dport 53 -j CNI-HOSTPORT-SETMARK\n"
    "  -A CNI-DN-own -p udp -m udp --dport 53 -j DNAT --to-destination 10.0.0.2:5353\n"
    "  -A CNI-DN-own -s 10.0.0.0/24 -d 192.168.0.2/32 -p tcp -m tcp --dport 8083 "
    "-j CNI-HOSTPORT-SETMARK\n"
    "  -A CNI-DN-own -s 127.0.0.1/32 -d 192.168.0.2/32 -p tcp -m tcp --dport 8083 "
    "-j CNI-HOSTPORT-SETMARK\n"
    "  -A CNI-DN-own -d 192.168.0.2/32 -p tcp -m tcp --dport 8083 -j DNAT --to-destination 10.0.0.2:83",
    "chain nat CNI-HOSTPORT-DNAT\n"
    '  -A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"cbr0\\" id: \\"f00\\"" '
    "-m multiport --dports 8080,8083,8085 -j CNI-DN-own\n"
    '  -A CNI-HOSTPORT-DNAT -p udp -m comment --comment "dnat name: \\"cbr0\\" id: \\"f00\\"" '
    "-m multiport --dports 53 -j CNI-DN-own",
    "chain nat CNI-HOSTPORT-MASQ\n  -A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE",
    "chain nat CNI-HOSTPORT-SETMARK\n"
    '  -A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" '
    "-j MARK --set-xmark 0x2000/0x2000",
    "rule nat -A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
    "rule nat -A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
    'rule nat -I POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
]


def web(port: int = 8080, **more: Any) -> dict[str, Any]:
    return {"containers": [container(ports=[{**MAPPED, "hostPort": port, **more}])]}


def rules(node: OneNode, chain: str = "CNI-HOSTPORT-DNAT") -> tuple[str, ...] | None:
    found = [obj for obj in node.kernel.host(NODE_NAME).state if isinstance(obj, Chain)]
    return next((tuple(map(str, obj.rules)) for obj in found if obj.name == chain), None)


def test_chains_are_named_as_portmap_names_them():
    assert dnat_chain("testNetName", ID) == "CNI-DN-bfd599665540dd91d5d28"
    assert dnat_chain("test", ID) == "CNI-DN-67e92b96e692a494b6b85"


def test_the_rules_of_a_pod_read_as_iptables_save_prints_portmaps():
    ports = (
        HostPort("TCP", 8080, "", 80),
        HostPort("UDP", 53, "0.0.0.0", 5353),
        HostPort("TCP", 8083, "192.168.0.2", 83),
        HostPort("TCP", 8085, "2001:db8:a::1", 85),
    )
    ips = (ip_interface("10.0.0.2/24"), ip_interface("2001:db8::2/64"))
    state = portmap_state("cbr0", [PortMap("f00", ports, ips)])
    own = dnat_chain("cbr0", "f00")
    assert _told(state, 4) == IPV4
    six = next(obj for obj in state if isinstance(obj, Chain) and obj.family == 6 and obj.name == own)
    assert [str(rule) for rule in six.rules][-2:] == [
        "-s 2001:db8::/64 -d 2001:db8:a::1/128 -p tcp -m tcp --dport 8085 -j CNI-HOSTPORT-SETMARK",
        "-d 2001:db8:a::1/128 -p tcp -m tcp --dport 8085 -j DNAT --to-destination [2001:db8::2]:85",
    ]


def _told(state: frozenset[NetObject], family: int) -> list[str]:
    own = dnat_chain("cbr0", "f00")
    return sorted(
        str(obj).replace(own, "CNI-DN-own")
        for obj in state
        if isinstance(obj, Chain | Jump) and obj.family == family
    )


def test_a_rule_of_multiport_takes_fifteen_ports():
    ports = tuple(HostPort("TCP", 1000 + n, "", 80) for n in range(16))
    state = portmap_state("cbr0", [PortMap("f00", ports, (ip_interface("10.0.0.2/24"),))])
    top = next(obj for obj in state if isinstance(obj, Chain) and obj.name == "CNI-HOSTPORT-DNAT")
    assert [str(rule).count(",") for rule in top.rules] == [14, 0]


def test_the_network_is_named_by_the_first_file_of_the_nodes_configuration(tmp_path: Path):
    assert network_name(tmp_path) == "cbr0"
    folder = tmp_path / "etc/cni/net.d"
    folder.mkdir(parents=True)
    (folder / "10-calico.conflist").write_text('{"name": "k8s-pod-network"}')
    (folder / "05-broken.conflist").write_text("{")
    assert network_name(tmp_path) == "k8s-pod-network"


async def test_rules_come_with_the_pod_and_go_with_it(tmp_path: Path):
    node = OneNode(tmp_path)
    async with node.kubelet():
        node.create("pod-1", **web())
        await asyncio.sleep(2)
        assert len(rules(node) or ()) == 1
        sysctls = [obj for obj in node.kernel.host(NODE_NAME).state if isinstance(obj, Sysctl)]
        assert Sysctl("net/ipv4/conf/cni0/route_localnet", "1") in sysctls
        node.delete("pod-1")
        await asyncio.sleep(60)
        assert rules(node) is None
        assert rules(node, "CNI-HOSTPORT-MASQ") is None


async def test_host_ports_that_linux_refuses_hold_up_no_other_pod(tmp_path: Path, monkeypatch):
    node = OneNode(tmp_path)
    host = node.kernel.host(NODE_NAME)
    apply, refuses = host.apply, True

    async def refusing(plan: Plan) -> None:
        if refuses and any(isinstance(step.obj, Chain) for step in plan.steps):
            raise KernelRefused("iptables-restore: Memory allocation problem")
        await apply(plan)

    monkeypatch.setattr(host, "apply", refusing)
    async with node.kubelet():
        for number in range(8):
            node.create(f"pod-{number}", **web(8080 + number))
        await asyncio.sleep(1)
        node.create("plain")
        await asyncio.sleep(1)
        assert node.status("plain")["phase"] == "Running"
        assert node.status("pod-0")["phase"] == "Pending"
        assert any("Memory allocation problem" in message for _, message in node.events())
        await asyncio.sleep(60)
        refuses = False
        await asyncio.sleep(6)
        assert {node.status(f"pod-{number}")["phase"] for number in range(8)} == {"Running"}


async def test_a_restarted_kubelet_leaves_its_pods_rules_and_removes_those_of_a_pod_that_has_gone(
    tmp_path: Path,
):
    node = OneNode(tmp_path)
    async with node.kubelet():
        for number in (1, 2):
            node.create(f"pod-{number}", **web(8080 + number))
        await asyncio.sleep(2)
    before = rules(node)
    assert before is not None and len(before) == 2
    node.force_delete("pod-2")
    gone_at_some_time = []
    async with node.kubelet():
        for _ in range(400):
            gone_at_some_time.append(before[0] not in (rules(node) or ()))
            await asyncio.sleep(0.05)
    assert not any(gone_at_some_time)
    assert rules(node) == before[:1]
