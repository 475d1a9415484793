"""The calculation of policies: from Calico's objects to what each node's chains and sets must say, purely.

`labels` matches selectors with labels, `members` fills the sets of rules, `calculator` finds each endpoint's
policies, and a `NodeView` is what one node needs of it. Nothing here knows of iptables: `calico.felix`
renders the view.
"""
