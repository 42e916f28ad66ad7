"""Loads the access file, and again whenever it or a file that it names has changed.

Invariant: a changed file that is invalid is refused with its line, and the last good state stays in force; at the
start it ends the process. The files are read every few seconds and compared by content: a ConfigMap or Secret in a pod
changes by a swapped link, which file events do not report reliably.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import structlog

from lambdaagent.a2a.signing import Signer
from lambdaagent.access import installation as files
from lambdaagent.access.installation import AccessFileError, Audit, Installation
from lambdaagent.access.rules import Mode
from lambdaagent.cancellation import cancel
from lambdaagent.clock import Clock
from lambdaagent.gateway.access import metadata
from lambdaagent.gateway.access.audit import AuditLog
from lambdaagent.gateway.access.guard import Guard, State
from lambdaagent.identity import verifier
from lambdaagent.identity.cluster import AccessReviews, TokenReviews
from lambdaagent.identity.fetching import KeyFetcher
from lambdaagent.identity.reading import BYTES, read_text
from lambdaagent.identity.verifier import Verifier
from lambdaagent.kube.client import KubeClient
from lambdaagent.trust import Trust

log = structlog.get_logger(__name__)
EVERY = 5.0  # seconds


@dataclass(slots=True)
class AccessFile:
    """`path` is empty where the cluster's identities and RBAC decide alone."""

    path: str
    clock: Clock
    fetcher: KeyFetcher
    api: KubeClient | None = None  # without one, no ServiceAccount is known and RBAC is not asked
    signer: Signer | None = None
    _seen: dict[str, bytes] = field(default_factory=dict, init=False)

    def load(self, before: State | None = None) -> State | None:
        """Return the state of the files, None if none of them has changed since they were last read.

        Raises AccessFileError.
        """
        if before is not None and all(_content(path) == known for path, known in self._seen.items()):
            return None
        self._seen = {self.path: _content(self.path)} if self.path else {}
        installation = files.parse(read_text(self.path), file=self.path) if self.path else Installation()
        self._seen |= {path: _content(path) for path in installation.files()}
        cluster = installation.kubernetes
        sources = verifier.sources(
            installation,
            fetcher=self.fetcher,
            clock=self.clock,
            reviews=TokenReviews(self.api, cluster.audiences) if self.api and cluster.enabled else None,
            signer=self.signer,
            before=before.verifier.sources.issuers if before is not None else (),
        )
        shown = metadata.schemes(installation, cluster=self.api is not None)
        return State(installation, installation.rules(), Verifier(sources, self.clock), shown)

    async def follow(self, guard: Guard) -> None:
        """Put each new state in force, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                state = await asyncio.to_thread(self.load, guard.state)
            except AccessFileError as error:
                log.error(
                    "access_file.refused", error=str(error), next_step="correct it; the last good one is in force"
                )
                continue
            except Exception:  # whatever is in the file: without this task, no key would be revoked any more
                log.exception("access_file.crashed", file=self.path, next_step="the last good one is in force")
                continue
            if state is not None:
                guard.state = state
                log.info("access_file.loaded", file=self.path, issuers=len(state.installation.issuers))


@asynccontextmanager
async def guarding(
    mode: Mode, path: str, *, clock: Clock, trust: Trust, api: KubeClient | None, signer: Signer | None
) -> AsyncIterator[Guard]:
    """Yield the guard of a process. Raises AccessFileError if the access file is invalid."""
    if mode is Mode.OFF:
        log.warning("access.not_checked", next_step="set LAMBDAAGENT_ACCESS to enforce, or to audit to try it out")
        yield Guard()
        return
    fetcher = KeyFetcher(trust)
    file = AccessFile(path, clock, fetcher, api, signer)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(fetcher.close)
        guard = Guard(mode, file.load(), AccessReviews(api, clock) if api is not None else None)
        stack.push_async_callback(_close_sources, guard)
        audit = guard.state.installation.audit if guard.state is not None else Audit()
        if audit.sink != "none":
            guard.audit = AuditLog(clock, audit.file or "")
            await stack.enter_async_context(guard.audit.run())
        following = asyncio.create_task(file.follow(guard), name="access-file")
        stack.push_async_callback(cancel, following)
        yield guard


async def _close_sources(guard: Guard) -> None:
    if guard.state is not None:
        for _, jwks in guard.state.verifier.sources.issuers:
            await jwks.close()


def _content(path: str) -> bytes:
    """Return what a change is noticed by; a file that cannot be read is reported by whoever needs it."""
    try:
        with Path(path).open("rb") as opened:
            return sha256(opened.read(BYTES + 1)).digest()
    except OSError:
        return b""
