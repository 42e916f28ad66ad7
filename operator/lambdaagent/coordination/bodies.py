"""The bodies of requests to the endpoints for coordination: read strictly, refused by the name of the wrong field.

Fields are written in snake case, as requirement 001 has them; camel case is read as well. A field that nobody knows is
refused, because what is misspelt would be lost.
"""

from typing import Annotated, Any, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from lambdaagent import bounded_json
from lambdaagent.errors import PermanentError

Model = TypeVar("Model", bound="Body")
Text = Annotated[str, Field(max_length=4096)]
Id = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_](?:[A-Za-z0-9_.:/-]*[A-Za-z0-9_])?$")]
"""The id of an agent: `namespace/name` of one in the cluster, or what it was registered by."""
SMALL = 16 * 1024
"""Bytes of a document beside the one that a body is about: lists show them."""
_VALUES = 200_000
"""As in `bounded_json`. It is less than elsewhere, because these bodies are checked value by value, and kept."""
_STRAY = 10  # unknown fields of a body: each costs an error, and the first alone is named


class BadBodyError(PermanentError):
    """The body is refused; the text names the field."""


class Body(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
    )


def size_of(value: Any) -> int:
    """Return the bytes of a value as JSON."""
    return len(orjson.dumps(value))


def has_nul(text: bytes) -> bool:
    """Whether a JSON text has the character U+0000, which PostgreSQL cannot keep."""
    return b"\\u0000" in text.replace(b"\\\\", b"")


def _small(value: dict[str, Any]) -> dict[str, Any]:
    if size_of(value) > SMALL:
        raise ValueError(f"must have at most {SMALL} bytes")
    return value


Metadata = Annotated[dict[str, Any], AfterValidator(_small)]


def loads(body: bytes) -> Any:
    """Raises BadBodyError for what is not JSON within its bounds, or no database can keep."""
    if has_nul(body):
        raise BadBodyError("the body contains the character U+0000, which cannot be stored")
    try:
        return bounded_json.loads(body, most=_VALUES)
    except ValueError as error:
        raise BadBodyError(f"the body is not JSON: {str(error)[:200]}") from None


def read(model: type[Model], body: Any) -> Model:
    """Raises BadBodyError with the first wrong field."""
    if not isinstance(body, dict):
        raise BadBodyError("the body must be a JSON object")
    if len(body) > len(model.model_fields) + _STRAY:
        raise BadBodyError(f"the body has {len(body)} fields; known are {', '.join(model.model_fields)}")
    try:
        return model.model_validate(body)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part)[:64] for part in detail["loc"]) or "the body"
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            message = f"is no field of this body; known are {', '.join(model.model_fields)}"
        raise BadBodyError(f"{place}: {message[:1].lower()}{message[1:]}") from None
