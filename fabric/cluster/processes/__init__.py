"""The components of a running cluster, one file a process.

Each file's `run(paths)` is the whole life of that process: it reads the spec, connects to the others by
the sockets of `ClusterPaths`, and runs until it is killed.
"""
