"""Where `digis` starts: what has to be right before anything else is imported."""

from __future__ import annotations

import os
import sys

from tools.local.process import ENDS_WITH_PARENT, end_with_parent


def main() -> None:
    if os.environ.pop(ENDS_WITH_PARENT, None):
        end_with_parent()
    try:
        from tools.cli.commands import app  # noqa: PLC0415 -- most of a second, in which Ctrl-C is heard too

        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
