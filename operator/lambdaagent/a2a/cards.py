"""Agent cards, built from the custom resource alone: showing one never starts a pod.

There are four shapes: the 1.0 card, the 0.3 card, a hybrid of both for clients that do not name their
version, and ADR-005's `agent.json`, which keeps modes as written and adds 0.3's keys. Both bindings have one URL:
HTTP+JSON appends its paths to it.
"""

from collections.abc import Sequence
from enum import StrEnum

from lambdaagent.a2a import Json, extension_methods, modes, security
from lambdaagent.a2a.security import SecurityScheme
from lambdaagent.a2a.versions import Version
from lambdaagent.api.a2a import A2a, Capabilities, Extension
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.skills import Skill

BINDINGS = ("JSONRPC", "HTTP+JSON")  # the preferred one first


class Shape(StrEnum):
    V1 = "1.0"
    V03 = "0.3"
    HYBRID = "hybrid"
    LEGACY = "legacy"


def choose(version: Version | None, *, offered: list[Version]) -> Shape:
    """Return the shape for a GET of agent-card.json, by its A2A-Version header."""
    if version is Version.V1:
        return Shape.V1
    if version is Version.V03:
        return Shape.V03
    return Shape.HYBRID if Version.V03 in offered else Shape.V1


def offered(a2a: A2a) -> list[Version]:
    """Return the versions, 1.0 first: clients use the first interface that they understand."""
    return [version for version in Version if version in a2a.protocol_versions]


def card(
    agent: LambdaAgent,
    *,
    shape: Shape,
    url: str,
    schemes: Sequence[SecurityScheme] = (),
    required: bool = False,
    extended: bool = False,
    alone: bool = False,
) -> Json:
    """Return the card; `url` is the agent's JSON-RPC endpoint as the client reaches it.

    `schemes` are the credentials that the gateway accepts, and `required` is whether a caller needs one of them.
    `extended` asks for the extended card, which shows private skills too; it is offered where callers are known.
    `alone` is whether the agent is served by itself, as in a sidecar.
    """
    shown = agent if extended else public(agent)
    made = _card(shown, shape=shape, url=url, schemes=schemes, required=required)
    made["capabilities"]["extensions"].append(extension_methods.declaration(alone=alone))
    if schemes and offers_extended(agent):
        if shape in (Shape.V1, Shape.HYBRID):
            made["capabilities"]["extendedAgentCard"] = True
        if shape is not Shape.V1:
            made["supportsAuthenticatedExtendedCard"] = True
    return made


def offers_extended(agent: LambdaAgent) -> bool:
    """Return whether the extended card shows more than the public one (1.0 section 3.1.11)."""
    return agent.spec.a2a is not None and bool(agent.spec.a2a.private_skills)


def public(agent: LambdaAgent) -> LambdaAgent:
    """Return the agent without its private skills."""
    a2a = agent.spec.a2a
    if a2a is None or not a2a.private_skills:
        return agent
    skills = [skill for skill in a2a.skills if skill.id not in a2a.private_skills]
    spec = agent.spec.model_copy(update={"a2a": a2a.model_copy(update={"skills": skills})})
    return agent.model_copy(update={"spec": spec})


def _card(agent: LambdaAgent, *, shape: Shape, url: str, schemes: Sequence[SecurityScheme], required: bool) -> Json:
    a2a = agent.spec.a2a or A2a()
    if shape is Shape.V1:
        return _common(agent, a2a) | _v1(a2a, url) | security.v1(schemes, required=required)
    if shape is Shape.HYBRID:
        secured = security.hybrid(schemes, required=required)
        return _common(agent, a2a) | _v03(url) | _v1(a2a, url) | secured
    return _common(agent, a2a, as_written=shape is Shape.LEGACY) | _v03(url) | security.v03(schemes, required=required)


def description(agent: LambdaAgent) -> str:
    a2a = agent.spec.a2a or A2a()
    said = a2a.description or " ".join(skill.description for skill in a2a.skills if skill.description)
    return said or f"The LambdaAgent {agent.key}"


_NOT_KNOWN = "unknown"  # a card must have a version


def version(agent: LambdaAgent) -> str:
    """Return the version that is being served, if it is known: the newest one may fail to start."""
    status = agent.status.a2a_status
    return (status.version if status else None) or version_of_spec(agent) or _NOT_KNOWN


def version_of_spec(agent: LambdaAgent) -> str:
    """Return the user's version, else the image's tag, else the beginning of its digest; empty without an image.

    The digest comes before the default tag: the API server stores defaults, so only another tag is known to have been
    set by the user.
    """
    image = agent.spec.image
    if agent.spec.a2a is not None and agent.spec.a2a.version:
        return agent.spec.a2a.version
    if image is None:
        return ""
    if image.digest and image.tag == type(image).model_fields["tag"].default:
        return image.digest.removeprefix("sha256:")[:12]
    return image.tag


def capabilities(a2a: A2a) -> Capabilities:
    return a2a.capabilities or Capabilities()


def _common(agent: LambdaAgent, a2a: A2a, *, as_written: bool = False) -> Json:
    inputs, outputs = _default_modes(agent, a2a)
    fields: Json = {
        "name": agent.name,
        "description": description(agent),
        "version": version(agent),
        "capabilities": _capabilities(a2a),
        "defaultInputModes": _modes(inputs, as_written=as_written),
        "defaultOutputModes": _modes(outputs, as_written=as_written),
        "skills": [_skill(skill, as_written=as_written) for skill in a2a.skills],
    }
    if a2a.provider is not None:
        fields["provider"] = {"organization": a2a.provider.organization, "url": a2a.provider.url}
    if a2a.documentation_url:
        fields["documentationUrl"] = a2a.documentation_url
    if a2a.icon_url:
        fields["iconUrl"] = a2a.icon_url
    return fields


def _default_modes(agent: LambdaAgent, a2a: A2a) -> tuple[list[str], list[str]]:
    """Return the modes of the container's card, if it has any, else those of the skills."""
    status = agent.status.a2a_status
    theirs = status.container_card if status is not None and a2a.protocol == "a2a" else None
    inputs = modes.union([skill.input_modes for skill in a2a.skills], default="text")
    outputs = modes.union([skill.output_modes for skill in a2a.skills], default="text")
    if theirs is None:
        return inputs, outputs
    return theirs.default_input_modes or inputs, theirs.default_output_modes or outputs


def _v1(a2a: A2a, url: str) -> Json:
    interfaces = [
        {"url": url, "protocolBinding": binding, "protocolVersion": str(version)}
        for version in offered(a2a)
        for binding in BINDINGS
    ]
    return {"supportedInterfaces": interfaces}


def _v03(url: str) -> Json:
    interfaces = [{"url": url, "transport": binding} for binding in BINDINGS]
    return {
        "protocolVersion": "0.3.0",
        "url": url,
        "preferredTransport": BINDINGS[0],
        "additionalInterfaces": interfaces,
    }


def _skill(skill: Skill, *, as_written: bool) -> Json:
    fields: Json = {
        "id": skill.id,
        "name": skill.name,
        # Required in both versions; the name is more useful than an empty string.
        "description": skill.description or skill.name,
        "tags": list(skill.tags),
        "inputModes": _modes(skill.input_modes, as_written=as_written),
        "outputModes": _modes(skill.output_modes, as_written=as_written),
    }
    if skill.examples:
        fields["examples"] = list(skill.examples)
    return fields


def _capabilities(a2a: A2a) -> Json:
    asked = capabilities(a2a)
    shown: Json = {"streaming": asked.streaming, "pushNotifications": asked.push_notifications}
    theirs = [_extension(each) for each in a2a.extensions if each.uri != extension_methods.URI]
    return {**shown, "extensions": theirs}


def _extension(extension: Extension) -> Json:
    fields: Json = {"uri": extension.uri}
    if extension.required:
        fields["required"] = True  # the default is left out, as readers do before they verify a signature
    if extension.description:
        fields["description"] = extension.description
    return {**fields, "params": extension.params} if extension.params else fields


def _modes(written: list[str], *, as_written: bool) -> list[str]:
    return list(written) if as_written else list(dict.fromkeys(map(modes.as_media_type, written)))
