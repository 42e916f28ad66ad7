"""The URL of a PostgreSQL, checked before anybody connects, and kept out of everything that is said."""

from urllib.parse import unquote

from lambdaagent import service_urls

_SCHEMES = ("postgresql", "postgres")


class DatabaseUrl:
    """`str()` of it is safe to log; only `secret` holds the password."""

    def __init__(self, secret: str) -> None:
        """Raises UsageError, which does not repeat what was given: the parser's own message would."""
        example = "postgresql://user:password@host:5432/name"
        parts = service_urls.checked(secret, variable="LAMBDAAGENT_DATABASE", schemes=_SCHEMES, example=example)
        self.secret = secret
        self._password = unquote(parts.password or "")
        self._shown = f"postgresql://{parts.hostname or ''}:{parts.port or 5432}{parts.path}"

    def __str__(self) -> str:
        return self._shown

    def reason(self, error: BaseException) -> str:
        """What went wrong, in one line without the password."""
        text = " ".join(str(error).split()) or type(error).__name__
        for secret in (self.secret, self._password):
            text = text.replace(secret, "***") if secret else text
        return text[:500]
