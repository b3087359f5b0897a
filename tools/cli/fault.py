"""`digis fault`: break a part of a running `digis dev` on purpose, to see what the functions make of it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated, Final

import typer

from tools.cli.screen import fail, out
from tools.local.env_file import DEFAULT_DATA, read_state

_SECONDS: Final = 5
_MODES: Final = (
    "refuse, hang, 500, slow, cut; for upstash and stripe lost; for stripe down and declined; "
    "for webhooks held, reordered, repeated, lost. ok mends."
)


def fault(
    part: Annotated[str, typer.Argument(help="upstash, postgres, stripe, smtp or webhooks.")],
    mode: Annotated[str, typer.Argument(help=_MODES)],
    data: Annotated[Path, typer.Option(help="Of the running digis dev.")] = DEFAULT_DATA,
) -> None:
    """Break a part of the running `digis dev`, or mend it with `ok`."""
    state = read_state(data)
    if state is None:
        fail(f"no digis dev runs with the data directory {data}")
    request = urllib.request.Request(  # noqa: S310 -- the address that digis dev wrote down itself
        f"{state.url}/dev/faults",
        data=json.dumps({"part": part, "mode": mode}).encode(),
        headers={"X-Digis-Local": "1"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310
            out.print(f"{part}: {mode}")
    except urllib.error.HTTPError as error:
        fail(str(json.loads(error.read())["error"]), code=2)
    except OSError as error:
        fail(f"digis dev does not answer on {state.url}: {error}")
