"""The fields about the container and its pods: image, environment, scaling, resources, probes, request limits."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lambdaagent.api.base import LONGEST_VARIABLE, ApiModel, Duration, KeyRef, Name, Quantity, rules

# Knative's queue-proxy listens on these in every pod.
RESERVED_PORTS = (8008, 8012, 8013, 8022, 9090, 9091)
# Knative sets these itself and refuses a Service that sets them.
RESERVED_ENV = ("PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION")
# Knative's default limit of a whole response, the largest value that it accepts without changed configuration, and the
# longest retention of the last pod.
DEFAULT_TIMEOUT_SECONDS = 300
LONGEST_TIMEOUT_SECONDS = 600
LONGEST_RETENTION = "1h"

# The part before the first slash is a host only if it looks like one (a dot, a port, localhost); elsewhere capitals are
# refused.
_HOST = r"(localhost|[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+|\[[0-9a-fA-F:]+\])(:[0-9]+)?|[a-zA-Z0-9-]+:[0-9]+"
_PART = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"
REPOSITORY = f"^(({_HOST})/)?{_PART}(/{_PART})*$"
ENV_NAME = r"^([-_a-zA-Z]|\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$"

Port = Annotated[int, Field(ge=1, le=65535)]
# Each character may take four bytes, and a zero byte follows.
Argument = Annotated[str, Field(max_length=32767)]
Path = Annotated[str, Field(pattern=r"^/", max_length=1024)]


class Image(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"!has(self.port) || !(self.port in {list(RESERVED_PORTS)})",
                f"port is reserved by Knative ({', '.join(map(str, RESERVED_PORTS))}); choose another",
                "port",
            )
        )
    )
    repository: Annotated[
        str,
        Field(
            pattern=REPOSITORY,
            min_length=1,
            max_length=255,
            description="Name of the image in lower case, without tag and digest.",
        ),
    ]
    tag: Annotated[
        str,
        Field(
            pattern=r"^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}$",
            description="Tag of the image. It selects the image if digest is not set. Defaults to latest.",
        ),
    ] = "latest"
    digest: Annotated[
        str | None,
        Field(
            pattern=r"^sha256:[a-f0-9]{64}$",
            description="Digest of the image, as sha256:<64 hex digits>. Takes precedence over tag.",
        ),
    ] = None
    port: Annotated[
        Port,
        Field(
            description=(
                "Port on which the container listens. Ports that Knative reserves are refused. Defaults to 8080."
            )
        ),
    ] = 8080
    pull_policy: Annotated[
        Literal["Always", "IfNotPresent", "Never"],
        Field(description="When a node pulls the image. Defaults to IfNotPresent."),
    ] = "IfNotPresent"
    image_pull_secrets: Annotated[
        list[Name],
        Field(max_length=32, description="Names of the Secrets with the credentials for the image's registry."),
    ] = []
    command: Annotated[
        list[Argument], Field(max_length=256, description="Entrypoint of the container. Defaults to the image's.")
    ] = []
    args: Annotated[
        list[Argument], Field(max_length=256, description="Arguments of the entrypoint. Defaults to the image's.")
    ] = []

    @property
    def reference(self) -> str:
        """The image reference for a container runtime."""
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


class EnvSource(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.secretKeyRef) != has(self.configMapKeyRef)", "give either secretKeyRef or configMapKeyRef")
        )
    )
    secret_key_ref: Annotated[KeyRef | None, Field(description="Key of a Secret in the agent's namespace.")] = None
    config_map_key_ref: Annotated[KeyRef | None, Field(description="Key of a ConfigMap in the agent's namespace.")] = (
        None
    )


class EnvVar(ApiModel):
    # A limit in bytes would be exact, but exceeds the cost that the API server allows a rule; `validation` counts them.
    model_config = ConfigDict(
        json_schema_extra=rules(
            ("!has(self.value) || self.value == '' || !has(self.valueFrom)", "give value or valueFrom, not both"),
            (
                f"!has(self.value) || size(self.name) + size(self.value) <= {LONGEST_VARIABLE}",
                f"name and value must not be longer than {LONGEST_VARIABLE} bytes together: no process can be started"
                " with a longer variable",
                "value",
            ),
        )
    )
    name: Annotated[
        str,
        Field(
            pattern=ENV_NAME,
            max_length=256,
            description=f"Name of the variable. {', '.join(RESERVED_ENV)} are reserved by Knative.",
        ),
    ]
    value: Annotated[
        str | None,
        Field(
            max_length=LONGEST_VARIABLE,
            description=(
                "Value of the variable. Name and value together have at most 128 KiB. Defaults to the empty string."
            ),
        ),
    ] = None
    value_from: Annotated[EnvSource | None, Field(description="Source of the variable's value, in place of value.")] = (
        None
    )


class Scaling(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
                "minReplicas must not be greater than maxReplicas",
            ),
            (
                "!has(self.scaleToZeroGracePeriod)"
                f" || duration(self.scaleToZeroGracePeriod) <= duration('{LONGEST_RETENTION}')",
                f"scaleToZeroGracePeriod must not be longer than {LONGEST_RETENTION}",
                "scaleToZeroGracePeriod",
            ),
        )
    )
    min_replicas: Annotated[
        int,
        Field(
            ge=0,
            le=10000,
            description=(
                "Minimum number of pods. 0 lets Knative scale the agent to zero; plain Kubernetes keeps one pod."
                " Defaults to 0."
            ),
        ),
    ] = 0
    max_replicas: Annotated[int, Field(ge=1, le=10000, description="Maximum number of pods. Defaults to 10.")] = 10
    target_concurrency: Annotated[
        int,
        Field(
            ge=1,
            le=100000,
            description="Number of concurrent requests per pod that Knative's autoscaler aims at. Defaults to 10.",
        ),
    ] = 10
    scale_to_zero_grace_period: Annotated[
        Duration,
        Field(
            description=(
                "Time that the last pod is kept after Knative has decided to scale to zero, at most 1h. The stable"
                " window (60s) and the termination of the pod are added: with 30s, the pod ends about two minutes"
                " after the last request. Defaults to 30s."
            )
        ),
    ] = "30s"


class ResourceList(ApiModel):
    cpu: Annotated[Quantity | None, Field(description="Amount of CPU, such as 500m or 1.")] = None
    memory: Annotated[Quantity | None, Field(description="Amount of memory, such as 256Mi.")] = None


def _not_above_limit(resource: str) -> tuple[str, str]:
    said = f"has(self.requests) && has(self.limits) && has(self.requests.{resource}) && has(self.limits.{resource})"
    above = f"quantity(self.requests.{resource}).isGreaterThan(quantity(self.limits.{resource}))"
    return f"!({said}) || !{above}", f"requests.{resource} must not be greater than limits.{resource}"


class Resources(ApiModel):
    model_config = ConfigDict(json_schema_extra=rules(_not_above_limit("cpu"), _not_above_limit("memory")))
    requests: Annotated[
        ResourceList | None, Field(description="Resources that are reserved for the container. None by default.")
    ] = None
    limits: Annotated[
        ResourceList | None, Field(description="Maximum resources that the container may use. No limit by default.")
    ] = None


class Probe(ApiModel):
    enabled: Annotated[bool, Field(description="If false, the container has no such probe. Defaults to true.")] = True
    path: Annotated[Path | None, Field(description="Path that the probe requests. Defaults to healthCheck.path.")] = (
        None
    )
    initial_delay_seconds: Annotated[
        int | None,
        Field(
            ge=0,
            le=3600,
            description=(
                "Number of seconds before the first probe. Defaults to 15 for liveness and to 0 for readiness."
            ),
        ),
    ] = None
    period_seconds: Annotated[
        int | None,
        Field(
            ge=1,
            le=3600,
            description=(
                "Number of seconds between two probes. Defaults to 20 for liveness. For readiness, defaults to"
                " Knative's own fast probing, or to 10 if timeoutSeconds or failureThreshold is set or on plain"
                " Kubernetes."
            ),
        ),
    ] = None
    timeout_seconds: Annotated[
        int | None,
        Field(
            ge=1, le=3600, description="Number of seconds after which a probe without a response fails. Defaults to 1."
        ),
    ] = None
    failure_threshold: Annotated[
        int | None,
        Field(
            ge=1,
            le=100,
            description=(
                "Number of consecutive failed probes after which the container counts as failed. Defaults to 3."
            ),
        ),
    ] = None


class HealthCheck(ApiModel):
    enabled: Annotated[bool, Field(description="If false, the operator sets no probes. Defaults to true.")] = True
    path: Annotated[Path, Field(description="Path that both probes request by HTTP GET. Defaults to /health.")] = (
        "/health"
    )
    readiness: Annotated[
        Probe | None, Field(description="Readiness probe. While it fails, the pod receives no requests.")
    ] = None
    liveness: Annotated[Probe | None, Field(description="Liveness probe. If it fails, the container is restarted.")] = (
        None
    )


class Traffic(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.latestRevision) || self.latestRevision != has(self.revisionName)",
                "give either revisionName or latestRevision: true",
            )
        )
    )
    revision_name: Annotated[
        Name | None,
        Field(description="Name of the Revision that receives the requests. Defaults to the latest ready one."),
    ] = None
    latest_revision: Annotated[
        bool | None,
        Field(
            description=(
                "If true, the latest ready Revision receives the requests. Not allowed together with revisionName."
            )
        ),
    ] = None
    percent: Annotated[
        int | None,
        Field(ge=0, le=100, description="Percentage of the requests. The percentages add up to 100. Defaults to none."),
    ] = None
    tag: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
            max_length=63,
            description="Name that gives this target an address of its own. Each tag must be unique.",
        ),
    ] = None


class Serving(ApiModel):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.responseStartTimeoutSeconds) || self.responseStartTimeoutSeconds"
                f" <= (has(self.timeoutSeconds) ? self.timeoutSeconds : {DEFAULT_TIMEOUT_SECONDS})",
                "responseStartTimeoutSeconds must not be greater than timeoutSeconds"
                f" (default: {DEFAULT_TIMEOUT_SECONDS})",
            ),
            (
                "!has(self.traffic) || size(self.traffic) == 0"
                " || self.traffic.map(t, has(t.percent) ? t.percent : 0).sum() == 100",
                "the percents of traffic must add up to 100",
                "traffic",
            ),
            (
                "!has(self.traffic) || self.traffic.filter(t, has(t.tag)).all(t,"
                " self.traffic.exists_one(o, has(o.tag) && o.tag == t.tag))",
                "each tag of traffic must be unique",
                "traffic",
            ),
        )
    )
    timeout_seconds: Annotated[
        int | None,
        Field(
            ge=1,
            le=86400,
            description=(
                "Maximum number of seconds for a whole response, including streams. Defaults to 300, Knative's"
                " default. For more than 600, raise max-revision-timeout-seconds in the cluster's Knative"
                " configuration."
            ),
        ),
    ] = None
    response_start_timeout_seconds: Annotated[
        int | None,
        Field(
            ge=1,
            le=86400,
            description=(
                "Maximum number of seconds until the first byte of a response, on Knative. Defaults to timeoutSeconds"
                " if that is more than 300."
            ),
        ),
    ] = None
    container_concurrency: Annotated[
        int | None,
        Field(
            ge=0,
            le=1000,
            description=(
                "Maximum number of concurrent requests per pod, which Knative enforces. 0 means no limit. Defaults to"
                " 0."
            ),
        ),
    ] = None
    traffic: Annotated[
        list[Traffic],
        Field(
            max_length=32,
            description=(
                "Distribution of the requests among Revisions, on Knative. Defaults to the latest ready Revision."
            ),
        ),
    ] = []
