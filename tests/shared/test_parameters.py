"""Secrets by name, from AWS's own client against a local SSM and Secrets Manager."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import boto3
import pytest

from shared import parameters
from shared.settings import Settings, SettingsInvalid
from tests.aws import CREDENTIALS, local_aws

ON_LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "creators", "IDENTITY_HMAC_KEY": "k" * 32}
URL = "postgresql://digis@db.example/digis"


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with local_aws() as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        yield


def test_settings_read_what_they_name(aws: None) -> None:
    ssm = boto3.client("ssm")
    ssm.put_parameter(Name="/digis/test/DATABASE_URL", Value=URL, Type="SecureString")
    ssm.put_parameter(Name="/digis/test/TOKEN", Value="token", Type="String")
    boto3.client("secretsmanager").create_secret(Name="digis/test/KEY", SecretString="s" * 40)

    read = Settings.read(
        ON_LAMBDA
        | {
            "DATABASE_URL": "ssm:/digis/test/DATABASE_URL",
            "UPSTASH_REDIS_REST_URL": "https://one.upstash.example",
            "UPSTASH_REDIS_REST_TOKEN": "ssm:/digis/test/TOKEN",
            "IDENTITY_HMAC_KEY": "secretsmanager:digis/test/KEY",
        }
    )
    assert (read.database_url, read.upstash_token, read.identity_hmac_key) == (URL, "token", "s" * 40)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("ssm:/digis/test/NONE", "DATABASE_URL: there is no parameter /digis/test/NONE that can be read"),
        ("secretsmanager:none", "could not be read: DATABASE_URL (none): ResourceNotFoundException"),
    ],
)
def test_what_is_not_there_is_said_with_its_setting(aws: None, value: str, said: str) -> None:
    with pytest.raises(SettingsInvalid) as raised:
        Settings.read(ON_LAMBDA | {"DATABASE_URL": value})
    assert str(raised.value) == said


def test_value_that_is_wrong_is_refused_as_any_other(aws: None) -> None:
    boto3.client("ssm").put_parameter(Name="/digis/short", Value="short", Type="SecureString")
    with pytest.raises(SettingsInvalid, match="IDENTITY_HMAC_KEY has under 32 characters"):
        Settings.read(ON_LAMBDA | {"IDENTITY_HMAC_KEY": "ssm:/digis/short"})


@pytest.mark.parametrize("value", ["ssm:/digis/test/KEY", "secretsmanager:digis/test/KEY"])
def test_service_that_refuses_or_hangs_is_given_up(
    credentials: None, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setattr(parameters, "_READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as hung:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{hung.getsockname()[1]}")
        with pytest.raises(SettingsInvalid, match=r"could not be read: IDENTITY_HMAC_KEY .*ReadTimeoutError"):
            Settings.read(ON_LAMBDA | {"IDENTITY_HMAC_KEY": value})
    with pytest.raises(SettingsInvalid, match=r"could not be read: IDENTITY_HMAC_KEY .*EndpointConnectionError"):
        Settings.read(ON_LAMBDA | {"IDENTITY_HMAC_KEY": value})


def test_worst_case_fits_into_init() -> None:
    tries = parameters._ATTEMPTS * (parameters._CONNECT_SECONDS + parameters._READ_SECONDS)
    assert tries < 10, "Lambda gives init, and a restore, 10 s"


@pytest.mark.parametrize("env", [{}, {"VERCEL": "1"}])
def test_names_are_refused_where_nothing_reads_them(env: dict[str, str]) -> None:
    with pytest.raises(SettingsInvalid, match="IDENTITY_HMAC_KEY names a parameter of AWS"):
        Settings.read(env | {"IDENTITY_HMAC_KEY": "ssm:/digis/production/IDENTITY_HMAC_KEY"})
