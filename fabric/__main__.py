"""`python -m fabric` is the command line."""

import signal

# Until the program stands, Ctrl-C ends it in silence: there is nothing to tell yet.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from fabric.cli.main import main  # noqa: E402

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
