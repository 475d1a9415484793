"""Calico's IPAM: addresses in blocks that belong to nodes, kept in the store by compare-and-swap alone.

`keys` is the layout, `blocks`, `affinities`, `handles` and `configuration` are what stands there, `walk`
and `candidates` choose, `allocator` gives out and takes back, `tunnels` does so for tunnel devices,
`garbage` collects what nobody owns; `check` and `show` look at it as calicoctl does.
"""
