"""What a call needs to know about an agent, derived once per change of its resource."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lambdaagent.a2a import cards
from lambdaagent.api.a2a import A2a
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.container_card import CardEndpoint
from lambdaagent.api.skills import Skill
from lambdaagent.httpclient.wire import Target

DEFAULT_TIMEOUT = 300.0
MOST_CONNECTIONS = 4096  # of one gateway to one agent: each uses a file descriptor


@dataclass(frozen=True, slots=True)
class ExternalServer:
    """A server elsewhere that is the agent. `endpoint` is that of its agent card; None while the card is not known."""

    url: str
    headers: tuple[tuple[str, str, str], ...] = ()  # name, Secret and key, in the agent's namespace
    endpoint: CardEndpoint | None = None

    @property
    def target(self) -> Target:
        """The host; the path is not part of it. Raises BadTargetError."""
        parts = urlsplit(self.endpoint.url if self.endpoint is not None else self.url)
        return Target.parse(f"{parts.scheme}://{parts.netloc}")

    @property
    def path(self) -> str:
        """The path of `url`, with its query."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


@dataclass(frozen=True, slots=True)
class Callee:
    namespace: str
    name: str
    protocol: str  # cloudevents | http | a2a | mcp
    base_path: str
    skills: Mapping[str, Skill]
    target: Target | None
    forwards: frozenset[tuple[str, str]] = frozenset()  # agents to which it forwards events
    enforce_modes: bool = False
    answer_limit: float = DEFAULT_TIMEOUT  # seconds after which the serving layer cuts off a response
    running: int | None = None  # tasks at once; None: no limit of its own
    running_of_one: int | None = None  # tasks of one caller at once; None: no limit
    container_path: str = ""  # of a container that is an A2A server; empty: as in its card
    container_card_path: str = ""  # empty: the protocol's paths
    container_version: str = "auto"
    external: ExternalServer | None = None  # then there is no target, which is dialled unchecked
    streams: bool = True  # false: neither its clients nor its container use streams
    once_by_message: bool = False  # a repeated messageId is the same request
    private: frozenset[str] = frozenset()  # skills that errors do not list
    identified: bool = False  # each request tells the container who asks
    guarded: bool = False  # by a sidecar, which asks the same
    forward_headers: tuple[str, ...] = ()  # of the client's request, in small letters
    prepared: dict[str | None, Any] = field(default_factory=dict, compare=False, repr=False)
    """By skill id, the constant part of a request; also what is known of the container's endpoint. Filled by calls."""

    @property
    def source(self) -> str:
        """The CloudEvents source of calls to the agent."""
        return f"/a2a/{self.namespace}/{self.name}"

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def has_address(self) -> bool:
        return self.target is not None or self.external is not None

    @property
    def title(self) -> str:
        """What a call's failure is said of. Of an external URL only the host: its path may be a secret."""
        if self.external is None:
            return "The agent"
        kind = "MCP" if self.protocol == "mcp" else "A2A"
        return f"The {kind} server {urlsplit(self.external.url).netloc} of the agent {self.key}"


def callee(agent: LambdaAgent, *, target: Target | None) -> Callee:
    a2a = agent.spec.a2a or A2a()
    serving = agent.spec.serving
    forwards = agent.spec.eventing.forwards if agent.spec.eventing else []
    return Callee(
        namespace=agent.namespace,
        name=agent.name,
        protocol=a2a.protocol,
        base_path=a2a.base_path,
        skills={skill.id: skill for skill in a2a.skills},
        target=target if agent.external is None else None,
        forwards=frozenset((forward.target_namespace, forward.target_agent) for forward in forwards),
        enforce_modes=a2a.enforce_modes,
        answer_limit=float((serving and serving.timeout_seconds) or DEFAULT_TIMEOUT),
        container_path=a2a.container.path if a2a.container else "",
        container_card_path=a2a.container.card_path if a2a.container else "",
        external=_external(agent),
        container_version=a2a.container.version if a2a.container else "auto",
        streams=cards.capabilities(a2a).streaming,
        running=a2a.max_concurrent_tasks,
        running_of_one=a2a.limits.concurrent_tasks if a2a.limits is not None else None,
        once_by_message=a2a.deduplicate_messages,
        private=frozenset(a2a.private_skills),
        guarded=a2a.enabled and a2a.mode == "sidecar",
        identified=a2a.access is not None and a2a.access.identity == "assertion",
        forward_headers=tuple(a2a.forward_headers) if agent.external is None else (),
    )


def _external(agent: LambdaAgent) -> ExternalServer | None:
    external, status = agent.external, agent.status.a2a_status
    if external is None:
        return None
    card = status.container_card if status is not None else None
    endpoint = card.endpoint if card is not None else None
    return ExternalServer(external.url, external.secret_headers, endpoint)


def connections(agent: LambdaAgent) -> int | None:
    """Return how many calls the agent's pods take at once: containerConcurrency times maxReplicas.

    At most MOST_CONNECTIONS; None if one of the two has no limit.
    """
    serving, scaling = agent.spec.serving, agent.spec.scaling
    each = serving.container_concurrency if serving else None
    return min(each * scaling.max_replicas, MOST_CONNECTIONS) if each and scaling else None


def timeout(skill: Skill | None) -> float:
    return float(skill.invocation.timeout_seconds) if skill is not None else DEFAULT_TIMEOUT
