"""Implements `key` and `token`. A credential is printed once, to standard output, and stored nowhere."""

import sys
from pathlib import Path

import typer

from lambdaagent import clock
from lambdaagent.cli.printing import print_json, say
from lambdaagent.errors import UsageError
from lambdaagent.identity import api_keys, jwts
from lambdaagent.identity.errors import CredentialError

_BYTES = 64 * 1024


def create_key(id_: str) -> None:
    try:
        made = api_keys.create(id_)
    except ValueError as error:
        raise UsageError(str(error)) from None
    typer.echo(made)
    say("give the key to its owner, who cannot get it again; add its hash to the access file:\n")
    say(f"apiKeys:\n- id: '{id_}'\n  sha256: {api_keys.hash_of(made)}")  # quoted: an id may look like a number or `no`


def read_key(file: Path) -> str:
    """Read an API key, which is no argument: others on the machine see those. Raises UsageError."""
    try:
        text = sys.stdin.read(_BYTES) if str(file) == "-" else file.read_text()[:_BYTES]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--key-file: {file} cannot be read: {error}") from None
    return text.strip()


def create_token(id_: str, key_file: Path, minutes: int) -> None:
    try:
        key = key_file.read_bytes().strip()
    except OSError as error:
        raise UsageError(f"--key-file: {key_file} cannot be read: {error.strerror}") from None
    if len(key) < 32:
        raise UsageError(f"--key-file: the key has {len(key)} bytes, and an HMAC key needs 32 or more")
    typer.echo(jwts.hmac_token(id_, key, now=clock.system().now(), seconds=minutes * 60))


def inspect(given: str) -> None:
    text = sys.stdin.read(_BYTES) if given == "-" else given
    try:
        token = jwts.read(text.strip())
    except CredentialError as error:
        raise UsageError(str(error)) from None
    print_json({"header": dict(token.header), "claims": dict(token.claims), "verified": False})
