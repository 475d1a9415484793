"""confd's part of calico-node: it renders a node's bird.cfg from Calico's datastore, and keeps its BIRD.

`config` is the pure function; `peering`, `filters`, `exports` and `kernel` are its chapters, `session` prints
one BGP session, `timers` has the constants. `keeper` and `secrets` act.
"""
