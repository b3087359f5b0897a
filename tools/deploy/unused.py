"""What nothing deployed imports (decision 0009): dependencies of dependencies, and parts of them.

Something that turns out to be needed is missed by the tests that boot what was built and ask each of its routes.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

_UNUSED: Final = (
    *("bin", "httpx", "httpcore", "certifi", "idna", "upstash_ratelimit"),
    *("pip", "setuptools", "wheel"),  # Vercel's builder puts them into every environment
    "aws_lambda_powertools/event_handler",
    *("pydantic/v1", "pydantic/mypy.py", "asyncpg/_testbase", "anyio/_backends/_trio.py", "anyio/pytest_plugin.py"),
    *("starlette/testclient.py", "fastapi/testclient.py"),
)
_UTILITIES: Final = PurePosixPath("aws_lambda_powertools/utilities")
_USED_UTILITIES: Final = {
    "__init__.py",
    "__pycache__",
    "jmespath_utils",
    "parameters",
}  # what its Logger imports of them, and we
_NEVER_READ: Final = (".pyi", ".pyx", ".pxd", ".c", ".h", ".typed", ".md", ".txt", ".pth", ".lock")


def is_unused(file: PurePosixPath) -> bool:
    """Whether a file, by its path from site-packages, is never imported or read where it is deployed."""
    if any(file.is_relative_to(part) for part in _UNUSED):
        return True
    if file.is_relative_to(_UTILITIES):
        return file.relative_to(_UTILITIES).parts[0] not in _USED_UTILITIES
    return file.suffix in _NEVER_READ or file.name.startswith(".")
