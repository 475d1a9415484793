"""Strategies for BGP resources of Calico, as JSON: what is usual, what is at a bound, and what is strange."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

addresses = st.sampled_from(
    ["192.0.2.1", "192.168.0.12", "192.168.0.1", "fd00::2", "2001:db8::1", "fe80::2", "::1", "169.254.1.1"]
)
ends = st.one_of(
    addresses,
    st.sampled_from(
        ["192.0.2.1:179", "192.0.2.1:1790", "[2001:db8::1]:179", "fe80::2%x\nfoo", "192.0.2.1:", "[::1]"]
    ),
)
as_numbers = st.sampled_from([0, 1, 64512, 65001, "65001", "1.10", 2**32 - 1])
durations = st.sampled_from(["0", "1ms", "0.5s", "1s", "90s", "2m0s", "7h", "20000000h", "9" * 400 + "s"])
communities = st.sampled_from(["65000:100", "65535:65535", "4294967295:1:1", "65000:100:7", "gold", "no"])
passwords = st.sampled_from([{"secretKeyRef": {"name": "known", "key": "k"}}, {"secretKeyRef": {}}, {}])
selectors = st.sampled_from(["all()", "route-reflector == 'true'", "rack == '1'", "none == 'x'"])
names = st.text(st.characters(codec="utf-8"), max_size=12)
interfaces = st.one_of(st.sampled_from(["eth0", "eth*", "*", 'eth"1', "a b"]), names)
cidrs = st.sampled_from(["10.244.0.0/16", "10.244.1.0/26", "0.0.0.0/0", "192.0.2.1/32", "fd00::/8", "::/0"])


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


operations = st.one_of(
    st.builds(lambda it: {"addCommunity": {"value": it}}, communities),
    st.builds(lambda it: {"prependASPath": {"prefix": it}}, st.lists(as_numbers, max_size=3)),
    st.builds(lambda it: {"setPriority": {"value": it}}, st.sampled_from([0, 1, 512, 2**31 - 2, 2**31])),
)
rules = st.builds(
    lambda matched, rest: matched | rest,
    st.one_of(
        st.just({}),
        st.builds(
            lambda cidr, operator, lengths: {"cidr": cidr, "matchOperator": operator} | lengths,
            cidrs,
            st.sampled_from(["Equal", "NotEqual", "In", "NotIn"]),
            some(
                prefixLength=some(
                    min=st.sampled_from([0, 8, 24, 32, 64]), max=st.sampled_from([0, 8, 26, 32, 128])
                )
            ),
        ),
    ),
    st.fixed_dictionaries(
        {"action": st.sampled_from(["Accept", "Reject"])},
        optional={
            "source": st.just("RemotePeers"),
            "interface": interfaces,
            "peerType": st.sampled_from(["eBGP", "iBGP"]),
            "communities": st.builds(lambda it: {"values": it}, st.lists(communities, max_size=2)),
            "asPathPrefix": st.lists(as_numbers, max_size=3),
            "priority": st.sampled_from([0, 1, 512, 2**31 - 1]),
            "operations": st.lists(operations, max_size=2),
        },
    ),
)
filters = st.dictionaries(
    st.sampled_from(["importV4", "importV6", "exportV4", "exportV6"]), st.lists(rules, max_size=2)
)
flags = st.booleans()
ends_of_peers = st.one_of(
    st.fixed_dictionaries({"peerIP": ends, "asNumber": as_numbers}),
    st.fixed_dictionaries({"peerSelector": selectors}),
)
starts_of_peers = st.one_of(
    st.just({}),
    st.builds(lambda it: {"node": it}, st.sampled_from(["node-1", "node-2", "nobody"])),
    st.builds(lambda it: {"nodeSelector": it}, selectors),
)
options_of_peers = some(
    localASNumber=as_numbers,
    keepOriginalNextHop=flags,
    nextHopMode=st.sampled_from(["Auto", "Self", "Keep"]),
    sourceAddress=st.sampled_from(["UseNodeIP", "None"]),
    maxRestartTime=durations,
    keepaliveTime=durations,
    numAllowedLocalASNumbers=st.sampled_from([0, 1, 255]),
    ttlSecurity=st.sampled_from([1, 2, 255]),
    reachableBy=addresses,
    filters=st.lists(st.sampled_from(["filter-1", "filter-2", "none"]), max_size=2, unique=True),
    reversePeering=st.sampled_from(["Auto", "Manual"]),
    password=passwords,
)
peers = st.builds(
    lambda start, end, asked: start | end | asked, starts_of_peers, ends_of_peers, options_of_peers
)
networks = st.lists(
    st.builds(lambda it: {"cidr": it}, st.sampled_from(["10.96.0.0/16", "10.97.0.1/32", "fd01::/112"])),
    max_size=2,
)
configurations = some(
    logSeverityScreen=st.sampled_from(["Trace", "Debug", "Info", "Warning", "Error", "Fatal"]),
    nodeToNodeMeshEnabled=flags,
    asNumber=as_numbers,
    serviceClusterIPs=networks,
    serviceExternalIPs=networks,
    serviceLoadBalancerIPs=networks,
    communities=st.just([{"name": "gold", "value": "65000:300"}]),
    prefixAdvertisements=st.lists(
        st.builds(
            lambda cidr, found: {"cidr": cidr, "communities": found}, cidrs, st.lists(communities, max_size=2)
        ),
        max_size=2,
    ),
    listenPort=st.sampled_from([1, 179, 1790, 65535]),
    nodeMeshPassword=passwords,
    nodeMeshMaxRestartTime=durations,
    bindMode=st.sampled_from(["None", "NodeIP"]),
    ignoredInterfaces=st.lists(interfaces, max_size=2),
)
own_addresses = st.sampled_from(
    ["192.168.0.11/16", "192.168.0.12/16", "192.168.0.13/16", "192.168.7.7/24", "169.254.3.3/16"]
)
nodes = st.fixed_dictionaries(
    {"ipv4Address": own_addresses},
    optional={
        "asNumber": as_numbers,
        "ipv6Address": st.sampled_from(["fd00::11/64", "fd00::12/64", "fe80::12/64"]),
        "routeReflectorClusterID": st.sampled_from(["244.0.0.1", "fd00::1", ""]),
    },
)
felix = some(programClusterRoutes=st.sampled_from(["Enabled", "EnabledIPIPOnly", "Disabled"]))
pools = some(
    ipipMode=st.sampled_from(["Always", "CrossSubnet", "Never"]), disableBGPExport=flags, disabled=flags
)
