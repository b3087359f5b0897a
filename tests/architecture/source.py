"""Reading a source tree without running it."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Module:
    """A Python file of the tree, by its path from the root and by what is in it."""

    path: Path
    tree: ast.Module
    lines: int
    code_lines: int = 0  # without comments, docstrings and blank lines

    @property
    def package(self) -> str:
        """`functions/creators`, `shared/upstash`, `shared` ..."""
        return "/".join(self.path.parts[:-1])

    @property
    def stem(self) -> str:
        return self.path.stem

    def imports(self) -> Iterator[str]:
        """Dotted names of all that is imported anywhere in the file, `from a import b` as `a.b`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (name.name for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                parents = self.path.parts[:-1]
                package = parents[: len(parents) + 1 - node.level] if node.level else ()  # `from ..x import y`
                module = ".".join([*package, *filter(None, [node.module])])
                yield from (f"{module}.{name.name}" for name in node.names)

    def strings(self) -> Iterator[str]:
        """Every string constant, the fixed parts of f-strings included, docstrings left out."""
        docstrings = {id(node.value) for node in _docstrings(self.tree)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                yield node.value


def modules(root: Path, *folders: str) -> list[Module]:
    """The Python files below these folders of the tree."""
    found = []
    for folder in folders:
        for file in sorted((root / folder).rglob("*.py")):
            text = file.read_text(encoding="utf-8")
            tree = ast.parse(text)
            found.append(Module(file.relative_to(root), tree, len(text.splitlines()), _code_lines(text, tree)))
    return found


def _docstrings(tree: ast.Module) -> Iterator[ast.Expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first


def _code_lines(text: str, tree: ast.Module) -> int:
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    spoken: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in silent:
            spoken.update(range(token.start[0], token.end[0] + 1))
    for docstring in _docstrings(tree):
        spoken.difference_update(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    return len(spoken)


def is_or_is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")
