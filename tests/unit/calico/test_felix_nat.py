"""Felix's chains of nat read as on a real node, to the hashes in their comments."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest
from support.calico_nodes import node, pool, site, snapshot

from calico.felix.node_state import NodeState
from calico.resources.felix import DEFAULTS, FelixConfiguration
from calico.resources.refusals import InvalidResource
from fabric.netstate.objects import Chain, IpSet, Jump

JUMPS = [
    '-A OUTPUT -m comment --comment "cali:tVnHkvAo15HuiPy0" -j cali-OUTPUT',
    '-A POSTROUTING -m comment --comment "cali:O3lYWMrLQYEMJtB5" -j cali-POSTROUTING',
    '-A PREROUTING -m comment --comment "cali:6gwbT8clXdHdC1b1" -j cali-PREROUTING',
]
INTO = [
    '-A cali-OUTPUT -m comment --comment "cali:GBTAv2p5CwevEyJm" -j cali-fip-dnat',
    '-A cali-POSTROUTING -m comment --comment "cali:Z-c7XtVd2Bq7s_hA" -j cali-fip-snat',
    '-A cali-POSTROUTING -m comment --comment "cali:nYKhEzDlr11Jccal" -j cali-nat-outgoing',
]
LOCAL = "-m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL"
POOLS = "-m set --match-set cali40masq-ipam-pools src -m set ! --match-set cali40all-ipam-pools dst"


def wanted(felix=DEFAULTS, nodes=2, **spec):
    members = [node(number) for number in range(1, nodes + 1)]
    pools = [pool(nat_outgoing=True, **spec)]
    here = replace(site(members[0], pools), felix=felix)
    return NodeState(here).desired_state(snapshot(members, pools))


def saved(state):
    """The table nat as iptables-save prints it, in the order of the chains' names."""
    lines = [f"-A {it.chain} {it.rule}" for it in state if isinstance(it, Jump)]
    chains = sorted((it for it in state if isinstance(it, Chain)), key=lambda it: it.name)
    return sorted(lines) + [f"-A {it.name} {rule}" for it in chains for rule in it.rules]


def outgoing(felix):
    return [line for line in saved(wanted(felix)) if "-A cali-nat-outgoing" in line]


def test_external_nodes_are_spared_by_natoutgoing_where_nodes_are():
    external = (ip_network("192.0.2.7/32"), ip_network("198.51.100.0/24"), ip_network("2001:db8::/64"))
    felix = replace(DEFAULTS, nat_outgoing_exclusions="IPPoolsAndHostIPs", external_nodes_list=external)
    (hosts,) = (it for it in wanted(felix) if isinstance(it, IpSet) and "all-hosts-net" in it.name)
    assert hosts.members == {"192.168.0.11", "192.168.0.12", "192.0.2.7", "198.51.100.0/24"}


@pytest.mark.parametrize(
    ("mode", "tunnel"),
    [
        ({"ipip_mode": "Always"}, f'-o tunl0 -m comment --comment "cali:SXWvdsbh4Mw7wOln" {LOCAL}'),
        ({"vxlan_mode": "Always"}, f'-o vxlan.calico -m comment --comment "cali:e9dnSgSVNmIcpVhP" {LOCAL}'),
        ({}, ""),
    ],
)
def test_the_table_is_that_of_a_real_node_with_one_pool(mode, tunnel):
    assert saved(wanted(**mode)) == [
        *JUMPS,
        *INTO,
        *([f"-A cali-POSTROUTING {tunnel} -j MASQUERADE --random-fully"] if tunnel else []),
        '-A cali-PREROUTING -m comment --comment "cali:r6XmIziWUJsdOK6Z" -j cali-fip-dnat',
        f'-A cali-nat-outgoing -m comment --comment "cali:flqWnvo8yq4ULQLa" {POOLS} '
        "-j MASQUERADE --random-fully",
    ]


def test_chains_of_floating_ips_are_there_and_empty():
    empty = {it.name for it in wanted() if isinstance(it, Chain) and not it.rules}
    assert empty == {"cali-fip-dnat", "cali-fip-snat"}


@pytest.mark.parametrize(("mode", "position"), [(None, "insert"), ("Insert", "insert"), ("Append", "append")])
def test_hooks_stand_where_chain_insert_mode_says(mode, position):
    felix = replace(DEFAULTS, chain_insert_mode=mode)
    assert {it.position for it in wanted(felix) if isinstance(it, Jump)} == {position}


def effective(**fields):
    document = {"metadata": {"name": "default"}, "spec": fields}
    given = FelixConfiguration.from_object(document).spec
    names = (name for name in given.__slots__ if getattr(given, name) not in (None, {}))
    return replace(DEFAULTS, **{name: getattr(given, name) for name in names})


def test_an_address_that_is_given_takes_the_place_of_the_nodes():
    (line,) = outgoing(effective(natOutgoingAddress="192.0.2.1"))
    assert line.endswith(f"{POOLS} -j SNAT --to-source 192.0.2.1 --random-fully")


def test_a_range_of_ports_holds_for_tcp_and_udp():
    lines = outgoing(effective(natPortRange="32768:65535"))
    within = "-j MASQUERADE --to-ports 32768-65535 --random-fully"
    assert [line.split('" ', 1)[1] for line in lines] == [
        f"{POOLS} {within}",
        "-j RETURN",
        f"{POOLS} {within}",
        "-j RETURN",
        f"{POOLS} -j MASQUERADE --random-fully",
    ]
    assert ["-p tcp" in line for line in lines] == [True, True, False, False, False]
    assert ["-p udp" in line for line in lines] == [False, False, True, True, False]


def test_an_address_and_ports_go_together():
    lines = outgoing(effective(natOutgoingAddress="192.0.2.1", natPortRange="1024:2047"))
    assert "--to-source 192.0.2.1:1024-2047" in lines[0] and lines[-1].endswith("192.0.2.1 --random-fully")


def test_a_filter_of_interfaces_stands_before_the_comment():
    (line,) = outgoing(effective(iptablesNATOutgoingInterfaceFilter="eth+"))
    assert line.startswith("-A cali-nat-outgoing -o eth+ -m comment")


def test_nodes_addresses_may_be_spared_from_masquerading():
    felix = effective(natOutgoingExclusions="IPPoolsAndHostIPs")
    (line,) = outgoing(felix)
    assert f"{POOLS} -m set ! --match-set cali40all-hosts-net dst" in line
    (hosts,) = [it for it in wanted(felix, nodes=3) if isinstance(it, IpSet) and "hosts" in it.name]
    assert hosts.members == {"192.168.0.11", "192.168.0.12", "192.168.0.13"}
    assert not [it for it in wanted() if isinstance(it, IpSet) and "hosts" in it.name]


@pytest.mark.parametrize(
    "fields",
    [
        {"natPortRange": "70000"},
        {"natPortRange": "200:100"},
        {"natPortRange": "1:2:3"},
        {"natPortRange": True},
        {"natOutgoingAddress": "fd00::1"},
        {"natOutgoingAddress": "node-1"},
        {"iptablesNATOutgoingInterfaceFilter": "eth0 -j ACCEPT"},
    ],
)
def test_what_iptables_would_refuse_is_refused_where_it_is_written(fields):
    with pytest.raises(InvalidResource):
        effective(**fields)
