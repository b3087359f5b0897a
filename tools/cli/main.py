"""Where `digis` starts: what has to be right before anything else is imported."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tools.local.process import ENDS_WITH_PARENT, end_with_parent


def main() -> None:
    if os.environ.pop(ENDS_WITH_PARENT, None):
        end_with_parent()
    with _interrupt_ends_at_once():
        from tools.cli.commands import app  # noqa: PLC0415 -- most of a second, in which Ctrl-C is heard too
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


@contextmanager
def _interrupt_ends_at_once() -> Iterator[None]:
    """There is nothing to clean up yet, and an exception can be lost: an import ignores what its callbacks raise."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # ignored, as in a shell's background
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    main()
