"""What is served is what the table of routes says."""

from tests.parts.gateway import World, world

from lambdaagent.gateway.routes import gateway_routes
from lambdaagent.gateway.routes.agent_routes import AgentPaths


async def test_aiohttp_serves_the_rows_of_the_table_and_the_paths_of_agents() -> None:
    async with world() as gateway:
        served = list(gateway.app.router.routes())
    agents = [each for each in served if isinstance(each.resource, AgentPaths)]
    rows = {(row.method, row.definition().path) for row in gateway_routes.table().routes}
    # aiohttp adds HEAD to each GET.
    rows |= {("HEAD", path) for method, path in rows if method == "GET"}
    assert len(agents) == 1
    assert len(served) == len(rows) + 1
    formatted = {(each.method, each.resource.canonical) for each in served if each.resource and each not in agents}
    assert len(formatted) == len(rows)


async def test_the_document_is_served_and_names_what_is_served(gateway: World) -> None:
    answer = await gateway.request("GET", "/openapi.json")
    assert (answer.status, answer.content_type) == (200, "application/json")
    paths = (await answer.json())["paths"]
    for path in ("/healthz", "/readyz", "/metrics", "/agents", "/.well-known/jwks.json", "/openapi.json"):
        assert "get" in paths[path]
        assert (await gateway.request("GET", path)).status == 200
        assert (await gateway.request("HEAD", path)).status == 200
