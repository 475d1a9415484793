from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

from fabric.netstate.objects import (
    Address,
    Bridge,
    Chain,
    FdbEntry,
    Ipip,
    IpSet,
    Jump,
    LinkUp,
    Neighbor,
    NetObject,
    NetState,
    NextHop,
    Qdisc,
    Route,
    Sysctl,
    Tun,
    Veth,
    Vxlan,
)
from fabric.netstate.plan import diff

NOTHING: NetState = frozenset()
TUNNEL = Vxlan("flannel.1", 1, "eth0", ip_address("192.168.0.11"), mac="02:00:00:00:00:01")
FORWARD = Jump.parse("filter", "FORWARD", '-m comment --comment "flanneld forward" -j FLANNEL-FWD')


def peer(number: int, public_ip: str) -> tuple[NetObject, ...]:
    gateway = ip_address(f"10.244.{number}.0")
    mac = f"02:00:00:00:00:0{number}"
    return (
        Neighbor(gateway, mac, "flannel.1"),
        FdbEntry(mac, ip_address(public_ip), "flannel.1"),
        Route(ip_network(f"10.244.{number}.0/24"), gateway, "flannel.1", onlink=True),
    )


def node() -> NetState:
    return frozenset(
        {
            Sysctl("net/ipv4/ip_forward", "1"),
            Bridge("cni0", 1450),
            Address(ip_interface("10.244.1.1/24"), "cni0"),
            Veth("veth1", "eth0", "pod:1", 1450, master="cni0", hairpin=True),
            TUNNEL,
            Address(ip_interface("10.244.1.0/32"), "flannel.1"),
            *peer(2, "192.168.0.12"),
            *peer(3, "192.168.0.13"),
            Chain.parse(
                "filter", "FLANNEL-FWD", ("-s 10.244.0.0/16 -j ACCEPT", "-d 10.244.0.0/16 -j ACCEPT")
            ),
            FORWARD,
        }
    )


def test_a_node_is_built_from_nothing(golden):
    golden("node-from-nothing", str(diff(node(), NOTHING)))


def test_a_node_is_taken_apart(golden):
    golden("node-to-nothing", str(diff(NOTHING, node())))


def test_one_peer_changes_and_one_leaves(golden):
    changed = (node() - frozenset(peer(3, "192.168.0.13")) - frozenset(peer(2, "192.168.0.12"))) | frozenset(
        peer(2, "192.168.0.99")
    )
    golden("one-peer-changes-and-one-leaves", str(diff(changed, node())))


def test_a_tunnel_made_anew_brings_its_peers_back(golden):
    desired = (node() - {TUNNEL}) | {replace(TUNNEL, port=4789)}
    golden("tunnel-made-anew", str(diff(desired, node())))


def test_rules_change_in_one_run_of_steps(golden):
    before = frozenset(
        {
            IpSet("cali40s:old", members=frozenset({"10.0.0.0/8"})),
            Chain.parse("filter", "cali-fw", ("-m set --match-set cali40s:old src -j cali-pi-old",)),
            Chain.parse("filter", "cali-pi-old", ("-j ACCEPT",)),
            Jump.parse("filter", "FORWARD", "-j cali-fw", "insert"),
        }
    )
    after = frozenset(
        {
            IpSet("cali40s:new", members=frozenset({"10.1.0.0/16", "10.2.0.0/16"})),
            Chain.parse("filter", "cali-fw", ("-m set --match-set cali40s:new src -j cali-pi-new",)),
            Chain.parse("filter", "cali-pi-new", ("-j ACCEPT",)),
            Jump.parse("filter", "INPUT", "-j cali-fw", "insert"),
        }
    )
    golden("rules-change", str(diff(after, before)))


def test_every_word_of_the_vocabulary(golden):
    legs = (NextHop(ip_address("192.168.0.12"), "eth0", 2), NextHop(None, "eth1", onlink=True))
    words = frozenset(
        {
            Bridge("br0", 1400, "02:00:00:00:00:01", up=False),
            Veth("veth1", "eth0", "pod:1", 1400, "02:00:00:00:00:01", "02:00:00:00:00:02", "br0", True),
            Vxlan("vxlan.calico", 4096, "eth0", ip_address("fd00::11"), 4789, 1430, learning=True, gbp=True),
            Ipip(),
            Ipip("ipip1", 1400, ip_address("192.168.0.11"), ip_address("192.168.0.12"), up=False),
            Tun("tun1", 1480),
            LinkUp("lo"),
            Address(ip_interface("fd00::1/64"), "br0"),
            Route(ip_network("0.0.0.0/0"), ip_address("192.168.0.1"), "eth0", src=ip_address("192.168.0.11")),
            Route(ip_network("10.1.0.0/16"), next_hops=legs, proto=12, metric=32, table=100),
            Route(ip_network("10.2.0.0/16"), type="blackhole", proto=80),
            Route(ip_network("169.254.1.1/32"), dev="eth0", scope="link"),
            Neighbor(ip_address("fd00::2"), "02:00:00:00:00:02", "br0"),
            FdbEntry("02:00:00:00:00:02", ip_address("fd00::12"), "vxlan.calico"),
            Qdisc("br0", "tbf", 100_000_000, 65536, 50_000),
            Qdisc("veth1", "htb", 1_500_000, 1600),
            Qdisc(
                "eth0",
                "netem",
                rate=10**9,
                delay_us=20_000,
                jitter_us=500,
                loss_ppm=1000,
                reorder_ppm=250_000,
            ),
            Sysctl("net/ipv4/conf/all/rp_filter", "0"),
            IpSet("cali60s:1", "hash:net", 6, frozenset({"fd00::/8", "fc00::/8"})),
            Chain.parse("nat", "KUBE-SERVICES", ("-j RETURN",), 6),
            Jump.parse("nat", "PREROUTING", "-j KUBE-SERVICES", "insert", 6),
        }
    )
    golden("vocabulary", str(diff(words, NOTHING)))
