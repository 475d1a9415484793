"""What confd does: from Calico's datastore to one node's bird.conf, and keeping that node's BIRD.

`config` is the pure function; `peering`, `filters`, `exports` and `kernel` are its chapters, `session` prints
one BGP session, `timers` has the constants. `keeper` and `secrets` act.
"""
