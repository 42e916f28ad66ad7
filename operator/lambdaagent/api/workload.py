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
            pattern=REPOSITORY, min_length=1, max_length=255, description="Image name in small letters, without tag."
        ),
    ]
    tag: Annotated[
        str,
        Field(
            pattern=r"^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}$", description="Version of the image, if no digest is given."
        ),
    ] = "latest"
    digest: Annotated[
        str | None, Field(pattern=r"^sha256:[a-f0-9]{64}$", description="sha256:<64 hex digits>; wins over tag.")
    ] = None
    port: Annotated[Port, Field(description="The port that the container listens on; not one of Knative's own.")] = 8080
    pull_policy: Annotated[
        Literal["Always", "IfNotPresent", "Never"], Field(description="When a node fetches the image.")
    ] = "IfNotPresent"
    image_pull_secrets: Annotated[
        list[Name], Field(max_length=32, description="Names of the Secrets that open the registry.")
    ] = []
    command: Annotated[list[Argument], Field(max_length=256, description="Replaces the image's entrypoint.")] = []
    args: Annotated[list[Argument], Field(max_length=256, description="Replaces the image's arguments.")] = []

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
    secret_key_ref: Annotated[KeyRef | None, Field(description="A key of a Secret in the agent's namespace.")] = None
    config_map_key_ref: Annotated[
        KeyRef | None, Field(description="A key of a ConfigMap in the agent's namespace.")
    ] = None


class EnvVar(ApiModel):
    # A limit in bytes would be exact, but exceeds the cost that the API server allows a rule; `validation` counts them.
    model_config = ConfigDict(
        json_schema_extra=rules(
            ("!has(self.value) || self.value == '' || !has(self.valueFrom)", "give value or valueFrom, not both"),
            (
                f"!has(self.value) || size(self.name) + size(self.value) <= {LONGEST_VARIABLE}",
                f"name and value must not be longer than {LONGEST_VARIABLE} bytes together: no process can be started"
                " with more",
                "value",
            ),
        )
    )
    name: Annotated[
        str,
        Field(
            pattern=ENV_NAME,
            max_length=256,
            description=f"Name of the variable; {', '.join(RESERVED_ENV)} are Knative's.",
        ),
    ]
    value: Annotated[
        str | None,
        Field(max_length=LONGEST_VARIABLE, description="Its value, at most 128 KiB with the name; default: empty."),
    ] = None
    value_from: Annotated[EnvSource | None, Field(description="Where its value is taken from, instead of value.")] = (
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
        int, Field(ge=0, le=10000, description="Pods that are always kept; 0 lets the agent scale to zero.")
    ] = 0
    max_replicas: Annotated[int, Field(ge=1, le=10000, description="Most pods at once.")] = 10
    target_concurrency: Annotated[
        int, Field(ge=1, le=100000, description="Requests at once that a pod should carry.")
    ] = 10
    scale_to_zero_grace_period: Annotated[
        Duration,
        Field(
            description="How long the last pod is kept once Knative has decided to scale to zero; at most 1h. The"
            " stable window (60s) and the drain of the pod come on top: with 30s a pod goes about two minutes after the"
            " last request."
        ),
    ] = "30s"


class ResourceList(ApiModel):
    cpu: Annotated[Quantity | None, Field(description="Processor time, such as 500m or 1.")] = None
    memory: Annotated[Quantity | None, Field(description="Memory, such as 256Mi.")] = None


def _not_above_limit(resource: str) -> tuple[str, str]:
    said = f"has(self.requests) && has(self.limits) && has(self.requests.{resource}) && has(self.limits.{resource})"
    above = f"quantity(self.requests.{resource}).isGreaterThan(quantity(self.limits.{resource}))"
    return f"!({said}) || !{above}", f"requests.{resource} must not be greater than limits.{resource}"


class Resources(ApiModel):
    model_config = ConfigDict(json_schema_extra=rules(_not_above_limit("cpu"), _not_above_limit("memory")))
    requests: Annotated[
        ResourceList | None, Field(description="What a pod is given for certain; default: nothing.")
    ] = None
    limits: Annotated[ResourceList | None, Field(description="What a pod may use at most; default: no limit.")] = None


class Probe(ApiModel):
    enabled: Annotated[bool, Field(description="false: no such probe.")] = True
    path: Annotated[Path | None, Field(description="Path that is asked; default: healthCheck.path.")] = None
    initial_delay_seconds: Annotated[
        int | None, Field(ge=0, le=3600, description="Wait before the first probe; default: 15 for liveness, else 0.")
    ] = None
    period_seconds: Annotated[
        int | None,
        Field(
            ge=1,
            le=3600,
            description="Time between probes; default: 20 for liveness; for readiness Knative's own fast probing, or 10"
            " where timeoutSeconds or failureThreshold is given.",
        ),
    ] = None
    timeout_seconds: Annotated[int | None, Field(ge=1, le=3600, description="Time for an answer; default: 1.")] = None
    failure_threshold: Annotated[
        int | None, Field(ge=1, le=100, description="Failures in a row that count; default: 3.")
    ] = None


class HealthCheck(ApiModel):
    enabled: Annotated[bool, Field(description="false: no probes of ours.")] = True
    path: Annotated[Path, Field(description="Path that both probes ask, by HTTP GET.")] = "/health"
    readiness: Annotated[Probe | None, Field(description="Whether the pod gets requests.")] = None
    liveness: Annotated[Probe | None, Field(description="Whether the container is restarted.")] = None


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
        Name | None, Field(description="A revision by its name; default: the latest ready one.")
    ] = None
    latest_revision: Annotated[
        bool | None, Field(description="true: the latest ready revision; only without revisionName.")
    ] = None
    percent: Annotated[int | None, Field(ge=0, le=100, description="Share of the requests; default: none.")] = None
    tag: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
            max_length=63,
            description="Gives the target an address of its own; each tag once.",
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
                "each tag of traffic may stand only once",
                "traffic",
            ),
        )
    )
    timeout_seconds: Annotated[
        int | None,
        Field(
            ge=1,
            le=86400,
            description="Bound on a whole answer, streams included; default: Knative's, 300. Above 600 the cluster's"
            " max-revision-timeout-seconds must be raised.",
        ),
    ] = None
    response_start_timeout_seconds: Annotated[
        int | None,
        Field(
            ge=1,
            le=86400,
            description="Bound on the time to the first byte; default: timeoutSeconds where that is over 300.",
        ),
    ] = None
    container_concurrency: Annotated[
        int | None, Field(ge=0, le=1000, description="Hard limit of requests at once per pod; 0, the default: none.")
    ] = None
    traffic: Annotated[
        list[Traffic],
        Field(max_length=32, description="Shares of the requests by revision; default: all to the latest."),
    ] = []
