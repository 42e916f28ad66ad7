"""With which command an agent is started: `--command`, else the annotation, else its image, else an error. Pure."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.naming import ANNOTATION_DEV_COMMAND
from lambdaagent.children.base import AgentKey
from lambdaagent.children.environment import environment as container_environment
from lambdaagent.dev.environment import expand
from lambdaagent.errors import PermanentError, UsageError

# Inside a container, this is where dev's own machine is.
CONTAINER_HOST = "host.docker.internal"


class NoCommandError(PermanentError):
    """Nothing says how to start the agent on this machine."""


@dataclass(frozen=True, slots=True)
class Start:
    command: tuple[str, ...]
    environment: Mapping[str, str]


def overrides(values: Sequence[str]) -> dict[AgentKey, tuple[str, ...]]:
    """`[NS/]NAME=CMD` options; raises UsageError. An empty namespace stands for any."""
    found: dict[AgentKey, tuple[str, ...]] = {}
    for value in values:
        name, separator, text = value.partition("=")
        namespace, _, agent = name.rpartition("/")
        if not separator or not agent or not (command := _split(text, f"--command {name}")):
            raise UsageError(f"--command {value}: use [NAMESPACE/]NAME='COMMAND ARGUMENTS'")
        found[namespace, agent] = command
    return found


def start(
    agent: LambdaAgent,
    *,
    chosen: Mapping[AgentKey, tuple[str, ...]],
    environment: Mapping[str, str],
    port: int,
    find: Callable[[str], str | None],
) -> Start:
    """`find` looks a program up as shutil.which does."""
    command = chosen.get((agent.namespace, agent.name)) or chosen.get(("", agent.name))
    if command is None and (text := agent.metadata.annotations.get(ANNOTATION_DEV_COMMAND)):
        command = _split(text, f"{agent.key}: annotation {ANNOTATION_DEV_COMMAND}")
    if command:
        return Start(tuple(expand(word, environment) for word in command), environment)
    engine = find("docker") or find("podman")
    if engine:
        return Start(container(agent, engine=engine, environment=environment, port=port), environment)
    raise NoCommandError(
        f"{agent.key}: nothing says how to start it here; use --command {agent.name}='...', the annotation "
        f"{ANNOTATION_DEV_COMMAND}, or install docker or podman to run {agent.spec.image.reference}"
    )


def container(agent: LambdaAgent, *, engine: str, environment: Mapping[str, str], port: int) -> tuple[str, ...]:
    """The engine's command line. Values are passed by name only: a command line can be read by everybody."""
    image = agent.spec.image
    sink = environment["K_SINK"].replace("127.0.0.1", CONTAINER_HOST).replace("localhost", CONTAINER_HOST)
    ours = {"PORT": str(image.port), "K_SINK": sink, "BROKER_URL": sink}
    names = [entry["name"] for entry in container_environment(agent, sink=sink)]
    words = [engine, "run", "--rm", "--init", "--name", f"lambdaagent-dev-{agent.namespace}-{agent.name}-{port}"]
    words += ["--publish", f"127.0.0.1:{port}:{image.port}", "--add-host", f"{CONTAINER_HOST}:host-gateway"]
    for name in names:
        if name in environment and name not in ours:
            words += ["--env", name]
    for name, value in ours.items():
        words += ["--env", f"{name}={value}"]
    if image.command:
        words += ["--entrypoint", expand(image.command[0], environment)]
    return (*words, image.reference, *(expand(word, environment) for word in [*image.command[1:], *image.args]))


def _split(text: str, where: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None
