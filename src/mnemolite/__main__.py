"""The program, also as ``python -m mnemolite``."""

from __future__ import annotations

import signal


def main() -> None:
    """Until the command line can catch an interrupt, one ends the process as it ends any program: without a word."""
    caught = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a shell may have had it ignored
    if caught:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from mnemolite import cli

    if caught:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


if __name__ == "__main__":
    main()
