"""Which HTTP methods a path takes."""

from aiohttp import web

from lambdaagent.gateway.http.problems import ProblemError


def require(request: web.Request, *allowed: str) -> None:
    if request.method not in allowed:
        raise ProblemError(
            405, "method-not-allowed", f"Use {' or '.join(allowed)} here.", headers={"Allow": ", ".join(allowed)}
        )
