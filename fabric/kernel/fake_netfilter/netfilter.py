"""Netfilter of a fake namespace: a packet's way through hooks, tables and routes, and every rule it meets.

A packet that comes in passes raw, connection tracking, mangle and nat of PREROUTING; its route leads it to
INPUT, or through FORWARD and POSTROUTING. One that the namespace sends passes OUTPUT and POSTROUTING, and
comes in again at `lo` when it is for the namespace itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fabric.kernel.fake_netfilter import answers
from fabric.kernel.fake_netfilter.chains import Chains, Policies, Sets
from fabric.kernel.fake_netfilter.packets import ICMP, ICMPV6, Hit, Packet, Verdict
from fabric.kernel.fake_netfilter.routing import Found, Routing, is_multicast
from fabric.kernel.fake_netfilter.skb import Skb, World
from fabric.kernel.fake_netfilter.targets import ACCEPT, DROP, Stop
from fabric.kernel.fake_netfilter.tracking import Connections
from fabric.kernel.fake_netfilter.translation import END_AT, Range, settle, translate
from fabric.kernel.fake_rules import BuiltInChains
from fabric.netstate.objects import NetObject
from fabric.netstate.rules import Chain, IpSet, Jump, Table

_TABLES: dict[str, tuple[Table, ...]] = {
    "PREROUTING": ("raw", "mangle", "nat"),
    "INPUT": ("mangle", "filter", "nat"),
    "FORWARD": ("mangle", "filter"),
    "OUTPUT": ("raw", "mangle", "nat", "filter"),
    "POSTROUTING": ("mangle", "nat"),
}
"""The tables of each hook in the kernel's order; connections are looked up after raw."""


class FakeNetfilter:
    """The rules of one namespace, asked packet by packet; connections live on from one to the next."""

    def __init__(
        self,
        objects: Iterable[NetObject],
        hooks: BuiltInChains | None = None,
        policies: Policies | None = None,
        connections: Connections | None = None,
    ) -> None:
        """`hooks` are the built-in chains; without them the jumps among the objects stand as they wish."""
        there = list(objects)
        jumps = {it.key: it for it in there if isinstance(it, Jump)}
        hooks = hooks if hooks is not None else _hooks(jumps.values())
        places = {(it.family, it.table, it.chain) for it in jumps.values()}
        built_in = {
            (family, table, chain): tuple(
                jumps[key].rule for key in hooks.keys_of(table, chain, family) if key in jumps
            )
            for family, table, chain in places
        }
        self._chains = Chains((it for it in there if isinstance(it, Chain)), built_in, policies or {})
        self._world = World(
            Sets(it for it in there if isinstance(it, IpSet)),
            Routing(there),
            connections if connections is not None else Connections(),
        )

    def walk(self, packet: Packet) -> Verdict:
        """Return what becomes of a packet that comes in, or that the namespace sends."""
        way = _Way(self._chains, self._world, Skb.of(packet, self._world))
        return way.verdict(way.received() if packet.in_interface else way.sent())


def _hooks(jumps: Iterable[Jump]) -> BuiltInChains:
    """Return the built-in chains with these hooks where they wish to stand, equal ones by their texts."""
    hooks = BuiltInChains()
    for jump in sorted(jumps, key=lambda it: (it.order, str(it.rule))):
        hooks.put(jump, is_ours=True)
    return hooks


@dataclass(slots=True)
class _Way:
    """The way of one packet: each step returns False where it ends."""

    chains: Chains
    world: World
    skb: Skb
    hits: list[Hit] = field(default_factory=list)
    stop: Stop = ACCEPT
    reason: str = ""
    answer: Verdict | None = None

    def verdict(self, passed: bool) -> Verdict:
        skb = self.skb
        assert passed == (self.stop.kind == "ACCEPT")
        return Verdict(
            self.stop.kind,
            skb.packet(),
            tuple(self.hits),
            self.reason,
            self.stop.reject,
            tuple(skb.nat),
            self.answer,
        )

    def received(self) -> bool:
        skb = self.skb
        wanted, skb.out_interface = skb.out_interface, ""
        if not self._passes("PREROUTING"):
            return False
        found = Found("unicast", (wanted,)) if wanted else self._route()
        if found is None:
            return False
        if found.type in ("local", "broadcast", "multicast"):
            return self._passes("INPUT") and self._confirmed()
        skb.out_interface, skb.next_hop = found.device, found.via
        return self._passes("FORWARD") and self._passes("POSTROUTING") and self._confirmed()

    def sent(self) -> bool:
        skb = self.skb
        is_fixed = bool(skb.out_interface)
        if not (is_fixed or self._leaves()):
            return False
        to = skb.destination
        if not self._passes("OUTPUT"):
            return False
        if skb.destination != to and not is_fixed and not self._leaves():
            return False
        if not (self._passes("POSTROUTING") and self._confirmed()):
            return False
        if skb.out_interface != "lo":
            return True
        skb.in_interface, skb.out_interface = "lo", ""
        return self._passes("PREROUTING") and self._passes("INPUT")

    def _leaves(self) -> bool:
        """Choose the device by which the namespace's own packet leaves."""
        skb = self.skb
        found = self.world.routing.lookup(skb.family, skb.destination)
        if found is None or found.type in ("blackhole", "unreachable", "prohibit", "multicast"):
            return self._ends(DROP, f"no route to {skb.address(skb.destination)}")
        skb.out_interface = "lo" if found.type == "local" else found.device
        skb.next_hop = found.via
        return True

    def _passes(self, hook: str) -> bool:
        skb = self.skb
        skb.hook = hook
        for table in _TABLES[hook]:
            if table == "nat":
                if skb.connection is not None and not self._is_translated():
                    return False
                continue
            if not self._asks(table):
                return False
            if table == "raw" and skb.state is None and self.chains.tracks(skb.family):
                self._track()
        return True

    def _track(self) -> None:
        skb = self.skb
        if skb.original.ctstate is None:
            self.world.connections.track(skb)
        else:
            skb.state = skb.original.ctstate
            self.world.connections.pretend(skb)

    def _asks(self, table: Table) -> bool:
        stop, reason = self.chains.walk(table, self.skb, self.hits)
        if stop.kind != "ACCEPT":
            return self._ends(stop, reason)
        if table == "filter":
            self.reason = reason
        return True

    def _is_translated(self) -> bool:
        """Ask the nat table about a connection's first packet, and rewrite every one."""
        skb = self.skb
        connection, end = skb.connection, END_AT[skb.hook]
        assert connection is not None
        is_quoting = skb.state == "RELATED" and skb.protocol in (ICMP, ICMPV6)
        if skb.state in ("NEW", "RELATED") and not is_quoting and end not in connection.settled:
            if not self._asks("nat"):
                return False
            if end not in connection.settled:
                settle(self.world.connections, connection, end, Range())
        translate(skb)
        return True

    def _confirmed(self) -> bool:
        """Enter the connection of what passed in its first direction.

        The answer to a refused answer is of that direction too: by it Linux enters a connection whose first
        packet was refused.
        """
        skb = self.skb
        if skb.connection is not None and skb.original.ctstate is None and not skb.is_reply:
            self.world.connections.confirm(skb.connection)
        return True

    def _route(self) -> Found | None:
        """Return where a packet that came in goes on to; None where it goes nowhere."""
        skb, routing = self.skb, self.world.routing
        if (wrong := self._wrong_source()) is not None:
            self._ends(DROP, wrong)
            return None
        found = routing.lookup(skb.family, skb.destination)
        if (
            found is not None
            and found.type == "multicast"
            and not routing.is_heard(skb.family, skb.destination)
        ):
            self._ends(DROP, "nobody here listens to the group")
            return None
        if found is not None and found.type in ("local", "broadcast", "multicast"):
            return found
        to = f"{skb.address(skb.destination)}"
        if not routing.forwards(skb.family, skb.in_interface):
            self._ends(DROP, f"forwarding is off, and {to} is elsewhere")
        elif found is None or found.type in answers.OF_ROUTES:
            name = answers.of_route(found.type if found else "none", skb.family)
            self._ends(Stop("REJECT", name), f"no route to {to}")
        elif found.type == "blackhole":
            self._ends(DROP, f"{to} is in a blackhole")
        else:
            return found
        return None

    def _wrong_source(self) -> str | None:
        """Return why Linux does not believe the source of what comes in (rp_filter, martians), or None."""
        skb, routing = self.skb, self.world.routing
        if skb.family == 6 or skb.in_interface == "lo":
            return None
        source = f"source {skb.address(skb.source)}"
        trusts_local = routing.setting(4, "route_localnet", skb.in_interface)
        if (skb.source >> 24 == 127 or skb.destination >> 24 == 127) and not trusts_local:
            return "an address of loopback comes in from outside"
        if is_multicast(4, skb.source) or skb.source == 2**32 - 1:
            return f"{source} is no sender's"
        own = routing.lookup(4, skb.source)
        if (
            own is not None
            and own.type == "local"
            and not routing.setting(4, "accept_local", skb.in_interface)
        ):
            return f"{source} is an own address"
        mode = routing.setting(4, "rp_filter", skb.in_interface) or 0
        if mode and not routing.is_reverse_path(
            4, skb.source, skb.in_interface, is_loose=mode == 2, takes_local=True
        ):
            return f"{source} is not reached over {skb.in_interface} (rp_filter)"
        return None

    def _ends(self, stop: Stop, reason: str) -> bool:
        self.stop, self.reason = stop, reason
        if stop.kind == "REJECT":
            self._answers(stop.reject)
        return False

    def _answers(self, name: str) -> None:
        """Send the answer of a REJECT, which is of the refused packet's connection and may be refused too."""
        refused = self.skb
        packet = answers.packet_of(name, refused, self.world.routing)
        if packet is None:
            return
        skb = Skb.of(packet, self.world)
        if refused.connection is not None:
            skb.state, skb.connection = "RELATED", refused.connection
            skb.is_reply = not refused.is_reply
        way = _Way(self.chains, self.world, skb)
        self.answer = way.verdict(way.sent())
