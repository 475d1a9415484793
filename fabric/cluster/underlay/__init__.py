"""The underlay of a cluster: hosts, switches, routers and the wires between them.

`spec` has the graph as the cluster keeps it, `state` computes what each namespace shall have, `hosts` and
`routers` keep the processes, `links` changes a wire, `routes` looks whether BGP has converged.
"""
