"""What creators look like from outside."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from shared.http.queries import whole_number

Username = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{3,30}$")]
Category = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]


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


class ListQuery(BaseModel):
    """Which creators, in what order, from where on, and how many."""

    model_config = ConfigDict(frozen=True)

    category: Category | None = None
    sort: Sort = Sort.FOLLOWERS
    cursor: str | None = None
    limit: Annotated[int, BeforeValidator(whole_number), Field(ge=1, le=100)] = 24
