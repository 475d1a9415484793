"""What each target of netfilter does: ends, answers, marks, ways through chains, translation."""

from __future__ import annotations

from support.netfilter_packets import (
    ACK80,
    ANSWER53,
    ECHO,
    ECHO_REPLY,
    LOCAL53,
    LOCAL80,
    OWN53,
    SYN80,
    SYN80_V6,
    SYNACK80,
    UDP53,
    UDP53_OTHER,
    UDP53_V6,
    UNREACHABLE,
    case,
)

_TO_SERVER = "10.1.0.2:1000>10.2.0.2:53"
_WATCHED = "\n-A OUTPUT -m conntrack --ctstate RELATED\n-A OUTPUT -m conntrack --ctstate INVALID,NEW"
_REJECTED = "cali1 tcp/RST 10.1.0.2 1000 > 10.2.0.2 80"

ENDS = {
    "accept-and-drop": case("-A FORWARD -p udp -j ACCEPT\n-A FORWARD -j DROP", (UDP53, "eth1"), (ECHO, "")),
    "nat-is-not-asked-where-no-rule-needs-connections": case(
        "*nat\n-A PREROUTING\n-A POSTROUTING -j ACCEPT\n*filter\n-A FORWARD", (UDP53, "eth1")
    ),
    "policy": case(
        ":FORWARD DROP\n-A FORWARD -p udp -j ACCEPT", (UDP53, "eth1"), (ECHO, ""), (LOCAL53, "local")
    ),
    "accept-of-one-table": case(
        "*mangle\n-A FORWARD -j ACCEPT\n-A FORWARD -j DROP\n*filter\n-A FORWARD -p udp -j DROP",
        (UDP53, ""),
        (ECHO, "eth1"),
    ),
    "every-hook-of-what-passes": case(
        "*raw\n-A PREROUTING\n-A OUTPUT\n"
        "*mangle\n-A PREROUTING\n-A INPUT\n-A FORWARD\n-A OUTPUT\n-A POSTROUTING\n"
        "*nat\n-A PREROUTING\n-A INPUT\n-A OUTPUT\n-A POSTROUTING\n"
        "*filter\n-A INPUT\n-A FORWARD -m conntrack --ctstate NEW\n-A OUTPUT",
        (UDP53, "eth1"),
        (UDP53, "eth1"),
        (ANSWER53, "cali1"),
        (LOCAL53, "local"),
        (OWN53, "eth1"),
        ("- udp 10.2.0.1 1000 > 10.1.0.1 53", "local"),
        (SYNACK80, "cali1"),
    ),
    **{
        f"reject-with-{name}": case(
            f"-A FORWARD -j REJECT --reject-with icmp-{name}" + _WATCHED, (UDP53, f"icmp 3/{code} at cali1")
        )
        for name, code in (
            ("net-unreachable", 0),
            ("host-unreachable", 1),
            ("proto-unreachable", 2),
            ("port-unreachable", 3),
            ("net-prohibited", 9),
            ("host-prohibited", 10),
            ("admin-prohibited", 13),
        )
    },
    **{
        f"reject-with-{name}": case(f"-A FORWARD -j REJECT --reject-with {name}", (UDP53_V6, told), family=6)
        for name, told in (
            ("icmp6-no-route", "icmp 1/0 at cali1"),
            ("icmp6-adm-prohibited", "icmp 1/1 at cali1"),
            ("icmp6-addr-unreachable", "icmp 1/3 at cali1"),
            ("icmp6-port-unreachable", "icmp 1/4 at cali1"),
        )
    },
    "reset": case(
        "-A FORWARD -p tcp -j REJECT --reject-with tcp-reset" + _WATCHED,
        (SYN80, "tcp-reset at cali1"),
        (ACK80, "tcp-reset at cali1"),
        (_REJECTED, ""),
    ),
    "reset-v6": case(
        "-A FORWARD -p tcp -j REJECT --reject-with tcp-reset", (SYN80_V6, "tcp-reset at cali1"), family=6
    ),
    "reject-in-input-and-output": case(
        "-A INPUT -i cali1 -p tcp -j REJECT --reject-with tcp-reset\n-A INPUT -i cali1 -p udp -j REJECT\n"
        "-A OUTPUT -d 10.2.0.2/32 -j REJECT",
        (LOCAL80, "tcp-reset at cali1"),
        (LOCAL53, "icmp 3/3 at cali1"),
        (OWN53, "icmp 3/3 at local"),
    ),
    "an-answer-goes-through-output": case(
        "-A FORWARD -j REJECT\n-A OUTPUT -p icmp -j DROP", (UDP53, ""), (SYN80, "")
    ),
    "the-answer-to-a-refused-answer-enters-the-connection": case(
        "-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\n-A OUTPUT -p tcp -j REJECT\n"
        "*mangle\n-A PREROUTING -m conntrack --ctstate INVALID\n"
        "-A PREROUTING -m conntrack --ctstate ESTABLISHED",
        (SYN80, ""),
        (SYNACK80, ""),
    ),
    "no-error-about-an-error": case(
        "-A FORWARD -p icmp -j REJECT", (UNREACHABLE, ""), (ECHO, "icmp 3/3 at cali1")
    ),
    "an-answer-of-an-untracked-packet": case(
        "*raw\n-A PREROUTING -j CT --notrack\n*filter\n-A FORWARD -p udp -j REJECT" + _WATCHED,
        (UDP53, "icmp 3/3 at cali1"),
    ),
    "wrong-source": case(
        "*raw\n-A PREROUTING\n*mangle\n-A FORWARD",
        ("cali1 udp 10.2.0.1 1000 > 10.2.0.2 53", ""),
        ("cali1 udp 127.0.0.1 1000 > 10.2.0.2 53", ""),
        ("cali1 udp 10.2.0.3 1000 > 10.2.0.2 53", "eth1"),
    ),
}

CHAINS = {
    "return-and-go-on": case(
        "-A FORWARD -j A\n-A FORWARD -j DROP\n-A A -p udp -j RETURN\n-A A -j ACCEPT",
        (UDP53, ""),
        (ECHO, "eth1"),
    ),
    "end-of-a-chain": case(
        "-A FORWARD -j A\n-A FORWARD -j DROP\n-A A -p udp -j ACCEPT", (UDP53, "eth1"), (ECHO, "")
    ),
    "return-to-the-policy": case(
        ":FORWARD DROP\n-A FORWARD -p udp -j RETURN\n-A FORWARD -j ACCEPT", (UDP53, ""), (ECHO, "eth1")
    ),
    "goto-does-not-come-back": case(
        "-A FORWARD -j A\n-A FORWARD -p icmp -j DROP\n-A A -g B\n-A A -j DROP\n"
        "-A B -p udp -j RETURN\n-A B -p tcp -j DROP",
        (UDP53, "eth1"),
        (ECHO, ""),
        (SYN80, ""),
    ),
    "goto-from-a-built-in-chain": case(
        ":FORWARD DROP\n-A FORWARD -g A\n-A FORWARD -j ACCEPT\n-A A -p udp -j ACCEPT",
        (UDP53, "eth1"),
        (ECHO, ""),
    ),
    "deep": case(
        "-A FORWARD -j A\n-A A -j B\n-A B -j C\n-A C -j RETURN\n-A B -p udp -j DROP\n-A A -p icmp -j DROP",
        (UDP53, ""),
        (ECHO, ""),
        (SYN80, "eth1"),
    ),
    "an-empty-chain": case(":A -\n-A FORWARD -j A\n-A FORWARD -p udp -j DROP", (UDP53, ""), (ECHO, "eth1")),
    "a-rule-that-only-counts": case("-A FORWARD -p udp\n-A FORWARD -p icmp", (UDP53, "eth1"), (ECHO, "eth1")),
    "logs-go-on": case(
        '-A FORWARD -j LOG --log-prefix "calico-packet: " --log-level 5\n'
        '-A FORWARD -j NFLOG --nflog-prefix "DPI|a" --nflog-group 1 --nflog-size 80\n-A FORWARD -j DROP',
        (UDP53, ""),
    ),
}


def _marked(*targets: str) -> str:
    """Rules that mark by each target in turn and count every value of four bits at the end."""
    changes = "\n".join(f"-A FORWARD -j {target}" for target in targets)
    return (
        "*mangle\n" + changes + "\n" + "\n".join(f"-A POSTROUTING -m mark --mark {n:#x}" for n in range(16))
    )


MARKS = {
    "set-xmark": case(_marked("MARK --set-xmark 0x5/0xf", "MARK --set-xmark 0x2/0x3"), (UDP53, "eth1")),
    "set-mark": case(_marked("MARK --set-mark 0x5", "MARK --set-mark 0x8/0x1"), (UDP53, "eth1")),
    "or-mark": case(_marked("MARK --or-mark 0x5", "MARK --or-mark 0x2"), (UDP53, "eth1")),
    "and-mark": case(_marked("MARK --set-mark 0xf", "MARK --and-mark 0x6"), (UDP53, "eth1")),
    "xor-mark": case(_marked("MARK --set-mark 0xc", "MARK --xor-mark 0x6"), (UDP53, "eth1")),
    "calico-way": case(
        "-A FORWARD -j MARK --set-xmark 0x0/0x30000\n-A FORWARD -m mark --mark 0x0/0x20000 -j P\n"
        "-A FORWARD -m mark --mark 0x10000/0x10000 -j ACCEPT\n-A FORWARD -j DROP\n"
        "-A P -p udp -m multiport --dports 53 -j MARK --set-xmark 0x10000/0x10000\n"
        "-A P -m mark --mark 0x10000/0x10000 -j RETURN",
        (UDP53, "eth1"),
        (ECHO, ""),
    ),
    "connmark": case(
        "*mangle\n-A PREROUTING -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff\n"
        "-A PREROUTING -m mark --mark 0x7\n-A FORWARD -i cali1 -j CONNMARK --set-xmark 0x7/0xff\n"
        "-A POSTROUTING -m connmark --mark 0x7",
        (UDP53, "eth1"),
        (ANSWER53, "cali1"),
        (ECHO_REPLY, "cali1"),
    ),
    "save-mark": case(
        "*mangle\n-A PREROUTING -m connmark --mark 0x3/0xf\n-A FORWARD -j MARK --set-mark 0x13\n"
        "-A FORWARD -j CONNMARK --save-mark --nfmask 0xf --ctmask 0xf\n-A FORWARD -m connmark ! --mark 0x13",
        (UDP53, "eth1"),
        (ANSWER53, "cali1"),
    ),
    "a-mark-goes-round-lo": case(
        "*mangle\n-A OUTPUT -j MARK --set-mark 0x1\n-A INPUT -m mark --mark 0x1",
        ("- udp 10.2.0.1 1000 > 10.1.0.1 53", "local"),
    ),
}

_NAT = "*nat\n-A POSTROUTING -o eth1 -j {}"
TRANSLATIONS = {
    "masquerade": case(
        _NAT.format("MASQUERADE"),
        (UDP53, "eth1 10.2.0.1:1000>10.2.0.2:53"),
        ("eth1 udp 10.2.0.2 53 > 10.2.0.1 1000", "cali1 10.2.0.2:53>10.1.0.2:1000"),
        (UDP53, "eth1 10.2.0.1:1000>10.2.0.2:53"),
        (ECHO, "eth1 10.2.0.1:7>10.2.0.2:0"),
        ("eth1 icmp/0/0 10.2.0.2 7 > 10.2.0.1", "cali1 10.2.0.2:7>10.1.0.2:0"),
    ),
    "an-error-about-a-masqueraded-packet": case(
        _NAT.format("MASQUERADE") + "\n*filter\n-A FORWARD -m conntrack --ctstate RELATED",
        (UDP53, "eth1"),
        (
            "eth1 icmp/3/3 10.2.0.2 > 10.2.0.1 about eth1 udp 10.2.0.1 1000 > 10.2.0.2 53",
            "cali1 10.2.0.2:0>10.1.0.2:0",
        ),
    ),
    "masquerade-to-ports": case(
        "*nat\n-A POSTROUTING -o eth1 -p udp -j MASQUERADE --to-ports 2000",
        (UDP53, "eth1 10.2.0.1:2000>10.2.0.2:53"),
    ),
    "the-router-masquerades-itself": case(
        _NAT.format("MASQUERADE"), ("- udp 10.1.0.1 1000 > 10.2.0.2 53", "eth1 10.2.0.1:1000>10.2.0.2:53")
    ),
    "masquerade-v6": case(_NAT.format("MASQUERADE"), (UDP53_V6, "eth1 fd02::1:1000>fd02::2:53"), family=6),
    "snat": case(
        _NAT.format("SNAT --to-source 10.2.0.9") + "\n*filter\n-A FORWARD -m conntrack --ctstate SNAT",
        (UDP53, "eth1 10.2.0.9:1000>10.2.0.2:53"),
        ("eth1 udp 10.2.0.2 53 > 10.2.0.9 1000", "cali1 10.2.0.2:53>10.1.0.2:1000"),
    ),
    "snat-to-a-port": case(
        "*nat\n-A POSTROUTING -p udp -j SNAT --to-source 10.2.0.9:2000-2000",
        (UDP53, "eth1 10.2.0.9:2000>10.2.0.2:53"),
    ),
    "two-clients-of-one-port": case(
        _NAT.format("SNAT --to-source 10.2.0.9") + "\n*mangle\n-A POSTROUTING -p udp -m udp --sport 1000",
        (UDP53, "eth1 10.2.0.9:1000>10.2.0.2:53"),
        ("cali1 udp 10.1.0.3 1000 > 10.2.0.2 53", "eth1"),
    ),
    "dnat": case(
        "*nat\n-A PREROUTING -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.2.0.2:80\n"
        "*filter\n-A FORWARD -m conntrack --ctstate DNAT\n-A FORWARD -d 10.2.0.2/32 -p tcp -m tcp --dport 80",
        ("cali1 tcp 10.1.0.2 1000 > 10.96.0.1 443", "eth1 10.1.0.2:1000>10.2.0.2:80"),
        (SYNACK80, "cali1 10.96.0.1:443>10.1.0.2:1000"),
        ("cali1 tcp/ACK 10.1.0.2 1000 > 10.96.0.1 443", "eth1 10.1.0.2:1000>10.2.0.2:80"),
    ),
    "dnat-to-an-address": case(
        "*nat\n-A PREROUTING -d 10.96.0.1/32 -j DNAT --to-destination 10.2.0.3",
        ("cali1 udp 10.1.0.2 1000 > 10.96.0.1 53", "eth1 10.1.0.2:1000>10.2.0.3:53"),
        ("cali1 icmp/8/0 10.1.0.2 7 > 10.96.0.1", "eth1 10.1.0.2:7>10.2.0.3:0"),
    ),
    "dnat-of-what-the-router-sends": case(
        "*nat\n-A OUTPUT -d 10.2.0.3/32 -p udp -j DNAT --to-destination 10.1.0.2:53",
        ("- udp 10.2.0.1 1000 > 10.2.0.3 80", "cali1 10.2.0.1:1000>10.1.0.2:53"),
    ),
    "dnat-to-the-router": case(
        "*nat\n-A PREROUTING -d 10.96.0.1/32 -p udp -j DNAT --to-destination 10.1.0.1:53",
        ("cali1 udp 10.1.0.2 1000 > 10.96.0.1 80", "local 10.1.0.2:1000>10.1.0.1:53"),
    ),
    "dnat-v6": case(
        "*nat\n-A PREROUTING -d fd96::1/128 -p tcp -j DNAT --to-destination [fd02::2]:80",
        ("cali1 tcp fd01::2 1000 > fd96::1 443", "eth1 fd01::2:1000>fd02::2:80"),
        family=6,
    ),
    "dnat-and-masquerade": case(
        "*nat\n-A PREROUTING -d 10.96.0.1/32 -p udp -j S\n-A S -j MARK --set-xmark 0x4000/0x4000\n"
        "-A S -p udp -j DNAT --to-destination 10.2.0.2:53\n"
        "-A POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n"
        "-A POSTROUTING -j MARK --set-xmark 0x4000/0x0\n-A POSTROUTING -j MASQUERADE",
        ("cali1 udp 10.1.0.2 1000 > 10.96.0.1 80", "eth1 10.2.0.1:1000>10.2.0.2:53"),
        ("eth1 udp 10.2.0.2 53 > 10.2.0.1 1000", "cali1 10.96.0.1:80>10.1.0.2:1000"),
        (UDP53_OTHER, "eth1 10.1.0.3:1000>10.2.0.3:53"),
    ),
    "a-refused-service": case(
        "*nat\n-A PREROUTING -d 10.96.0.1/32 -p tcp -j DNAT --to-destination 10.2.0.2:80\n"
        "-A POSTROUTING -j ACCEPT\n*filter\n-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\n"
        "-A FORWARD -j REJECT\n-A OUTPUT -m conntrack --ctstate RELATED",
        ("cali1 tcp 10.1.0.2 1000 > 10.96.0.1 443", "tcp-reset at cali1"),
        (UDP53, "icmp 3/3 at cali1"),
    ),
    "nat-asks-once": case(
        "*nat\n-A PREROUTING -p udp\n-A POSTROUTING -p udp -j ACCEPT\n-A POSTROUTING -j MASQUERADE",
        (UDP53, f"eth1 {_TO_SERVER}"),
        (UDP53, f"eth1 {_TO_SERVER}"),
        (ANSWER53, "cali1"),
    ),
    "nothing-untracked-is-translated": case(
        "*raw\n-A PREROUTING -p udp -j CT --notrack\n*nat\n-A PREROUTING\n-A POSTROUTING -j MASQUERADE",
        (UDP53, f"eth1 {_TO_SERVER}"),
        (ECHO, "eth1 10.2.0.1:7>10.2.0.2:0"),
    ),
    "notrack-of-what-the-router-sends": case(
        "*raw\n-A OUTPUT -p udp -j CT --notrack\n*filter\n-A OUTPUT -m conntrack --ctstate UNTRACKED",
        (OWN53, "eth1"),
    ),
    "input-is-translated-too": case(
        "*nat\n-A INPUT -p udp -j SNAT --to-source 10.1.0.77", (LOCAL53, "local 10.1.0.77:1000>10.1.0.1:53")
    ),
}

TARGET_CASES = ENDS | CHAINS | MARKS | TRANSLATIONS
