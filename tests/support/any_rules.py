"""Random small rule sets for the router of the tests of netfilter, and packets to lead through them."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from support import netfilter_packets as lines
from support.netfilter_packets import Case

PACKETS = (
    *(lines.SYN80, lines.SYN443, lines.UDP53, lines.UDP53_OTHER, lines.ECHO),
    *(lines.SYNACK80, lines.ACK80, lines.ANSWER53, lines.ECHO_REPLY, lines.UNREACHABLE),
    *(lines.LOCAL53, lines.LOCAL80, lines.OWN53, lines.UDP53),
    *(
        "cali1 47 10.1.0.2 > 10.2.0.2",
        "eth1 tcp 10.2.0.3 2000 > 10.1.0.3 22",
        "- udp 10.2.0.1 9 > 10.1.0.1 53",
    ),
)
_NOT = st.sampled_from(("", "! "))
_HEADS = ("-s 10.1.0.2/32", "-d 10.2.0.0/24", "-p tcp", "-p udp", "-p icmp")
_MATCHES = (
    *("-m set --match-set clients src", "-m set --match-set nets dst", "-m set --match-set ports dst,dst"),
    *("-m mark --mark 0x1/0x1", "-m conntrack --ctstate NEW", "-m conntrack --ctstate RELATED,ESTABLISHED"),
    *("-m conntrack --ctstate INVALID,UNTRACKED", "-m addrtype --dst-type LOCAL"),
    *(
        "-p tcp -m tcp --dport 80",
        "-p udp -m multiport --dports 53,1000:1001",
        "-p icmp -m icmp --icmp-type 8",
    ),
)
_ENDS = (
    "-j ACCEPT",
    "-j DROP",
    "-j RETURN",
    "-j MARK --set-xmark 0x1/0x1",
    "-j MARK --set-xmark 0x0/0x3",
    "",
)
_REJECTS = ("-j REJECT --reject-with icmp-port-unreachable", "-p tcp -j REJECT --reject-with tcp-reset")
_TO_OWN = re.compile(r"(?<=-[jg] )A$")
_HOOKS = (
    *(("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("mangle", "POSTROUTING")),
    *(("filter", "INPUT"), ("filter", "FORWARD"), ("filter", "FORWARD"), ("filter", "OUTPUT")),
)


@st.composite
def _rules(draw: st.DrawFn, table: str, is_first: bool) -> str:
    word = draw(st.sampled_from((*_HEADS, *_MATCHES, "")))
    inverted = draw(_NOT) if word in _HEADS else ""
    ends = _ENDS + _REJECTS * (table == "filter") + ("-j CT --notrack",) * (table == "raw")
    end = draw(st.sampled_from((*ends, *(("-j A", "-g A") if is_first else ()))))
    if end in _REJECTS and " -p " in f" {end} " and "-p " in word:
        end = "-j DROP"
    return f"{inverted}{word} {end}".strip()


@st.composite
def _cases(draw: st.DrawFn) -> Case:
    text = []
    for table, chain in draw(st.lists(st.sampled_from(_HOOKS), min_size=1, max_size=4, unique=True)):
        own = draw(st.lists(_rules(table, True), min_size=1, max_size=4, unique=True))
        more = draw(st.lists(_rules(table, False), min_size=1, max_size=3))
        name = f"A{chain[:2]}"
        text.append(f"*{table}")
        text += [f"-A {chain} {re.sub(_TO_OWN, name, rule)}" for rule in own]
        text += [f"-A {name} {rule}" for rule in more]
    if draw(st.booleans()):
        text += ["*nat", "-A POSTROUTING -o eth1 -p udp -j MASQUERADE", "-A PREROUTING -p tcp"]
    return Case("\n".join(text), PACKETS, ())


cases = _cases()
"""Every rule stands once in a built-in chain, which is what the fake kernel tells hooks apart by."""
