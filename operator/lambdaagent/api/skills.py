"""The fields of a skill: how it is presented, and how the container is called for it."""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from lambdaagent.api.access import SkillLimits
from lambdaagent.api.base import DNS_LABEL, ApiModel, EventType

Mode = Annotated[str, Field(min_length=1, max_length=256)]
_ANY_OBJECT: dict[str, Any] = {"x-kubernetes-preserve-unknown-fields": True}


class Invoke(ApiModel):
    event_type: Annotated[
        EventType | None,
        Field(
            description=(
                "CloudEvents type of a call of the skill. Defaults to io.knative.lambda.invoke.sync, or to"
                " io.knative.lambda.invoke.async with mode async."
            )
        ),
    ] = None
    reply_type: Annotated[
        EventType | None,
        Field(
            description=(
                "CloudEvents type of an event of the agent that completes a task, in addition to the common types"
                " (io.knative.lambda.response.*)."
            )
        ),
    ] = None
    path: Annotated[
        str | None,
        Field(
            pattern=r"^/",
            max_length=1024,
            description=(
                "Path of the request to the container, with protocol http. Defaults to {basePath}/skills/{id}."
            ),
        ),
    ] = None
    text_field: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=256,
            description="Key of the message's text in the JSON body of a call. Defaults to text.",
        ),
    ] = None
    mode: Annotated[
        Literal["sync", "async"],
        Field(
            description=(
                "How a call reaches the container: as a request of the gateway (sync), or as an event through the"
                " agent's Broker (async). Defaults to sync."
            )
        ),
    ] = "sync"
    timeout_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=86400,
            description=(
                "Maximum number of seconds for the container's response, and for a task to end. Defaults to 300."
            ),
        ),
    ] = 300
    idempotent: Annotated[
        bool,
        Field(
            description=(
                "If true, a call is repeated if its gateway fails; if false, its task fails. Calls in mode async are"
                " always repeated. Defaults to false."
            )
        ),
    ] = False
    shared_context: Annotated[
        bool,
        Field(
            description=(
                "If true, the container gets what agents share under the call's context id (/a2a/context), as far as"
                " the caller takes part in it: as sharedContext in the JSON body. Defaults to false."
            )
        ),
    ] = False
    task_support: Annotated[
        Literal["optional", "required"],
        Field(
            description=(
                "Whether MCP clients without the Tasks extension can call the skill. optional: they wait for its end."
                " required: they are refused, because the skill runs for longer than they wait. Defaults to optional."
            )
        ),
    ] = "optional"


_DEFAULT_INVOKE = Invoke()  # made once: requests read it


class Skill(ApiModel):
    id: Annotated[
        str,
        Field(
            pattern=DNS_LABEL,
            max_length=63,
            description="Identifier of the skill, unique within the agent. It is part of the skill's URL.",
        ),
    ]
    name: Annotated[str, Field(min_length=1, max_length=256, description="Human-readable name of the skill.")]
    description: Annotated[
        str, Field(max_length=4096, description="What the skill does. Defaults to the skill's name.")
    ] = ""
    tags: Annotated[
        list[Annotated[str, Field(max_length=256)]],
        Field(max_length=64, description="Keywords by which clients find the skill."),
    ] = []
    examples: Annotated[
        list[Annotated[str, Field(max_length=4096)]],
        Field(max_length=64, description="Example requests for the skill."),
    ] = []
    input_modes: Annotated[
        list[Mode],
        Field(
            max_length=32,
            description=(
                "Media types that the skill accepts. text and json are short for text/plain and application/json."
                " Defaults to text."
            ),
        ),
    ] = ["text"]
    output_modes: Annotated[
        list[Mode],
        Field(
            max_length=32,
            description=(
                "Media types that the skill returns. text and json are short for text/plain and application/json."
                " Defaults to text."
            ),
        ),
    ] = ["text"]
    input_schema: Annotated[
        dict[str, JsonValue] | None,
        Field(
            description=(
                "JSON Schema 2020-12 of the arguments with which the skill is called as a tool (MCP). Its type is"
                " object. The container gets the arguments as the JSON body of the call. Defaults to an object with"
                " text."
            ),
            json_schema_extra=_ANY_OBJECT
            | {"properties": {"type": {"type": "string", "enum": ["object"]}}, "required": ["type"]},
        ),
    ] = None
    output_schema: Annotated[
        dict[str, JsonValue] | None,
        Field(
            description=(
                "JSON Schema 2020-12 of the JSON with which the skill answers. The result of a tool's call that does"
                " not match is an error. By default any result is accepted."
            ),
            json_schema_extra=_ANY_OBJECT,
        ),
    ] = None
    invoke: Annotated[Invoke | None, Field(description="How the container is called for this skill.")] = None
    limits: Annotated[SkillLimits | None, Field(description="Limits of each caller's calls of the skill.")] = None

    @property
    def invocation(self) -> Invoke:
        """How the container is called for this skill, with the defaults filled in."""
        return self.invoke or _DEFAULT_INVOKE

    @property
    def is_async(self) -> bool:
        """Whether a call of this skill travels as an event."""
        return self.invocation.mode == "async"
