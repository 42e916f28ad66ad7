"""What a gateway is told once, at its start: limits, addresses and keys.

It holds plain values only. The parts of the gateway that run (store, publisher, directory) are in `services.Services`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lambdaagent.a2a.errors import Edition
from lambdaagent.a2a.params import PARTS
from lambdaagent.a2a.signing import Signer
from lambdaagent.access.rates import Rate
from lambdaagent.clock import Clock
from lambdaagent.coordination.catalog_names import BASE, CatalogNames
from lambdaagent.coordination.context import LARGEST, TTL
from lambdaagent.errors import UsageError
from lambdaagent.events.http import MOST_EVENTS
from lambdaagent.gateway import signing
from lambdaagent.gateway.certificate import CertificateFiles
from lambdaagent.http_server import HEADER_BYTES
from lambdaagent.settings import GatewaySettings
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.trust import SYSTEM, Trust
from lambdaagent.webhooks.address_check import Network
from lambdaagent.webhooks.push_signature import PushSigner

_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinationConfig:
    """Limits of agents that work together."""

    context_size: int = LARGEST  # bytes
    context_ttl: int = TTL  # seconds
    queue: int = 1_000  # messages that wait for one receiver
    card_seconds: float = 300.0  # between two requests for a registered agent's card
    transport_seconds: float = 30.0  # that a receiver has to take a message


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    host: str = "127.0.0.1"
    port: int = 0  # 0: a free port
    metrics_port: int | None = None  # of the probes and metrics; None: the same port serves them
    tls: CertificateFiles | None = None  # of `port`; None: it speaks plain HTTP
    plain_port: int | None = None  # a port of plain HTTP beside one with TLS
    local_only: bool = False  # serve requests of this machine's own programs, not those of pages in a browser
    public_url: str = ""
    trust_forwarded: bool = False
    max_body: int = 10 * 1024 * 1024  # bytes
    max_header: int = HEADER_BYTES
    max_parts: int = PARTS  # of a client's message
    max_batch: int = MOST_EVENTS  # events
    refuse_unrouted: bool = False  # events that no agent takes
    lifecycle_events: bool = False  # of tasks
    errors: Edition = Edition.LATEST
    keys: Mapping[str, bytes] = field(default_factory=dict)  # of capabilities; without keys, event URLs carry none
    card_signer: Signer | None = None
    push_signer: PushSigner | None = None
    push_allow: Sequence[Network] = ()  # private networks that may get push notifications
    catalog: CatalogNames = field(default_factory=CatalogNames)
    peers: Sequence[str] = ()  # URLs of the search interfaces of other registries
    trust: Trust = SYSTEM
    limits: EngineLimits = field(default_factory=EngineLimits)
    registry_namespace: str = "registered"
    coordination: CoordinationConfig = field(default_factory=CoordinationConfig)
    caller_rate: Rate | None = None  # of one caller, where the access file has none
    replica: str = ""
    stop_grace: float = 10.0  # seconds that running tasks get at a stop
    shutdown_timeout: float = 15.0  # seconds that open requests get at a stop


def from_settings(settings: GatewaySettings, clock: Clock) -> GatewayConfig:
    """Return the configuration that the settings name.

    Raises UsageError for a key that cannot be read, and for settings that contradict each other.
    """
    signer, names = signing.card_signer(settings), CatalogNames(settings.catalog_publisher)
    return GatewayConfig(
        host=settings.host,
        port=settings.port,
        metrics_port=settings.metrics_port,
        tls=_certificate(settings),
        plain_port=settings.plain_port,
        public_url=settings.public_url.rstrip("/"),
        trust_forwarded=settings.trust_forwarded,
        max_body=settings.max_body_bytes,
        max_header=settings.max_header_bytes,
        max_parts=settings.max_parts,
        max_batch=settings.max_batch_events,
        refuse_unrouted=settings.refuse_unrouted,
        lifecycle_events=settings.lifecycle_events,
        errors=Edition(settings.protocol_errors),
        keys=settings.keys,
        card_signer=signer,
        push_signer=signing.push_signer(settings, signer, clock),
        push_allow=settings.push_allowed,
        catalog=names,
        peers=_peers(settings, names),
        trust=settings.trust,
        registry_namespace=settings.registry_namespace,
        coordination=CoordinationConfig(
            context_size=settings.max_context_size,
            context_ttl=settings.context_ttl,
            queue=settings.message_queue_size,
            card_seconds=settings.discovery_cache_ttl,
            transport_seconds=settings.transport_timeout,
        ),
        caller_rate=Rate.of(settings.rate_limit, None) if settings.rate_limit else None,
        limits=EngineLimits(
            retention=settings.task_retention_days * _DAY,
            kept=settings.tasks_kept or None,
            letter_retention=settings.dead_letter_retention_days * _DAY or None,
        ),
    )


def _peers(settings: GatewaySettings, names: CatalogNames) -> tuple[str, ...]:
    own = settings.public_url.rstrip("/") + BASE
    known = {names.registry: own}
    for url in settings.peers:
        other = known.setdefault(names.peer(url), url)
        if own == url or other != url:
            which = "this gateway itself" if other == own or own == url else f"what {other} names too"
            raise UsageError(f"LAMBDAAGENT_CATALOG_PEERS: {url} names {which}; remove it")
    return settings.peers


def _certificate(settings: GatewaySettings) -> CertificateFiles | None:
    certificate, key = settings.tls_cert_file, settings.tls_key_file
    if bool(certificate) != bool(key):
        missing = "LAMBDAAGENT_TLS_KEY_FILE" if certificate else "LAMBDAAGENT_TLS_CERT_FILE"
        raise UsageError(f"{missing} is not set: TLS needs a certificate and its key; set both files, or none")
    if not certificate and settings.plain_port is not None:
        raise UsageError(
            "LAMBDAAGENT_PLAIN_PORT is set without TLS, where LAMBDAAGENT_PORT speaks plain HTTP itself: remove it, or "
            "set LAMBDAAGENT_TLS_CERT_FILE and LAMBDAAGENT_TLS_KEY_FILE"
        )
    return CertificateFiles(certificate, key) if certificate else None
