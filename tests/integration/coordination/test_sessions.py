"""Sessions: who takes part, whether they go on, and their shared context."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.coordination.test_messages import call, envelope, registered
from tests.parts.access import guarded, of
from tests.parts.gateway import World, world
from tests.parts.issuer import Issuer


@pytest.fixture
async def gateway() -> AsyncIterator[World]:
    async with world() as found:
        await registered(found, "ann", "bob", "eve")
        yield found


async def test_a_session_has_a_context_and_messages_until_it_ends(gateway: World) -> None:
    body = {"from": "ann", "participants": ["bob"], "context": {"goal": "x"}}
    status, session = await call(gateway, "POST", "/a2a/sessions", body)
    assert (status, session["status"], session["session_id"][:5]) == (201, "active", "sess_")
    context = f"/a2a/context/{session['session_id']}"
    assert (await call(gateway, "PATCH", context, {"found": 1}))[1]["data"] == {"goal": "x", "found": 1}
    message = envelope() | {"conversation_id": session["session_id"]}
    assert (await call(gateway, "POST", "/a2a/message", message))[0] == 202
    status, problem = await call(gateway, "POST", "/a2a/message", message | {"from": "eve"})
    assert (status, problem["type"]) == (403, "urn:lambdaagent:problem:no-participant")
    path = f"/a2a/sessions/{session['session_id']}"
    for changed, code in (("paused", 409), ("active", 202), ("completed", 409)):
        assert (await call(gateway, "PATCH", path, {"status": changed}))[1]["status"] == changed
        assert (await call(gateway, "POST", "/a2a/message", message))[0] == code
    status, problem = await call(gateway, "PATCH", path, {"status": "active"})
    assert (status, problem["type"]) == (409, "urn:lambdaagent:problem:session-ended")
    assert (await call(gateway, "GET", path))[1]["ended_at"] is not None


async def test_a_session_and_its_context_begin_together_or_not_at_all(gateway: World) -> None:
    assert (await call(gateway, "POST", "/a2a/context", {"id": "taken"}))[0] == 201
    status, problem = await call(gateway, "POST", "/a2a/sessions", {"from": "ann", "session_id": "taken"})
    assert (status, problem["type"]) == (409, "urn:lambdaagent:problem:session-exists")
    assert (await call(gateway, "GET", "/a2a/sessions/taken"))[0] == 404


async def test_no_session_takes_the_id_of_others_conversation(tmp_path: Path, issuer: Issuer) -> None:
    rules = {"issuers": [issuer.configured()], "registrars": ["corp:ann"]}
    async with guarded(tmp_path / "access.yaml", rules) as gateway:
        ann, eve = of(issuer, "ann"), of(issuer, "eve")
        access = {"grants": [{"principals": ["corp:ann"]}]}
        assert (await call(gateway, "POST", "/a2a/register", {"agent_id": "bob", "access": access}, **ann))[0] == 201
        message = envelope() | {"from": "corp:ann", "conversation_id": "plan"}
        assert (await call(gateway, "POST", "/a2a/message", message, **ann))[0] == 202
        status, problem = await call(gateway, "POST", "/a2a/sessions", {"session_id": "plan"}, **eve)
        assert (status, problem["type"]) == (409, "urn:lambdaagent:problem:session-exists")
        assert (await call(gateway, "POST", "/a2a/message", message, **ann))[0] == 202
        assert (await call(gateway, "POST", "/a2a/sessions", {"session_id": "plan"}, **ann))[0] == 201


async def test_the_numbers_of_all_are_for_administrators(tmp_path: Path, issuer: Issuer) -> None:
    rules = {"issuers": [issuer.configured()], "admins": ["corp:root"]}
    async with guarded(tmp_path / "access.yaml", rules) as gateway:
        assert (await call(gateway, "GET", "/a2a/health", **of(issuer, "ann")))[1] == {"status": "ok"}
        _, found = await call(gateway, "GET", "/a2a/health", **of(issuer, "root"))
        assert found.keys() == {"status", "agents", "deliveries", "contexts", "sessions", "proposals", "jobs"}
