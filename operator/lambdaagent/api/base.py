"""The common base of all API models: camelCase names, strict types, and defaults for leaf fields only.

A parent block has no default, because its absence has a meaning (no `eventing` means no eventing) that a default would
hide. Unknown fields are ignored here, because a gateway may be older than the CRD; the `validate` command reports them
(`lambdaagent.api.unknown_fields`).
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "lambda.knative.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "LambdaAgent"
PLURAL = "lambdaagents"
FINALIZER = "lambdaagent.lambda.knative.io/finalizer"

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_1035 = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
GO_DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
PROMETHEUS_DURATION = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"
# At least one of hours, minutes and seconds. Knative's parser accepts tenths of a second and no number above 3276.
_NUMBER, _SECONDS = "([0-9]{1,3}|[12][0-9]{3})", r"(\.[0-9])?S"
_TIME = f"T({_NUMBER}H({_NUMBER}M)?({_NUMBER}{_SECONDS})?|{_NUMBER}M({_NUMBER}{_SECONDS})?|{_NUMBER}{_SECONDS})"
ISO_DURATION = f"^P({_NUMBER}D({_TIME})?|{_TIME})$"
# A key of a Secret or ConfigMap is also a file name.
DATA_KEY = r"^([-_a-zA-Z0-9]|\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$"
QUANTITY = r"^[0-9]+(\.[0-9]+)?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][-+]?[0-9]+)?$"
# A scheme and a host; the rest is left to the server.
URL = r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/]+\S*$"
# Characters that are allowed in a header that lists several URIs.
EXTENSION_URI = r"^[a-zA-Z][a-zA-Z0-9+.-]*:[!-+\--~]+$"
HTTP_URL = r"^https?://[^\s/]+\S*$"
# Without a user and a password, which everybody who may read the agent would read.
EXTERNAL_URL = r"^https?://[-A-Za-z0-9._:\[\]]+(/[!-\"$-~]*)?$"

# Linux passes no string of more than 128 KiB to a new process: NAME=value and a zero byte, in bytes.
LONGEST_VARIABLE = 131072 - len("=\0")


class ApiModel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, strict=True)


def without_default(schema: dict[str, Any]) -> None:
    """Leave the field's default out of the CRD, for a field whose default depends on others."""
    schema.pop("default", None)


def rules(*said: tuple[str, str] | tuple[str, str, str]) -> dict[str, Any]:
    """Return CEL rules for the CRD: expression, message and, if one field of the block is at fault, that field.

    `lambdaagent.api.validation` checks the same rules without a cluster.
    """
    validations = []
    for rule, message, *field in said:
        named = {"fieldPath": f".{field[0]}"} if field else {}
        validations.append({"rule": rule, "message": message, **named})
    return {"x-kubernetes-validations": validations}


Duration = Annotated[str, Field(pattern=GO_DURATION, max_length=32)]
IsoDuration = Annotated[str, Field(pattern=ISO_DURATION, max_length=32)]
Quantity = Annotated[str, Field(pattern=QUANTITY, max_length=64)]
Name = Annotated[str, Field(pattern=DNS_SUBDOMAIN, max_length=253)]
Namespace = Annotated[str, Field(pattern=DNS_LABEL, max_length=63)]
DataKey = Annotated[str, Field(pattern=DATA_KEY, max_length=253)]
EventType = Annotated[str, Field(min_length=1, max_length=256)]
Text = Annotated[str, Field(max_length=65536)]
ConditionStatus = Literal["True", "False", "Unknown"]


class KeyRef(ApiModel):
    """One key of a Secret or ConfigMap in the agent's namespace. The operator refers to it and never reads it."""

    name: Annotated[Name, Field(description="Name of the Secret or ConfigMap.")]
    key: Annotated[DataKey, Field(description="Key in the object's data.")]


class UrlKeyRef(ApiModel):
    """A key of a Secret that holds a connection URL."""

    name: Annotated[Name, Field(description="Name of the Secret.")]
    key: Annotated[DataKey, Field(description="Key in the Secret's data. Defaults to url.")] = "url"
