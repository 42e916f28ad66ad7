"""The part of a container's agent card, or of its list of tools, that status keeps. The container is its author, so it
is bounded.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from lambdaagent.api.base import ApiModel

MOST_SKILLS = 128
MOST_EXTENSIONS = 32
_Text = Annotated[str, Field(max_length=4096)]
_Texts = Annotated[list[_Text], Field(max_length=64)]
_Schema = Annotated[
    dict[str, JsonValue] | None, Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
]


class ContainerSkill(ApiModel):
    id: _Text
    name: _Text
    description: _Text = ""
    tags: _Texts = []
    examples: _Texts = []
    input_modes: _Texts = []
    output_modes: _Texts = []
    input_schema: _Schema = None  # of a tool
    output_schema: _Schema = None
    task_support: Literal["optional", "required"] = "optional"


class ContainerExtension(ApiModel):
    uri: _Text
    description: _Text = ""
    required: bool = False
    params: Annotated[
        dict[str, JsonValue], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    ] = {}


class CardEndpoint(ApiModel):
    """Where and how an external A2A server is called."""

    url: Annotated[str, Field(max_length=2048)]
    protocol_version: Literal["1.0", "0.3"]
    streaming: bool = False


class ContainerCard(ApiModel):
    """The stored part of the container's card. `error` is why it could not be read; a new rollout reads it again."""

    revision: _Text = ""
    error: _Text | None = None
    description: _Text = ""
    version: _Text = ""
    default_input_modes: _Texts = []
    default_output_modes: _Texts = []
    skills: Annotated[list[ContainerSkill], Field(max_length=MOST_SKILLS)] = []
    extensions: Annotated[list[ContainerExtension], Field(max_length=MOST_EXTENSIONS)] = []
    endpoint: CardEndpoint | None = None  # of an external A2A server
