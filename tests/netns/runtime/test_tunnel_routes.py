"""The carrier's gateways are those of the kernel's routes, whatever they are and however they change."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.namespaces import namespaces

from fabric.kernel.namespaces import inside
from fabric.runtime.builtin.routes import Routes

GATEWAYS = [IPv4Address(f"192.168.0.{n}") for n in range(12, 16)]
BITS = 10
FIRST = int(IPv4Address("10.244.0.0"))
DESTINATIONS = st.integers(0, (1 << BITS) - 1).map(lambda n: IPv4Address(FIRST + n))
SUBNETS = st.builds(
    lambda address, length: IPv4Network((int(address), length), strict=False),
    DESTINATIONS,
    st.integers(32 - BITS, 32),
)
TABLES = st.dictionaries(SUBNETS, st.sampled_from(GATEWAYS), max_size=12)


class Node:
    """A namespace with eth0 and a TUN device, and what the carrier would ask there."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.ip(
            "link set lo up",
            "link add eth0 type veth peer name peer0",
            "link set eth0 up",
            "link set peer0 up",
            "addr add 192.168.0.11/24 dev eth0",
            "tuntap add tunl0 mode tun",
            "link set tunl0 up",
        )
        with inside(pid):
            self.routes = Routes()
        self.routes.device = int(self.run("cat", "/sys/class/net/tunl0/ifindex"))

    def run(self, *argv: str, text: str = "") -> str:
        command = [
            "nsenter",
            "-t",
            str(self._pid),
            "-n",
            "unshare",
            "-m",
            "sh",
            "-ec",
            'mount -t sysfs none /sys; exec "$@"',
            "sh",
            *argv,
        ]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout

    def ip(self, *lines: str) -> None:
        self.run("ip", "-batch", "-", text="\n".join(lines))

    def gateway(self, destination: str | IPv4Address) -> str:
        """What the carrier sends a packet for an address to; "" for nobody."""
        hop = self.routes.hop(ip_address(destination).packed)
        return str(IPv4Address(hop.gateway)) if hop else ""


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with namespaces("node-1") as pids:
        yield Node(pids["node-1"])


@pytest.fixture(autouse=True)
def clean(node: Node) -> Iterator[None]:
    yield
    node.ip("route flush dev tunl0")
    node.routes.look()


def longest_prefix(table: Mapping[IPv4Network, IPv4Address], destination: IPv4Address) -> str:
    fitting = [subnet for subnet in table if destination in subnet]
    return str(table[max(fitting, key=lambda subnet: subnet.prefixlen)]) if fitting else ""


@given(TABLES, st.lists(DESTINATIONS, max_size=20))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_longest_prefix_has_the_gateway(
    node: Node, table: dict[IPv4Network, IPv4Address], destinations: list[IPv4Address]
):
    node.ip(
        "route flush dev tunl0",
        *(f"route add {subnet} via {via} dev tunl0 onlink" for subnet, via in table.items()),
    )
    node.routes.look()
    edges = [subnet[0] for subnet in table] + [subnet[-1] for subnet in table]
    for destination in destinations + edges:
        assert node.gateway(destination) == longest_prefix(table, destination), (destination, table)


def test_each_change_is_news(node: Node):
    assert node.gateway("10.244.2.1") == ""
    for via in ("192.168.0.12", "192.168.0.13"):
        node.ip(f"route replace 10.244.2.0/26 via {via} dev tunl0 onlink")
        node.routes.look()
        assert node.gateway("10.244.2.1") == via
    node.ip("link set tunl0 down")
    node.routes.look()
    assert node.gateway("10.244.2.1") == ""
    node.ip("link set tunl0 up")


def test_an_answer_is_kept_until_there_is_news(node: Node):
    node.ip("route add 10.244.2.0/26 via 192.168.0.12 dev tunl0 onlink")
    node.routes.look()
    assert node.gateway("10.244.2.1") == "192.168.0.12"
    node.ip("route del 10.244.2.0/26")
    assert node.gateway("10.244.2.1") == "192.168.0.12"
    node.routes.look()
    assert node.gateway("10.244.2.1") == ""


def test_more_news_than_the_socket_holds_are_news(node: Node):
    routes = [f"10.245.{n // 256}.{n % 256} via 192.168.0.12 dev tunl0 onlink" for n in range(3000)]
    node.ip("route add 10.244.2.0/26 via 192.168.0.12 dev tunl0 onlink")
    node.routes.look()
    assert node.gateway("10.244.2.1") == "192.168.0.12"
    node.ip(*(f"route add {route}" for route in routes), "route del 10.244.2.0/26")
    node.routes.look()
    assert (node.gateway("10.245.11.183"), node.gateway("10.244.2.1")) == ("192.168.0.12", "")


@pytest.mark.parametrize(
    "route",
    [
        "10.244.2.0/26 dev tunl0",
        "10.244.2.0/26 via 192.168.0.12 dev eth0",
        "10.244.2.0/26 via 10.244.2.9 dev tunl0 onlink",
        "blackhole 10.244.2.0/26",
        "unreachable 10.244.2.0/26",
        "local 10.244.2.0/26 dev tunl0",
    ],
)
def test_a_route_that_leads_nowhere_through_the_tunnel_has_no_gateway(node: Node, route: str):
    node.ip(f"route add {route}")
    node.routes.look()
    assert node.gateway("10.244.2.1") == ""
    node.ip(f"route del {route}")


def test_every_leg_of_a_route_has_its_destinations(node: Node):
    legs = " ".join(f"nexthop via {via} dev tunl0 onlink" for via in GATEWAYS[:2])
    node.ip(f"route add 10.244.2.0/24 {legs}")
    node.routes.look()
    assert {node.gateway(f"10.244.2.{n}") for n in range(256)} == {"192.168.0.12", "192.168.0.13"}


def test_a_rule_and_its_table_are_followed(node: Node):
    node.ip("route add 10.244.2.0/26 via 192.168.0.12 dev tunl0 onlink")
    node.routes.look()
    assert node.gateway("10.244.2.1") == "192.168.0.12"
    node.ip(
        "route add 10.244.2.0/26 via 192.168.0.13 dev tunl0 onlink table 100",
        "rule add to 10.244.2.0/26 lookup 100",
    )
    node.routes.look()
    assert node.gateway("10.244.2.1") == "192.168.0.13"
    node.ip("rule del to 10.244.2.0/26 lookup 100")


def test_a_path_that_icmp_told_of_is_narrow_for_a_while(node: Node, monkeypatch: pytest.MonkeyPatch):
    node.ip("route add 10.244.2.0/26 via 192.168.0.12 dev tunl0 onlink")
    node.routes.look()
    gateway, destination = ip_address("192.168.0.12").packed, ip_address("10.244.2.1").packed
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)

    def mtu() -> int:
        node.routes.expire()
        hop = node.routes.hop(destination)
        assert hop is not None
        return hop.mtu

    assert mtu() == 65535
    node.routes.learn(gateway, 1300)
    assert mtu() == 1300
    node.routes.learn(gateway, 68)
    assert mtu() == 552, "the kernel believes no stranger more either"
    now += 599.0
    assert mtu() == 552
    now += 2.0
    assert mtu() == 65535
