"""Which files of ours a function carries: what it imports, directly or not, and no more."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tools.functions import ROOT

_OURS = {"functions", "shared"}


def files_of(function: str) -> list[Path]:
    """The function's files and those of shared/ that they need, by path from the root, in order.

    Imports inside functions count: what is imported lazily is needed too. With a package come its Lua scripts.
    """
    wanted = [f"functions.{function}.app"]
    found: set[Path] = set()
    while wanted:
        file = _file(wanted.pop())
        if file is None or file in found:
            continue
        found.add(file)
        wanted.extend(_imports(file))
    packages = {parent for file in found for parent in file.parents if parent != Path()}
    inits = {package / "__init__.py" for package in packages if (ROOT / package / "__init__.py").exists()}
    scripts = {
        script.relative_to(ROOT)
        for package in packages
        if package.parts[0] == "shared" and len(package.parts) > 1
        for script in (ROOT / package / "lua").glob("*.lua")
    }
    # With a module of shared/ itself, the scripts that it names.
    named = {text for file in found if file.parent == Path("shared") for text in _texts(file)}
    scripts |= {script.relative_to(ROOT) for script in (ROOT / "shared/lua").glob("*.lua") if script.name in named}
    return sorted(found | inits | scripts)


def _texts(file: Path) -> Iterator[str]:
    for node in ast.walk(_parsed(file)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(_parsed(file)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = file.parent.parts[: len(file.parent.parts) + 1 - node.level] if node.level else ()
            module = ".".join([*package, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{name.name}" for name in node.names)


def _parsed(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def _file(module: str) -> Path | None:
    """The file of one of our modules; None for a package, a name in a module, and what is not ours."""
    parts = module.split(".")
    if parts[0] not in _OURS:
        return None
    file = Path(*parts).with_suffix(".py")
    return file if (ROOT / file).exists() else None
