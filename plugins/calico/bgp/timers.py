"""The timers of BGP sessions, as Calico has them or shorter, each with its reason."""

from __future__ import annotations

CONNECT_DELAY_SECONDS = 1
"""From a session's start to its first call. BIRD takes no less than 1; Calico has 2."""

CONNECT_RETRY_SECONDS = 1
"""Between two calls that nobody answers. Birds of a cluster start one after another, and whoever dials one
that is not there yet waits this long; Calico has 5, for networks where a call costs something."""

ERROR_WAIT_SECONDS = (1, 5)
"""After a session failed, doubling from the first to the second. A peer hangs up on whom its configuration
does not know yet, which lasts no longer than a node is new; Calico has (5, 30)."""

RESTART_WAIT_SECONDS = 20
"""How long a BIRD that was started again waits for its peers' routes before it announces its own and cleans
the kernel's table. One dead peer makes it wait this long, and the others keep its routes for 120 s only, so
that BIRD's own 240 s would cut it off."""

HOLD_PER_KEEPALIVE = 3
"""Keepalives that may be lost before a peer is taken for dead (RFC 4271, 10)."""

HOLD_SECONDS_MAX = 65535
RESTART_SECONDS_MAX = 4095
"""What the fields of BGP's messages hold (RFC 4271, 4.2, and RFC 4724, 3): 16 bits, and 12."""
