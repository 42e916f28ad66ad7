"""The fields about an agent's model and behaviour: provider, prompt, operation mode, approval, memory."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lambdaagent.api.base import HTTP_URL, LONGEST_VARIABLE, URL, ApiModel, Duration, KeyRef, Text, UrlKeyRef, rules
from lambdaagent.api.workload import HealthCheck

PROVIDERS_WITH_KEY = ("openai", "anthropic")
HttpUrl = Annotated[str, Field(pattern=HTTP_URL, max_length=2048)]
ShortText = Annotated[str, Field(max_length=256)]


class Ai(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.provider) || !(self.provider in ['openai', 'anthropic']) || has(self.apiKeySecretRef)",
                "providers openai and anthropic need apiKeySecretRef",
                "apiKeySecretRef",
            )
        )
    )
    provider: Annotated[
        Literal["ollama", "openai", "anthropic", "none"], Field(description="Whose model it is; none: no model.")
    ] = "ollama"
    endpoint: Annotated[
        str | None, Field(pattern=URL, max_length=2048, description="URL of the model's API; default: not said.")
    ] = None
    model: Annotated[ShortText | None, Field(description="Name of the model; default: not said.")] = None
    max_tokens: Annotated[int, Field(ge=0, le=1_000_000, description="Most tokens of an answer.")] = 2048
    temperature: Annotated[
        str, Field(pattern=r"^([01](\.[0-9]+)?|\.[0-9]+|2(\.0+)?)$", max_length=16, description='A string, "0" to "2".')
    ] = "0.7"
    api_key_secret_ref: Annotated[
        KeyRef | None, Field(description="The API key; given to the container by reference, never read.")
    ] = None


LONGEST_PROMPT = LONGEST_VARIABLE - len("SYSTEM_PROMPT")


class Behavior(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"!has(self.systemPrompt) || size(bytes(self.systemPrompt)) <= {LONGEST_PROMPT}",
                f"systemPrompt must not be longer than {LONGEST_PROMPT} bytes: it is a variable of the environment",
                "systemPrompt",
            )
        )
    )
    max_context_messages: Annotated[
        int, Field(ge=0, le=100000, description="Messages of a conversation that the agent should remember.")
    ] = 10
    emit_events: Annotated[bool, Field(description="Whether the agent should emit events.")] = True
    system_prompt: Annotated[
        Text | None, Field(description="Prompt that the agent should begin with; default: its own.")
    ] = None
    health_check: Annotated[HealthCheck | None, Field(description="Probes of the container; default: GET /health.")] = (
        None
    )


class SlackApproval(ApiModel):
    webhook_url: Annotated[HttpUrl | None, Field(description="Incoming webhook, where it is no secret.")] = None
    webhook_url_secret_ref: Annotated[
        KeyRef | None, Field(description="Incoming webhook in a Secret; wins over webhookUrl.")
    ] = None
    bot_token_secret_ref: Annotated[KeyRef | None, Field(description="Bot token in a Secret.")] = None
    channel: Annotated[ShortText | None, Field(description="Channel to ask in.")] = None
    approvers: Annotated[list[ShortText], Field(max_length=256, description="Who may approve; default: not said.")] = []
    callback_url: Annotated[HttpUrl | None, Field(description="Where the decision is reported to.")] = None


class CustomApproval(ApiModel):
    endpoint: Annotated[HttpUrl, Field(description="URL that is asked for approval.")]
    method: Annotated[str, Field(pattern=r"^[A-Za-z]+$", max_length=16, description="HTTP method to ask with.")] = (
        "POST"
    )
    headers: Annotated[
        dict[str, Annotated[str, Field(max_length=8192)]], Field(max_length=64, description="HTTP headers to ask with.")
    ] = {}
    auth_secret_ref: Annotated[KeyRef | None, Field(description="Credentials in a Secret.")] = None
    poll_interval: Annotated[Duration, Field(description="Time between questions for the decision.")] = "10s"
    use_webhook: Annotated[bool, Field(description="true: the decision is reported; false: it is polled for.")] = True
    callback_url: Annotated[HttpUrl | None, Field(description="Where the decision is reported to.")] = None


class Approval(ApiModel):
    providers: Annotated[
        list[Literal["slack", "custom"]], Field(min_length=1, max_length=2, description="Whom the container asks.")
    ]
    timeout: Annotated[Duration, Field(description="How long it waits for a decision.")] = "1h"
    timeout_action: Annotated[
        Literal["approve", "reject", "pending"], Field(description="What it does when none has come.")
    ] = "pending"
    require_all: Annotated[bool, Field(description="true: every provider must approve; false: one is enough.")] = False
    slack: Annotated[SlackApproval | None, Field(description="How to ask in Slack.")] = None
    custom: Annotated[CustomApproval | None, Field(description="How to ask a service of your own.")] = None


class ShortTermMemory(ApiModel):
    enabled: Annotated[bool, Field(description="Whether the agent should keep conversations.")] = True
    backend: Annotated[Literal["redis", "inmemory"], Field(description="Where it keeps them.")] = "redis"
    redis_secret_ref: Annotated[UrlKeyRef | None, Field(description="URL of Redis in a Secret.")] = None
    ttl_seconds: Annotated[int, Field(ge=0, description="How long it keeps them.")] = 86400


class LongTermMemory(ApiModel):
    enabled: Annotated[bool, Field(description="Whether the agent should keep what outlives conversations.")] = False
    backend: Annotated[Literal["postgres", "inmemory"], Field(description="Where it keeps that.")] = "postgres"
    postgres_secret_ref: Annotated[UrlKeyRef | None, Field(description="URL of PostgreSQL in a Secret.")] = None


class UserMemory(ApiModel):
    enabled: Annotated[bool, Field(description="Whether the agent should remember its users.")] = True
    store_preferences: Annotated[bool, Field(description="Whether it stores what they like.")] = True
    store_facts: Annotated[bool, Field(description="Whether it stores what it learns of them.")] = True


class WorkingMemory(ApiModel):
    enabled: Annotated[bool, Field(description="Whether the agent should remember what it is at.")] = True
    track_decisions: Annotated[bool, Field(description="Whether it tracks its decisions.")] = True
    track_progress: Annotated[bool, Field(description="Whether it tracks its progress.")] = True


class Constraint(ApiModel):
    description: Annotated[str, Field(min_length=1, max_length=4096, description="What the agent must keep to.")]
    hard: Annotated[bool, Field(description="false: it may be broken for a reason.")] = True
    category: Annotated[ShortText, Field(description="What it belongs to.")] = "general"


class Memory(ApiModel):
    enabled: Annotated[bool, Field(description="false: the container is told only that there is no memory.")] = False
    # Not named `schema`, a name that pydantic reserves.
    memory_schema: Annotated[
        Literal["chat", "restaurant", "medical", "security", "pos", "default"],
        Field(alias="schema", description="Domain that the memory is made for."),
    ] = "default"
    short_term: Annotated[ShortTermMemory | None, Field(description="Memory of a conversation.")] = None
    long_term: Annotated[LongTermMemory | None, Field(description="Memory that outlives conversations.")] = None
    user_memory: Annotated[UserMemory | None, Field(description="Memory of users.")] = None
    working_memory: Annotated[WorkingMemory | None, Field(description="Memory of the task at hand.")] = None
    default_constraints: Annotated[
        list[Constraint], Field(max_length=256, description="What holds in every conversation.")
    ] = []
