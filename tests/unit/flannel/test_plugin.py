"""The plugin as a topology meets it: problems with their paths, requirements, the config, a preview."""

from __future__ import annotations

import pytest
from support.flannel_cluster import config, facts
from support.memory_api import MemoryApi

from fabric.errors import BadInput, FabricError
from fabric.netstate.objects import FdbEntry, Route
from fabric.plugin import registry
from fabric.store.memory import MemoryStore
from fabric.store.port import Delete, Put
from flannel.plugin import FlannelPlugin

PLUGIN = FlannelPlugin()
NODES = [facts(number) for number in (1, 2, 3)]
KEY = "/coreos.com/network/config"


def problems(section, nodes=NODES):
    return dict(PLUGIN.problems(section, nodes))


def test_it_is_found_by_its_entry_point():
    assert "flannel" in registry.installed()
    assert registry.load("flannel").name == "flannel"


def test_an_unknown_plugin_is_told_which_are_installed():
    with pytest.raises(FabricError, match=r"'weave' is not installed .*flannel"):
        registry.load("weave")


@pytest.mark.parametrize("section", [config(), config("vxlan"), config("host-gw"), config("vxlan", mtu=1400)])
def test_a_right_section_has_no_problems(section):
    assert problems(section) == {}


@pytest.mark.parametrize(
    ("section", "path", "what"),
    [
        (config("ipip"), "backend", "'ipip' is not supported (allowed: host-gw, vxlan)"),
        (config("vxlan", vni=0), "options.vni", "0 is not a whole number from 1 to"),
        (
            config("vxlan", colour="red"),
            "options.colour",
            "unknown option 'colour' for backend vxlan (allowed: ",
        ),
        (config("host-gw", VNI=1), "options.VNI", "unknown option 'VNI' for backend host-gw"),
        (config("vxlan", subnetlen=12), "options.subnetlen", "12 is not allowed: from 18 to 30"),
        (
            config(cidrs="10.244.0.0/23", SubnetLen=26, SubnetMin="10.244.1.128"),
            "options.SubnetLen",
            "has 2 sub",
        ),
        (config("vxlan", mtu=1500), "mtu", "1500 does not fit: from 576 to 1450 with backend vxlan"),
        (config("host-gw", mtu=200), "mtu", "200 does not fit: from 576 to 1500"),
        (config(cidrs="fd00:10:244::/48"), "plugin", "node-3 needs an underlay address of each family"),
        (config(cidrs="10.244.0.0/29"), "/podCIDR", "too small: a prefix of at most /28 is allowed"),
    ],
)
def test_a_wrong_one_is_answered_with_a_path_and_what_is_allowed(section, path, what):
    assert what in problems(section)[path]


def test_host_gw_over_a_router_is_refused_before_anything_is_built():
    far = facts(2, "172.16.0.0/16")
    assert (
        "node-2 is not on that of node-1: use vxlan"
        in problems(config("host-gw"), [facts(1), far])["backend"]
    )


def test_what_the_kernel_must_have_depends_on_the_backend():
    assert PLUGIN.requirements(config()) == {"vxlan", "iptables"}
    assert PLUGIN.requirements(config("host-gw")) == {"iptables"}
    with pytest.raises(BadInput, match="not supported"):
        PLUGIN.requirements(config("udp"))


async def test_the_configuration_is_written_once_and_again_when_it_changes():
    store, api = MemoryStore(), MemoryApi()
    await PLUGIN.prepare(config(), store, api)
    await PLUGIN.prepare(config("vxlan"), store, api)
    kv = await store.get(KEY)
    assert (kv.value, kv.version) == (b'{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}', 1)
    await PLUGIN.prepare(config("host-gw"), store, api)
    kv = await store.get(KEY)
    assert (kv.value, kv.version) == (b'{"Network":"10.244.0.0/16","Backend":{"Type":"host-gw"}}', 2)


EDITED = b'{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan","DirectRouting":true}}'


async def test_what_was_edited_in_the_store_stays_over_restarts_until_the_topology_changes():
    store, api = MemoryStore(), MemoryApi()
    await PLUGIN.prepare(config("vxlan", Port=4789, VNI=7), store, api)
    await store.txn([], [Put(KEY, EDITED)])
    await PLUGIN.prepare(config("vxlan", VNI=7, Port=4789), store, api)
    assert (await store.get(KEY)).value == EDITED
    await PLUGIN.prepare(config("vxlan", VNI=8, Port=4789), store, api)
    assert b'"VNI":8' in (await store.get(KEY)).value


async def test_a_configuration_that_was_deleted_is_written_again():
    store, api = MemoryStore(), MemoryApi()
    await PLUGIN.prepare(config(), store, api)
    await store.txn([], [Delete(KEY)])
    await PLUGIN.prepare(config(), store, api)
    assert await store.get(KEY) is not None


async def test_a_configuration_from_elsewhere_is_taken_as_it_is():
    store, api = MemoryStore(), MemoryApi()
    await store.txn([], [Put(KEY, EDITED)])
    await PLUGIN.prepare(config(), store, api)
    assert (await store.get(KEY)).value == EDITED


def test_the_preview_gives_subnets_in_the_nodes_order():
    states = PLUGIN.preview(config(SubnetMin="10.244.7.0"), NODES)
    assert list(states) == ["node-1", "node-2", "node-3"]
    routes = sorted(str(obj.dst) for obj in states["node-1"] if isinstance(obj, Route))
    assert routes == ["10.244.8.0/24", "10.244.9.0/24"]
    assert {obj.mac for obj in states["node-1"] if isinstance(obj, FdbEntry)} == {
        "02:00:00:00:00:02",
        "02:00:00:00:00:03",
    }


def test_it_wants_no_kinds_served():
    assert PLUGIN.custom_resources(config()) == ()
