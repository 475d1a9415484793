"""Calico for fabric: resources and IPAM in Calico's own key layout, and Calico's selectors.

`resources` are the nouns of projectcalico.org/v3, `selector` is the language in which they point at each
other, `ipam` gives out addresses in blocks that belong to nodes.
"""
