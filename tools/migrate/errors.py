"""Why migrations were not applied."""

from __future__ import annotations


class MigrationError(Exception):
    """The root of what stops a migration run. Nothing of the failing file was applied."""


class MigrationsMisnumbered(MigrationError):
    """The files are not numbered 0001, 0002, ... without a gap or a twin."""


class MigrationChanged(MigrationError):
    """A file that was applied has other contents now: write a new one instead."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was changed after it was applied: put it back, and write a new migration")
        self.name = name


class MigrationUnknown(MigrationError):
    """The database has a migration that this checkout does not have: the checkout is the older of the two."""

    def __init__(self, number: int, name: str) -> None:
        super().__init__(f"the database has {number:04} {name}, which this checkout does not know")
        self.number = number


class MigrationFailed(MigrationError):
    """Postgres refused a file."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name


class MigrationsBusy(MigrationError):
    """Another run holds the lock, and did not let go in time."""
