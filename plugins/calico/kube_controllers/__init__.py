"""calico-kube-controllers: what Kubernetes' API says of policies is written into Calico's datastore.

Felix reads the datastore alone. A NetworkPolicy becomes one of Calico's, a Namespace and a ServiceAccount
become profiles, whose labels their pods inherit, and a pod's labels become its WorkloadEndpoint's.
`conversion` is the pure part, `mirror` keeps the datastore so, `controllers` names them all.
"""
