"""`python -m fabric` is the command line."""

import signal

# Until a command runs, Ctrl-C ends the program in silence: there is nothing to tell yet.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from fabric.cli.main import main

if __name__ == "__main__":
    main()
