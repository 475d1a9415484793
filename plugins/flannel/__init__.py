"""Flannel for fabric: a subnet of the pod network for each node, and the way from each to each other.

`net_conf` is the cluster's configuration, `leases` the layout of the store, `allocation` who gets which
subnet, `lease_book` what all nodes know of each other; `vxlan` and `host_gw` turn leases into kernel
state, `traffic` adds masquerading, `cni` attaches pods, `agent` is flanneld's loop over all of it.
"""
