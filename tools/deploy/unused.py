"""What nothing deployed imports (decision 0009): dependencies of dependencies, and parts of them.

Something that turns out to be needed is missed by the tests that boot what was built and ask each of its routes.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

_HTTPX: Final = ("httpx", "httpcore", "certifi", "idna")
_UNUSED: Final = (
    *("bin", "upstash_ratelimit"),
    *("requests", "urllib3", "charset_normalizer", "stripe/params"),  # stripe asks httpx; its params are types
    *("pip", "setuptools", "wheel"),  # Vercel's builder puts them into every environment
    *("aws_lambda_powertools/event_handler", "aws_lambda_powertools/metrics/provider/datadog"),
    *("pydantic/v1", "pydantic/mypy.py", "asyncpg/_testbase", "anyio/_backends/_trio.py", "anyio/pytest_plugin.py"),
    *("starlette/testclient.py", "fastapi/testclient.py"),
)
_CALLS_BY_HTTPX: Final = {"payments"}  # through stripe
_UTILITIES: Final = PurePosixPath("aws_lambda_powertools/utilities")
_USED_UTILITIES: Final = {
    "__init__.py",
    "__pycache__",
    "jmespath_utils",
    "parameters",
}  # what its Logger imports of them, and we
_NEVER_READ: Final = (".pyi", ".pyx", ".pxd", ".c", ".h", ".typed", ".md", ".txt", ".pth", ".lock")


def is_unused(file: PurePosixPath, function: str) -> bool:
    """Whether a file, by its path from site-packages, is never imported or read where this function is deployed."""
    if any(file.is_relative_to(part) for part in (*_UNUSED, *(() if function in _CALLS_BY_HTTPX else _HTTPX))):
        return True
    if file.is_relative_to(_UTILITIES):
        return file.relative_to(_UTILITIES).parts[0] not in _USED_UTILITIES
    return file.suffix in _NEVER_READ or file.name.startswith(".")
