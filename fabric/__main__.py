"""`python -m fabric` is the command line."""

from fabric.cli.main import main

main()
