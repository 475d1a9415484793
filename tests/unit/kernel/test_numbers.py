"""Every number of rtnetlink in the kernel floor is the one that pyroute2's tables have for its name."""

import pyroute2.netlink
import pytest
from pyroute2.netlink import rtnl
from pyroute2.netlink.rtnl import ifaddrmsg, ifinfmsg, ndmsg, nsidmsg, rtmsg, tcmsg
from pyroute2.netlink.rtnl.ifinfmsg.plugins import vxlan
from pyroute2.netlink.rtnl.tcmsg import sched_htb, sched_netem, sched_tbf

from fabric.kernel import addresses, links, neighbors, netlink, nsids, qdiscs, routes

OURS = {
    addresses: {"IFA_ADDRESS", "IFA_F_NODAD", "RTM_NEWADDR"},
    links: {"IFF_UP", "NET_NS_PID", "INFO_DATA", "VXLAN_PORT", "BRPORT_MODE", "NUM_TX_QUEUES", "RTM_NEWLINK"},
    neighbors: {"NDA_LLADDR", "NUD_PERMANENT", "NTF_SELF", "RTM_GETNEIGH"},
    netlink: {"NLM_F_ACK", "NLM_F_CREATE", "NLMSG_DONE"},
    nsids: {"NETNSA_PID", "RTM_GETNSID"},
    qdiscs: {
        "RTM_GETQDISC",
        "TCA_OPTIONS",
        "TCA_TBF_PARMS",
        "TCA_HTB_INIT",
        "TCA_NETEM_REORDER",
        "TC_H_ROOT",
    },
    routes: {"RTA_MULTIPATH", "RTA_TABLE", "RTM_DELROUTE"},
}
"""Modules, and names that must be among those compared."""


def attributes_of(message, seen):
    """The attributes of a message and of all that is nested in it: pyroute2 counts them, or numbers them."""
    found = {}
    seen.add(message)
    for at, row in enumerate(message.nla_map):
        number, name = (row[0], row[1]) if isinstance(row[0], int) else (at, row[0])
        found[name] = number
    for nested in (getattr(message, name) for name in dir(message)):
        if isinstance(nested, type) and getattr(nested, "nla_map", ()) and nested not in seen:
            found = attributes_of(nested, seen) | found
    return found


def constants_of(module):
    return {name: value for name, value in vars(module).items() if name.isupper() and type(value) is int}


@pytest.fixture(scope="module")
def table():
    """Every name of pyroute2's that the kernel floor may use, with its number."""
    found = {}
    for module in (pyroute2.netlink, rtnl, ifinfmsg, ifaddrmsg, ndmsg):
        found |= constants_of(module)
    messages = (
        ifinfmsg.ifinfmsg,
        vxlan.vxlan,
        ifaddrmsg.ifaddrmsg,
        ndmsg.ndmsg,
        rtmsg.rtmsg,
        nsidmsg.nsidmsg,
        tcmsg.tcmsg,
        sched_tbf.options,
        sched_htb.options,
        sched_netem.options,
    )
    for message in messages:
        found |= attributes_of(message, set())
    return found


@pytest.mark.parametrize("module", OURS, ids=lambda module: module.__name__)
def test_a_number_is_that_of_its_name(table, module):
    ours = {name.lstrip("_"): value for name, value in constants_of(module).items()}
    theirs = {name: table.get(name, table.get(f"IFLA_{name}")) for name in ours}
    compared = {name: (ours[name], theirs[name]) for name in ours if theirs[name] is not None}
    assert OURS[module] <= compared.keys()
    assert {name: pair for name, pair in compared.items() if pair[0] != pair[1]} == {}
