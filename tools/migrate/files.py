"""The migrations of this checkout: `migrations/NNNN_name.sql`, numbered from 0001 without gaps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from tools.functions import ROOT
from tools.migrate.errors import MigrationsMisnumbered

MIGRATIONS: Final = ROOT / "migrations"
_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return sha256(self.sql.encode()).hexdigest()


def read_migrations(directory: Path = MIGRATIONS) -> list[Migration]:
    """All of them, in order. Raise MigrationsMisnumbered."""
    found = []
    for file in sorted(directory.glob("*.sql")):
        name = _NAME.fullmatch(file.name)
        if name is None:
            raise MigrationsMisnumbered(f"{file.name} is not called like 0001_name.sql")
        found.append(Migration(int(name.group(1)), file.stem, file.read_text(encoding="utf-8")))
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            raise MigrationsMisnumbered(f"{migration.name} stands where {expected:04} should")
    return found
