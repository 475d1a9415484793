"""Calico for fabric: resources and IPAM at Calico's own keys, and Calico's selectors.

`resources` are those of projectcalico.org/v3, `selector` is the language in which they point at each
other, `ipam` gives out addresses in blocks that belong to nodes.
"""
