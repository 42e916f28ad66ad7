"""The fields for operating an agent: traces, metrics, logs, permissions."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lambdaagent.api.base import PROMETHEUS_DURATION, ApiModel, EventType, rules

PrometheusDuration = Annotated[str, Field(pattern=PROMETHEUS_DURATION, min_length=2, max_length=32)]


class Tracing(ApiModel):
    enabled: Annotated[bool, Field(description="false: the container is told to export no traces.")] = True
    endpoint: Annotated[
        str,
        Field(
            pattern=r"^[^\s]+$", max_length=2048, description="Where traces go by OTLP: host:port (then http) or a URL."
        ),
    ] = "alloy.observability.svc:4317"


class Metrics(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.interval) || !has(self.timeout) || duration(self.timeout) <= duration(self.interval)",
                "timeout must not be longer than interval",
            )
        )
    )
    enabled: Annotated[bool, Field(description="false: neither ServiceMonitor nor METRICS_EXEMPLARS.")] = True
    exemplars: Annotated[bool, Field(description="Whether the container should add exemplars.")] = True
    service_monitor: Annotated[bool, Field(description="false: Prometheus is not told to scrape the agent.")] = True
    path: Annotated[str, Field(pattern=r"^/", max_length=1024, description="Path of the metrics.")] = "/metrics"
    interval: Annotated[PrometheusDuration, Field(description="Time between scrapes.")] = "30s"
    timeout: Annotated[PrometheusDuration, Field(description="Time for a scrape, at most the interval.")] = "10s"


class Logging(ApiModel):
    level: Annotated[
        Literal["debug", "info", "warn", "error"], Field(description="The least of what the container should log.")
    ] = "info"
    format: Annotated[Literal["json", "text"], Field(description="Form of its log lines.")] = "json"
    trace_context: Annotated[bool, Field(description="Whether its log lines should name their trace.")] = True


class Observability(ApiModel):
    tracing: Annotated[Tracing | None, Field(description="Traces; default: the container is told nothing.")] = None
    metrics: Annotated[Metrics | None, Field(description="Metrics; default: not scraped.")] = None
    logging: Annotated[Logging | None, Field(description="Logs; default: the container is told nothing.")] = None


class EventControls(ApiModel):
    allow_event_disable: Annotated[bool, Field(description="Whether events may disable the agent; not built yet.")] = (
        False
    )
    control_event_types: Annotated[
        list[EventType], Field(max_length=64, description="Types of such events; not built yet.")
    ] = ["io.homelab.rbac.disable", "io.homelab.rbac.enable"]
    allowed_control_sources: Annotated[
        list[Annotated[str, Field(max_length=1024)]],
        Field(max_length=256, description="Sources of such events; not built yet."),
    ] = []


class Permissions(ApiModel):
    disable_broker_creation: Annotated[
        bool, Field(description="The agent's ServiceAccount should not create Brokers; shown, not enforced.")
    ] = False
    disable_trigger_creation: Annotated[
        bool, Field(description="The agent's ServiceAccount should not create Triggers; shown, not enforced.")
    ] = False
    disable_function_creation: Annotated[
        bool, Field(description="The agent's ServiceAccount should not create functions; shown, not enforced.")
    ] = False
    allowed_target_namespaces: Annotated[
        list[Annotated[str, Field(max_length=63)]],
        Field(max_length=256, description="Namespaces to forward to besides the agent's own, '*': all."),
    ] = []
    event_controls: Annotated[EventControls | None, Field(description="Control by events; not built yet.")] = None
