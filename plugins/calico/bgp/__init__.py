"""confd's part of calico-node: it renders a node's bird.cfg from Calico's datastore.

`config` is the pure function, and `renderer` puts the file together: `exports`, `kernel`, `filters` and
`priorities` are its functions, `peering` says who speaks with whom, `peers` has a session as data with the
timers, `session` prints it, `roster` has all of a node's. `secrets` reads passwords.
"""
