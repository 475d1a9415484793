"""The entry point of the command line, for `python -m fabric` and for the program `fabric` alike."""

import signal

# Until a command runs, Ctrl-C ends the program in silence: there is nothing to tell yet.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from fabric.cli.main import main

if __name__ == "__main__":
    main()
