"""The container and how it runs: image, environment, scaling, resources, probes, request limits."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lambdaagent.api.base import ApiModel, Duration, KeyRef, Name, Quantity, rules

# Knative's queue-proxy listens on these in every pod.
RESERVED_PORTS = (8008, 8012, 8013, 8022, 9090, 9091)
# Knative sets these itself and refuses a Service that does.
RESERVED_ENV = ("PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION")

Port = Annotated[int, Field(ge=1, le=65535)]
Argument = Annotated[str, Field(max_length=32768)]


class Image(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"!has(self.port) || !(self.port in {list(RESERVED_PORTS)})",
                f"port is reserved by Knative ({', '.join(map(str, RESERVED_PORTS))}); choose another",
            )
        )
    )
    repository: Annotated[str, Field(min_length=1, max_length=512, description="Image name without tag or digest.")]
    tag: Annotated[str, Field(pattern=r"^\w[\w.-]{0,127}$", description="Used where no digest is given.")] = "latest"
    digest: Annotated[
        str | None, Field(pattern=r"^sha256:[a-f0-9]{64}$", description="sha256:<64 hex digits>; wins over tag.")
    ] = None
    port: Annotated[Port, Field(description="The port that the container listens on.")] = 8080
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: Annotated[list[Name], Field(max_length=32, description="Names of Secrets.")] = []
    command: Annotated[list[Argument], Field(max_length=256, description="Replaces the image's entrypoint.")] = []
    args: Annotated[list[Argument], Field(max_length=256, description="Replaces the image's arguments.")] = []

    @property
    def reference(self) -> str:
        """The image as a container runtime takes it."""
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


class EnvSource(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.secretKeyRef) != has(self.configMapKeyRef)", "give either secretKeyRef or configMapKeyRef")
        )
    )
    secret_key_ref: KeyRef | None = None
    config_map_key_ref: KeyRef | None = None


class EnvVar(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            ("!has(self.value) || self.value == '' || !has(self.valueFrom)", "give value or valueFrom, not both")
        )
    )
    name: Annotated[str, Field(pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$", max_length=256)]
    value: Annotated[str | None, Field(max_length=131072)] = None
    value_from: EnvSource | None = None


class Scaling(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
                "minReplicas must not be greater than maxReplicas",
            )
        )
    )
    min_replicas: Annotated[int, Field(ge=0, le=10000, description="0 lets the agent scale to zero.")] = 0
    max_replicas: Annotated[int, Field(ge=1, le=10000)] = 10
    target_concurrency: Annotated[
        int, Field(ge=1, le=100000, description="Requests at once that a pod should carry.")
    ] = 10
    scale_to_zero_grace_period: Annotated[
        Duration, Field(description="How long the last pod is kept after the last request.")
    ] = "30s"


class ResourceList(ApiModel):
    cpu: Quantity | None = None
    memory: Quantity | None = None


class Resources(ApiModel):
    requests: ResourceList | None = None
    limits: ResourceList | None = None


class Probe(ApiModel):
    enabled: bool = True
    path: Annotated[str | None, Field(pattern=r"^/", max_length=1024, description="Default: healthCheck.path.")] = None
    initial_delay_seconds: Annotated[int | None, Field(ge=0, le=3600)] = None
    period_seconds: Annotated[int | None, Field(ge=1, le=3600)] = None
    timeout_seconds: Annotated[int | None, Field(ge=1, le=3600)] = None
    failure_threshold: Annotated[int | None, Field(ge=1, le=100)] = None


class HealthCheck(ApiModel):
    enabled: Annotated[bool, Field(description="false: no probes of ours.")] = True
    path: Annotated[str, Field(pattern=r"^/", max_length=1024)] = "/health"
    readiness: Probe | None = None
    liveness: Probe | None = None


class Traffic(ApiModel):
    revision_name: Name | None = None
    latest_revision: bool | None = None
    percent: Annotated[int | None, Field(ge=0, le=100)] = None
    tag: Annotated[str | None, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=63)] = None


class Serving(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.timeoutSeconds) || !has(self.responseStartTimeoutSeconds)"
                " || self.responseStartTimeoutSeconds <= self.timeoutSeconds",
                "responseStartTimeoutSeconds must not be greater than timeoutSeconds",
            ),
            (
                "!has(self.traffic) || size(self.traffic) == 0"
                " || self.traffic.map(t, has(t.percent) ? t.percent : 0).sum() == 100",
                "the percents of traffic must add up to 100",
            ),
        )
    )
    timeout_seconds: Annotated[
        int | None, Field(ge=1, le=86400, description="Bound on a whole answer, streams included.")
    ] = None
    response_start_timeout_seconds: Annotated[int | None, Field(ge=1, le=86400)] = None
    container_concurrency: Annotated[
        int | None, Field(ge=0, le=1000, description="Hard limit of requests per pod; 0: none.")
    ] = None
    traffic: Annotated[list[Traffic], Field(max_length=32)] = []
