"""calicoctl: Calico's resources for people, with calicoctl's own columns, messages and exit codes.

`command` is how fabric finds it, `arguments` reads the command line, `files` and `manifests` read YAML, and
`resource_client` reads and writes the resources. Each subcommand has a file.
"""
