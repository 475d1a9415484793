"""The chains that are on every node, and the hooks by which the kernel's own lead into them.

filter: FORWARD asks the endpoint that a packet comes from and the one that it goes to; INPUT lets in the
tunnels of Calico's nodes, sends what pods want of the node through their egress policies, and asks host
endpoints; OUTPUT leaves alone what the node sends to its own pods. raw drops packets from pods with another's
address. mangle asks host endpoints before DNAT, and after it. A chain's "accepted" becomes ACCEPT here only.
"""

from __future__ import annotations

from collections.abc import Iterator

from calico.felix import dispatch
from calico.felix.endpoint_chains import FAILSAFE_IN, FAILSAFE_OUT
from calico.felix.nat import ALL_HOSTS, ALL_VXLAN, set_name
from calico.felix.options import RuleOptions, clear_mark, mark_is_clear, mark_is_set, set_mark
from calico.felix.rules import FelixRule, chain, hook, jump
from calico.resources.failsafe import ProtoPort
from fabric.netstate.objects import Family, Jump, NetObject, NetState
from fabric.netstate.rules import Table

WORKLOAD_TO_HOST, CIDR_BLOCK, RPF_SKIP = "cali-wl-to-host", "cali-cidr-block", "cali-rpf-skip"
_LOCAL_SOURCE, _LOCAL_DESTINATION = "-m addrtype --src-type LOCAL", "-m addrtype --dst-type LOCAL"
_KNOWN = "-m conntrack --ctstate RELATED,ESTABLISHED"
_ND_TYPES = (130, 131, 132, 133, 135, 136)
"""Of ICMPv6: what a router must hear for multicast and neighbour discovery."""
_HOST_ACCEPTED = ("Host endpoint policy accepted packet.",)


def desired_state(options: RuleOptions, family: Family) -> NetState:
    """The chains and hooks of one family."""
    return frozenset(_Static(options, family).objects())


class _Static:
    def __init__(self, options: RuleOptions, family: Family) -> None:
        self._options = options
        self._marks = options.marks
        self._family = family
        self._deny = options.deny
        self._accepted = mark_is_set(options.marks.accept)
        self._has_vxlan = family in options.vxlan
        self._has_ipip = options.has_ipip and family == 4

    def objects(self) -> Iterator[NetObject]:
        tables: dict[Table, dict[str, Iterator[FelixRule]]] = {
            "filter": {
                "cali-FORWARD": self._forward(),
                "cali-INPUT": self._input(),
                "cali-OUTPUT": self._output(),
                WORKLOAD_TO_HOST: self._workload_to_host(),
                CIDR_BLOCK: iter(()),
            },
            "raw": {
                "cali-PREROUTING": self._raw_prerouting(),
                "cali-OUTPUT": self._raw_output(),
                RPF_SKIP: iter(()),
            },
            "mangle": {
                "cali-PREROUTING": self._mangle_prerouting(),
                "cali-POSTROUTING": self._mangle_postrouting(),
            },
        }
        for table, chains in tables.items():
            chains[FAILSAFE_IN] = self._failsafe(table, inbound=True)
            chains[FAILSAFE_OUT] = self._failsafe(table, inbound=False)
            for name, rules in chains.items():
                yield chain(table, name, [*rules], self._family)
        yield from self._hooks()

    def _hooks(self) -> Iterator[Jump]:
        is_first = self._options.felix.chain_insert_mode != "Append"
        places: tuple[tuple[Table, tuple[str, ...]], ...] = (
            ("filter", ("INPUT", "FORWARD", "OUTPUT")),
            ("raw", ("PREROUTING", "OUTPUT")),
            ("mangle", ("PREROUTING", "POSTROUTING")),
        )
        for table, names in places:
            for name in names:
                yield jump(table, name, f"cali-{name}", self._family, is_first=is_first)
        said = ("Policy explicitly accepted packet.",)
        accept = FelixRule(self._options.allow, (self._accepted,), said)
        passing = FelixRule(set_mark(self._marks.accept))
        for order, rule in enumerate((accept, passing), start=1):
            yield hook("filter", "FORWARD", rule, self._family, is_first=False, order=order)

    def _forward(self) -> Iterator[FelixRule]:
        marks, each_device = self._marks, self._options.each_device
        yield FelixRule(clear_mark(marks.all & ~marks.accept))
        yield FelixRule(dispatch.FROM_HOST_FORWARD, (mark_is_clear(marks.accept),))
        yield from each_device(lambda it: FelixRule(dispatch.FROM_WORKLOAD, (f"--in-interface {it}",)))
        yield from each_device(lambda it: FelixRule(dispatch.TO_WORKLOAD, (f"--out-interface {it}",)))
        yield FelixRule(dispatch.TO_HOST_FORWARD)
        yield FelixRule(CIDR_BLOCK)

    def _input(self) -> Iterator[FelixRule]:
        options, allow = self._options, self._options.allow
        if self._has_ipip:
            known = self._in_set(ALL_HOSTS, "src")
            said = ("Allow IPIP packets from Calico hosts",)
            yield FelixRule(allow, ("-p 4", known, _LOCAL_DESTINATION), said)
            yield FelixRule(
                self._deny, ("-p 4",), (f"{options.deny_word} IPIP packets from non-Calico hosts",)
            )
        if self._has_vxlan:
            known, title = self._in_set(ALL_VXLAN, "src"), f"IPv{self._family} VXLAN packets"
            said = (f"Allow {title} from allowed hosts",)
            yield FelixRule(allow, (*self._vxlan, known, _LOCAL_DESTINATION), said)
            said = (f"{options.deny_word} {title} from non-allowed hosts",)
            yield FelixRule(self._deny, (*self._vxlan, _LOCAL_DESTINATION), said)
        yield from options.each_device(
            lambda it: FelixRule(WORKLOAD_TO_HOST, (f"--in-interface {it}",), is_goto=True)
        )
        yield FelixRule(allow, (self._accepted,))
        yield FelixRule(clear_mark(self._marks.all))
        yield FelixRule(dispatch.FROM_HOST)
        yield FelixRule(allow, (self._accepted,), _HOST_ACCEPTED)

    def _workload_to_host(self) -> Iterator[FelixRule]:
        if self._family == 6:
            for number in _ND_TYPES:
                yield FelixRule(self._options.allow, ("-p 58", f"-m icmp6 --icmpv6-type {number}"))
        yield FelixRule(dispatch.FROM_WORKLOAD)
        action = str(self._options.felix.default_endpoint_to_host_action).upper()
        if action != "RETURN":
            yield FelixRule(action, comments=("Configured DefaultEndpointToHostAction",))

    def _output(self) -> Iterator[FelixRule]:
        allow = self._options.allow
        yield FelixRule(allow, (self._accepted,))
        yield from self._options.each_device(lambda it: FelixRule("RETURN", (f"--out-interface {it}",)))
        if self._has_ipip:
            matches = ("-p 4", self._in_set(ALL_HOSTS, "dst"), _LOCAL_SOURCE)
            yield FelixRule(allow, matches, ("Allow IPIP packets to other Calico hosts",))
        if self._has_vxlan:
            said = f"Allow IPv{self._family} VXLAN packets to other allowed hosts"
            yield FelixRule(allow, (*self._vxlan, _LOCAL_SOURCE, self._in_set(ALL_VXLAN, "dst")), (said,))
        yield FelixRule(clear_mark(self._marks.all))
        yield FelixRule(dispatch.TO_HOST, ("-m conntrack ! --ctstate DNAT",))
        yield FelixRule(allow, (self._accepted,), _HOST_ACCEPTED)

    def _raw_prerouting(self) -> Iterator[FelixRule]:
        marks = self._marks
        yield FelixRule(clear_mark(marks.all))
        if self._has_vxlan:
            yield FelixRule("NOTRACK", self._vxlan)
        yield from self._options.each_device(
            lambda it: FelixRule(set_mark(marks.scratch0), (f"--in-interface {it}",))
        )
        from_pod = mark_is_set(marks.scratch0)
        yield FelixRule(RPF_SKIP, (from_pod,))
        yield FelixRule("DROP", (from_pod, "-m rpfilter --invert --validmark"))
        yield FelixRule(dispatch.FROM_HOST, (mark_is_clear(marks.scratch0),))
        yield FelixRule("ACCEPT", (self._accepted,))

    def _raw_output(self) -> Iterator[FelixRule]:
        yield FelixRule(clear_mark(self._marks.all))
        yield FelixRule(dispatch.TO_HOST)
        if self._has_vxlan:
            yield FelixRule("NOTRACK", self._vxlan)
        yield FelixRule("ACCEPT", (self._accepted,))

    def _mangle_prerouting(self) -> Iterator[FelixRule]:
        allow = self._options.mangle_allow
        yield FelixRule(allow, (_KNOWN,))
        yield FelixRule(allow, (self._accepted,))
        yield FelixRule(dispatch.FROM_HOST)
        yield FelixRule(allow, (self._accepted,), _HOST_ACCEPTED)

    def _mangle_postrouting(self) -> Iterator[FelixRule]:
        yield FelixRule("RETURN", (self._accepted,))
        yield FelixRule(clear_mark(self._marks.all))
        yield FelixRule(dispatch.TO_HOST, ("-m conntrack --ctstate DNAT",))
        yield FelixRule("RETURN", (self._accepted,), _HOST_ACCEPTED)

    def _failsafe(self, table: Table, *, inbound: bool) -> Iterator[FelixRule]:
        """The ports that stay open; before connections are known (raw), answers of the others' too."""
        net = "--source" if inbound else "--destination"
        for port in self._ports(inbound=inbound):
            yield self._open(port, "--destination-ports", net)
        if table == "raw":
            for port in self._ports(inbound=not inbound):
                yield self._open(port, "--source-ports", net)

    def _ports(self, *, inbound: bool) -> Iterator[ProtoPort]:
        for port in self._options.failsafe(inbound=inbound):
            if port.net is None or port.net.version == self._family:
                yield port

    def _open(self, port: ProtoPort, option: str, net: str) -> FelixRule:
        nets = () if port.net is None else (f"{net} {port.net}",)
        return FelixRule("ACCEPT", (f"-p {port.protocol}", f"-m multiport {option} {port.port}", *nets))

    @property
    def _vxlan(self) -> tuple[str, str]:
        return ("-p 17", f"-m multiport --destination-ports {self._options.vxlan_port}")

    def _in_set(self, name: str, end: str) -> str:
        return f"-m set --match-set {set_name(name, self._family)} {end}"
