"""The kernel port on a kernel that has IPIP, with a tunl0 in every namespace from the start, and netem."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.case_contract import put
from support.ipip_contract import IpipContract
from support.namespaces import held_by_threads, run_inside
from support.netem_contract import NetemContract

from fabric.kernel import programs
from fabric.kernel.features import probe
from fabric.kernel.linux import LinuxKernel
from fabric.netstate.objects import Ipip
from fabric.netstate.plan import Plan, Step

pytestmark = pytest.mark.uml
FALLBACK = Path("/proc/sys/net/core/fb_tunnels_only_for_init_net")


@pytest.fixture
async def kernel() -> AsyncIterator[LinuxKernel]:
    with held_by_threads("node-1", "node-2", "pod:1") as pids:
        kernel = LinuxKernel(pids)
        yield kernel
        kernel.close()


class TestIpip(IpipContract):
    async def test_every_namespace_has_a_tunl0_from_the_start(self, kernel: LinuxKernel):
        shown = run_inside(kernel.pids["node-1"], "ip", "-d", "link", "show", "tunl0")
        assert "state DOWN" in shown and "remote any local any ttl inherit nopmtudisc" in shown


class TestIpipWithoutADriversOwn(IpipContract):
    """In namespaces that begin with `lo` alone."""

    @pytest.fixture(autouse=True)
    def no_tunnels_from_the_start(self) -> Iterator[None]:
        with_tunnels = FALLBACK.read_text()
        FALLBACK.write_text("2")
        yield
        FALLBACK.write_text(with_tunnels)

    async def test_one_that_was_made_is_as_the_drivers_own_and_goes_for_good(self, kernel: LinuxKernel):
        host, pid = kernel.host("node-1"), kernel.pids["node-1"]
        await put(host, Ipip())
        shown = run_inside(pid, "ip", "-d", "link", "show", "tunl0")
        assert "mtu 1480" in shown and "remote any local any ttl inherit nopmtudisc" in shown
        await host.apply(Plan((Step("delete", Ipip()),)))
        assert "tunl0" not in run_inside(pid, "ip", "link")


class TestNetem(NetemContract):
    pass


def test_all_that_fabric_can_use_is_found_here():
    missing = {name: feature.detail for name, feature in probe().items() if not feature.present}
    assert missing == {}


def test_rules_are_written_in_the_flavour_that_takes_them():
    """This kernel lists nft's tables, and has none."""
    with held_by_threads("node-1") as pids:
        assert programs.detect_flavour(pids["node-1"]) == "legacy"


def test_what_a_test_writes_is_gone_with_its_guest():
    Path("/usr/written-by-a-guest").write_text("hello")
