"""What the model of netfilter promises, as tests that the fake kernel and Linux both pass.

A test class inherits `NetfilterContract` and gives the fixture `router`, which takes rules and packets. Where
each packet comes out is written in the cases; which rules it meets the model says, and Linux counts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from fabric.kernel.fake import FakeKernel
from fabric.kernel.fake_netfilter.packets import ICMP, ICMPV6, Packet, Verdict
from fabric.netstate.port import Host
from support.case_contract import put
from support.netfilter_match_cases import MATCH_CASES
from support.netfilter_packets import Case
from support.netfilter_rules import Place, RuleSet, hits
from support.netfilter_state_cases import STATE_CASES
from support.netfilter_target_cases import TARGET_CASES
from support.netfilter_world import DEVICES, ROUTER, SETS

CASES = MATCH_CASES | STATE_CASES | TARGET_CASES


@dataclass(frozen=True)
class Outcome:
    """Where a packet came out (`cali1`, `eth1`, `local`, nowhere), with which ends, and who was told what."""

    where: str
    ends: str
    answer: str

    def told(self, *, with_ends: bool = True) -> str:
        return " ".join(filter(None, (self.where, self.ends if with_ends else "", self.answer)))


Walked = tuple[list[Outcome], Counter[Place]]


class NetfilterContract(ABC):
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", CASES.values(), ids=CASES)

    @abstractmethod
    async def walked(self, router: Any, case: Case) -> Walked:
        """Return what became of each packet of the case, and how often each rule was met."""

    async def test_packets_end_where_they_should_and_meet_the_rules_of_the_model(
        self, router: Any, case: Case
    ):
        outcomes, met = await self.walked(router, case)
        told = [it.told(with_ends=">" in seen) for it, seen in zip(outcomes, case.seen, strict=True)]
        assert told == list(case.seen), f"{told} and not {list(case.seen)}"
        _, expected = await modelled(case.rules, case.packets)
        assert met == expected, difference(met, expected)


def difference(met: Counter[Place], expected: Counter[Place]) -> str:
    """Return the rules that were met more or less often than the model says."""
    places = sorted(met.keys() | expected.keys())
    return "\n".join(
        f"{place}: {met[place]} times and not {expected[place]}"
        for place in places
        if met[place] != expected[place]
    )


async def modelled(rules: RuleSet, packets: Sequence[Packet]) -> Walked:
    """Return what the model says of the packets."""
    host = FakeKernel("router", "client", "server").host("router")
    await _build(host)
    await put(host, *rules.objects())
    policies = {(rules.family, *place): policy for place, policy in rules.policies.items() if policy != "-"}
    netfilter = host.netfilter(policies)
    verdicts = [netfilter.walk(packet) for packet in packets]
    return [outcome(it) for it in verdicts], sum((hits(it) for it in verdicts), Counter())


async def _build(host: Host) -> None:
    for state in (DEVICES, ROUTER, frozenset(SETS)):
        await put(host, *state)


def outcome(verdict: Verdict) -> Outcome:
    """Return what one can see of a verdict from outside."""
    answer = verdict.answer
    if answer is not None and answer.kind == "ACCEPT":
        packet = answer.packet
        told = "tcp-reset" if packet.protocol == 6 else f"icmp {packet.icmp_type}/{packet.icmp_code}"
        return Outcome("", "", f"{told} at {packet.out_interface or 'local'}")
    if verdict.kind != "ACCEPT":
        return Outcome("", "", "")
    where = verdict.packet.out_interface or "local"
    return Outcome(
        where, "" if where == "local" and verdict.packet.family == 6 else _ends(verdict.packet), ""
    )


def _ends(packet: Packet) -> str:
    ports = (packet.source_port, packet.destination_port)
    if packet.protocol in (ICMP, ICMPV6):
        ports = (packet.source_port if packet.icmp_type in (0, 8, 128, 129) else 0, 0)
    return f"{packet.source}:{ports[0]}>{packet.destination}:{ports[1]}"
