"""What a container says of itself: the agent card of an A2A server, or the tools of an MCP server."""

from lambdaagent.a2a import Json, container_card
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.containers import a2a_endpoint, mcp_transport
from lambdaagent.containers.callee import callee
from lambdaagent.containers.mcp_transport import ContainerTransport
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.errors import BadAnswerError
from lambdaagent.httpclient.wire import Target
from lambdaagent.mcp.client import ServerError
from lambdaagent.mcpclient.session import connected
from lambdaagent.mcpclient.tools import all_tools

PROTOCOLS = ("a2a", "mcp")
_SECONDS = 10.0  # for one answer
_BYTES = 2 * 1024 * 1024  # of one answer


async def read(client: HttpClient, agent: LambdaAgent, url: str, *, revision: str) -> Json:
    """Return what status keeps, as of this revision. Raises UpstreamError, BadTargetError."""
    target = Target.parse(url)
    called = callee(agent, target=target)
    if called.protocol == "a2a":
        return container_card.kept(await a2a_endpoint.read_card(client, target, called), revision=revision)
    transport = ContainerTransport(client, target, mcp_transport.path(called), headers=(), patience=0.0)
    try:
        async with connected(transport, limit=_BYTES, seconds=_SECONDS) as session:
            tools = await all_tools(session, keep=_skill)
    except ServerError as error:
        raise BadAnswerError(str(error)) from None
    return container_card.kept_tools((each["skill"] for each in tools.found), revision=revision)


def _skill(tool: Json) -> Json:
    """Return what is kept of a tool; schemas that are too large for status are not held until the last page is read."""
    return {"skill": container_card.skill_of_tool(tool)}
