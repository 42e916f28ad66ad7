"""A changed access file is put in force, whatever was in it in between."""

from pathlib import Path

import pytest
from tests.parts.access import guarded, write
from tests.parts.polling import eventually

from lambdaagent.access.installation import AccessFileError, parse
from lambdaagent.gateway.access import loading
from lambdaagent.gateway.access.loading import AccessFile

ODD = {
    "a zero byte in the path of a file of keys": 'apiKeys:\n- file: "/\\0"\n',
    "a zero byte in the path of a key": 'hmac:\n- {id: a, keyFile: "/\\0"}\n',
    "a zero byte in the path of an issuer's keys": ('issuers:\n- {name: a, issuer: x, audiences: [y], jwks: "/\\0"}\n'),
    "a tag whose value does not fit": "admins: [!!timestamp x]\n",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_what_no_file_can_be_is_refused_with_the_file(text: str) -> None:
    with pytest.raises(AccessFileError, match=r"access\.yaml"):
        parse(text, file="access.yaml")


async def test_an_error_that_nobody_thought_of_does_not_end_reloading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "EVERY", 0.02)
    file, load, failures = tmp_path / "access.yaml", AccessFile.load, [0]

    def fails(self: AccessFile, before: object = None) -> object:
        if before is not None and failures[0] < 3:
            failures[0] += 1
            raise AttributeError("nobody thought of it")
        return load(self, before)  # type: ignore[arg-type]

    monkeypatch.setattr(AccessFile, "load", fails)
    off = {"audit": {"sink": "none"}}
    async with guarded(file, off) as gateway:
        write(file, {**off, "admins": ["corp:root"]})

        def in_force() -> bool:
            state = gateway.guard.state
            return state is not None and state.rules.admins == {"corp:root"}

        await eventually(in_force)
        assert failures == [3]
