"""`digis invoke`: hand an event to a function as AWS Lambda would."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from shared.http.schedule import ScheduledRunFailed
from shared.settings import SettingsInvalid
from tools.cli.screen import fail
from tools.functions import function_names
from tools.local.env_file import DEFAULT_DATA, adopt_env


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """What Lambda passes beside the event, as far as anything here reads it."""

    function_name: str
    aws_request_id: str
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:local:000000000000:function:local"


def invoke(
    function: Annotated[str, typer.Argument(help="Which function.")],
    events: Annotated[
        list[str], typer.Argument(metavar="EVENT.json...", help="API Gateway v2 events, or a schedule's; - is stdin.")
    ],
    times: Annotated[int, typer.Option(min=1, help="How often to send them, in this one process.")] = 1,
    data: Annotated[Path, typer.Option(help="Of the running digis dev whose services to use.")] = DEFAULT_DATA,
) -> None:
    """Send API Gateway v2 events through a function's Lambda entry and print each answer.

    They go one after another, in one process. Settings come from the environment, the rest of them from a
    running `digis dev`.
    """
    if function not in function_names():
        fail(f"there is no function {function}: there are {', '.join(function_names())}", code=2)
    read = [_read(event) for event in events]
    adopt_env(data)
    from tools.functions import load_lambda_handler  # noqa: PLC0415 -- imports the function, which reads the settings

    try:
        handler = load_lambda_handler(function)
    except SettingsInvalid as error:
        fail(str(error))
    for event in read * times:
        try:
            answer = handler(event, LambdaContext(function, str(uuid4())))
        except ScheduledRunFailed as error:
            fail(str(error))
        except (KeyError, TypeError, AttributeError, RuntimeError) as error:
            fail(f"this is not an API Gateway v2 event: {type(error).__name__} {error}")
        print(json.dumps(answer, indent=2))


def _read(event: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if event == "-" else Path(event).read_text(encoding="utf-8")
        parsed = json.loads(text)
    except OSError as error:
        fail(f"{event} cannot be read: {error.strerror}", code=2)
    except ValueError as error:
        fail(f"{event} is not JSON: {error}", code=2)
    if not isinstance(parsed, dict):
        fail(f"{event} is not an event: a JSON object", code=2)
    return parsed
