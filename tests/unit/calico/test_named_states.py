"""The calculation led from every named state to every other one: what comes of it is as if made afresh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest
from support.calculations import Scan, Thing, drop, endpoint_of, key_of, policy_of

from calico.calc.calculator import Calculator
from calico.calc.feed import put
from calico.calc.objects import Endpoint, EndpointId, NamedPort, PortRange, Ports, Profile, Rule, Side, Tier
from calico.felix.options import RuleOptions
from calico.felix.policy_state import PolicySite, PolicyState
from calico.resources.felix import DEFAULTS
from calico.selector import Selector
from fabric.netstate.objects import NetState

NODES = ("node-1", "node-2")


def _pod(name: str, node: str = "node-1", number: int = 1, **told) -> Endpoint:
    nets = told.pop("nets", (ip_network(f"10.0.0.{number}"), ip_network(f"fd00::{number}")))
    its = {"labels": {"app": "web"}, "profiles": ("kns.default",)} | told
    return endpoint_of(name, node, nets=nets, interface=f"cali{name}", **its)


def _from(selector: str, **told) -> tuple[Rule, ...]:
    return (Rule("Allow", source=Side(Selector.parse(selector), **told)),)


def _host(name: str, interface: str = "eth0", number: int = 1, **told) -> Endpoint:
    its = EndpointId("HostEndpoint", "", name)
    return Endpoint(
        its,
        {"host": "a"},
        nets=(ip_network(f"192.168.0.{number}"),),
        node="node-1",
        interface=interface,
        **told,
    )


def _set(name: str, *nets: str, **labels: str) -> Endpoint:
    return endpoint_of(name, "", labels=labels, nets=tuple(map(ip_network, nets)))


ALLOW = (Rule("Allow"),)
DEFAULT = Profile("kns.default", ALLOW, ALLOW, {"pcns.stage": "a"})
BASE = (Tier("default", 1_000_000), DEFAULT)
WEB, DB = _pod("pod-1"), _pod("pod-2", "node-2", 2, labels={"app": "db"})
PODS = (*BASE, WEB, DB)
HTTP = (NamedPort("http", "tcp", 80), NamedPort("dns", "udp", 53))
_NAMED = Rule("Allow", "tcp", destination=Side(ports=Ports(names=("http",))))
_NAMED_OF_WEB = Rule(
    "Allow", "tcp", destination=Side(Selector.parse("app == 'web'"), ports=Ports(names=("http",)))
)
_PORTS = Ports(tuple(PortRange(it, it) for it in range(1000, 1020)))
_MANY = Rule("Allow", "tcp", destination=Side(ports=_PORTS))

STATES: dict[str, tuple[Thing, ...]] = {
    "nothing": (),
    "a pod and no profile": (WEB,),
    "pods and their profile": PODS,
    "a policy for all without rules": (*PODS, policy_of("policy-1")),
    "a policy for nobody": (*PODS, policy_of("policy-1", "app == 'no'", ingress=_from("all()"))),
    "a policy for one node's pods": (
        *PODS,
        policy_of("policy-1", "app == 'db'", ingress=_from("app == 'web'")),
    ),
    "the same for the other's": (*PODS, policy_of("policy-1", "app == 'web'", ingress=_from("app == 'web'"))),
    "the same for egress": (
        *PODS,
        policy_of("policy-1", "app == 'web'", types=frozenset({"egress"}), egress=_from("app == 'db'")),
    ),
    "two policies with one selector": (
        *PODS,
        policy_of("policy-1", ingress=_from("app == 'web'"), order=2.0),
        policy_of("policy-2", ingress=_from("app == 'web'"), order=1.0),
    ),
    "the same in the other order": (
        *PODS,
        policy_of("policy-1", ingress=_from("app == 'web'"), order=1.0),
        policy_of("policy-2", ingress=_from("app == 'web'"), order=2.0),
    ),
    "a policy of a tier that passes": (
        *PODS,
        Tier("admin", 1.0, "Pass"),
        policy_of("policy-1", tier="admin", ingress=(Rule("Pass"),)),
        policy_of("policy-2", ingress=_from("app == 'db'")),
    ),
    "the same of a tier that denies": (
        *PODS,
        Tier("admin", 1.0),
        policy_of("policy-1", tier="admin", ingress=(Rule("Pass"),)),
        policy_of("policy-2", ingress=_from("app == 'db'")),
    ),
    "the same of a tier that nobody made": (
        *PODS,
        policy_of("policy-1", tier="admin", ingress=(Rule("Pass"),)),
        policy_of("policy-2", ingress=_from("app == 'db'")),
    ),
    "a policy for a label of the namespace": (
        *PODS,
        policy_of("policy-1", "pcns.stage == 'a'", ingress=ALLOW),
    ),
    "the label of the namespace is another": (
        *PODS,
        Profile("kns.default", ALLOW, ALLOW, {"pcns.stage": "b"}),
        policy_of("policy-1", "pcns.stage == 'a'", ingress=ALLOW),
    ),
    "a pod's own label wins over the namespace's": (
        *BASE,
        _pod("pod-1", labels={"pcns.stage": "b"}),
        DB,
        policy_of("policy-1", "pcns.stage == 'a'", ingress=_from("pcns.stage == 'b'")),
    ),
    "a profile denies": (*PODS, Profile("kns.default", (Rule("Deny"),), ALLOW)),
    "a pod has two profiles": (
        *BASE,
        Profile("ksa.default.robot", labels={"pcsa.team": "red"}),
        _pod("pod-1", profiles=("kns.default", "ksa.default.robot")),
        policy_of("policy-1", "pcsa.team == 'red'", ingress=_from("pcsa.team == 'red'")),
    ),
    "two pods of one node": (
        *PODS,
        _pod("pod-3", number=3),
        policy_of("policy-1", ingress=_from("app == 'web'")),
    ),
    "two pods of one address": (
        *PODS,
        _pod("pod-3", number=2),
        policy_of("policy-1", ingress=_from("app == 'web' || app == 'db'")),
    ),
    "a pod on the other node": (
        *BASE,
        _pod("pod-1", "node-2"),
        policy_of("policy-1", ingress=_from("app == 'web'")),
    ),
    "a pod with another address": (
        *BASE,
        _pod("pod-1", number=9),
        DB,
        policy_of("policy-1", ingress=_from("app == 'web'")),
    ),
    "a pod with another device": (
        *BASE,
        replace(WEB, interface="caliother"),
        policy_of("policy-1", ingress=_from("app == 'web'")),
    ),
    "a named port that nobody has": (*PODS, policy_of("policy-1", ingress=(_NAMED,))),
    "a named port": (*BASE, _pod("pod-1", ports=HTTP), DB, policy_of("policy-1", ingress=(_NAMED,))),
    "a named port of selected pods": (
        *BASE,
        _pod("pod-1", ports=HTTP),
        _pod("pod-2", "node-2", 2, ports=HTTP, labels={"app": "db"}),
        policy_of("policy-1", ingress=(_NAMED_OF_WEB,)),
    ),
    "a named port of another number": (
        *BASE,
        _pod("pod-1", ports=(NamedPort("http", "tcp", 8080),)),
        policy_of("policy-1", ingress=(_NAMED_OF_WEB, _NAMED)),
    ),
    "more ports than a rule takes": (*PODS, policy_of("policy-1", ingress=(_MANY,))),
    "a set of networks": (
        *PODS,
        _set("set-1", "203.0.113.0/24", "fd01::/64", kind="outer"),
        policy_of("policy-1", ingress=_from("kind == 'outer'")),
    ),
    "a set of other networks": (
        *PODS,
        _set("set-1", "203.0.113.0/25", kind="outer"),
        policy_of("policy-1", ingress=_from("kind == 'outer'")),
    ),
    "two sets that share a network": (
        *PODS,
        _set("set-1", "203.0.113.0/24", kind="outer"),
        _set("set-2", "203.0.113.0/24", "0.0.0.0/0", kind="outer"),
        policy_of("policy-1", ingress=_from("kind == 'outer'", not_selector=Selector.parse("app == 'web'"))),
    ),
    "a host endpoint without policies": (*PODS, _host("host-1")),
    "a host endpoint of every device": (
        *PODS,
        _host("host-1", "*"),
        policy_of("policy-1", "has(host)", apply_on_forward=True, ingress=_from("app == 'web'")),
    ),
    "a host endpoint by its address": (
        *PODS,
        _host("host-1", "", profiles=("kns.default",)),
        policy_of(
            "policy-1", "has(host)", pre_dnat=True, apply_on_forward=True, ingress=_from("app == 'web'")
        ),
    ),
    "two host endpoints of one device": (
        *PODS,
        _host("host-1"),
        _host("host-2"),
        policy_of(
            "policy-1", "has(host)", untracked=True, apply_on_forward=True, ingress=_from("app == 'web'")
        ),
    ),
    "a policy for pods and hosts": (
        *PODS,
        _host("host-2"),
        policy_of(
            "policy-1", types=frozenset({"ingress", "egress"}), ingress=ALLOW, egress=_from("has(host)")
        ),
    ),
}
_SITE = PolicySite(RuleOptions(DEFAULTS, ("cali",)), (4, 6), "eth0", frozenset({ip_address("192.168.0.1")}))


class Led:
    """A calculation with the chains and sets of both nodes, and the objects that it was told of."""

    def __init__(self) -> None:
        self.calculator = Calculator()
        self._states = [PolicyState(self.calculator, name) for name in NODES]
        self.there: dict[object, Thing] = {}

    def change(self, key: object, thing: Thing | None) -> None:
        """Tell it of one object, or that it is gone."""
        if thing is None:
            drop(self.calculator, key)
            del self.there[key]
        else:
            put(self.calculator, thing)
            self.there[key] = thing

    def outcome(self) -> tuple[NetState, ...]:
        self.calculator.flush()
        return tuple(frozenset().union(*it.parts(_SITE).values()) for it in self._states)

    def check(self) -> None:
        """Its views are what a scan of all objects says."""
        self.calculator.flush()
        expected = Scan(self.there.values())
        for node in NODES:
            view = self.calculator.follow(node)
            assert view.endpoints == expected.endpoints(node)
            assert set(view.rules) == {rule for it in view.endpoints.values() for rule in it.rules}
            for set_id in view.sets:
                members = {*self.calculator.members(set_id, 4), *self.calculator.members(set_id, 6)}
                assert members == expected.members(set_id)


def changes(there: dict[object, Thing], state: tuple[Thing, ...]) -> list[tuple[object, Thing | None]]:
    """All keys that differ: those that come or change, in order, and those that go."""
    wanted = {key_of(it): it for it in state}
    found = [(key, thing) for key, thing in wanted.items() if there.get(key) != thing]
    return [*found, *((key, None) for key in there if key not in wanted)]


def every_pair() -> Iterator[str]:
    """Names of states in an order in which each follows each other one once."""
    names = tuple(STATES)
    for index, first in enumerate(names[:-1]):
        for other in names[index + 1 :]:
            yield from (first, other)
    yield names[0]


@cache
def afresh(name: str) -> tuple[NetState, ...]:
    led = Led()
    for thing in STATES[name]:
        led.change(key_of(thing), thing)
    return led.outcome()


def test_every_state_follows_every_other_one():
    names = list(every_pair())
    pairs = set(pairwise(names))
    assert len(pairs) == len(names) - 1 == len(STATES) * (len(STATES) - 1)


@pytest.mark.parametrize("order", [1, -1], ids=["forwards", "backwards"])
def test_a_state_that_comes_in_one_batch_is_as_if_it_had_been_there_from_the_start(order):
    led, before = Led(), ""
    for name in every_pair():
        for key, thing in changes(led.there, STATES[name])[::order]:
            led.change(key, thing)
        assert led.outcome() == afresh(name), f"{name} after {before}"
        before = name


@pytest.mark.parametrize("order", [1, -1], ids=["forwards", "backwards"])
def test_a_state_that_comes_key_by_key_is_right_after_each_key(order):
    led, before = Led(), ""
    for name in every_pair():
        for key, thing in changes(led.there, STATES[name])[::order]:
            led.change(key, thing)
            led.check()
            led.outcome()
        assert led.outcome() == afresh(name), f"{name} after {before}"
        before = name
