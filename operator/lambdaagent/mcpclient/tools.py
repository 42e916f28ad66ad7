"""Lists all tools of a server, page by page, within limits of pages and tools.

Hazard: a page may have megabytes. Only what `keep` returns of each tool is held until the last page has been read.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lambdaagent.a2a import Json
from lambdaagent.httpclient.errors import BadAnswerError
from lambdaagent.mcp.tool_list import MOST_PAGES, MOST_TOOLS, page
from lambdaagent.mcpclient.session import Session


@dataclass(frozen=True, slots=True)
class Tools:
    found: tuple[Json, ...]
    ttl: float | None  # seconds for which the list is fresh, as the server says


async def all_tools(session: Session, *, keep: Callable[[Json], Json]) -> Tools:
    """Return the tools, each name once. Raises ServerError, UpstreamError."""
    found: dict[str, Json] = {}
    ttls: list[float] = []
    cursor: str | None = None
    for number in range(MOST_PAGES):
        params = {"cursor": cursor} if cursor is not None else {}
        try:
            read = page(await session.ask("tools/list", params, id_=number + 1))
        except ValueError as error:
            raise BadAnswerError(str(error)) from None
        for tool in read.tools:
            if tool["name"] not in found:
                found[tool["name"]] = keep(tool)
        if len(found) > MOST_TOOLS:
            raise BadAnswerError(f"it lists more than {MOST_TOOLS} tools")
        if read.ttl is not None:
            ttls.append(read.ttl)
        if read.cursor is None:
            return Tools(tuple(found.values()), min(ttls, default=None))
        if read.cursor == cursor:
            raise BadAnswerError("a page of its tools names itself as the next one")
        cursor = read.cursor
    raise BadAnswerError(f"its list of tools has more than {MOST_PAGES} pages")
