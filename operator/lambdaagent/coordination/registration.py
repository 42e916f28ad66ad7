"""What an agent says of itself when it registers, changes its entry or sends a heartbeat."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from lambdaagent.a2a import Json
from lambdaagent.api.access import Access as ApiAccess
from lambdaagent.api.base import EXTERNAL_URL
from lambdaagent.coordination.bodies import Body, Text, size_of

AgentId = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$")]
Url = Annotated[str, Field(max_length=500, pattern=EXTERNAL_URL)]
Ttl = Annotated[int, Field(ge=1, le=86_400)]
Load = Annotated[float, Field(ge=0, le=1, strict=False, allow_inf_nan=False)]
RESERVED = frozenset(("agent", "anonymous", "gateway", "group", "hmac", "key", "kubernetes", "system"))
"""Names of callers that have no source before them, or of sources: an agent with one could pass for them."""
_CAPABILITIES = 200
_LARGEST = 16 * 1024  # bytes of capabilities or metadata: every gateway holds them in memory


class Access(ApiAccess):
    """Who besides its owner may find and call the agent; the fields of `spec.a2a.access` that do not need a pod."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="after")
    def _somebody(self) -> "Access":
        for number, grant in enumerate(self.grants):
            if not (grant.principals or grant.groups or grant.service_accounts or grant.claims):
                raise ValueError(f"grants.{number} names nobody: principals, groups, serviceAccounts or claims")
        return self


class _Described(Body):
    description: Text | None = None
    version: Annotated[str, Field(max_length=64)] | None = None
    capabilities: Any = None
    metadata: Json | None = None
    access: Access | None = None

    @field_validator("capabilities")
    @classmethod
    def _capabilities(cls, value: Any) -> Any:
        if not isinstance(value, list | dict | None):
            raise ValueError("must be a list of names, a list of objects with a name, or an object")
        if value is not None and (len(value) > _CAPABILITIES or size_of(value) > _LARGEST):
            raise ValueError(f"must have at most {_CAPABILITIES} entries and {_LARGEST} bytes")
        return value

    @field_validator("metadata")
    @classmethod
    def _metadata(cls, value: Json | None) -> Json | None:
        if value is not None and size_of(value) > _LARGEST:
            raise ValueError(f"must have at most {_LARGEST} bytes")
        return value


class Registration(_Described):
    agent_id: AgentId | None = None
    name: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    endpoint_url: Url | None = None
    protocol: Literal["a2a", "mcp", "http"] | None = None
    """What the endpoint speaks. Unknown: A2A if it has an agent card, else HTTP."""
    protocols: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=16)] = []
    ttl_seconds: Ttl = 60

    @field_validator("agent_id")
    @classmethod
    def _nobody_else(cls, agent_id: str | None) -> str | None:
        if agent_id in RESERVED:
            raise ValueError(f"{agent_id} is no agent's own name; choose another")
        return agent_id

    @property
    def spoken(self) -> str:
        """Return the protocol by which the agent is reached, or an empty text if its card must tell."""
        if self.endpoint_url is None:
            return "mailbox"
        if self.protocol is not None:
            return self.protocol
        families = {each.partition("/")[0].lower() for each in self.protocols}
        return "a2a" if "a2a" in families else "mcp" if "mcp" in families else ""


class Change(_Described):
    name: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    status: Literal["active", "suspended"] | None = None


class Heartbeat(Body):
    status: Literal["active"] | None = None
    ttl_seconds: Ttl | None = None
    load: Load | None = None


class Query(Body):
    """What a search for agents asks for, as the query parameters of the same names."""

    capability: Annotated[str, Field(max_length=256)] | None = None
    skill: Annotated[str, Field(max_length=256)] | None = None
    tag: Annotated[str, Field(max_length=256)] | None = None
    q: Annotated[str, Field(max_length=1024)] | None = None
    namespace: Annotated[str, Field(max_length=63)] | None = None
    status: Literal["active", "inactive", "suspended", "all"] | None = None
    limit: int | None = None
    cursor: Annotated[str, Field(max_length=2048)] | None = None
