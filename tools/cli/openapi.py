"""`digis openapi`: the one document of all functions."""

from __future__ import annotations

import json


def openapi() -> None:
    """Print the merged OpenAPI document of all functions, as it is committed in openapi.json."""
    from tools.functions import function_names, load_app, merged_openapi  # noqa: PLC0415 -- imports every function

    apps = {name: load_app(name) for name in function_names()}
    print(json.dumps(merged_openapi(apps), indent=2, sort_keys=True))
