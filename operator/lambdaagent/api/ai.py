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
        Literal["ollama", "openai", "anthropic", "none"],
        Field(description="Provider of the model. none means that the agent uses no model. Defaults to ollama."),
    ] = "ollama"
    endpoint: Annotated[
        str | None,
        Field(
            pattern=URL,
            max_length=2048,
            description="URL of the model's API. If it is not set, the container gets no URL.",
        ),
    ] = None
    model: Annotated[
        ShortText | None, Field(description="Name of the model. If it is not set, the container gets no name.")
    ] = None
    max_tokens: Annotated[
        int,
        Field(ge=0, le=1_000_000, description="Maximum number of tokens in an answer of the model. Defaults to 2048."),
    ] = 2048
    temperature: Annotated[
        str,
        Field(
            pattern=r"^([01](\.[0-9]+)?|\.[0-9]+|2(\.0+)?)$",
            max_length=16,
            description='Sampling temperature, a string from "0" to "2". Defaults to "0.7".',
        ),
    ] = "0.7"
    api_key_secret_ref: Annotated[
        KeyRef | None,
        Field(
            description=(
                "Key of a Secret that holds the API key; required for openai and anthropic. The container gets the"
                " key by reference, and the operator does not read it."
            )
        ),
    ] = None


LONGEST_PROMPT = LONGEST_VARIABLE - len("SYSTEM_PROMPT")


class Behavior(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"!has(self.systemPrompt) || size(bytes(self.systemPrompt)) <= {LONGEST_PROMPT}",
                f"systemPrompt must not be longer than {LONGEST_PROMPT} bytes, the limit of an environment variable",
                "systemPrompt",
            )
        )
    )
    max_context_messages: Annotated[
        int,
        Field(
            ge=0,
            le=100000,
            description="Number of messages of a conversation that the agent should remember. Defaults to 10.",
        ),
    ] = 10
    emit_events: Annotated[bool, Field(description="Whether the agent should emit events. Defaults to true.")] = True
    system_prompt: Annotated[
        Text | None, Field(description="System prompt that the agent should use. Defaults to the agent's own.")
    ] = None
    health_check: Annotated[
        HealthCheck | None,
        Field(description="Probes of the container. If it is not set, the probes request GET /health."),
    ] = None


class SlackApproval(ApiModel):
    webhook_url: Annotated[
        HttpUrl | None, Field(description="URL of the incoming webhook, if the URL is not secret.")
    ] = None
    webhook_url_secret_ref: Annotated[
        KeyRef | None,
        Field(
            description=(
                "Key of a Secret that holds the URL of the incoming webhook. Takes precedence over webhookUrl."
            )
        ),
    ] = None
    bot_token_secret_ref: Annotated[KeyRef | None, Field(description="Key of a Secret that holds the bot token.")] = (
        None
    )
    channel: Annotated[ShortText | None, Field(description="Slack channel in which approval is requested.")] = None
    approvers: Annotated[
        list[ShortText],
        Field(max_length=256, description="Users who may approve. If the list is empty, the container gets none."),
    ] = []
    callback_url: Annotated[HttpUrl | None, Field(description="URL to which the decision is reported.")] = None


class CustomApproval(ApiModel):
    endpoint: Annotated[HttpUrl, Field(description="URL from which approval is requested.")]
    method: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z]+$",
            max_length=16,
            description="HTTP method of the request for approval. Defaults to POST.",
        ),
    ] = "POST"
    headers: Annotated[
        dict[str, Annotated[str, Field(max_length=8192)]],
        Field(max_length=64, description="HTTP headers of the request for approval."),
    ] = {}
    auth_secret_ref: Annotated[KeyRef | None, Field(description="Key of a Secret that holds the credentials.")] = None
    poll_interval: Annotated[
        Duration, Field(description="Time between two polls for the decision, as a duration. Defaults to 10s.")
    ] = "10s"
    use_webhook: Annotated[
        bool,
        Field(description="If true, the decision is reported; if false, the container polls for it. Defaults to true."),
    ] = True
    callback_url: Annotated[HttpUrl | None, Field(description="URL to which the decision is reported.")] = None


class Approval(ApiModel):
    providers: Annotated[
        list[Literal["slack", "custom"]],
        Field(min_length=1, max_length=2, description="Services from which the container requests approval."),
    ]
    timeout: Annotated[
        Duration, Field(description="Time that the container waits for a decision, as a duration. Defaults to 1h.")
    ] = "1h"
    timeout_action: Annotated[
        Literal["approve", "reject", "pending"],
        Field(description="What the container does if there is no decision within timeout. Defaults to pending."),
    ] = "pending"
    require_all: Annotated[
        bool,
        Field(description="If true, every provider must approve; if false, one approval is enough. Defaults to false."),
    ] = False
    slack: Annotated[SlackApproval | None, Field(description="Settings for approval in Slack.")] = None
    custom: Annotated[CustomApproval | None, Field(description="Settings for approval by a service of your own.")] = (
        None
    )


class ShortTermMemory(ApiModel):
    enabled: Annotated[bool, Field(description="Whether the agent should store conversations. Defaults to true.")] = (
        True
    )
    backend: Annotated[
        Literal["redis", "inmemory"], Field(description="Where conversations are stored. Defaults to redis.")
    ] = "redis"
    redis_secret_ref: Annotated[UrlKeyRef | None, Field(description="Key of a Secret that holds the URL of Redis.")] = (
        None
    )
    ttl_seconds: Annotated[
        int, Field(ge=0, description="Number of seconds for which conversations are stored. Defaults to 86400.")
    ] = 86400


class LongTermMemory(ApiModel):
    enabled: Annotated[
        bool,
        Field(
            description=(
                "Whether the agent should store information beyond the end of a conversation. Defaults to false."
            )
        ),
    ] = False
    backend: Annotated[
        Literal["postgres", "inmemory"], Field(description="Where this information is stored. Defaults to postgres.")
    ] = "postgres"
    postgres_secret_ref: Annotated[
        UrlKeyRef | None, Field(description="Key of a Secret that holds the URL of PostgreSQL.")
    ] = None


class UserMemory(ApiModel):
    enabled: Annotated[bool, Field(description="Whether the agent should remember its users. Defaults to true.")] = True
    store_preferences: Annotated[
        bool, Field(description="Whether the agent should store the preferences of its users. Defaults to true.")
    ] = True
    store_facts: Annotated[
        bool, Field(description="Whether the agent should store facts about its users. Defaults to true.")
    ] = True


class WorkingMemory(ApiModel):
    enabled: Annotated[
        bool, Field(description="Whether the agent should remember its current work. Defaults to true.")
    ] = True
    track_decisions: Annotated[
        bool, Field(description="Whether the agent should track its decisions. Defaults to true.")
    ] = True
    track_progress: Annotated[
        bool, Field(description="Whether the agent should track its progress. Defaults to true.")
    ] = True


class Constraint(ApiModel):
    description: Annotated[str, Field(min_length=1, max_length=4096, description="Rule that the agent must follow.")]
    hard: Annotated[
        bool, Field(description="If false, the agent may break the rule for a reason. Defaults to true.")
    ] = True
    category: Annotated[ShortText, Field(description="Category of the rule. Defaults to general.")] = "general"


class Memory(ApiModel):
    enabled: Annotated[
        bool,
        Field(
            description=(
                "If false, the container gets only the information that there is no memory; the other fields have no"
                " effect. Defaults to false."
            )
        ),
    ] = False
    # Not named `schema`, a name that pydantic reserves.
    memory_schema: Annotated[
        Literal["chat", "restaurant", "medical", "security", "pos", "default"],
        Field(alias="schema", description="Domain for which the memory is designed. Defaults to default."),
    ] = "default"
    short_term: Annotated[ShortTermMemory | None, Field(description="Memory of a conversation.")] = None
    long_term: Annotated[LongTermMemory | None, Field(description="Memory beyond the end of a conversation.")] = None
    user_memory: Annotated[UserMemory | None, Field(description="Memory of users.")] = None
    working_memory: Annotated[WorkingMemory | None, Field(description="Memory of the current task.")] = None
    default_constraints: Annotated[
        list[Constraint], Field(max_length=256, description="Rules that apply to every conversation.")
    ] = []
