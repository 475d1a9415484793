"""The net loop and rules: what Linux refuses of them, and what it does not tell of their sets."""

import asyncio
from itertools import pairwise

import pytest
from support.owned_task import running

from fabric.control.netloop import NetLoop
from fabric.kernel.fake import FakeKernel
from fabric.netstate.objects import Chain, IpSet, Jump, Rule
from fabric.netstate.port import Owner

OWNER = Owner("felix", frozenset({Chain, Jump, IpSet}), lambda obj: True)


@pytest.fixture
def host():
    return FakeKernel("node-1").host("node-1")


@pytest.fixture
async def loop(host):
    loop = NetLoop(host, OWNER)
    async with running(loop.run()):
        yield loop


async def test_rules_and_the_sets_that_they_name_come_back_when_a_stranger_removed_both(host, loop):
    allowed = IpSet("allowed", "hash:net", 4, frozenset({"10.244.2.0/24"}))
    chain = Chain("filter", "CHAIN", (Rule.parse("-m set --match-set allowed src -j ACCEPT"),))
    loop.want("policy", {allowed, chain})
    await loop.until_converged()
    host.tamper_delete(chain)
    host.tamper_delete(allowed)
    host.tell("rules", None, False)
    await asyncio.sleep(1)
    assert {allowed, chain} <= host.state


async def test_a_refused_chain_holds_up_no_chain_that_does_not_lead_to_it(host, loop):
    names = ("A", "B", "C", "D")
    rules = {name: (Rule.parse(f"-j {target}"),) for name, target in pairwise(names)}
    line = [Chain("filter", name, rules.get(name, ())) for name in names]
    bad = Chain("filter", "BAD", (Rule.parse("-j MISSING"),))
    jump = Jump.parse("filter", "FORWARD", "-j A")
    loop.want("policy", {*line, bad, jump})
    await asyncio.sleep(0.15)
    assert {*line} <= host.state and bad not in host.state
    assert host.built_in("filter", "FORWARD") == ("-j A",)
    assert len(host.plans) < 10, "halves around one chain, not each by itself"
    loop.want("policy", ())
    await asyncio.sleep(1)
    assert loop.is_converged and not any(isinstance(it, Chain) for it in host.state)


def closed(chain):
    return Chain(chain.table, chain.name, (Rule("", "-j DROP"),))


async def test_what_leads_to_a_refused_new_chain_leads_to_a_stand_in_and_the_refusal_names_who_asked(host):
    policies = [Chain("filter", f"policy-{n}", (Rule("", "-j RETURN", f"policy {n}"),)) for n in range(64)]
    bad = Chain("filter", "policy-7", (Rule("", "-j MISSING", "policy 7"),))
    policies[7] = bad
    pod = Chain("filter", "pod", tuple(Rule("", f"-j {it.name}") for it in policies))
    loop = NetLoop(host, Owner("felix", OWNER.kinds, lambda obj: True, stand_in=closed))
    loop.want("pod", {pod})
    for it in policies:
        loop.want(f"policy:{it.name}", {it})
    async with running(loop.run()):
        await asyncio.sleep(0.15)
        assert {pod, closed(bad), *policies} - {bad} <= host.state
        assert len(host.plans) < 20, "the refused chain is found by halving"
        assert loop.last_error.startswith("policy 7: node-1: add chain filter policy-7")
        await asyncio.sleep(60)
        assert closed(bad) in host.state and loop.last_error.startswith("policy 7: ")
        good = Chain("filter", "policy-7", (Rule("", "-j ACCEPT", "policy 7"),))
        loop.want("policy:policy-7", {good})
        await asyncio.sleep(0.01)
        assert good in host.state and loop.is_converged and loop.last_error == ""


async def test_a_chain_that_is_there_stays_where_its_new_rules_are_refused(host):
    old = Chain("filter", "policy-1", (Rule("", "-j RETURN", "policy 1"),))
    loop = NetLoop(host, Owner("felix", OWNER.kinds, lambda obj: True, stand_in=closed))
    loop.want("policy", {old})
    async with running(loop.run()):
        await asyncio.sleep(0.01)
        loop.want("policy", {Chain("filter", "policy-1", (Rule("", "-j MISSING", "policy 1"),))})
        await asyncio.sleep(60)
        assert old in host.state and loop.last_error.startswith("policy 1: ")
        loop.want("policy", ())
        await asyncio.sleep(0.01)
        assert old not in host.state and loop.is_converged
