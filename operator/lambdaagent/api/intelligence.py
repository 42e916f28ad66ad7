"""The model behind an agent and its behaviour: provider, prompt, operation mode, approval, memory."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lambdaagent.api.base import HTTP_URL, URL, ApiModel, Duration, KeyRef, Text, UrlKeyRef, rules
from lambdaagent.api.workload import HealthCheck

PROVIDERS_WITH_KEY = ("openai", "anthropic")


class Ai(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.provider) || !(self.provider in ['openai', 'anthropic']) || has(self.apiKeySecretRef)",
                "providers openai and anthropic need apiKeySecretRef",
            )
        )
    )
    provider: Literal["ollama", "openai", "anthropic", "none"] = "ollama"
    endpoint: Annotated[str | None, Field(pattern=URL, max_length=2048)] = None
    model: Annotated[str | None, Field(max_length=256)] = None
    max_tokens: Annotated[int, Field(ge=0, le=1_000_000)] = 2048
    temperature: Annotated[
        str, Field(pattern=r"^([01](\.[0-9]+)?|\.[0-9]+|2(\.0+)?)$", max_length=16, description='A string, "0" to "2".')
    ] = "0.7"
    api_key_secret_ref: Annotated[KeyRef | None, Field(description="Injected by reference, never read.")] = None


class Behavior(ApiModel):
    max_context_messages: Annotated[int, Field(ge=0, le=100000)] = 10
    emit_events: bool = True
    system_prompt: Text | None = None
    health_check: HealthCheck | None = None


class SlackApproval(ApiModel):
    webhook_url: Annotated[str | None, Field(pattern=HTTP_URL, max_length=2048)] = None
    webhook_url_secret_ref: KeyRef | None = None
    bot_token_secret_ref: KeyRef | None = None
    channel: Annotated[str | None, Field(max_length=256)] = None
    approvers: Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=256)] = []
    callback_url: Annotated[str | None, Field(pattern=HTTP_URL, max_length=2048)] = None


class CustomApproval(ApiModel):
    endpoint: Annotated[str, Field(pattern=HTTP_URL, max_length=2048)]
    method: Annotated[str, Field(pattern=r"^[A-Za-z]+$", max_length=16)] = "POST"
    headers: Annotated[dict[str, Annotated[str, Field(max_length=8192)]], Field(max_length=64)] = {}
    auth_secret_ref: KeyRef | None = None
    poll_interval: Duration = "10s"
    use_webhook: bool = True
    callback_url: Annotated[str | None, Field(pattern=HTTP_URL, max_length=2048)] = None


class Approval(ApiModel):
    providers: Annotated[list[Literal["slack", "custom"]], Field(min_length=1, max_length=2)]
    timeout: Duration = "1h"
    timeout_action: Literal["approve", "reject", "pending"] = "pending"
    require_all: bool = False
    slack: SlackApproval | None = None
    custom: CustomApproval | None = None


class ShortTermMemory(ApiModel):
    enabled: bool = True
    backend: Literal["redis", "inmemory"] = "redis"
    redis_secret_ref: UrlKeyRef | None = None
    ttl_seconds: Annotated[int, Field(ge=0)] = 86400


class LongTermMemory(ApiModel):
    enabled: bool = False
    backend: Literal["postgres", "inmemory"] = "postgres"
    postgres_secret_ref: UrlKeyRef | None = None


class UserMemory(ApiModel):
    enabled: bool = True
    store_preferences: bool = True
    store_facts: bool = True


class WorkingMemory(ApiModel):
    enabled: bool = True
    track_decisions: bool = True
    track_progress: bool = True


class Constraint(ApiModel):
    description: Annotated[str, Field(min_length=1, max_length=4096)]
    hard: bool = True
    category: Annotated[str, Field(max_length=256)] = "general"


class Memory(ApiModel):
    enabled: bool = False
    # Not named `schema`: pydantic keeps that name for itself.
    memory_schema: Annotated[
        Literal["chat", "restaurant", "medical", "security", "pos", "default"], Field(alias="schema")
    ] = "default"
    short_term: ShortTermMemory | None = None
    long_term: LongTermMemory | None = None
    user_memory: UserMemory | None = None
    working_memory: WorkingMemory | None = None
    default_constraints: Annotated[list[Constraint], Field(max_length=256)] = []
