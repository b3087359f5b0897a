"""What sign-in takes and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from shared.http.text import PLAIN, Body
from shared.users import User

_RESERVED = {"following", "me", "live", "openapi.json"}  # paths of the creators function


def _not_reserved(username: str) -> str:
    if username in _RESERVED:
        raise ValueError("this username is reserved")
    return username


Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        max_length=254,
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$",
    ),
]
NewUsername = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{3,30}$"), AfterValidator(_not_reserved)]
Password = Annotated[SecretStr, Field(max_length=128)]
NewPassword = Annotated[SecretStr, Field(min_length=10, max_length=128)]
DisplayName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60), PLAIN]
SignedToken = Annotated[str, Field(max_length=300)]
Purpose = Literal["login", "verify_email", "reset_password"]


class RegisterIn(Body):
    email: Email
    username: NewUsername
    password: NewPassword
    display_name: DisplayName | None = None
    creator: bool = False
    device_token: SignedToken | None = None


class LoginIn(Body):
    email: Email
    password: Password
    device_token: SignedToken | None = None


class CodeRequestIn(Body):
    email: Email
    purpose: Purpose


class CodeVerifyIn(Body):
    email: Email
    purpose: Purpose
    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
    device_token: SignedToken | None = None


class ResetIn(Body):
    reset_token: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
    password: NewPassword


class SessionOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    created_at: datetime
    expires_at: datetime


class NewSessionOut(SessionOut):
    token: str = Field(description="Sent back as X-Session-Id or as a bearer; it is shown here and never again.")


class SignedInOut(BaseModel):
    success: Literal[True] = True
    user: User
    session: NewSessionOut
    device_token: str


class CodeRequestedOut(BaseModel):
    success: Literal[True] = True
    expires_in: int = Field(description="Seconds for which the code is good.")


class VerifiedOut(BaseModel):
    success: Literal[True] = True
    verified: Literal[True] = True


class ResetTokenOut(BaseModel):
    success: Literal[True] = True
    reset_token: str


class CurrentSessionOut(BaseModel):
    success: Literal[True] = True
    user: User
    session: SessionOut


class ListedSession(BaseModel):
    id: str
    created_at: datetime
    last_seen_at: datetime
    ip: str
    user_agent: str
    current: bool


class SessionsOut(BaseModel):
    success: Literal[True] = True
    sessions: list[ListedSession]
    next_cursor: str | None
