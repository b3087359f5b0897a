"""Migrations are applied whole and once, in order, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import Services
from tools.local.demo import load_demo
from tools.migrate.errors import MigrationChanged, MigrationFailed, MigrationsMisnumbered, MigrationUnknown
from tools.migrate.files import MIGRATIONS, read_migrations
from tools.migrate.runner import migrate, pending


@pytest.fixture
async def empty(services: Services) -> AsyncIterator[str]:
    """The owner's URL of a database without anything in it."""
    name = f"migrate_{next(services.numbers)}"
    await services.postgres.create_database(name)
    yield services.postgres.url(name, "owner")
    await services.postgres.drop_database(name)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE first (id int); INSERT INTO first VALUES (1);")
    (tmp_path / "0002_second.sql").write_text("CREATE TABLE second (id int);")
    return tmp_path


async def _value(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_applies_what_is_missing_and_says_so(empty: str, files: Path) -> None:
    told: list[str] = []
    assert await pending(empty, files) == ["0001_first", "0002_second"]
    assert [applied.name for applied in await migrate(empty, files, report=told.append)] == [
        "0001_first",
        "0002_second",
    ]
    assert [line.split(" (")[0] for line in told] == ["applied 0001_first", "applied 0002_second"]
    assert (await migrate(empty, files), await pending(empty, files)) == ([], [])

    (files / "0003_third.sql").write_text("CREATE TABLE third (id int);")
    assert [applied.name for applied in await migrate(empty, files)] == ["0003_third"]


async def test_five_runs_at_once_apply_each_file_once(empty: str, files: Path) -> None:
    runs = await asyncio.gather(*(migrate(empty, files) for _ in range(5)))
    assert sorted(len(applied) for applied in runs) == [0, 0, 0, 0, 2]
    assert await _value(empty, "SELECT count(*) FROM first") == 1


async def test_file_that_fails_leaves_nothing_of_itself(empty: str, files: Path) -> None:
    (files / "0002_second.sql").write_text("CREATE TABLE second (id int); SELECT 1 / 0;")
    with pytest.raises(MigrationFailed, match="0002_second: division by zero"):
        await migrate(empty, files)
    assert await _value(empty, "SELECT to_regclass('second')") is None
    assert await pending(empty, files) == ["0002_second"]


async def test_changed_file_is_refused(empty: str, files: Path) -> None:
    await migrate(empty, files)
    (files / "0001_first.sql").write_text("CREATE TABLE first (id bigint);")
    for run in (migrate, pending):
        with pytest.raises(MigrationChanged, match="0001_first was changed"):
            await run(empty, files)


async def test_older_checkout_is_refused(empty: str, files: Path) -> None:
    await migrate(empty, files)
    (files / "0002_second.sql").unlink()
    with pytest.raises(MigrationUnknown, match="0002 0002_second"):
        await migrate(empty, files)


@pytest.mark.parametrize("name", ["0004_gap.sql", "0002_twin.sql", "second.sql", "0003-dash.sql"])
async def test_misnumbered_files_are_refused(empty: str, files: Path, name: str) -> None:
    (files / name).write_text("SELECT 1;")
    with pytest.raises(MigrationsMisnumbered):
        await migrate(empty, files)


async def test_lock_that_is_waited_for_on_a_table_makes_the_run_fail(
    empty: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.migrate.runner.LOCK_TIMEOUT", "100ms")
    await migrate(empty, files)
    (files / "0003_third.sql").write_text("ALTER TABLE first ADD COLUMN name text;")
    user = await asyncpg.connect(empty)
    transaction = user.transaction()
    await transaction.start()
    await user.execute("SELECT * FROM first")
    with pytest.raises(MigrationFailed, match="lock timeout"):
        await migrate(empty, files)
    await transaction.rollback()
    await user.close()
    assert len(await migrate(empty, files)) == 1


async def test_ours_grant_functions_what_they_need_and_no_more(services: Services, database_name: str) -> None:
    connection = await asyncpg.connect(services.postgres.url(database_name))
    for sql in (
        "SELECT * FROM users, creators, follows, streams",
        "UPDATE creators SET bio = ''",
        "DELETE FROM follows",
    ):
        await connection.execute(sql)
    for sql in ("DROP TABLE users", "DELETE FROM users", "TRUNCATE follows", "ALTER TABLE users ADD x int"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(sql)
    await connection.close()


async def test_demo_data_is_the_same_when_loaded_again(services: Services, database_name: str) -> None:
    url = services.postgres.url(database_name, "owner")
    everything = """
        SELECT md5(string_agg(row::text, '|' ORDER BY row::text))
          FROM (SELECT u, c FROM users u LEFT JOIN creators c ON c.user_id = u.id) row
    """
    before = await _value(url, everything)
    counts = await load_demo(url)
    assert (counts.users, counts.creators, await _value(url, everything)) == (0, 0, before)
    assert await _value(url, "SELECT count(*) FROM creators") == 50


async def test_demo_data_does_not_undo_what_its_user_did(services: Services, database_name: str) -> None:
    url = services.postgres.url(database_name, "owner")
    await _value(url, "UPDATE creators SET bio = 'mine' WHERE category = 'art'")
    await load_demo(url)
    assert await _value(url, "SELECT count(*) FROM creators WHERE bio = 'mine'") == 8


def test_ours_are_numbered() -> None:
    assert [m.number for m in read_migrations()] == list(range(1, len(list(MIGRATIONS.glob("*.sql"))) + 1))
