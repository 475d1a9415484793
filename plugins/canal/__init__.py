"""Canal for fabric: Flannel carries packets between nodes, Calico hangs pods on them.

Nothing here computes: `plugin` puts the two network plugins together over the contract that both keep.
"""
