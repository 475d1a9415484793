"""What matches of a packet's own words and of sets take: rules, packets, and what becomes of these."""

from __future__ import annotations

from support.netfilter_packets import (
    ACK80,
    ANSWER53,
    ECHO,
    ECHO_V6,
    LOCAL53,
    OWN53,
    SYN80,
    SYN80_V6,
    SYN443,
    UDP53,
    UDP53_OTHER,
    UDP53_V6,
    case,
)

_SCTP = "cali1 sctp 10.1.0.2 1000 > 10.2.0.2 80"
_GRE = "cali1 47 10.1.0.2 > 10.2.0.2"
_OTHER80 = "cali1 tcp 10.1.0.3 1001 > 10.2.0.3 80"
_UNKNOWN_ICMP = "cali1 icmp/3/1 10.1.0.2 > 10.2.0.2 about cali1 udp 10.2.0.2 9 > 10.1.0.2 9"

HEADERS = {
    "source": case("-A FORWARD -s 10.1.0.2/32 -j DROP", (UDP53, ""), (UDP53_OTHER, "eth1")),
    "source-of-a-network": case("-A FORWARD -s 10.1.0.0/30 -j DROP", (UDP53, ""), (UDP53_OTHER, "")),
    "not-source": case("-A FORWARD ! -s 10.1.0.2/32 -j DROP", (UDP53, "eth1"), (UDP53_OTHER, "")),
    "destination": case("-A FORWARD -d 10.2.0.2/32 -j DROP", (UDP53, ""), (UDP53_OTHER, "eth1")),
    "not-destination": case("-A FORWARD ! -d 10.2.0.0/24 -j DROP", (UDP53, "eth1"), (ANSWER53, "")),
    "mask-with-holes": case(
        "-A FORWARD -d 10.0.0.2/255.0.0.255 -j DROP", (UDP53, ""), (UDP53_OTHER, "eth1"), (ANSWER53, "")
    ),
    "in-device": case("-A FORWARD -i cali1 -j DROP", (UDP53, ""), (ANSWER53, "cali1")),
    "in-devices": case("-A FORWARD -i cali+ -j DROP", (UDP53, ""), (ANSWER53, "cali1")),
    "not-in-devices": case("-A FORWARD ! -i cali+ -j DROP", (UDP53, "eth1"), (ANSWER53, "")),
    "out-device": case("-A FORWARD -o eth1 -j DROP", (UDP53, ""), (ANSWER53, "cali1")),
    "out-devices": case("-A FORWARD -o cali+ -j DROP", (UDP53, "eth1"), (ANSWER53, "")),
    "not-out-device": case("-A FORWARD ! -o eth1 -j DROP", (UDP53, "eth1"), (ANSWER53, "")),
    "no-out-device-in-input": case(
        "-A INPUT -j A\n-A A -o cali+ -j DROP\n-A A ! -o cali+", (LOCAL53, "local")
    ),
    "no-in-device-in-output": case("-A OUTPUT -j A\n-A A ! -i cali+\n-A A -i eth1 -j DROP", (OWN53, "eth1")),
    "any-device": case("-A FORWARD -i + -j DROP", (UDP53, "")),
    "tcp": case("-A FORWARD -p tcp -j DROP", (SYN80, ""), (UDP53, "eth1"), (ECHO, "eth1")),
    "not-tcp": case("-A FORWARD ! -p tcp -j DROP", (SYN80, "eth1"), (UDP53, ""), (ECHO, "")),
    "protocol-by-number": case("-A FORWARD -p 47 -j DROP", (_GRE, ""), (UDP53, "eth1")),
    "protocol-4": case("-A FORWARD -p 4 -j DROP", ("cali1 4 10.1.0.2 > 10.2.0.2", ""), (_GRE, "eth1")),
    "sctp": case("-A FORWARD -p sctp -m sctp --dport 80 -j DROP", (_SCTP, ""), (SYN80, "eth1")),
    "dport": case("-A FORWARD -p tcp -m tcp --dport 80 -j DROP", (SYN80, ""), (SYN443, "eth1")),
    "dports-from-to": case("-A FORWARD -p tcp -m tcp --dport 79:81 -j DROP", (SYN80, ""), (SYN443, "eth1")),
    "not-dport": case("-A FORWARD -p tcp -m tcp ! --dport 80 -j DROP", (SYN80, "eth1"), (SYN443, "")),
    "sport": case("-A FORWARD -p udp -m udp --sport 1000 -j DROP", (UDP53, ""), (ANSWER53, "cali1")),
    "sport-and-dport": case(
        "-A FORWARD -p tcp -m tcp --sport 1000 --dport 443 -j DROP", (SYN80, "eth1"), (SYN443, "")
    ),
    "tcp-flags": case(
        "-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP", (SYN80, ""), (ACK80, "eth1")
    ),
    "multiport": case(
        "-A FORWARD -p tcp -m multiport --dports 22,79:81 -j DROP", (SYN80, ""), (SYN443, "eth1")
    ),
    "not-multiport": case(
        "-A FORWARD -p tcp -m multiport ! --dports 22,79:81 -j DROP", (SYN80, "eth1"), (SYN443, "")
    ),
    "multiport-sources": case(
        "-A FORWARD -p udp -m multiport --sports 1000 -j DROP", (UDP53, ""), (ANSWER53, "cali1")
    ),
    "multiport-either": case(
        "-A FORWARD -p udp -m multiport --ports 53 -j DROP", (UDP53, ""), (ANSWER53, ""), (SYN80, "eth1")
    ),
    "multiport-of-sctp": case("-A FORWARD -p sctp -m multiport --dports 80 -j DROP", (_SCTP, "")),
    "icmp-type": case(
        "-A FORWARD -p icmp -m icmp --icmp-type 8 -j DROP", (ECHO, ""), (_UNKNOWN_ICMP, "eth1")
    ),
    "icmp-type-and-code": case(
        "-A FORWARD -p icmp -m icmp --icmp-type 3/3 -j DROP\n-A FORWARD -p icmp -m icmp --icmp-type 3/1",
        (_UNKNOWN_ICMP, "eth1"),
    ),
    "not-icmp-type": case(
        "-A FORWARD -p icmp -m icmp ! --icmp-type 8/0 -j DROP", (ECHO, "eth1"), (_UNKNOWN_ICMP, "")
    ),
    "icmpv6-type": case(
        "-A FORWARD -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j DROP",
        (ECHO_V6, ""),
        (UDP53_V6, "eth1"),
        family=6,
    ),
    "source-v6": case(
        "-A FORWARD -s fd01::2/128 -d fd02::/64 -p tcp -j DROP", (SYN80_V6, ""), (UDP53_V6, "eth1"), family=6
    ),
    "comment": case(
        '-A FORWARD -s 10.1.0.2/32 -m comment --comment "cali:a \\"b\\" -j DROP" -j ACCEPT\n'
        "-A FORWARD -j DROP",
        (UDP53, "eth1"),
        (UDP53_OTHER, ""),
    ),
    "clauses-in-another-order": case(
        "-A FORWARD -m comment --comment x -p tcp -m tcp --dport 80 -s 10.1.0.2/32 -j DROP",
        (SYN80, ""),
        (_OTHER80, "eth1"),
    ),
}

SETS = {
    "set-of-addresses": case(
        "-A FORWARD -m set --match-set clients src -j DROP", (UDP53, ""), (UDP53_OTHER, "eth1")
    ),
    "not-in-set": case(
        "-A FORWARD -m set ! --match-set clients src -j DROP", (UDP53, "eth1"), (UDP53_OTHER, "")
    ),
    "empty-set": case(
        "-A FORWARD -m set --match-set none src -j DROP\n-A FORWARD -m set ! --match-set none dst",
        (UDP53, "eth1"),
    ),
    "set-of-networks-with-nomatch": case(
        "-A FORWARD -m set --match-set nets dst -j DROP", (UDP53, "eth1"), (UDP53_OTHER, ""), (ANSWER53, "")
    ),
    "set-of-addresses-and-ports": case(
        "-A FORWARD -m set --match-set ports dst,dst -j DROP",
        (SYN80, ""),
        (SYN443, "eth1"),
        (UDP53, ""),
        (_SCTP, "eth1"),
        (ECHO, "eth1"),
    ),
    "source-ports": case(
        "-A FORWARD -m set --match-set ports src,src -j DROP", (SYN443, ""), (UDP53, "eth1"), (ANSWER53, "")
    ),
    "mixed-ends": case("-A FORWARD -m set --match-set ports src,dst -j DROP", (SYN80, "eth1")),
    "one-end-of-two": case(
        "-A FORWARD -m set --match-set ports dst -j DROP\n-A FORWARD -m set ! --match-set ports dst",
        (SYN80, "eth1"),
    ),
    "two-ends-of-one": case("-A FORWARD -m set --match-set clients src,dst -j DROP", (UDP53, "")),
    "set-of-networks-and-ports": case(
        "-A FORWARD -m set --match-set netports dst,dst -j DROP",
        (SYN443, "eth1"),
        ("cali1 tcp 10.1.0.2 1000 > 10.2.0.3 443", ""),
    ),
    "two-sets": case(
        "-A FORWARD -m set --match-set clients src -m set --match-set ports dst,dst -j DROP",
        (SYN80, ""),
        (_OTHER80, "eth1"),
        (SYN443, "eth1"),
    ),
    "sets-v6": case(
        "-A FORWARD -m set --match-set clients6 src -m set --match-set ports6 dst,dst -j DROP",
        (SYN80_V6, ""),
        ("cali1 tcp fd01::2 1000 > fd02::3 80", "eth1"),
        family=6,
    ),
    "nomatch-v6": case(
        "-A FORWARD -m set --match-set nets6 dst -j DROP",
        (UDP53_V6, ""),
        ("cali1 udp fd01::2 1000 > fd02::3 53", "eth1"),
        family=6,
    ),
}

MATCH_CASES = HEADERS | SETS
