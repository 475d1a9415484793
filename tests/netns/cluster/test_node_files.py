"""What flannel keeps in the store and on its nodes is what stands in the kernel, as seen from outside."""

import asyncio
import json
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from pathlib import Path

import pytest
from support.cluster_namespaces import namespaces_of
from support.clusters import run
from support.eventually import eventually

from fabric.store.remote import RemoteStore

NODES = {"node-1": "192.168.0.11", "node-2": "192.168.0.12"}
DAY_SECONDS = 24 * 60 * 60
LEFT_AT_LEAST = DAY_SECONDS - 600
ADDRESSES = "/var/lib/cni/networks/cbr0"
ANNOTATION = "flannel.alpha.coreos.com/"


@dataclass(frozen=True)
class StoredLease:
    """One key below /coreos.com/network/subnets, as etcdctl would show it."""

    subnet: str
    value: dict
    ttl_seconds: int

    @property
    def gateway(self):
        return str(ip_network(self.subnet)[1])

    @property
    def vtep(self):
        return str(ip_network(self.subnet)[0])

    @property
    def mac(self):
        return self.value["BackendData"]["VtepMAC"]


async def _stored(cluster):
    store = RemoteStore(cluster.run_folder / "store.sock")
    try:
        kvs = (await store.range("/coreos.com/network")).kvs
        ttls = {kv.lease: await store.time_to_live(kv.lease) for kv in kvs if kv.lease}
        return {kv.key: (json.loads(kv.value), ttls.get(kv.lease, 0)) for kv in kvs}
    finally:
        await store.close()


@pytest.fixture(scope="module")
def stored(vxlan):
    """Every key of flannel's, with its value and the seconds that it has left."""
    return asyncio.run(_stored(vxlan))


@pytest.fixture(scope="module")
def leases(stored):
    """The lease of each node, by the node's name."""
    names = {address: name for name, address in NODES.items()}
    found = {}
    for key, (value, ttl_seconds) in stored.items():
        if key.startswith("/coreos.com/network/subnets/"):
            subnet = key.rpartition("/")[2].replace("-", "/")
            found[names[value["PublicIP"]]] = StoredLease(subnet, value, ttl_seconds)
    return found


@pytest.fixture(scope="module")
def spaces(vxlan):
    return namespaces_of(vxlan)


def pods_of(cluster, node):
    pods = cluster.get("/api/v1/pods")["items"]
    return {pod["status"]["podIP"]: pod for pod in pods if pod["spec"]["nodeName"] == node}


def test_the_store_holds_the_configuration_and_one_key_for_each_node(stored, leases):
    config, ttl_seconds = stored["/coreos.com/network/config"]
    assert config["Network"] == "10.244.0.0/16" and config["Backend"]["Type"] == "vxlan"
    assert ttl_seconds == 0, "the configuration stays for ever"
    assert sorted(leases) == sorted(NODES) and len(stored) == 3


@pytest.mark.parametrize("node", NODES)
def test_a_lease_says_what_its_node_has(spaces, leases, node):
    lease = leases[node]
    tunnel = spaces[node].device("flannel.1")
    assert lease.value == {
        "PublicIP": spaces[node].device("eth0")["addr_info"][0]["local"],
        "PublicIPv6": None,
        "BackendType": "vxlan",
        "BackendData": {"VNI": tunnel["linkinfo"]["info_data"]["id"], "VtepMAC": tunnel["address"]},
    }
    assert LEFT_AT_LEAST < lease.ttl_seconds <= DAY_SECONDS
    (bridge,) = spaces[node].device("cni0")["addr_info"]
    assert f"{bridge['local']}/{bridge['prefixlen']}" == f"{lease.gateway}/24"
    assert [(a["local"], a["prefixlen"]) for a in tunnel["addr_info"]] == [(lease.vtep, 32)]
    assert tunnel["linkinfo"]["info_data"]["port"] == 8472


@pytest.mark.parametrize("node, other", [("node-1", "node-2"), ("node-2", "node-1")])
def test_a_node_has_one_route_one_neighbour_and_one_fdb_entry_for_the_other_lease(
    spaces, leases, node, other
):
    lease = leases[other]
    routes = spaces[node].ask("ip", "route", "show", "dev", "flannel.1")
    assert [(r["dst"], r["gateway"], r["flags"]) for r in routes] == [(lease.subnet, lease.vtep, ["onlink"])]
    neighbours = spaces[node].ask("ip", "neigh", "show", "dev", "flannel.1")
    assert [(n["dst"], n["lladdr"], n["state"]) for n in neighbours] == [
        (lease.vtep, lease.mac, ["PERMANENT"])
    ]
    entries = [e for e in spaces[node].ask("bridge", "fdb", "show", "dev", "flannel.1") if "dst" in e]
    assert [(e["mac"], e["dst"], e["flags"], e["state"]) for e in entries] == [
        (lease.mac, NODES[other], ["self"], "permanent")
    ]


@pytest.mark.parametrize("node", NODES)
def test_the_nodes_pod_cidr_is_its_lease(vxlan, leases, node):
    spec = vxlan.get(f"/api/v1/nodes/{node}")["spec"]
    assert spec == {"podCIDR": leases[node].subnet, "podCIDRs": [leases[node].subnet]}


def test_events_tell_of_the_nodes_that_the_controller_knows(vxlan):
    events = vxlan.get("/api/v1/events?fieldSelector=reason=RegisteredNode")["items"]
    assert {(e["involvedObject"]["name"], e["source"]["component"]) for e in events} == {
        (node, "node-controller") for node in NODES
    }


@pytest.mark.parametrize("node", NODES)
def test_subnet_env_lies_in_the_nodes_own_run(spaces, leases, node):
    assert spaces[node].file("/run/flannel/subnet.env").read_text() == (
        "FLANNEL_NETWORK=10.244.0.0/16\n"
        f"FLANNEL_SUBNET={leases[node].gateway}/24\n"
        "FLANNEL_MTU=1450\n"
        "FLANNEL_IPMASQ=true\n"
    )


@pytest.mark.parametrize("node", NODES)
def test_the_conflist_is_the_one_that_kube_flannel_installs(spaces, node):
    folder = spaces[node].file("/etc/cni/net.d")
    assert [path.name for path in folder.iterdir()] == ["10-flannel.conflist"]
    conflist = json.loads((folder / "10-flannel.conflist").read_text())
    assert (conflist["name"], conflist["cniVersion"]) == ("cbr0", "0.3.1")
    assert [plugin["type"] for plugin in conflist["plugins"]] == ["flannel", "portmap"]
    assert conflist["plugins"][0]["delegate"] == {"hairpinMode": True, "isDefaultGateway": True}


@pytest.mark.parametrize("node", NODES)
def test_one_file_for_each_pods_address_names_the_pod(vxlan, spaces, node):
    folder = spaces[node].file(ADDRESSES)
    files = {path.name: path.read_bytes().decode() for path in folder.iterdir()}
    assert files.pop("lock") == ""
    assert files.pop("last_reserved_ip.0") in pods_of(vxlan, node)
    assert files == {ip: f"{pod['metadata']['uid']}\r\neth0" for ip, pod in pods_of(vxlan, node).items()}


@pytest.mark.parametrize("node", NODES)
def test_a_pods_address_in_the_api_is_the_one_on_its_device_and_in_its_nodes_subnet(
    vxlan, spaces, leases, node
):
    for ip, pod in pods_of(vxlan, node).items():
        (own,) = spaces[pod["metadata"]["name"]].device("eth0")["addr_info"]
        assert (own["local"], own["prefixlen"]) == (ip, 24)
        assert str(ip_interface(f"{ip}/24").network) == leases[node].subnet


@pytest.mark.parametrize("node", NODES)
async def test_the_node_object_is_annotated_with_its_lease(vxlan, leases, node):
    def annotations():
        found = vxlan.get(f"/api/v1/nodes/{node}")["metadata"]["annotations"]
        return {key: value for key, value in found.items() if key.startswith(ANNOTATION)}

    found = await eventually(annotations)
    assert json.loads(found.pop(f"{ANNOTATION}backend-data")) == leases[node].value["BackendData"]
    assert found == {f"{ANNOTATION}backend-type": "vxlan", f"{ANNOTATION}public-ip": NODES[node]}


def test_a_nodes_files_are_neither_the_hosts_nor_another_nodes(spaces):
    for path in ("/run/flannel/subnet.env", ADDRESSES, "/etc/cni/net.d/10-flannel.conflist"):
        ours, others = (spaces[node].file(path) for node in NODES)
        assert not ours.samefile(others)
        assert not Path(path).exists() or not ours.samefile(path)


async def test_a_deleted_pod_leaves_neither_address_nor_device(vxlan, spaces):
    (ip, pod), *_ = pods_of(vxlan, "node-2").items()
    node, uid = spaces["node-2"], pod["metadata"]["uid"]
    kept = [node.file(f"{ADDRESSES}/{ip}"), node.file(f"/var/lib/cni/flannel/{uid}")]
    assert all(path.exists() for path in kept)
    devices = len(node.ask("ip", "link", "show", "master", "cni0"))
    api = vxlan.run_folder / "api.sock"
    url = f"http://fabric/api/v1/namespaces/default/pods/{pod['metadata']['name']}"
    assert run("curl", "-sS", "--fail", "--unix-socket", str(api), "-X", "DELETE", url).returncode == 0

    def is_gone():
        left = len(node.ask("ip", "link", "show", "master", "cni0"))
        return left == devices - 1 and not any(path.exists() for path in kept)

    await eventually(is_gone)
    await eventually(lambda: ip not in pods_of(vxlan, "node-2"))
