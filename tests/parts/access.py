"""A gateway that checks access, with an issuer, and the callers of a small company."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.parts.gateway import World, world
from tests.parts.issuer import Issuer
from tests.parts.polling import eventually

from lambdaagent import clock as clocks
from lambdaagent.a2a.signing import Signer
from lambdaagent.access.rules import Mode
from lambdaagent.gateway.access import loading
from lambdaagent.gateway.access.guard import State
from lambdaagent.gateway.access.loading import AccessFile, guarding
from lambdaagent.kube.client import KubeClient
from lambdaagent.trust import SYSTEM, Trust


@asynccontextmanager
async def guarded(
    file: Path,
    installation: dict[str, Any],
    *,
    mode: Mode = Mode.ENFORCE,
    clock: clocks.Clock | None = None,
    trust: Trust = SYSTEM,
    api: KubeClient | None = None,
    signer: Signer | None = None,
    **fields: Any,
) -> AsyncIterator[World]:
    """Starts a gateway with an access file; `fields` are those of `world`."""
    write(file, installation)
    clock = clock or clocks.system()
    async with (
        guarding(mode, str(file), clock=clock, trust=trust, api=api, signer=signer) as guard,
        world(guard=guard, clock=clock, card_signer=signer, **fields) as gateway,
    ):
        yield gateway


def write(file: Path, installation: dict[str, Any] | bytes) -> None:
    """Replaces the file at once: the gateway may read it at any time."""
    new = file.with_suffix(".new")
    new.write_bytes(installation if isinstance(installation, bytes) else yaml.safe_dump(installation).encode())
    new.replace(file)


class Readings:
    """Counts how often a gateway has read its access file; it reads it again at once instead of after seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        load = AccessFile.load

        def counted(file: AccessFile, before: State | None = None) -> State | None:
            try:
                return load(file, before)
            finally:
                self.count += 1

        monkeypatch.setattr(AccessFile, "load", counted)
        monkeypatch.setattr(loading, "EVERY", 0.01)

    async def more(self, number: int = 5) -> None:
        """Waits for further readings."""
        wanted = self.count + number
        await eventually(lambda: self.count >= wanted)


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def of(issuer: Issuer, subject: str = "alice", **claims: Any) -> dict[str, str]:
    """Returns the headers of a caller with a token of the issuer."""
    return bearer(issuer.token(subject, **claims))
