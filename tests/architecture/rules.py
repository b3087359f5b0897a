"""The rules of the house, each a function from a source tree to what breaks it there."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.architecture.layers import LAYERS
from tests.architecture.source import Module, is_or_is_in, modules

MAX_FILE_LINES: Final = 250
MAX_SHARED_LINES: Final = 3500
KEY_REGISTRY: Final = Path("shared/upstash/keys.py")
NUMBER_REGISTRIES: Final = {KEY_REGISTRY, Path("shared/cache/spaces.py"), Path("shared/limits/policies.py")}

# Libraries that one place alone imports, so that it alone decides how they are used and who pays for them.
OWNERS: Final = {
    "upstash_redis": "shared/upstash",
    "upstash_ratelimit": "shared/limits",
    "stripe": "functions/payments",
    "httpx": "functions/payments",
    "argon2": "functions/auth",
    "aiosmtplib": "functions/auth",
    "smtplib": "functions/auth",
    "boto3": "functions/uploads",
}

COLD_START: Final = "from shared import cold_start\ncold_start.begin()"

Rule = Callable[[Path], list[str]]


def imports_run_one_way(root: Path) -> list[str]:
    """routes -> service -> repository -> shared; no function imports another; nothing deployed imports tools."""
    broken = []
    for module in modules(root, "functions", "shared"):
        for name in module.imports():
            if is_or_is_in(name, "tools") or is_or_is_in(name, "tests"):
                broken.append(f"{module.path} imports {name}: it is deployed, that is not")
            elif is_or_is_in(name, "functions") and not _may_import_function(module, name):
                broken.append(f"{module.path} imports {name}")
    return broken


def _may_import_function(module: Module, name: str) -> bool:
    if module.path.parts[0] != "functions":
        return False
    function, layer = name.split(".")[1:3] if name.count(".") > 1 else (name.rsplit(".", maxsplit=1)[-1], "")
    if function != module.path.parts[1]:
        return False
    allowed = LAYERS.get(module.stem)
    return layer in allowed if allowed is not None else layer not in {"app", "routes"}


def services_know_no_http(root: Path) -> list[str]:
    """Rules and SQL are plain Python: they import no FastAPI and no Starlette."""
    return [
        f"{module.path} imports {name}"
        for module in modules(root, "functions")
        if module.stem not in {"app", "routes", "checks"}
        for name in module.imports()
        if is_or_is_in(name, "fastapi") or is_or_is_in(name, "starlette")
    ]


def libraries_have_one_owner(root: Path) -> list[str]:
    """Only shared/upstash imports upstash_redis, only functions/payments stripe, and so on."""
    return [
        f"{module.path} imports {name}, which is {owner}'s"
        for module in modules(root, "functions", "shared")
        for name in module.imports()
        for library, owner in OWNERS.items()
        if is_or_is_in(name, library) and not module.path.is_relative_to(owner)
    ]


def package_inits_are_empty(root: Path) -> list[str]:
    """Importing a package imports nothing: each cold start pays only for what it names."""
    return [
        f"{module.path} is not empty"
        for module in modules(root, "functions", "shared")
        if module.path.name == "__init__.py" and module.lines and not _begins_the_cold_start(module)
    ]


def _begins_the_cold_start(module: Module) -> bool:
    """functions/__init__.py is imported before all else, and does this and nothing more (decision 0010)."""
    return module.path == Path("functions/__init__.py") and ast.unparse(module.tree) == COLD_START


def no_module_exports_handler(root: Path) -> list[str]:
    """Some runtimes look for `handler` before `app`."""
    return [
        f"{module.path} has a module-level name handler"
        for module in modules(root, "functions", "shared")
        for node in module.tree.body
        if "handler" in _names_bound_by(node)
    ]


def _names_bound_by(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {name.asname or name.name for name in node.names}
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def apps_are_two_lines(root: Path) -> list[str]:
    """app.py is always `app = create_app(...)` and `lambda_handler = lambda_entry(app)`, and nothing else."""
    broken = []
    for module in modules(root, "functions"):
        if module.stem == "app":
            body = [node for node in module.tree.body[1:] if not isinstance(node, ast.Import | ast.ImportFrom)]
            written = [ast.unparse(node) for node in body]
            is_right = len(written) == 2 and written[0].startswith("app = create_app(")
            if not is_right or written[1] != "lambda_handler = lambda_entry(app)":
                broken.append(f"{module.path} does more than make its app and its Lambda entry")
    return broken


def files_are_short(root: Path) -> list[str]:
    """250 lines is the stop sign: one reason to open a file. shared/ has 3,500 of code in all (decision 0008)."""
    every = modules(root, "functions", "shared", "tools", "tests")
    broken = [f"{m.path} has {m.lines} lines" for m in every if m.lines > MAX_FILE_LINES]
    total = sum(module.code_lines for module in every if module.path.parts[0] == "shared")
    return [*broken, f"shared/ has {total} lines of code"] if total > MAX_SHARED_LINES else broken


def tables_have_one_writer(root: Path) -> list[str]:
    """The package that a table's comment names is the only one whose SQL writes it."""
    writers = _writers(root)
    pattern = re.compile(
        r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO)\s+(?:ONLY\s+)?([a-z_]+)", re.IGNORECASE
    )
    broken = [
        f"table {table} has no comment that says who writes it" for table, writer in writers.items() if not writer
    ]
    for module in modules(root, "functions", "shared"):
        for text in module.strings():
            for table in pattern.findall(text):
                writer = writers.get(table)
                if writer and not module.path.with_suffix("").is_relative_to(writer):
                    broken.append(f"{module.path} writes {table}, which is {writer}'s")
    return broken


def _writers(root: Path) -> dict[str, str]:
    sql = "\n".join(file.read_text() for file in sorted((root / "migrations").glob("*.sql")))
    comments = dict(re.findall(r"COMMENT ON TABLE (\w+) IS 'Written by ([\w/]+)", sql))
    return {table: comments.get(table, "") for table in re.findall(r"CREATE TABLE (\w+)", sql)}


def keys_are_made_in_the_registry(root: Path) -> list[str]:
    """No Redis key prefix is written outside shared/upstash/keys.py."""
    prefixes = re.findall(r'Prefix\("(\w+)"', (root / KEY_REGISTRY).read_text())
    pattern = re.compile(rf"^(?:{'|'.join(prefixes)}):")
    return [
        f"{module.path} writes the key prefix of {text!r}"
        for module in modules(root, "functions", "shared")
        if module.path != KEY_REGISTRY
        for text in module.strings()
        if pattern.match(text)
    ]


def lifetimes_and_quotas_are_in_their_registry(root: Path) -> list[str]:
    """No time to live and no quota is a literal at its use."""
    named = {"ttl", "soft", "hard", "absent", "quota", "window", "ex", "px", "expire"}
    broken = []
    for module in modules(root, "functions", "shared"):
        if module.path in NUMBER_REGISTRIES:
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.keyword) and node.arg in named and _is_number(node.value):
                broken.append(f"{module.path}:{node.value.lineno} {node.arg}={ast.unparse(node.value)}")
            if isinstance(node, ast.List):
                for option, value in zip(node.elts, node.elts[1:], strict=False):
                    if isinstance(option, ast.Constant) and option.value in {"EX", "PX"} and _is_number(value):
                        broken.append(f"{module.path}:{value.lineno} {option.value} {ast.unparse(value)}")
    return broken


def randomness_is_the_systems(root: Path) -> list[str]:
    """A generator with a state is in every copy of a snapshot: all would draw the same numbers."""
    return [
        f"{module.path}:{node.lineno} random.{node.attr}"
        for module in modules(root, "functions", "shared")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) == "random"
        and node.attr not in {"SystemRandom", "seed"}
    ] + [
        f"{module.path} imports {name}"
        for module in modules(root, "functions", "shared")
        for name in module.imports()
        if name.startswith("random.") and name != "random.SystemRandom"
    ]


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


RULES: Final[list[Rule]] = [
    imports_run_one_way,
    services_know_no_http,
    libraries_have_one_owner,
    package_inits_are_empty,
    no_module_exports_handler,
    apps_are_two_lines,
    files_are_short,
    tables_have_one_writer,
    keys_are_made_in_the_registry,
    lifetimes_and_quotas_are_in_their_registry,
    randomness_is_the_systems,
]
