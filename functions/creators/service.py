"""What may be known of creators, who changes that, and who follows whom."""

from __future__ import annotations

from functions.creators import repository
from functions.creators.schemas import Creator, CreatorOut, CreatorsOut, FollowingOut, ListQuery, ProfilePatch
from shared import users
from shared.http.cursors import Cursor
from shared.http.problems import AccountInactive, CreatorNotFound, NotACreator, ValidationFailed
from shared.http.queries import PageQuery
from shared.postgres.pool import database


async def change_profile(user_id: str, patch: ProfilePatch) -> CreatorOut:
    """Change what the patch names. Raise NotACreator, AccountInactive or ValidationFailed.

    The next read that reaches any function sees it: the cached profile is dropped as the change commits.
    """
    changes = patch.model_dump(include=patch.model_fields_set)
    async with database().transaction() as transaction:
        user = await users.lock(transaction, user_id)
        if user is None or not user.is_active:
            raise AccountInactive
        if not user.is_creator:
            raise NotACreator
        before = await repository.find_creator_of(transaction, user_id)
        if changes.get("avatar_url") not in {None, before.avatar_url}:
            message = "should be null, or an avatar that you have uploaded"
            raise ValidationFailed(errors=[{"field": "body.avatar_url", "message": message}])
        if "display_name" in changes:
            await users.rename(transaction, user, changes["display_name"])
        await repository.change(transaction, user_id, changes)
        users.forget_profile(transaction, user.username)
        row = await repository.find_creator_of(transaction, user_id)
    return CreatorOut(creator=Creator.model_validate(row))


async def set_follow(username: str, follower: str, *, following: bool) -> None:
    """Follow, or not; saying so twice changes nothing. Raise CreatorNotFound."""
    creator = await repository.creator_id(username)
    if creator is None:
        raise CreatorNotFound
    async with database().transaction() as transaction:
        change = repository.follow if following else repository.unfollow
        if await change(transaction, creator, follower):
            users.forget_profile(transaction, username)  # it tells how many follow


async def is_following(username: str, follower: str) -> FollowingOut:
    """Raise CreatorNotFound."""
    following = await repository.follows(username, follower)
    if following is None:
        raise CreatorNotFound
    return FollowingOut(following=following)


async def list_followed(query: PageQuery, follower: str) -> CreatorsOut:
    """Whom somebody follows, the latest first. Raise InvalidCursor."""
    after = None if query.cursor is None else Cursor.decode(query.cursor, order=repository.FOLLOWED)
    rows = await repository.list_followed(follower, after=after, limit=query.limit + 1)
    shown = rows[: query.limit]
    return CreatorsOut(
        creators=[Creator.model_validate(row) for row, _ in shown],
        next_cursor=shown[-1][1].encode() if len(rows) > query.limit else None,
    )


async def find_profile(username: str) -> CreatorOut | None:
    row = await repository.find_creator(username)
    return None if row is None else CreatorOut(creator=Creator.model_validate(row))


def place_of(query: ListQuery) -> Cursor | None:
    """Where a page begins. Raise InvalidCursor for a cursor that is not of this order."""
    return None if query.cursor is None else Cursor.decode(query.cursor, order=query.sort)


async def list_creators(query: ListQuery) -> CreatorsOut:
    """One page. Raise InvalidCursor for a cursor that is not of this order."""
    after = place_of(query)
    rows = await repository.list_creators(order=query.sort, category=query.category, after=after, limit=query.limit + 1)
    shown = rows[: query.limit]  # the one row more only tells that there is more
    more = len(rows) > query.limit
    return CreatorsOut(
        creators=[Creator.model_validate(row) for row in shown],
        next_cursor=shown[-1].cursor(query.sort).encode() if more else None,
    )
