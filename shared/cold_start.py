"""What makes a cold start cheap, in one place (decision 0010). `functions/__init__.py` begins it: it is imported first.

Imports make many objects and hardly any garbage, so the collector is off until they are done, and never looks at what
they made again. FastAPI describes OpenAPI itself in thirty models, which pydantic would compile although no request
needs them: they are built when somebody asks for the document.
"""

from __future__ import annotations

import gc
import importlib
import os

from pydantic import BaseModel


def begin() -> None:
    """Before anything else is imported."""
    if _deployed():
        gc.disable()
    BaseModel.model_config["defer_build"] = True
    try:
        importlib.import_module("fastapi.openapi.models")
    finally:
        del BaseModel.model_config["defer_build"]


def end() -> None:
    """When a function is ready to serve."""
    if _deployed():
        gc.enable()
        gc.freeze()


def _deployed() -> bool:
    """As settings say, which are not read yet. A laptop's processes live on, and are collected as usual."""
    return bool(os.environ.get("AWS_LAMBDA_FUNCTION_NAME") or os.environ.get("VERCEL"))
