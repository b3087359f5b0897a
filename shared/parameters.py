"""Secrets that are kept elsewhere: on Lambda a setting may name a parameter (SSM) or a secret (Secrets Manager)."""
# ruff: noqa: PLC0415 -- boto3 takes longer to import than everything else; most processes do without

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from botocore.config import Config

SSM: Final = "ssm:"  # ssm:/digis/production/DATABASE_URL
SECRETS_MANAGER: Final = "secretsmanager:"  # secretsmanager:digis/production/DATABASE_URL

# Init has 10 s on Lambda, a restore from a snapshot too. Both services answer in tens of milliseconds.
_CONNECT_SECONDS: Final = 1.0
_READ_SECONDS: Final = 2.0
_ATTEMPTS: Final = 2


class ParameterUnreadable(Exception):
    """A named parameter could not be read. The message has the setting and the name, never a value."""


def is_name(value: str) -> bool:
    """Whether a setting's value says where the value is kept."""
    return value.startswith((SSM, SECRETS_MANAGER))


def read(named: Mapping[str, str]) -> dict[str, str]:
    """The value of each setting whose value is a name. SSM is asked once for ten. Raise ParameterUnreadable.
    boto3 comes with Lambda's own runtime, not with us.
    """
    in_ssm = {name: value.removeprefix(SSM) for name, value in named.items() if value.startswith(SSM)}
    secrets = {name: value.removeprefix(SECRETS_MANAGER) for name, value in named.items() if name not in in_ssm}
    return (_from_ssm(in_ssm) if in_ssm else {}) | (_from_secrets_manager(secrets) if secrets else {})


def _from_ssm(places: dict[str, str]) -> dict[str, str]:
    from aws_lambda_powertools.utilities.parameters import SSMProvider

    with _as_unreadable(places):
        found = SSMProvider(boto_config=_deadlines()).get_parameters_by_name(
            {place: {} for place in places.values()}, decrypt=True, raise_on_error=False
        )
    for name, place in places.items():
        if place not in found:
            raise ParameterUnreadable(f"{name}: there is no parameter {place} that can be read")
    return {name: str(found[place]) for name, place in places.items()}


def _from_secrets_manager(places: dict[str, str]) -> dict[str, str]:
    from aws_lambda_powertools.utilities.parameters import SecretsProvider

    provider = SecretsProvider(boto_config=_deadlines())
    values = {}
    for name, place in places.items():
        with _as_unreadable({name: place}):
            values[name] = str(provider.get(place))
    return values


@contextmanager
def _as_unreadable(places: Mapping[str, str]) -> Iterator[None]:
    """AWS's messages name accounts and roles: of an error only its kind is told."""
    from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (GetParameterError, BotoCoreError, ClientError) as error:
        cause = error.__context__ if isinstance(error, GetParameterError) else error
        kind = cause.response["Error"]["Code"] if isinstance(cause, ClientError) else type(cause).__name__
        asked = ", ".join(f"{name} ({place})" for name, place in places.items())
        raise ParameterUnreadable(f"could not be read: {asked}: {kind}") from None


def _deadlines() -> Config:
    from botocore.config import Config

    return Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
