"""confd's part of calico-node: it renders a node's bird.cfg from Calico's datastore.

`config` is the pure function; `peering`, `filters`, `exports` and `kernel` are its chapters, `peers` has a
session as data with the timers, `session` prints it. `secrets` reads passwords.
"""
