"""The URL of a PostgreSQL, checked before anybody connects, and kept out of everything that is said.

Hazard: only `sslmode` `verify-ca` and `verify-full` look at the server's certificate. As PostgreSQL's own clients do,
`require` encrypts for whoever answers, and without an `sslmode` a connection may not be encrypted at all.
"""

import os
import ssl
from urllib.parse import parse_qs, unquote

from lambdaagent import service_urls
from lambdaagent.errors import UsageError
from lambdaagent.trust import SYSTEM, Trust, explain

_VARIABLE = "LAMBDAAGENT_DATABASE"
_SCHEMES = ("postgresql", "postgres")
# Whoever says more about TLS than this says all of it: the driver reads those, and what it does by itself.
_OURS = {"sslmode", "sslcert", "sslkey", "sslpassword"}


class DatabaseUrl:
    """`str()` of it is safe to log; only `secret` holds the password."""

    def __init__(self, secret: str, trust: Trust = SYSTEM) -> None:
        """Raises UsageError, which does not repeat what was given: the parser's own message would."""
        example = "postgresql://user:password@host:5432/name"
        parts = service_urls.checked(secret, variable=_VARIABLE, schemes=_SCHEMES, example=example)
        self.secret = secret
        self.tls = _tls(parse_qs(parts.query), trust)
        """None: the driver decides, by the URL."""
        self._password = unquote(parts.password or "")
        self._shown = f"postgresql://{parts.hostname or ''}:{parts.port or 5432}{parts.path}"

    def __str__(self) -> str:
        return self._shown

    def reason(self, error: BaseException) -> str:
        """What went wrong, in one line without the password."""
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
            why = error.strerror or "it and its key do not fit"
            raise UsageError(f"{_VARIABLE}: the client's certificate of sslcert cannot be used: {why}") from None
    return context
