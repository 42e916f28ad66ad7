"""Finds all errors in a LambdaAgent document, without a cluster.

The rules that span fields are also CEL rules of the CRD (next to the models). A test runs one table of cases through
both, so that they stay the same.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from lambdaagent.api import agent as agents
from lambdaagent.api import external as external_fields
from lambdaagent.api import quantities
from lambdaagent.api import tools as tool_fields
from lambdaagent.api.a2a import RESERVED_PATHS, A2a
from lambdaagent.api.access import is_own_header
from lambdaagent.api.agent import AgentSpec, LambdaAgent
from lambdaagent.api.ai import LONGEST_PROMPT, PROVIDERS_WITH_KEY
from lambdaagent.api.base import DNS_1035, LONGEST_VARIABLE
from lambdaagent.api.external import External
from lambdaagent.api.forms import FORMS
from lambdaagent.api.unknown_fields import Path, unknown_fields
from lambdaagent.api.workload import DEFAULT_TIMEOUT_SECONDS, LONGEST_RETENTION, RESERVED_ENV, RESERVED_PORTS, Image
from lambdaagent.json_schema import structure


@dataclass(frozen=True, slots=True)
class SpecProblem:
    """One thing that is wrong: where, what, and what would be right (empty where `message` says it)."""

    path: Path
    message: str
    hint: str = ""

    @property
    def field(self) -> str:
        """The path as text, such as `spec.env[0].name`."""
        return render_path(self.path)

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.field or '(document)'}: {self.message}{hint}"


def render_path(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def problems(obj: dict[str, Any], *, strict: bool = True) -> list[SpecProblem]:
    """Return all errors of the document; with `strict`, unknown fields too."""
    return _examine(obj, strict=strict)[0]


def parse_valid(obj: dict[str, Any]) -> LambdaAgent | list[SpecProblem]:
    """Return the agent, or all errors. Unknown fields are ignored, as on an older or newer server."""
    found, agent = _examine(obj, strict=False)
    return agent if agent and not found else found


def _examine(obj: dict[str, Any], *, strict: bool) -> tuple[list[SpecProblem], LambdaAgent | None]:
    """Return the errors, and the agent if it can be parsed."""
    found: list[SpecProblem] = []
    metadata = obj.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        found.append(SpecProblem(("metadata", "name"), "is missing", "give the agent a name, such as 'my-agent'"))
    elif len(name) > 63 or not re.fullmatch(DNS_1035[1:-1], name):
        hint = "use at most 63 of a-z, 0-9 and '-', beginning with a letter"
        found.append(SpecProblem(("metadata", "name"), f"{name!r} is not a DNS-1035 label", hint))
    if strict:
        found += [
            SpecProblem(("spec", *path), "unknown field", f"did you mean {nearest!r}?" if nearest else "remove it")
            for path, nearest in unknown_fields(AgentSpec, obj.get("spec"))
        ]
    try:
        agent = agents.parse({**obj, "metadata": {"name": "unnamed"} | metadata})
    except ValidationError as error:
        found += [from_pydantic(detail) for detail in error.errors(include_url=False)]
        found += _cross_field(_readable_part(obj.get("spec")))
        return found, None
    found += _cross_field(agent.spec)
    return found, agent


def _readable_part(spec: Any) -> AgentSpec:
    """Return a spec with the blocks that can be parsed, so that an error in one block does not hide those in others."""
    blocks: dict[str, Any] = {}
    for name, field in AgentSpec.model_fields.items():
        value = spec.get(field.alias or name) if isinstance(spec, dict) else None
        if value is not None:
            with contextlib.suppress(ValidationError):
                blocks[name] = TypeAdapter(Any if field.annotation is None else field.annotation).validate_python(value)
    # Whether the image is missing is known only if `a2a` can be read.
    if not isinstance(spec, dict) or any(
        spec.get(name) is not None and name not in blocks for name in ("image", "a2a")
    ):
        blocks.setdefault("image", Image(repository="unread"))
    return AgentSpec.model_construct(**blocks)


_HINTS = {
    "missing": "add it",
    "string_type": "give a string; quote it if it looks like a number or a boolean",
    "int_type": "give a whole number without quotes",
    "bool_type": "give true or false without quotes",
    "list_type": "give a list",
    "model_type": "give a mapping",
    "dict_type": "give a mapping",
}


def from_pydantic(detail: Any) -> SpecProblem:
    """Return the problem of one of the errors of a pydantic ValidationError."""
    kind, value = detail["type"], detail.get("input")
    path = tuple(part for part in detail["loc"] if isinstance(part, int | str))
    if kind == "missing":
        return SpecProblem(path, "is required and missing", "add it")
    if kind == "extra_forbidden":
        return SpecProblem(path, "unknown field", "remove it")
    message = detail["msg"][:1].lower() + detail["msg"][1:]
    if form := FORMS.get(detail.get("ctx", {}).get("pattern", "")):
        message = f"should be {form}"
    if isinstance(value, str | int | float | bool):
        message = f"{_shorten(value)} is refused: {message}"
    return SpecProblem(path, message, _HINTS.get(kind, ""))


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}...'"


def _cross_field(spec: AgentSpec) -> Iterator[SpecProblem]:
    if spec.image is None and spec.external is None:
        hint = "add it, or name a server elsewhere in external: {url}"
        yield SpecProblem(("spec", "image"), "is required and missing", hint)
    if spec.image is not None and spec.image.port in RESERVED_PORTS:
        yield SpecProblem(
            ("spec", "image", "port"), f"{spec.image.port} is reserved by Knative", "choose another, such as 8080"
        )
    for index, variable in enumerate(spec.env):
        path: Path = ("spec", "env", index)
        if variable.name in RESERVED_ENV:
            yield SpecProblem((*path, "name"), f"{variable.name} is set by Knative itself", "remove it or rename it")
        if variable.value and len((variable.name + variable.value).encode()) > LONGEST_VARIABLE:
            message = f"{variable.name} is longer than {LONGEST_VARIABLE} bytes together with its name"
            hint = "no process can be started with a longer variable; mount a file, or let the agent fetch the value"
            yield SpecProblem((*path, "value"), message, hint)
        if variable.value and variable.value_from:
            yield SpecProblem(path, "has both value and valueFrom", "give one of them")
        source = variable.value_from
        if source and bool(source.secret_key_ref) == bool(source.config_map_key_ref):
            yield SpecProblem((*path, "valueFrom"), "needs exactly one source", "give secretKeyRef or configMapKeyRef")
    prompt = spec.behavior.system_prompt if spec.behavior else None
    if prompt and len(prompt.encode()) > LONGEST_PROMPT:
        message = f"is longer than {LONGEST_PROMPT} bytes, the limit of an environment variable"
        yield SpecProblem(("spec", "behavior", "systemPrompt"), message, "shorten it, or mount a file")
    if spec.ai and spec.ai.provider in PROVIDERS_WITH_KEY and not spec.ai.api_key_secret_ref:
        hint = "add apiKeySecretRef: {name: <Secret>, key: <key>}"
        yield SpecProblem(("spec", "ai", "apiKeySecretRef"), f"is needed for provider {spec.ai.provider}", hint)
    yield from _capacity(spec)
    yield from _serving(spec)
    yield from _eventing(spec)
    yield from _a2a(spec)
    if spec.external is not None and spec.a2a is not None:
        yield from _external(spec.external, spec.a2a, image=spec.image is not None)
    yield from _tools(spec)
    metrics = spec.observability.metrics if spec.observability else None
    if metrics and quantities.seconds(metrics.timeout) > quantities.seconds(metrics.interval):
        message = f"timeout {metrics.timeout} is longer than interval {metrics.interval}"
        yield SpecProblem(("spec", "observability", "metrics"), message, "lower timeout or raise interval")


def _capacity(spec: AgentSpec) -> Iterator[SpecProblem]:
    scaling, resources = spec.scaling, spec.resources
    if scaling and scaling.min_replicas > scaling.max_replicas:
        message = f"minReplicas {scaling.min_replicas} is greater than maxReplicas {scaling.max_replicas}"
        yield SpecProblem(("spec", "scaling"), message, "raise maxReplicas or lower minReplicas")
    if scaling and quantities.seconds(scaling.scale_to_zero_grace_period) > quantities.seconds(LONGEST_RETENTION):
        message = f"{scaling.scale_to_zero_grace_period} is longer than the {LONGEST_RETENTION} that Knative allows"
        hint = "shorten it, or keep a pod with minReplicas: 1"
        yield SpecProblem(("spec", "scaling", "scaleToZeroGracePeriod"), message, hint)
    for name in ("cpu", "memory"):
        request, limit = (
            getattr(amount, name) if amount else None
            for amount in (resources and resources.requests, resources and resources.limits)
        )
        if request and limit and quantities.quantity(request) > quantities.quantity(limit):
            message = f"requests.{name} {request} is greater than limits.{name} {limit}"
            yield SpecProblem(("spec", "resources"), message, "raise the limit or lower the request")


def _serving(spec: AgentSpec) -> Iterator[SpecProblem]:
    serving = spec.serving
    if not serving:
        return
    start, total = serving.response_start_timeout_seconds, serving.timeout_seconds
    if start and start > (total or DEFAULT_TIMEOUT_SECONDS):
        said = total or f"{DEFAULT_TIMEOUT_SECONDS}, its default"
        message = f"responseStartTimeoutSeconds {start} is greater than timeoutSeconds {said}"
        yield SpecProblem(("spec", "serving"), message, "lower responseStartTimeoutSeconds or raise timeoutSeconds")
    percent = sum(target.percent or 0 for target in serving.traffic)
    if serving.traffic and percent != 100:
        yield SpecProblem(
            ("spec", "serving", "traffic"), f"the percents add up to {percent}", "make them add up to 100"
        )
    tags: dict[str, int] = {}
    for index, target in enumerate(serving.traffic):
        path: Path = ("spec", "serving", "traffic", index)
        if target.latest_revision is not None and target.latest_revision == bool(target.revision_name):
            message = f"latestRevision {str(target.latest_revision).lower()} contradicts revisionName"
            yield SpecProblem(path, message, "give either revisionName or latestRevision: true")
        if target.tag and target.tag in tags:
            message = f"tag {target.tag!r} is already used at traffic[{tags[target.tag]}]"
            yield SpecProblem((*path, "tag"), message, "use each tag once")
        if target.tag:
            tags.setdefault(target.tag, index)


def _eventing(spec: AgentSpec) -> Iterator[SpecProblem]:
    broker = spec.eventing.broker if spec.eventing else None
    if broker and broker.dedicated and broker.name:
        hint = "remove name, or dedicated for a shared Broker of that name"
        yield SpecProblem(("spec", "eventing", "broker"), "a dedicated Broker is named by the operator", hint)
    delivery = spec.eventing.delivery if spec.eventing else None
    if delivery and delivery.timeout and not re.search("[1-9]", delivery.timeout):
        path: Path = ("spec", "eventing", "delivery", "timeout")
        yield SpecProblem(path, f"{delivery.timeout} is not longer than zero", "use a longer time, or remove it")


def _a2a(spec: AgentSpec) -> Iterator[SpecProblem]:
    if not spec.a2a:
        return
    if spec.a2a.base_path.split("/")[1] in RESERVED_PATHS:
        hint = "choose another, such as /api/a2a"
        yield SpecProblem(
            ("spec", "a2a", "endpoint", "basePath"), f"{spec.a2a.base_path} is a path of the gateway itself", hint
        )
    seen: dict[str, int] = {}
    for index, skill in enumerate(spec.a2a.skills):
        if skill.id in seen:
            message = f"skill id {skill.id!r} is already used at skills[{seen[skill.id]}]"
            yield SpecProblem(("spec", "a2a", "skills", index, "id"), message, "give each skill its own id")
        seen.setdefault(skill.id, index)
    yield from _schemas(spec.a2a)
    if spec.a2a.mode == "sidecar" and spec.a2a.access and spec.a2a.access.identity == "assertion":
        message = "identity assertion needs mode gateway: a sidecar has no key to sign with"
        yield SpecProblem(("spec", "a2a", "access"), message, "use mode gateway, or identity none")
    for index, grant in enumerate(spec.a2a.access.grants if spec.a2a.access else ()):
        if not (grant.principals or grant.groups or grant.service_accounts or grant.claims):
            hint = "add principals, groups, serviceAccounts or claims; public: true admits everybody"
            yield SpecProblem(("spec", "a2a", "access", "grants", index), "names nobody", hint)
    for index, header in enumerate(spec.a2a.forward_headers):
        if is_own_header(header):
            message = f"the gateway sets the header {header} itself"
            yield SpecProblem(("spec", "a2a", "forwardHeaders", index), message, "remove it")
    uris: dict[str, int] = {}
    for index, extension in enumerate(spec.a2a.extensions):
        if extension.uri in uris:
            message = f"the URI {extension.uri!r} is already used at extensions[{uris[extension.uri]}]"
            yield SpecProblem(("spec", "a2a", "extensions", index, "uri"), message, "list each extension once")
        uris.setdefault(extension.uri, index)


def _external(external: External, a2a: A2a, *, image: bool) -> Iterator[SpecProblem]:
    if image:
        hint = "remove the image, or external"
        yield SpecProblem(("spec", "image"), "must not be set with external: an external agent has no pods", hint)
    if a2a.protocol not in ("a2a", "mcp"):
        message = f"external needs protocol a2a or mcp, and not {a2a.protocol}"
        yield SpecProblem(("spec", "a2a", "protocol"), message, "use protocol a2a or mcp, or remove external")
    if a2a.mode != "gateway":
        message = "external needs mode gateway: there is no pod for a sidecar"
        yield SpecProblem(("spec", "a2a", "mode"), message, "use mode gateway, or remove external")
    if a2a.container is not None:
        message = "must not be set with external: there is no container"
        yield SpecProblem(("spec", "a2a", "container"), message, "remove it; external.url has the path")
    if a2a.forward_headers:
        message = "must not be set with external: an external agent gets no header of a caller"
        yield SpecProblem(("spec", "a2a", "forwardHeaders"), message, "remove it; external.headersFrom sets headers")
    for index, skill in enumerate(a2a.skills):
        if skill.is_async:
            message = "must not be async with external: an external agent takes no events"
            hint = "use mode sync; a client that does not want to wait sets returnImmediately"
            yield SpecProblem(("spec", "a2a", "skills", index, "invoke", "mode"), message, hint)
    if external.card_url is not None and a2a.protocol == "mcp":
        message = "must not be set with protocol mcp: an MCP server has no agent card"
        yield SpecProblem(("spec", "external", "cardUrl"), message, "remove it")
    for name, url in (("url", external.url), ("cardUrl", external.card_url)):
        if url is not None and not _can_be_called(url):
            message = f"{_shorten(url)} is no URL that can be called"
            yield SpecProblem(("spec", "external", name), message, "correct its host or port")
    seen: set[str] = set()
    for place, header in enumerate(external.headers_from):
        path: Path = ("spec", "external", "headersFrom", place, "name")
        if external_fields.is_own_header(header.name):
            message = f"requests to an external agent set the header {header.name} themselves"
            yield SpecProblem(path, message, "remove it")
        if header.name.lower() in seen:
            yield SpecProblem(path, f"the header {header.name} is already set", "set each header once")
        seen.add(header.name.lower())


def _can_be_called(url: str) -> bool:
    """Return whether the URL, which matches the pattern, has a host and a port that exist."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _schemas(a2a: A2a) -> Iterator[SpecProblem]:
    """Only these rules keep costly schemas out: the CRD cannot look into them."""
    budget = structure.Budget()
    for index, skill in enumerate(a2a.skills):
        for name, schema in (("inputSchema", skill.input_schema), ("outputSchema", skill.output_schema)):
            if schema is None:
                continue
            path: Path = ("spec", "a2a", "skills", index, name)
            if name == "inputSchema" and schema.get("type") != "object":
                yield SpecProblem((*path, "type"), "must be object: a tool has named arguments", "add type: object")
            for within, message in structure.faults(schema, budget):
                yield SpecProblem((*path, *within), message)


def _tools(spec: AgentSpec) -> Iterator[SpecProblem]:
    for index, tool in enumerate(spec.tools):
        seen: set[str] = set()
        for place, header in enumerate(tool.mcp_server.headers_from):
            path: Path = ("spec", "tools", index, "mcpServer", "headersFrom", place, "name")
            if tool_fields.is_own_header(header.name):
                message = f"the client of an MCP server sets the header {header.name} itself"
                yield SpecProblem(path, message, "remove it")
            if header.name in seen:
                yield SpecProblem(path, f"the header {header.name} is already set", "set each header once")
            seen.add(header.name)
