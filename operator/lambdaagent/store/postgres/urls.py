"""The URL of a PostgreSQL: checked before the first connection, and kept out of messages and logs.

Hazard: only the `sslmode` values `verify-ca` and `verify-full` verify the server's certificate. As with PostgreSQL's
own clients, `require` encrypts without verifying the server, and without an `sslmode` the connection may not be
encrypted at all.
"""

import os
import ssl
from urllib.parse import parse_qs, unquote

from lambdaagent import service_urls
from lambdaagent.errors import UsageError
from lambdaagent.trust import SYSTEM, Trust, explain

_VARIABLE = "LAMBDAAGENT_DATABASE"
_SCHEMES = ("postgresql", "postgres")
# If the URL sets any other TLS option, or the environment does, the driver alone configures TLS.
_OURS = {"sslmode", "sslcert", "sslkey", "sslpassword"}


class DatabaseUrl:
    """A database URL. `str()` of it is safe to log; only `secret` holds the password."""

    def __init__(self, secret: str, trust: Trust = SYSTEM) -> None:
        """Raises UsageError, whose message does not repeat the URL as the parser's own would."""
        example = "postgresql://user:password@host:5432/name"
        parts = service_urls.checked(secret, variable=_VARIABLE, schemes=_SCHEMES, example=example)
        self.secret = secret
        self.tls = _tls(parse_qs(parts.query), trust)
        """None: the driver configures TLS from the URL."""
        self._password = unquote(parts.password or "")
        self._shown = f"postgresql://{parts.hostname or ''}:{parts.port or 5432}{parts.path}"

    def __str__(self) -> str:
        return self._shown

    def reason(self, error: BaseException) -> str:
        """Return the cause of the error in one line without the password."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return explain(error)
        text = " ".join(str(error).split()) or type(error).__name__
        for secret in (self.secret, self._password):
            text = text.replace(secret, "***") if secret else text
        return text[:500]


def _tls(query: dict[str, list[str]], trust: Trust) -> ssl.SSLContext | None:
    said = {name: values[-1] for name, values in query.items() if name.startswith("ssl")}
    mode = said.get("sslmode") or os.environ.get("PGSSLMODE", "")
    if mode not in ("verify-ca", "verify-full") or said.keys() - _OURS:
        return None
    if any(name.startswith("PGSSL") and name != "PGSSLMODE" for name in os.environ):
        return None
    context = trust.own_context()
    context.check_hostname = mode == "verify-full"
    if "sslcert" in said:
        try:
            context.load_cert_chain(said["sslcert"], said.get("sslkey"), password=said.get("sslpassword", ""))
        except OSError as error:
            why = error.strerror or "it does not match its key"
            raise UsageError(f"{_VARIABLE}: the client's certificate of sslcert cannot be used: {why}") from None
    return context
