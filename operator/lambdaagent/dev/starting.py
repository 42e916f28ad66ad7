"""Chooses the command that starts an agent: `--command`, else the annotation, else its image, else an error.

Pure, except for `missing`, which looks for a program.
"""

import difflib
import shlex
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.naming import ANNOTATION_DEV_COMMAND
from lambdaagent.children.base import AgentKey
from lambdaagent.children.environment import environment as container_environment
from lambdaagent.dev.environment import expand
from lambdaagent.errors import PermanentError, UsageError

# The name of dev's own machine inside a container.
CONTAINER_HOST = "host.docker.internal"


class NoCommandError(PermanentError):
    """No source gives a command to start the agent on this machine."""


@dataclass(frozen=True, slots=True)
class Start:
    command: tuple[str, ...]
    environment: Mapping[str, str]
    engine: str = ""  # the program that runs the agent's image; empty if the command is the agent itself


def overrides(values: Sequence[str]) -> dict[AgentKey, tuple[str, ...]]:
    """Parse `[NS/]NAME=CMD` options; an empty namespace matches any. Raises UsageError if one is malformed."""
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
    """Return how to start the agent. `find` looks up a program as shutil.which does. Raises NoCommandError if there is
    no command and no engine."""
    command = chosen.get((agent.namespace, agent.name)) or chosen.get(("", agent.name))
    if command is None and (text := agent.metadata.annotations.get(ANNOTATION_DEV_COMMAND)):
        command = _split(text, f"{agent.key}: annotation {ANNOTATION_DEV_COMMAND}")
    if command:
        return Start(tuple(expand(word, environment) for word in command), environment)
    engine = find("docker") or find("podman")
    if engine:
        words = container(agent, engine=engine, environment=environment, port=port)
        return Start(words, environment, engine=engine)
    raise NoCommandError(
        f"{agent.key}: no command is known to start it here; use --command {agent.name}='...', the annotation "
        f"{ANNOTATION_DEV_COMMAND}, or install docker or podman to run {agent.spec.container_image.reference}"
    )


def require_known(chosen: Mapping[AgentKey, tuple[str, ...]], agents: Collection[AgentKey]) -> None:
    """Raises UsageError if a command's agent is not in the files, usually because its name is misspelt."""
    names = {f"{namespace}/{name}": name for namespace, name in sorted(agents)}
    for namespace, name in chosen:
        if (namespace, name) in agents or (not namespace and name in names.values()):
            continue
        said = f"{namespace}/{name}" if namespace else name
        near = difflib.get_close_matches(said, [*names, *names.values()], n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise UsageError(f"--command {said}=...: the files have no agent of that name; {hint}")


def missing(start: Start, agent: LambdaAgent, folder: Path) -> str:
    """Return an error text if the command's program is not on this machine; else an empty string."""
    program = start.command[0]
    if shutil.which(str(folder / program) if "/" in program else program, path=start.environment.get("PATH")):
        return ""
    here = f"in {folder}" if "/" in program and not program.startswith("/") else "on this machine"
    return (
        f"{agent.key}: its command {program!r} does not exist or is not executable {here}; install it, or name another "
        f"one with --command {agent.name}='...' or the annotation {ANNOTATION_DEV_COMMAND}"
    )


def remedy(start: Start, code: int) -> str:
    """Return what to do about an exit code of a shell or an engine; empty if the code is the agent's own."""
    if start.engine and code == 125:
        name = PurePath(start.engine).name
        return f"{name} failed, see above: check that it runs, that you may use it, and that it can find the image"
    if code == 127:
        return "a command was not found, see above: install it, or correct the agent's command"
    if code == 126:
        return "a command is not executable, see above: chmod +x, or correct the agent's command"
    return ""


def container(agent: LambdaAgent, *, engine: str, environment: Mapping[str, str], port: int) -> tuple[str, ...]:
    """Return the engine's command line. The agent's variables are passed by name, because every user can read a command
    line; PORT and the gateway's URLs are passed by value."""
    image = agent.spec.container_image
    sink, gateway = _from_inside(environment["K_SINK"]), _from_inside(environment.get("GATEWAY_URL", ""))
    ours = {"PORT": str(image.port), "K_SINK": sink, "BROKER_URL": sink}
    if gateway:
        ours["GATEWAY_URL"] = gateway
    names = [entry["name"] for entry in container_environment(agent, sink=sink, gateway=gateway)]
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


def _from_inside(url: str) -> str:
    return url.replace("127.0.0.1", CONTAINER_HOST).replace("localhost", CONTAINER_HOST)


def _split(text: str, where: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None
