"""calicoctl: Calico's resources for people, with calicoctl's own columns, messages and exit codes.

`command` is how fabric finds it, `arguments` reads what was typed; `door` is the one way to the resources,
`files` and `manifests` the way from YAML to them. Each subcommand has a file.
"""
