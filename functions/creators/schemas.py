"""What creators look like from outside."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from shared.http.queries import PageQuery
from shared.http.text import PLAIN, Body

Username = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{3,30}$")]
Category = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]


_LINK: Final = re.compile(r"https://[!#$%&'()*+,./0-9:;=?@A-Z\[\]_a-z~-]+")


def _safe_link(url: str) -> str:
    """https alone, to a host, with nobody's name in front of it that could be taken for the host."""
    try:
        parts = urlsplit(url)
        is_safe = bool(_LINK.fullmatch(url) and parts.hostname and "@" not in parts.netloc) and parts.port != 0
    except ValueError:
        is_safe = False
    if not is_safe:
        raise ValueError("should be an https address, without a user's name in it")
    return url


Link = Annotated[str, StringConstraints(max_length=200), AfterValidator(_safe_link)]


class Sort(StrEnum):
    FOLLOWERS = "followers"
    NEWEST = "newest"


class Creator(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    username: str
    display_name: str
    bio: str
    avatar_url: str | None
    links: list[str]
    category: str
    follower_count: int
    is_live: bool
    created_at: datetime


class CreatorOut(BaseModel):
    success: Literal[True] = True
    creator: Creator


class CreatorsOut(BaseModel):
    success: Literal[True] = True
    creators: list[Creator]
    next_cursor: str | None


class ProfilePatch(Body):
    """What of it is there is changed."""

    display_name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60), PLAIN] = ""
    bio: Annotated[str, StringConstraints(max_length=500), PLAIN] = ""
    avatar_url: Annotated[str, StringConstraints(max_length=2000)] | None = None
    links: Annotated[list[Link], Field(max_length=10)] = Field(default_factory=list)
    category: Category = ""


class FollowingOut(BaseModel):
    success: Literal[True] = True
    following: bool


class ListQuery(PageQuery):
    """Which creators, in what order, from where on, and how many."""

    category: Category | None = None
    sort: Sort = Sort.FOLLOWERS
