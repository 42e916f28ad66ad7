"""The settings of agents that work together, and the names that requirement 001 gives some settings.

A variable `LAMBDAAGENT_*` wins over its other name. Hazard: the other names count milliseconds.
"""

import os
from typing import Any

from pydantic import Field
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

OTHER_NAMES = {
    "A2A_DISCOVERY_INTERVAL": "discovery_cache_ttl",
    "A2A_TRANSPORT_TIMEOUT": "transport_timeout",
    "A2A_REQUIRE_AUTH": "access",
}
_MILLISECONDS = ("discovery_cache_ttl", "transport_timeout")
_ACCESS = {"true": "enforce", "1": "enforce", "false": "off", "0": "off"}


class CoordinationSettings(BaseSettings):
    """What bounds agents that work together."""

    model_config = SettingsConfigDict(env_prefix="LAMBDAAGENT_", frozen=True, extra="ignore")

    max_context_size: int = Field(
        10_000, ge=100, le=1_000_000, description="Maximum size of a shared context in bytes; a larger one gets 413."
    )
    context_ttl: int = Field(
        3600, ge=1, le=30 * 86_400, description="Seconds after its last change that a shared context is kept."
    )
    message_queue_size: int = Field(
        1_000,
        ge=1,
        le=100_000,
        description="Maximum number of messages that wait for one receiver; half of them may be of one sender.",
    )
    discovery_cache_ttl: float = Field(
        300, ge=1, le=86_400, description="Seconds between two requests for the card of a registered agent."
    )
    transport_timeout: float = Field(
        30, ge=1, le=55, description="Seconds that a receiver has to take a message by an event or by POST."
    )
    rate_limit: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Requests a minute of one caller, where the access file has no limits.perPrincipal; 0: no limit.",
    )


def variable(field: str) -> str:
    """Return the name of the variable that sets a field now, for errors."""
    own = f"LAMBDAAGENT_{field.upper()}"
    others = (name for name, meant in OTHER_NAMES.items() if meant == field and name in os.environ)
    return own if own in os.environ else next(others, own)


class OtherNames(PydanticBaseSettingsSource):
    """Reads the settings by their other names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = next((each for each, meant in OTHER_NAMES.items() if meant == field_name), "")
        given = os.environ.get(name)
        if given is None:
            return None, field_name, False
        if field_name in _MILLISECONDS:
            return (float(given) / 1000 if given.isascii() and given.isdigit() else given), field_name, False
        return _ACCESS.get(given.lower(), given), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class WithOtherNames(BaseSettings):
    """Settings that may be set by their other names."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, OtherNames(settings_cls)
