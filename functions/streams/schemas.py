"""What streams take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.http.text import PLAIN, Body

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=140), PLAIN]
ViewerName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class StreamIn(Body):
    title: Title


class ViewerIn(Body):
    viewer: ViewerName | None = Field(None, description="What the client calls itself, where nobody is signed in.")


class EmbeddedCreator(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    username: str
    display_name: str
    avatar_url: str | None


class Stream(BaseModel):
    """A stream that is live."""

    id: str
    creator: EmbeddedCreator
    title: str
    status: Literal["live", "ended"]
    started_at: datetime
    viewers: int


class EndedStream(Stream):
    """A stream that is over."""

    ended_at: datetime
    duration: int = Field(description="In seconds.")
    peak_viewers: int


class StreamOut(BaseModel):
    success: Literal[True] = True
    stream: EndedStream | Stream


class StreamsOut(BaseModel):
    success: Literal[True] = True
    streams: list[Stream]
    next_cursor: str | None


class ViewersOut(BaseModel):
    success: Literal[True] = True
    viewers: int
