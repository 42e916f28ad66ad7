"""Serves the operator's probes and metrics over HTTP.

The process is alive if it does not lead, or if every watch has had a sign of life from the server within
`STALE_SECONDS`. An operator that receives no more changes looks healthy otherwise, so the liveness probe checks this.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lambdaagent.controller.metrics import CONTENT_TYPE, OperatorMetrics
from lambdaagent.probe_server import listen, probes

# The API server sends a bookmark every minute, and a watch that is silent for longer is restarted.
STALE_SECONDS = 300.0


@asynccontextmanager
async def serve(metrics: OperatorMetrics, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve while the context is open and yield the port; port 0 takes a free one. Raises UsageError if the port
    cannot be opened."""

    def stale() -> str | None:
        insight = metrics.insight
        if insight is None or insight.age <= STALE_SECONDS:
            return None
        return f"a watch of the API server has received nothing for {insight.age:.0f} s; see watch.failed in the log"

    def ready() -> tuple[bool, str]:
        return True, "leading" if metrics.insight else "waiting for the lease"

    routes = probes(stale=stale, ready=ready, metrics=metrics.text, content_type=CONTENT_TYPE)
    async with listen(routes, host=host, port=port) as found:
        yield found
