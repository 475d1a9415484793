"""fabric: a Kubernetes pod network, whole, on one Linux machine.

The floors, from the bottom: errors, api (kinds, objects and selectors), netstate (a host's network as data),
kernel | runtime | control | store, plugin (the contract of a network plugin), the components of a
cluster (apiserver, scheduler, controllers, kubelet, topology), cluster (puts them together),
verify and bench (look at a running one), cli. A floor imports only floors below it.
"""

__version__ = "0.1.0"
