"""Kernels tell of the routes that BIRD has in them, and what they could not tell is read anew."""

from __future__ import annotations

import subprocess
import threading
import time
from ipaddress import ip_network

import pytest
from support.namespaces import held_by_threads, run_inside

from fabric.bench import route_watch
from fabric.bench.route_watch import RouteWatch

MANY = 3000


@pytest.fixture
def nodes():
    with held_by_threads("node-1", "node-2") as pids:
        for pid in pids.values():
            run_inside(pid, "ip", "link", "set", "lo", "up")
        yield pids


@pytest.fixture
def watch(nodes):
    watch = RouteWatch(nodes)
    try:
        yield watch
    finally:
        watch.close()


def routes(pid: int, *lines: str) -> None:
    """Change routes in the namespace, as BIRD would."""
    argv = ["nsenter", "-t", str(pid), "-n", "ip", "-batch", "-"]
    subprocess.run(argv, input="\n".join(lines), text=True, check=True, capture_output=True)


def added(network: str, proto: str = "bird") -> str:
    return f"route add {network} dev lo proto {proto}"


def test_a_route_counts_where_it_is_when_it_has_come_and_no_more_when_it_has_gone(nodes, watch):
    block = ip_network("10.244.1.0/26")
    began = time.monotonic()
    routes(nodes["node-1"], added("10.244.1.0/26"), added("10.244.2.0/26", "static"))
    came = watch.until(lambda _, has: block in has, hosts={"node-1"}, seconds_max=30)
    assert came is not None and began <= came <= time.monotonic()
    assert watch.networks == {"node-1": {block}, "node-2": set()}
    routes(nodes["node-1"], "route del 10.244.1.0/26")
    assert watch.until(lambda _, has: not has, hosts=nodes, seconds_max=30) is not None
    assert watch.networks["node-1"] == set()


def test_what_was_there_before_is_known(nodes):
    routes(nodes["node-2"], added("10.244.1.0/26"), "route add blackhole 10.244.3.0/26 proto bird")
    watch = RouteWatch(nodes)
    try:
        assert watch.networks == {"node-1": set(), "node-2": {ip_network("10.244.1.0/26")}}
    finally:
        watch.close()


def test_all_hosts_must_have_it_and_the_wait_has_an_end(nodes, watch):
    routes(nodes["node-1"], added("10.244.1.0/26"))
    assert watch.until(lambda _, has: bool(has), hosts=nodes, seconds_max=0.3) is None
    routes(nodes["node-2"], added("10.244.1.0/26"))
    assert watch.until(lambda _, has: bool(has), hosts=nodes, seconds_max=30) is not None


def test_a_host_that_lost_it_again_is_waited_for_once_more(nodes, watch):
    """Both had it, but never at the same time."""
    routes(nodes["node-1"], added("10.244.1.0/26"))
    routes(nodes["node-1"], "route del 10.244.1.0/26")
    routes(nodes["node-2"], added("10.244.1.0/26"))
    assert watch.until(lambda _, has: bool(has), hosts=nodes, seconds_max=0.3) is None
    assert watch.networks == {"node-1": set(), "node-2": {ip_network("10.244.1.0/26")}}
    routes(nodes["node-1"], added("10.244.1.0/26"))
    assert watch.until(lambda _, has: bool(has), hosts=nodes, seconds_max=30) is not None


def test_what_other_hosts_have_is_followed_and_not_waited_for(nodes, watch):
    routes(nodes["node-2"], added("10.244.1.0/26"))
    routes(nodes["node-1"], added("10.244.2.0/26"))
    assert watch.until(lambda _, has: bool(has), hosts={"node-1"}, seconds_max=30) is not None
    assert watch.networks["node-2"] == {ip_network("10.244.1.0/26")}
    assert watch.until(lambda *_: False, hosts=(), seconds_max=30) is not None, "nobody is waited for"


def test_a_wait_that_is_given_up_by_another_thread_ends(watch):
    ended: list[float | None] = []
    never = threading.Thread(
        target=lambda: ended.append(watch.until(lambda *_: False, hosts={"node-1"}, seconds_max=600))
    )
    never.start()
    watch.give_up()
    never.join(60)
    assert ended == [None]


def test_a_socket_that_overflowed_forgets_no_change(nodes, monkeypatch):
    """What waits in the socket is older than the table, which is read when Linux says that some was lost."""
    monkeypatch.setattr(route_watch, "_BUFFER_BYTES", 16 << 10)
    watch = RouteWatch(nodes)
    try:
        networks = [f"10.{number // 250}.{number % 250}.0/24" for number in range(MANY)]
        routes(nodes["node-1"], *map(added, networks))
        routes(nodes["node-1"], *(f"route del {network}" for network in networks))
        routes(nodes["node-1"], added("10.244.1.0/26"))
        routes(nodes["node-1"], added("10.244.2.0/26"))
        left = {ip_network("10.244.1.0/26"), ip_network("10.244.2.0/26")}
        watch.until(lambda *_: False, hosts={"node-1"}, seconds_max=1)
        assert watch.networks["node-1"] == left
    finally:
        watch.close()
