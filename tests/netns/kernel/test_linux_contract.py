import os
import shlex
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from subprocess import CalledProcessError

import pytest
from support.kernel_contract import KernelContract, left_to_do, put
from support.namespaces import held_by_threads, run_inside

from fabric.kernel import programs
from fabric.kernel.linux import LinuxKernel
from fabric.netstate.members import Members
from fabric.netstate.objects import Chain, IpSet, Jump, LinkUp
from fabric.netstate.plan import diff

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")]


class OnLinux(KernelContract):
    flavour: str

    @pytest.fixture
    async def kernel(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LinuxKernel]:
        monkeypatch.setenv("FABRIC_IPTABLES", self.flavour)
        with held_by_threads("node-1", "node-2", "pod:1") as pids:
            kernel = LinuxKernel(pids)
            yield kernel
            kernel.close()

    def tamper(self, kernel, name, rule):
        tool = (f"ip{'6' * (rule.family == 6)}tables-{self.flavour}", "-t", rule.table)
        words = shlex.split(str(rule.rule))
        with suppress(CalledProcessError):
            run_inside(kernel.pids[name], *tool, "-D", rule.chain, *words)
        flag = "-I" if rule.position == "insert" else "-A"
        run_inside(kernel.pids[name], *tool, flag, rule.chain, *words)

    def forwarded(self, kernel, name):
        listed = run_inside(kernel.pids[name], f"iptables-{self.flavour}", "-S", "FORWARD").splitlines()
        return [line.removeprefix("-A FORWARD ") for line in listed if line.startswith("-A")]

    async def test_counters_live_on_where_few_rules_change(self, kernel: LinuxKernel):
        host, pid = kernel.host("node-1"), kernel.pids["node-1"]
        rules = [f"-s 127.0.0.{n}/32 -j RETURN" for n in range(1, 9)]
        old = Chain.parse("filter", "A", rules)
        await put(host, LinkUp("lo"), old, Jump.parse("filter", "OUTPUT", "-j A"))
        run_inside(pid, "ping", "-c", "2", "-I", "127.0.0.3", "127.0.0.1")
        new = Chain.parse("filter", "A", [*rules[:5], "-s 127.0.0.99/32 -j DROP", *rules[6:]])
        await host.apply(diff(frozenset({new}), frozenset({old})))
        assert await left_to_do(host, frozenset({new})) == ""
        listed = run_inside(pid, f"iptables-{self.flavour}", "-nvxL", "A").splitlines()
        (counted,) = [line.split() for line in listed if "127.0.0.3" in line]
        assert int(counted[0]) >= 2

    async def test_one_member_more_in_a_large_set_is_one_line_and_no_reading(
        self, kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch
    ):
        host = kernel.host("node-1")
        large = IpSet("cali40s:1", members=Members(f"10.{n // 256}.{n % 256}.0/24" for n in range(10_000)))
        await put(host, large)
        calls = []

        def noted(pid, argv, text=""):
            calls.append((argv, text))
            return real(pid, argv, text)

        real = programs.run
        monkeypatch.setattr(programs, "run", noted)
        larger = large.changed(["192.168.1.0/24"])
        await host.apply(diff(frozenset({larger}), frozenset({large})))
        assert calls == [(("ipset", "restore"), "add cali40s:1 192.168.1.0/24 -exist\n")]
        assert await left_to_do(host, frozenset({larger})) == ""

    async def test_a_tool_that_prints_otherwise_than_we_write_sees_no_drift_where_there_is_none(
        self, kernel: LinuxKernel, monkeypatch: pytest.MonkeyPatch
    ):
        def other_version(pid, argv, text=""):
            said = real(pid, argv, text)
            return said.replace("--set-xmark 0x1/0x1", "--or-mark 0x1").replace(
                "-m mark --mark 0x2", "-m mark --mark 0x02"
            )

        real = programs.run
        monkeypatch.setattr(programs, "run", other_version)
        host = kernel.host("node-1")
        chain = Chain.parse("mangle", "A", ["-j MARK --set-xmark 0x1/0x1", "-j RETURN"])
        hook = Jump.parse("mangle", "FORWARD", "-m mark --mark 0x2 -j A", "insert")
        desired = await put(host, chain, hook)
        assert await left_to_do(host, desired) == ""
        changed = frozenset({replace(chain, rules=chain.rules[:1]), hook})
        await host.apply(diff(changed, desired))
        assert await left_to_do(host, changed) == ""
        run_inside(kernel.pids["node-1"], f"iptables-{self.flavour}", "-t", "mangle", "-F", "A")
        assert (await left_to_do(host, changed)).startswith("replace chain mangle A")


class TestLinuxWithLegacyTables(OnLinux):
    flavour = "legacy"


class TestLinuxWithNftTables(OnLinux):
    flavour = "nft"
