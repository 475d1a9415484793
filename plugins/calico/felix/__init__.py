"""Felix on one node: from the datastore's snapshot to the state of the node's kernel, by pure functions.

`routes` are the ways to blocks, `tunnels` the devices that carry them, `nat` what leaves the pools;
`node_state` unites them for one node, and `ownership` says what on a node is Felix's.
"""
