"""The parameters of one request: which are known, and each as what it should be."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tools.local.stripe.errors import invalid
from tools.local.stripe.form import names

PAGE: Final = frozenset({"limit", "starting_after", "ending_before"})
CREATED: Final = frozenset({"created", "created[gt]", "created[gte]", "created[lt]", "created[lte]"})
METADATA: Final = frozenset({"metadata", "metadata[*]"})
_EVERYWHERE: Final = frozenset({"expand[*]"})
_MAX_METADATA: Final = {"keys": 50, "key": 40, "value": 500}


@dataclass(frozen=True)
class Params:
    """Reading raises an `invalid` where the value is not what Stripe would take."""

    given: Mapping[str, Any]

    def refuse_unknown(self, known: Collection[str]) -> None:
        for name in names(self.given):
            pattern = f"{name.rpartition('[')[0]}[*]"
            if not {name, pattern} & {*known, *_EVERYWHERE}:
                raise invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")

    def text(self, name: str) -> str | None:
        value = self.given.get(name)
        if isinstance(value, dict):
            raise invalid(f"Invalid string: {value}", param=name)
        return value or None

    def required_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")
        return value

    def integer(self, name: str) -> int | None:
        value = self.text(name)
        return None if value is None else _integer(value, name)

    def positive(self, name: str) -> int | None:
        value = self.integer(name)
        if value is not None and value < 1:
            raise invalid("Invalid positive integer", param=name, code="parameter_invalid_integer")
        return value

    def currency(self) -> str:
        value = self.required_text("currency").lower()
        if not (len(value) == 3 and value.isalpha()):  # noqa: PLR2004 -- ISO 4217
            raise invalid(f"Invalid currency: {value}", param="currency")
        return value

    def url(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not value.startswith(("http://", "https://")):
            raise invalid("Not a valid URL", param=name, code="url_invalid")
        return value

    def boolean(self, name: str, *, default: bool) -> bool:
        value = self.text(name)
        if value not in {None, "true", "false"}:
            raise invalid(f"Invalid boolean: {value}", param=name)
        return default if value is None else value == "true"

    def one_of(self, name: str, values: Collection[str]) -> str | None:
        value = self.text(name)
        if value is not None and value not in values:
            raise invalid(f"Invalid {name}: must be one of {', '.join(sorted(values))}", param=name)
        return value

    def mapping(self, name: str) -> dict[str, str]:
        value = self.given.get(name) or {}
        if not isinstance(value, dict) or any(isinstance(inner, dict) for inner in value.values()):
            raise invalid("Invalid hash", param=name)
        return dict(value)

    def strings(self, name: str) -> list[str]:
        return list(self.mapping(name).values())

    def metadata(self, present: Mapping[str, str] | None = None) -> dict[str, str]:
        """What is there with what is given: an empty value deletes its key, an empty whole deletes all."""
        if self.given.get("metadata") == "":
            return {}
        changes = self.mapping("metadata")
        merged = {key: value for key, value in {**(present or {}), **changes}.items() if value}
        if len(merged) > _MAX_METADATA["keys"]:
            raise invalid("Metadata can have at most 50 keys", param="metadata")
        for key, value in changes.items():
            if len(key) > _MAX_METADATA["key"] or len(value) > _MAX_METADATA["value"]:
                raise invalid("Metadata keys have at most 40 characters, values 500", param=f"metadata[{key}]")
        return merged

    def created(self) -> dict[str, int]:
        """Bounds by name (`gte`...), in seconds since 1970; a plain number is both bounds."""
        value = self.given.get("created")
        if isinstance(value, dict):
            return {bound: _integer(seconds, f"created[{bound}]") for bound, seconds in value.items()}
        return {"gte": _integer(value, "created"), "lte": _integer(value, "created")} if value else {}


def _integer(value: str, name: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise invalid(f"Invalid integer: {value}", param=name, code="parameter_invalid_integer") from None
