"""The access file is read again when it changes; an invalid one leaves the last good state in force."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.parts.access import Readings, write
from tests.parts.clocks import SetClock
from tests.parts.polling import eventually

from lambdaagent.access.installation import AccessFileError
from lambdaagent.access.rules import Mode
from lambdaagent.gateway.access import loading
from lambdaagent.gateway.access.guard import Guard, State
from lambdaagent.gateway.access.loading import AccessFile
from lambdaagent.identity import api_keys
from lambdaagent.identity.errors import CredentialError
from lambdaagent.identity.fetching import KeyFetcher
from lambdaagent.trust import SYSTEM

NOW = 1_790_000_000.0
KEY = api_keys.create("ci")
ENTRY = {"id": "ci", "sha256": api_keys.hash_of(KEY)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.yaml"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys.yaml"


def access_file(path: Path | str) -> AccessFile:
    return AccessFile(str(path), SetClock(NOW).clock, KeyFetcher(SYSTEM))


def first(file: AccessFile) -> State:
    state = file.load()
    assert state is not None
    return state


def test_a_file_that_did_not_change_is_no_new_state(path: Path) -> None:
    write(path, {"admins": ["corp:root"]})
    file = access_file(path)
    state = first(file)
    assert state.rules.admins == {"corp:root"}
    assert file.load(state) is None
    path.touch()
    assert file.load(state) is None


def test_without_a_file_nothing_ever_changes() -> None:
    """A new state would forget every verified token."""
    file = access_file("")
    state = first(file)
    assert state.rules.admins == frozenset()
    assert file.load(state) is None


def test_a_changed_file_is_a_new_state_that_forgets_what_was_verified(path: Path) -> None:
    write(path, {"admins": ["corp:root"]})
    file = access_file(path)
    state = first(file)
    write(path, {"admins": ["corp:other"]})
    changed = file.load(state)
    assert changed is not None and changed.rules.admins == {"corp:other"}
    assert changed.verifier is not state.verifier
    assert file.load(changed) is None


async def test_a_changed_file_of_keys_is_a_change(path: Path, keys: Path) -> None:
    write(path, {"apiKeys": [{"file": str(keys)}]})
    write(keys, {"apiKeys": [ENTRY]})
    file = access_file(path)
    state = first(file)
    assert (await state.verifier.principal(KEY)).name == "key:ci"
    write(keys, {"apiKeys": []})
    changed = file.load(state)
    assert changed is not None
    with pytest.raises(CredentialError):
        await changed.verifier.principal(KEY)


INVALID = [
    pytest.param(b"admins: [", ":1: (document): is not YAML", id="no YAML"),
    pytest.param(b"", ":1: (document): is empty", id="empty"),
    pytest.param(b"\xff", " is not UTF-8", id="no text"),
    pytest.param(b"x" * (1024 * 1024 + 1), " is over the limit", id="huge"),
    pytest.param(b"admins: []\nadmin: x\n", ":2: admin: unknown field", id="an unknown field"),
    pytest.param(b'apiKeys:\n- file: "/a\\0b"\n', ":2: apiKeys[0].file: ", id="a path that is none"),
    pytest.param(b"apiKeys:\n- file: /nowhere\n", "/nowhere cannot be read", id="a file that is absent"),
]


@pytest.mark.parametrize(("content", "why"), INVALID)
def test_an_invalid_file_is_an_error_once_and_good_again_when_it_is_corrected(
    path: Path, content: bytes, why: str
) -> None:
    write(path, {"admins": ["corp:root"]})
    file = access_file(path)
    state = first(file)
    write(path, content)
    with pytest.raises(AccessFileError) as caught:
        file.load(state)
    assert why in str(caught.value)
    assert file.load(state) is None
    write(path, {"admins": ["corp:root"]})
    assert file.load(state) is not None
    path.unlink()
    with pytest.raises(AccessFileError, match="cannot be read"):
        file.load(state)
    assert file.load(state) is None


@pytest.mark.parametrize(("content", "why"), INVALID)
async def test_the_process_does_not_start_with_an_invalid_file(path: Path, content: bytes, why: str) -> None:
    write(path, content)
    with pytest.raises(AccessFileError) as caught:
        async with loading.guarding(
            Mode.ENFORCE, str(path), clock=SetClock(NOW).clock, trust=SYSTEM, api=None, signer=None
        ):
            pass
    assert why in str(caught.value)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    return Readings(monkeypatch)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"", id="empty"),
        pytest.param(b"apiKeys: [", id="no YAML"),
        pytest.param(None, id="absent"),
        pytest.param(b'apiKeys:\n- {id: ci, sha256: "0"}\n', id="no hash"),
    ],
)
async def test_a_key_that_is_revoked_after_a_mistake_is_revoked(
    path: Path, keys: Path, broken: bytes | None, readings: Readings
) -> None:
    """Whatever a file held in between, the next change of it takes effect."""
    write(path, {"apiKeys": [{"file": str(keys)}], "audit": {"sink": "none"}})
    write(keys, {"apiKeys": [ENTRY]})
    with capture_logs() as lines:
        async with loading.guarding(
            Mode.ENFORCE, str(path), clock=SetClock(NOW).clock, trust=SYSTEM, api=None, signer=None
        ) as guard:
            good = guard.state
            if broken is None:
                keys.unlink()
            else:
                write(keys, broken)
            await eventually(lambda: named(lines, "access_file.refused"))
            assert guard.state is good
            assert (await guard.principal(KEY)).name == "key:ci"
            await readings.more()
            write(keys, {"apiKeys": []})
            await eventually(lambda: named(lines, "access_file.loaded"))
            with pytest.raises(CredentialError):
                await guard.principal(KEY)
    assert len(named(lines, "access_file.refused")) == 1
    (refused,) = named(lines, "access_file.refused")
    assert str(keys) in refused["error"] and refused["log_level"] == "error"


def named(lines: list[Any], event: str) -> list[Any]:
    return [line for line in lines if line["event"] == event]


async def test_without_a_file_the_state_stays_and_nothing_is_logged(readings: Readings) -> None:
    with capture_logs() as lines:
        async with loading.guarding(
            Mode.ENFORCE, "", clock=SetClock(NOW).clock, trust=SYSTEM, api=None, signer=None
        ) as guard:
            state = guard.state
            await readings.more()
            assert guard.state is state
    assert lines == []


async def test_access_that_is_off_says_so_and_knows_nobody() -> None:
    with capture_logs() as lines:
        async with loading.guarding(
            Mode.OFF, "/nowhere", clock=SetClock(NOW).clock, trust=SYSTEM, api=None, signer=None
        ) as guard:
            assert isinstance(guard, Guard) and guard.off
            assert (await guard.principal("whatever")).anonymous
    assert [line["event"] for line in lines] == ["access.not_checked"]
