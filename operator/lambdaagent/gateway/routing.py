"""`/agents/{namespace}/{name}/...` by cutting the path: most requests go there, and no pattern is needed."""

from collections.abc import Iterator

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_urldispatcher import AbstractResource, ResourceRoute, UrlMappingMatchInfo, _InfoDict
from yarl import URL

_ROOT = "/agents"


class AgentPaths(AbstractResource):
    """A resource like the framework's own; `match_info` holds namespace, name and rest (with its slash)."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(name="agent")
        self._route = ResourceRoute("*", handler, self)

    @property
    def canonical(self) -> str:
        return _ROOT

    def url_for(self, *, namespace: str, name: str) -> URL:  # type: ignore[override]
        return URL.build(path=f"{_ROOT}/{namespace}/{name}/")

    async def resolve(self, request: web.Request) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        parts = request.path.split("/", 4)
        if len(parts) < 5 or parts[1] != "agents":
            return None, set()
        found = {"namespace": parts[2], "name": parts[3], "rest": f"/{parts[4]}"}
        return UrlMappingMatchInfo(found, self._route), {"*"}

    def add_prefix(self, prefix: str) -> None:
        raise NotImplementedError("agents live at the root")

    def get_info(self) -> _InfoDict:
        return {"path": _ROOT}

    def raw_match(self, path: str) -> bool:
        return path == f"{_ROOT}/*"

    def __iter__(self) -> Iterator[ResourceRoute]:
        return iter((self._route,))

    def __len__(self) -> int:
        return 1
