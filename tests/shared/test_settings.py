"""Settings: read once, refused when they cannot be right, and never shown."""

from __future__ import annotations

import dataclasses

import pytest

from shared.settings import Platform, Secret, Settings, SettingsInvalid

UPSTASH = {"UPSTASH_REDIS_REST_URL": "https://db.upstash.example", "UPSTASH_REDIS_REST_TOKEN": "token"}
KEY = {"IDENTITY_HMAC_KEY": "k" * 32}
LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "creators"} | KEY
VERCEL = {"VERCEL": "1"} | KEY


def test_nothing_set_is_a_laptop_without_services() -> None:
    read = Settings.read({})
    assert (read.platform, read.stage, read.upstash_url, read.database_url) == (Platform.LOCAL, "local", None, None)
    assert (read.upstash_deadline_ms, read.allowed_origins, read.profile_cdn_seconds) == (800, (), 0)
    assert not read.deployed
    assert read.identity_hmac_key


@pytest.mark.parametrize(
    ("env", "platform", "stage", "prefix"),
    [
        ({}, Platform.LOCAL, "local", ""),
        (LAMBDA, Platform.LAMBDA, "dev", "dev:"),
        (LAMBDA | {"STAGE": "production"}, Platform.LAMBDA, "production", ""),
        (VERCEL | {"VERCEL_ENV": "production"}, Platform.VERCEL, "production", ""),
        (VERCEL | {"VERCEL_ENV": "preview"}, Platform.VERCEL, "preview", "preview:"),
        (VERCEL | {"VERCEL_ENV": "preview", "STAGE": "pr-7"}, Platform.VERCEL, "pr-7", "pr-7:"),
        (LAMBDA | {"STAGE": "production", "UPSTASH_KEY_PREFIX": "blue:"}, Platform.LAMBDA, "production", "blue:"),
        (LAMBDA | {"UPSTASH_KEY_PREFIX": ""}, Platform.LAMBDA, "dev", ""),
        (LAMBDA | VERCEL, Platform.LAMBDA, "dev", "dev:"),
    ],
)
def test_stage_keeps_previews_off_productions_keys(
    env: dict[str, str], platform: Platform, stage: str, prefix: str
) -> None:
    read = Settings.read(env)
    assert (read.platform, read.stage, read.upstash_key_prefix) == (platform, stage, prefix)


@pytest.mark.parametrize(
    ("env", "url", "token"),
    [
        (UPSTASH, "https://db.upstash.example", "token"),
        ({"KV_REST_API_URL": "https://kv.example/", "KV_REST_API_TOKEN": "kv"}, "https://kv.example", "kv"),
        (UPSTASH | {"KV_REST_API_URL": "https://kv.example", "KV_REST_API_TOKEN": "kv"}, None, "token"),
        ({"UPSTASH_REDIS_REST_URL": "http://127.0.0.1:8079", "UPSTASH_REDIS_REST_TOKEN": "t"}, None, "t"),
        ({"UPSTASH_REDIS_REST_URL": "http://[::1]:8079", "UPSTASH_REDIS_REST_TOKEN": "t"}, None, "t"),
        ({"UPSTASH_REDIS_REST_URL": "http://localhost:8079", "UPSTASH_REDIS_REST_TOKEN": "t"}, None, "t"),
    ],
)
def test_upstash_is_found_under_both_names(env: dict[str, str], url: str | None, token: str) -> None:
    read = Settings.read(env)
    assert read.upstash_token == token
    assert read.upstash_url == (url or env["UPSTASH_REDIS_REST_URL"])


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"UPSTASH_REDIS_REST_URL": "https://db.example"}, "UPSTASH_REDIS_REST_TOKEN is not"),
        ({"KV_REST_API_URL": "https://db.example"}, "KV_REST_API_TOKEN is not"),
        (UPSTASH | {"UPSTASH_REDIS_REST_URL": "db.example"}, "not an http"),
        (UPSTASH | {"UPSTASH_REDIS_REST_URL": "ftp://db.example"}, "not an http"),
        (UPSTASH | {"UPSTASH_REDIS_REST_URL": "https://"}, "not an http"),
        (UPSTASH | {"UPSTASH_REDIS_REST_URL": "https://db.example:port"}, "not an http"),
        (UPSTASH | {"UPSTASH_REDIS_REST_URL": "https://db.example:0"}, "not an http"),
        (UPSTASH | {"UPSTASH_REDIS_REST_URL": "https://me:pw@db.example"}, "parts that a REST URL"),
        (UPSTASH | {"UPSTASH_REDIS_REST_URL": "https://db.example?token=x"}, "parts that a REST URL"),
        (UPSTASH | {"UPSTASH_REDIS_REST_URL": "http://db.example"}, "must be https"),
        (UPSTASH | {"UPSTASH_REDIS_REST_URL": "http://10.0.0.1"}, "must be https"),
        (UPSTASH | {"UPSTASH_REDIS_REST_TOKEN": "two words"}, "not a token"),
        (UPSTASH | {"UPSTASH_REDIS_REST_TOKEN": "line\nbreak"}, "not a token"),
        (UPSTASH | {"UPSTASH_REDIS_REST_TOKEN": "tökén"}, "not a token"),
        ({"UPSTASH_DEADLINE_MS": "49"}, "from 50 to 10000"),
        ({"UPSTASH_DEADLINE_MS": "1e3"}, "from 50 to 10000"),
        ({"UPSTASH_DEADLINE_MS": "\u0665\u0660\u0660"}, "from 50 to 10000"),
        ({"PROFILE_CDN_SECONDS": "-1"}, "from 0 to 3600"),
        ({"ALLOWED_ORIGINS": "*"}, "exact origins"),
        ({"ALLOWED_ORIGINS": "https://a.example/"}, "exact origins"),
        ({"ALLOWED_ORIGINS": "https://a.example,b.example"}, "exact origins"),
        ({"ALLOWED_ORIGINS": "https://*.a.example"}, "exact origins"),
        ({"ALLOWED_ORIGINS": "https://A.example"}, "exact origins"),
        ({"ALLOWED_ORIGINS": "https://a.example:443"}, "exact origins"),
        ({"ALLOWED_ORIGINS": "http://a.example:80"}, "exact origins"),
        ({"STAGE": "two words"}, "STAGE may have"),
        ({"UPSTASH_KEY_PREFIX": "a b"}, "UPSTASH_KEY_PREFIX may have"),
        ({"DATABASE_URL": "bogus-value"}, "DATABASE_URL is not"),
        ({"DATABASE_URL": "mysql://user/database"}, "DATABASE_URL is not"),
        ({"DATABASE_URL": "postgresql://[half"}, "DATABASE_URL is not"),
        ({"DATABASE_URL": "postgresql://host:abc/x"}, "DATABASE_URL is not"),
        (UPSTASH | {"UPSTASH_REDIS_REST_URL": "https://["}, "not an http"),
        (UPSTASH | {"UPSTASH_REDIS_REST_URL": "https://\u00fcnicode.example"}, "not an http"),
        ({"TRUSTED_EDGE": "fastly"}, "unset or cloudfront"),
        ({"TRUSTED_EDGE": "cloudfront"}, "needs EDGE_SECRET"),
        (LAMBDA | {"IDENTITY_HMAC_KEY": "k" * 31}, "under 32 characters"),
        ({"OPS_TOKENS": "ada"}, "OPS_TOKENS must be"),
        ({"OPS_TOKENS": f"ada:{'0' * 63}"}, "OPS_TOKENS must be"),
        ({"OPS_TOKENS": f":{'0' * 64}"}, "OPS_TOKENS must be"),
        ({"OPS_TOKENS": f"ada:{'0' * 64},ada:{'1' * 64}"}, "OPS_TOKENS must be"),
    ],
)
def test_value_that_cannot_be_right_is_refused_by_name_and_not_shown(env: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsInvalid, match=named) as refused:
        Settings.read(env)
    for value in env.values():
        assert len(value) < 4 or value not in str(refused.value)


def test_deployed_function_needs_its_settings() -> None:
    deployed = Settings.read({"AWS_LAMBDA_FUNCTION_NAME": "creators"})
    with pytest.raises(SettingsInvalid, match="not set: IDENTITY_HMAC_KEY, DATABASE_URL"):
        deployed.require("identity_hmac_key", "database_url")
    Settings.read(LAMBDA | {"DATABASE_URL": "postgresql://db/x"}).require("identity_hmac_key", "database_url")


def test_secrets_are_not_shown() -> None:
    env = LAMBDA | UPSTASH | {"DATABASE_URL": "postgresql://me:hunter2@db/x"}
    env |= {"TRUSTED_EDGE": "cloudfront", "EDGE_SECRET": "edge-secret", "UPSTASH_REDIS_REST_TOKEN": "s3cret"}
    shown = repr(Settings.read(env)) + repr(dataclasses.asdict(Settings.read(env)))
    for secret in ("hunter2", "s3cret", "edge-secret", "k" * 32):
        assert secret not in shown
    assert repr(Secret("")) == "''"


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.read({}).stage = "production"  # type: ignore[misc]
