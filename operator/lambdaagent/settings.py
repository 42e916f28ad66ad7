"""The settings of all processes, read from `LAMBDAAGENT_*` environment variables; each process has its own model.

`Installation` holds the settings that the objects in the cluster depend on: `render` reads only these, and the operator
adds its own. An empty URL means that the component is not installed.
"""

import base64
import re
from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from lambdaagent import trust
from lambdaagent.coordination_settings import CoordinationSettings, WithOtherNames
from lambdaagent.trust import SYSTEM, Trust

ServingBackend = Literal["knative", "kubernetes"]
EventingBackend = Literal["knative", "rabbitmq", "none"]
# The namespace of a process without POD_NAMESPACE.
INSTALLED_IN = "lambdaagent-system"
NAMESPACE = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
AccessMode = Literal["enforce", "audit", "off"]
PodSecurity = Literal["restricted", "baseline"]
# A domain of at least two labels, in small letters.
_DOMAIN = r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]"
MOST_PEERS = 64
_PEER = r"https?://[A-Za-z0-9]([A-Za-z0-9.-]{0,252})(:\d{1,5})?(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*"
OptionalUrl = Annotated[str, Field(pattern=r"^(https?://[^\s/]+\S*)?$")]


class TrustSettings(BaseSettings):
    """The certificate authorities that the process trusts as a client."""

    model_config = SettingsConfigDict(env_prefix="LAMBDAAGENT_", frozen=True, extra="ignore")

    ca_file: str = Field(
        "", description="File with certificates (PEM) of authorities that are trusted in addition to the system's."
    )
    _trust: Trust = PrivateAttr(SYSTEM)

    @field_validator("ca_file")
    @classmethod
    def _certificates(cls, path: str) -> str:
        trust.read(path)
        return path

    def model_post_init(self, _: Any) -> None:
        self._trust = trust.read(self.ca_file)

    @property
    def trust(self) -> Trust:
        """The authorities in the file when the settings were read. Later changes of the file have no effect, so that a
        replica that waits for days does not read another file.
        """
        return self._trust


class _Common(WithOtherNames):
    """The settings that must be the same in the processes of an installation."""

    model_config = SettingsConfigDict(env_prefix="LAMBDAAGENT_", frozen=True, extra="ignore")

    event_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys for the capabilities in event URLs, as kid:base64 pairs separated by commas. "
        "The first key signs; all of them verify. If empty, event URLs carry no capability.",
    )

    access: AccessMode = Field(
        "enforce",
        description="Whether the gateway checks access: enforce refuses what nobody granted, audit only logs it, off "
        "lets everybody do everything. The operator shows it in status.",
    )

    access_file: str = Field(
        "",
        description="File with the issuers, keys and limits of access. If empty, the cluster's RBAC decides alone. The "
        "operator gives sidecars what they need of it, as it is when the operator starts.",
    )

    namespaces: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="The only namespaces that the installation serves, separated by commas. If empty, all."
    )

    @field_validator("namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return parse_namespaces(value) if isinstance(value, str) else value

    @field_validator("event_keys")
    @classmethod
    def _readable(cls, keys: SecretStr) -> SecretStr:
        parse_keys(keys)
        return keys

    @property
    def keys(self) -> dict[str, bytes]:
        """The capability keys by id; the first one signs. Empty: event URLs carry no capability."""
        return parse_keys(self.event_keys)


def _service_url(name: str, settings: dict[str, Any]) -> str:
    """Return the URL of a Service of this installation, in the namespace of the process."""
    return f"http://{name}.{settings['pod_namespace'] or INSTALLED_IN}.svc.{settings['cluster_domain']}"


class Installation(_Common):
    """The settings of an installation that the objects in the cluster depend on."""

    # The manifests set this and not the URLs below, in which an overlay's `namespace:` would not be replaced.
    pod_namespace: str = Field("", validation_alias="POD_NAMESPACE")
    cluster_domain: str = "cluster.local"
    serving: ServingBackend | Literal["auto"] = "auto"
    eventing: EventingBackend | Literal["auto"] = "auto"
    gateway_url: OptionalUrl = Field(default_factory=partial(_service_url, "lambdaagent-gateway"))
    events_url: OptionalUrl = Field(default_factory=partial(_service_url, "lambdaagent-events"))
    rabbitmq_cluster: str = "rabbitmq-cluster-knative-lambda"
    rabbitmq_namespace: str = "knative-lambda"
    delivery_retry: int = Field(3, ge=0, le=100)
    delivery_backoff_delay: str = "PT1S"
    pod_security: PodSecurity = "restricted"
    gateway_image: str = Field(
        "", description="Image of the sidecar of agents with a2a.mode sidecar. If empty, the operator's own image."
    )

    _sidecar_rules: str = PrivateAttr("")

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)  # that of TrustSettings, where a process has both

    @property
    def sidecar_rules(self) -> str:
        """What sidecars get of the access file, as JSON."""
        return self._sidecar_rules

    def with_sidecar_rules(self, rules: str) -> Self:
        found = self.model_copy()
        found._sidecar_rules = rules
        return found

    @field_validator("gateway_url", "events_url")
    @classmethod
    def _without_slash(cls, url: str) -> str:
        return url.rstrip("/")


class OperatorSettings(Installation, TrustSettings):
    """The settings of the operator."""

    pod_name: str = Field("", validation_alias="POD_NAME")
    workers: int = Field(8, ge=1, le=256)
    lease_duration: float = Field(8, gt=0)
    resync_seconds: float = Field(600, gt=0)
    lifecycle_events: bool = Field(
        False, description="Whether the operator posts CloudEvents about agents' lifecycles to the events URL."
    )
    events_token_file: str = Field(
        "",
        description="File with the ServiceAccount token with which the operator posts lifecycle events; the kubelet "
        "renews it. If empty, they carry no credential.",
    )
    ai_probe_seconds: float = Field(
        60, ge=5, description="Seconds between two requests to an AI endpoint for its models."
    )
    tools_sync_seconds: float = Field(
        300,
        ge=1,
        description="Seconds between two requests to an MCP server of an agent, or to the server of an external agent.",
    )
    tools_allow: str = Field(
        "",
        description="Networks that MCP servers of agents and external agents may be in besides the public internet and "
        "Services of the cluster, separated by commas, such as 10.0.0.0/8.",
    )
    host: str = ""  # every address of either family: probes and scrapes come from outside the pod
    port: int = Field(8080, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"

    @field_validator("tools_allow")
    @classmethod
    def _networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @property
    def tools_allowed(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return parse_networks(self.tools_allow)


class TaskSettings(TrustSettings):
    """Where the gateway's tasks are stored, and for how long."""

    database: SecretStr = Field(
        SecretStr(""),
        description="Where tasks are stored: the path of a SQLite file, or a postgresql:// URL. If empty, in memory.",
    )
    task_retention_days: float = Field(7, gt=0, description="Days after which ended tasks are deleted.")
    tasks_kept: int = Field(0, ge=0, description="Maximum number of ended tasks that are kept; 0 means no maximum.")
    dead_letter_retention_days: float = Field(
        30, ge=0, description="Days after which the gateway deletes dead letters of its database; 0 keeps them."
    )
    store_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys that encrypt secrets in the database, as kid:base64 pairs of 32 bytes separated by commas. "
        "The first key encrypts; all of them decrypt. If empty, nothing is encrypted.",
    )
    encrypt_payloads: bool = Field(
        False,
        description="Whether tasks and the data of dead letters are encrypted too. It needs LAMBDAAGENT_STORE_KEYS.",
    )

    @field_validator("store_keys")
    @classmethod
    def _sealing_keys(cls, keys: SecretStr) -> SecretStr:
        parse_store_keys(keys)
        return keys

    @field_validator("encrypt_payloads")
    @classmethod
    def _has_keys(cls, wanted: bool, info: ValidationInfo) -> bool:
        keys = info.data.get("store_keys")  # missing if they are refused themselves
        if wanted and keys is not None and not parse_store_keys(keys):
            raise ValueError("payloads cannot be encrypted without keys: set LAMBDAAGENT_STORE_KEYS")
        return wanted

    @property
    def sealing_keys(self) -> dict[str, bytes]:
        """The keys of the database by id; the first one encrypts. Empty: nothing is encrypted."""
        return parse_store_keys(self.store_keys)


class DispatcherSettings(Installation, TaskSettings):
    """The settings of the dispatcher, which runs on plain RabbitMQ."""

    amqp_url: SecretStr = Field(
        SecretStr(""), description="URL of RabbitMQ, as amqp(s)://user:password@host:port/vhost."
    )
    queue_type: Literal["quorum", "classic"] = Field(
        "quorum", description="Type of the agents' queues. A queue that exists keeps its type."
    )
    host: str = ""  # every address of either family: probes and scrapes come from outside the pod
    port: int = Field(8080, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"


class EdgeSettings(BaseSettings):
    """The gateway's limits on one request, and on its connections to one agent."""

    model_config = SettingsConfigDict(env_prefix="LAMBDAAGENT_", frozen=True, extra="ignore")

    max_body_bytes: int = Field(10 * 1024 * 1024, ge=1024)
    max_parts: int = Field(1_000, ge=1, le=5_000, description="Maximum number of parts of a client's message.")
    max_batch_events: int = Field(1_000, ge=1, le=100_000, description="Maximum number of events in a batch.")
    max_header_bytes: int = Field(
        32 * 1024,
        ge=1024,
        le=1024 * 1024,
        description="Maximum size of a request header in bytes. All headers together may have four times as many.",
    )
    agent_connections: int = Field(
        256,
        ge=1,
        le=10_000,
        description="Maximum number of connections from one gateway to one agent. For an agent with both "
        "containerConcurrency and maxReplicas, their product instead.",
    )


class GatewaySettings(_Common, TaskSettings, EdgeSettings, CoordinationSettings):
    """The settings of the gateway."""

    host: str = ""  # every address of either family
    port: int = Field(8080, ge=0, le=65535)
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Port of the probes and metrics. If unset, LAMBDAAGENT_PORT serves them too."
    )
    tls_cert_file: str = Field(
        "",
        description="File with the certificate (PEM) of LAMBDAAGENT_PORT, read again when it changes. If empty, HTTP.",
    )
    tls_key_file: str = Field("", description="File with the private key (PEM) of the certificate.")
    plain_port: int | None = Field(
        None, ge=0, le=65535, description="Port on which a gateway with TLS also speaks plain HTTP. If unset, on none."
    )
    public_url: OptionalUrl = ""
    trust_forwarded: bool = False
    lifecycle_events: bool = Field(
        False, description="Whether the gateway publishes CloudEvents about tasks' lifecycles to their agents' Brokers."
    )
    refuse_unrouted: bool = Field(
        False, description="Whether an event that no agent subscribes to gets 404 instead of 202."
    )
    protocol_errors: Literal["1.0.1", "1.0.0"] = Field(
        "1.0.1", description="A2A version whose HTTP statuses the errors of the HTTP+JSON binding have."
    )
    card_signing_key: SecretStr = Field(
        SecretStr(""),
        description="Private key in PEM (P-256, Ed25519 or RSA) that signs agent cards. If empty, they are not signed.",
    )
    amqp_url: SecretStr = SecretStr("")
    sign_pushes: bool = Field(
        False, description="Whether push notifications carry a JWT that is signed with the key of the agent cards."
    )
    push_allow: str = Field(
        "",
        description="Networks that receivers of push notifications and external agents may be in besides the public "
        "internet, separated by commas, such as 10.0.0.0/8.",
    )
    registry_namespace: str = Field(
        "registered",
        pattern=NAMESPACE,
        description="Namespace of agents that are registered by HTTP: in paths, in rights to them, and of the Broker "
        "that gets the events of coordination, if it has one.",
    )
    catalog_publisher: str = Field(
        "",
        pattern=rf"^({_DOMAIN})?$",
        max_length=253,
        description="Domain whose owner vouches for the names of the agents in the AI Catalog, such as example.com. If "
        "empty, the names are local ones.",
    )
    catalog_peers: str = Field(
        "",
        description="URLs of the ARD search interfaces of other gateways and registries to which clients are referred, "
        f"separated by commas, such as https://agents.example.com/ard; at most {MOST_PEERS}.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"

    @field_validator("catalog_peers")
    @classmethod
    def _registries(cls, value: str) -> str:
        parse_peers(value)
        return value

    @property
    def peers(self) -> tuple[str, ...]:
        return parse_peers(self.catalog_peers)

    @field_validator("push_allow")
    @classmethod
    def _networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @property
    def push_allowed(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return parse_networks(self.push_allow)


def parse_networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Parse a comma-separated list of networks. Raises ValueError, which names the invalid one."""
    return tuple(ip_network(item.strip()) for item in value.split(",") if item.strip())


def parse_peers(value: str) -> tuple[str, ...]:
    """Parse a comma-separated list of URLs of registries. Raises ValueError, which names the invalid one."""
    found = tuple(item.strip().rstrip("/") for item in value.split(",") if item.strip())
    for url in found:
        if len(url) > 1000 or not re.fullmatch(_PEER, url):
            raise ValueError(f"{url[:200]!r} is not the http(s) URL of a host, with a plain path and nothing after it")
    if len(found) > MOST_PEERS or len(set(found)) < len(found):
        raise ValueError(f"at most {MOST_PEERS} different URLs")
    return found


class SidecarSettings(EdgeSettings):
    """The settings of the gateway in an agent's own pod. The operator sets all but the limits."""

    agent: str = Field(min_length=2, description="The agent as JSON: its name, image, A2A block and health path.")
    sink: OptionalUrl = Field("", description="URL to which the agent's events are forwarded. If empty, they are not.")
    access: AccessMode = Field("enforce", description="As for the gateway.")
    access_rules: str = Field("", description="What the sidecar needs of the access file, as JSON.")
    gateway_url: OptionalUrl = Field("", description="URL of the gateway, whose statements about callers are accepted.")
    deliveries: str = Field(
        "",
        description="Hashes of the capabilities with which events are delivered, separated by commas. If empty, "
        "whoever reaches the sidecar can deliver events.",
    )
    host: str = ""  # every address of either family
    port: int = Field(8090, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"


class EventsSettings(Installation, TaskSettings):
    """The settings of `lambdaagent events`: the same variables as those of the processes."""

    amqp_url: SecretStr = SecretStr("")


def parse_namespaces(value: str) -> tuple[str, ...]:
    """Parse a comma-separated list of namespaces; an empty text means all.

    Raises ValueError for an invalid or repeated name: a stray comma must not turn a list into "all namespaces".
    """
    names = tuple(name.strip() for name in value.split(",")) if value.strip() else ()
    for name in names:
        if not re.fullmatch(NAMESPACE, name):
            raise ValueError(f"{name!r} is not a namespace: lower case letters, digits and '-', at most 63 characters")
        if names.count(name) > 1:
            raise ValueError(f"{name} occurs more than once")
    return names


def parse_keys(value: SecretStr) -> dict[str, bytes]:
    """Parse the keys of event URLs. Raises ValueError without the value in its message, which appears in logs."""
    keys: dict[str, bytes] = {}
    for position, kid, key in _pairs(value):
        if not kid.isalnum() or len(key) < 16:
            raise ValueError(f"event key {position} must be <letters and digits>:<base64 of at least 16 bytes>")
        keys[kid] = key
    return keys


def parse_store_keys(value: SecretStr) -> dict[str, bytes]:
    """Parse the keys of the database. Raises ValueError without the value in its message."""
    keys: dict[str, bytes] = {}
    for position, kid, key in _pairs(value):
        if not re.fullmatch("[A-Za-z0-9]{1,32}", kid) or len(key) != 32:
            raise ValueError(f"store key {position} must be <1 to 32 letters and digits>:<base64 of 32 bytes>")
        if kid in keys:
            raise ValueError(f"store key {position} has the id of another one; each key needs its own")
        keys[kid] = key
    return keys


def _pairs(value: SecretStr) -> Iterator[tuple[int, str, bytes]]:
    """Yield position, id and key of `kid:base64` pairs; a key that is no base64 is empty."""
    for position, item in enumerate(filter(None, value.get_secret_value().split(",")), start=1):
        kid, _, encoded = item.strip().partition(":")
        try:
            yield position, kid, base64.b64decode(encoded, validate=True)
        except ValueError:
            yield position, kid, b""
