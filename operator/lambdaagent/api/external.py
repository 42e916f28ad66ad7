"""The field of an agent that is a server elsewhere, called at a URL: it has no image and no pods."""

from typing import Annotated

from pydantic import ConfigDict, Field

from lambdaagent.api.base import EXTERNAL_URL, ApiModel, KeyRef, rules
from lambdaagent.api.tools import HEADER_NAME, MOST_HEADERS, OWN_HEADERS

# What requests to a server of either protocol have set already, by the beginnings of the names and by whole names.
_OWN_PREFIXES = ("mcp-", "a2a-", "x-a2a-", "lambdaagent-")
_OWN = (*OWN_HEADERS, "traceparent", "tracestate")


def is_own_header(name: str) -> bool:
    """Return whether requests to an external agent have the header already."""
    return name.lower().startswith(_OWN_PREFIXES) or name.lower() in _OWN


class ExternalHeader(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"!{list(_OWN_PREFIXES)}.exists(p, self.name.lowerAscii().startsWith(p))"
                f" && !(self.name.lowerAscii() in {list(_OWN)})",
                "requests to an external agent set this header themselves",
                "name",
            )
        )
    )
    name: Annotated[
        str, Field(pattern=HEADER_NAME, max_length=64, description="Name of the header, such as Authorization.")
    ]
    secret_key_ref: Annotated[
        KeyRef,
        Field(
            description=(
                "Key of a Secret in the agent's namespace that holds the value of the header. The gateway and the"
                " operator read it, and need the right to."
            )
        ),
    ]


class External(ApiModel):
    url: Annotated[
        str,
        Field(
            pattern=EXTERNAL_URL,
            max_length=2048,
            description=(
                "URL of the server. With protocol a2a, requests go to the interface that the agent card prefers, if it"
                " has the same scheme, host and port, else to this URL. With protocol mcp, they go to this URL."
            ),
        ),
    ]
    card_url: Annotated[
        str | None,
        Field(
            pattern=EXTERNAL_URL,
            max_length=2048,
            description=(
                "URL of the agent card, with protocol a2a. Defaults to .well-known/agent-card.json or"
                " .well-known/agent.json, below url and then at its root."
            ),
        ),
    ] = None
    headers_from: Annotated[
        list[ExternalHeader],
        Field(
            max_length=MOST_HEADERS,
            description=(
                "Headers of requests to the server whose values are secret. They are sent to the scheme, host and port"
                " of url alone."
            ),
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []

    @property
    def secret_headers(self) -> tuple[tuple[str, str, str], ...]:
        """For each header its name, and the name and key of the Secret with its value."""
        return tuple((each.name, each.secret_key_ref.name, each.secret_key_ref.key) for each in self.headers_from)
