"""The installation's access file: who issues credentials, and what no agent's rules can exceed (design section 9).

The file holds no secret: keys are in files that it names, or only their hashes are in it. `parse` names the line of the
first error.
"""

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from lambdaagent.access.principal import RESERVED, SYSTEM
from lambdaagent.access.rates import Rate
from lambdaagent.access.rules import InstallationRules, claims
from lambdaagent.api import documents
from lambdaagent.api.validation import SpecProblem, from_pydantic
from lambdaagent.errors import UsageError

AUDIENCE = "lambdaagent"
KEY_ID = r"^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$"
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
Text = Annotated[str, Field(min_length=1, max_length=512)]
File = Annotated[str, Field(pattern="^/[^\\x00]*$")]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_]*[A-Za-z0-9])?$", max_length=64)]
_LABEL = r"[a-z0-9_](?:[-a-z0-9_]{0,61}[a-z0-9_])?"
_LONGEST_NAME = 253
# A suffix has two parts at least, so that no top-level domain is trusted as a whole.
_DOMAIN = re.compile(rf"(?:\*\.{_LABEL}\.)?{_LABEL}(?:\.{_LABEL})*")
_ORIGIN = re.compile(
    rf"(?P<scheme>https?)://(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::(?P<port>[1-9][0-9]{{0,4}}))?"
)


class AccessFileError(UsageError):
    """The access file, or a file that it names, is invalid."""


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, strict=True)


def _ours(groups: list[str]) -> list[str]:
    for group in groups:
        if group.startswith(SYSTEM):
            raise ValueError(f"only the cluster gives groups that begin with {SYSTEM}")
    return groups


class Issuer(_Model):
    name: Annotated[str, Field(pattern=KEY_ID)]  # the beginning of its principals' names
    issuer: Text  # the claim `iss`, exactly
    audiences: Annotated[list[Text], Field(min_length=1, max_length=16)]
    algorithms: Annotated[list[Algorithm], Field(min_length=1)] = ["RS256", "ES256"]
    jwks: str = ""  # an https URL or the path of a file; empty: by the issuer's discovery document
    subject_claim: Text = "sub"
    groups_claim: Text = "groups"

    @field_validator("name")
    @classmethod
    def _own_name(cls, name: str) -> str:
        if name in RESERVED:
            raise ValueError(f"{name} is a name of LambdaAgent's own; choose another")
        return name

    @model_validator(mode="after")
    def _verifiable(self) -> "Issuer":
        if "\0" in self.jwks:
            raise ValueError("jwks must not contain a zero byte")
        if not self.jwks:
            require_https(self.issuer, "issuer")
        elif not self.jwks.startswith("/"):
            require_https(self.jwks, "jwks")
        return self


class Kubernetes(_Model):
    enabled: bool = True
    audiences: Annotated[list[Text], Field(min_length=1, max_length=16)] = [AUDIENCE]
    subject_access_review: bool = True


class ApiKey(_Model):
    id: Annotated[str, Field(pattern=KEY_ID)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # of the whole key
    groups: Annotated[list[Text], Field(max_length=64)] = []
    expires: str | None = None  # RFC 3339

    _groups = field_validator("groups")(_ours)

    @field_validator("expires")
    @classmethod
    def _time(cls, expires: str | None) -> str | None:
        if expires is not None:
            time_of(expires)
        return expires


class ApiKeyFile(_Model):
    file: File


def _kind_of_key(value: object) -> str:
    return "of-file" if isinstance(value, dict) and "file" in value else "of-key"


_TAGS = ("of-key", "of-file")  # pydantic adds them to the path of an error
ApiKeys = Annotated[
    Annotated[ApiKey, Tag("of-key")] | Annotated[ApiKeyFile, Tag("of-file")], Discriminator(_kind_of_key)
]


class HmacKey(_Model):
    id: Annotated[str, Field(pattern=KEY_ID)]
    key_file: File
    groups: Annotated[list[Text], Field(max_length=64)] = []

    _groups = field_validator("groups")(_ours)


class Ceiling(_Model):
    allow_public: bool = False
    issuers: list[Text] | None = None
    namespaces: list[Text] | None = None
    required_claims: dict[str, list[Text]] = {}


class Rates(_Model):
    requests_per_minute: Annotated[int, Field(ge=1, le=10_000_000)]
    burst: Annotated[int | None, Field(ge=1, le=10_000_000)] = None  # default: those of ten seconds

    @property
    def rate(self) -> Rate:
        return Rate.of(self.requests_per_minute, self.burst)


@dataclass(frozen=True, slots=True)
class RateLimits:
    per_peer: Rate | None = None
    per_principal: Rate | None = None
    per_agent: Rate | None = None
    refused: Rate | None = None  # credentials of one source


NO_LIMITS = RateLimits()


class Limits(_Model):
    per_peer: Rates | None = None
    per_principal: Rates | None = None
    per_agent: Rates | None = None
    refused_credentials: Rates = Rates(requests_per_minute=600, burst=100)

    @cached_property
    def rates(self) -> RateLimits:
        peer, principal, agent = (
            each.rate if each is not None else None for each in (self.per_peer, self.per_principal, self.per_agent)
        )
        return RateLimits(peer, principal, agent, self.refused_credentials.rate)


class Cors(_Model):
    """The pages of other sites that may call the gateway from a browser. No credential is ever sent by the browser on
    its own: a page has to have one.
    """

    origins: Annotated[list[Text], Field(max_length=100)] = []
    headers: Annotated[list[HeaderName], Field(max_length=64)] = []  # of requests, besides those of A2A
    max_age: Annotated[int, Field(ge=0, le=86_400)] = 600  # seconds

    @field_validator("origins")
    @classmethod
    def _exact(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            require_origin(origin)
        return origins

    @cached_property
    def allowed(self) -> frozenset[str]:
        return frozenset(self.origins)


NO_CORS = Cors()


class Audit(_Model):
    sink: Literal["stdout", "file", "none"] = "stdout"
    file: File | None = None

    @model_validator(mode="after")
    def _whole(self) -> "Audit":
        if (self.sink == "file") != (self.file is not None):
            raise ValueError("audit: sink file needs the path of a file, and no other sink has one")
        return self


class Installation(_Model):
    """The whole file. Without one, the cluster's identities and RBAC decide alone."""

    issuers: Annotated[list[Issuer], Field(max_length=32)] = []
    kubernetes: Kubernetes = Kubernetes()
    api_keys: Annotated[list[ApiKeys], Field(max_length=10_000)] = []
    hmac: Annotated[list[HmacKey], Field(max_length=100)] = []
    ceiling: Ceiling = Ceiling()
    admins: Annotated[list[Text], Field(max_length=100)] = []
    registrars: Annotated[list[Text], Field(max_length=1000)] = []
    audit: Audit = Audit()
    limits: Limits = Limits()
    cors: Cors = NO_CORS
    trusted_domains: Annotated[list[Text], Field(max_length=100)] = []  # host names, exact or as `*.suffix`

    @field_validator("trusted_domains")
    @classmethod
    def _hosts(cls, names: list[str]) -> list[str]:
        for name in names:
            if not _DOMAIN.fullmatch(name) or len(name) > _LONGEST_NAME or name.rpartition(".")[2].isdecimal():
                raise ValueError(
                    f"{name!r} is not a host name in lower case, such as hooks.corp.example, or *. and at least two "
                    "parts, such as *.corp.example; LAMBDAAGENT_PUSH_ALLOW is for networks"
                )
        return names

    @model_validator(mode="after")
    def _distinct(self) -> "Installation":
        for field, part, values in (
            ("issuers", "name", [each.name for each in self.issuers]),
            ("issuers", "issuer", [each.issuer for each in self.issuers]),
            ("hmac", "id", [each.id for each in self.hmac]),
        ):
            for index, value in enumerate(values):
                if value in values[:index]:
                    raise _problem((field, index, part), f"{value} occurs more than once")
        names = {each.name for each in self.issuers}
        for index, name in enumerate(self.ceiling.issuers or ()):
            if name not in names:
                raise _problem(("ceiling", "issuers", index), f"there is no issuer {name}")
        return self

    def files(self) -> list[str]:
        """Return the files that the access file names; issuers' files are read like their URLs, when needed."""
        keys = [each.file for each in self.api_keys if isinstance(each, ApiKeyFile)]
        return keys + [each.key_file for each in self.hmac]

    def for_sidecar(self) -> "Installation":
        """Return what a sidecar can check: it has neither the API server, nor keys and other files."""
        issuers = [issuer for issuer in self.issuers if not issuer.jwks.startswith("/")]
        names, wanted = [issuer.name for issuer in issuers], self.ceiling.issuers
        known = None if wanted is None else [name for name in wanted if name in names]
        return Installation(
            issuers=issuers,
            kubernetes=Kubernetes(enabled=False, subject_access_review=False),
            ceiling=self.ceiling.model_copy(update={"issuers": known}),
            admins=self.admins,
            audit=self.audit if self.audit.sink == "none" else Audit(),
            limits=self.limits,
        )

    def rules(self) -> InstallationRules:
        ceiling = self.ceiling
        return InstallationRules(
            allow_public=ceiling.allow_public,
            issuers=None if ceiling.issuers is None else frozenset(ceiling.issuers),
            namespaces=None if ceiling.namespaces is None else frozenset(ceiling.namespaces),
            required_claims=claims(ceiling.required_claims),
            admins=frozenset(self.admins),
            registrars=frozenset(self.registrars),
        )


def _problem(path: tuple[str | int, ...], message: str) -> ValidationError:
    """Return the error of a field that is wrong beside others: a validator's own has the path of its whole model."""
    error = PydanticCustomError("inconsistent", "{message}", {"message": message})
    return ValidationError.from_exception_data("Installation", [InitErrorDetails(type=error, loc=path, input=None)])


def time_of(text: str) -> float:
    """Return a time in seconds since the epoch. Raises ValueError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("it is not a time such as 2027-01-31T00:00:00Z") from None
    if found.tzinfo is None:
        raise ValueError("it has no time zone; end it with Z")
    return found.timestamp()


def parse(text: str, *, file: str) -> Installation:
    """Raises AccessFileError with the file, the line and the field of the first error."""
    value = _one(text, file=file)
    try:
        return Installation.model_validate(value.obj)
    except ValidationError as error:
        raise _at_its_line(error, value) from None


def parse_keys(text: str, *, file: str) -> list[ApiKey]:
    """Parse a file of API keys: a mapping with the list `apiKeys`. Raises AccessFileError."""
    value = _one(text, file=file)
    try:
        return _Keys.model_validate(value.obj).api_keys
    except ValidationError as error:
        raise _at_its_line(error, value) from None


class _Keys(_Model):
    api_keys: Annotated[list[ApiKey], Field(max_length=10_000)] = []


def _at_its_line(error: ValidationError, document: documents.Document) -> AccessFileError:
    detail = error.errors(include_url=False)[0]
    if detail["loc"][:1] == ("apiKeys",):
        detail["input"] = None  # it may be the key itself, by mistake
    found = from_pydantic(detail)
    path = tuple(part for part in found.path if part not in _TAGS)
    message = found.message.replace("value error, ", "", 1)
    place = f"{document.file}:{document.line(path)}"
    return AccessFileError(f"{place}: {SpecProblem(path, message, found.hint)}")


def _one(text: str, *, file: str) -> documents.Document:
    found, findings = documents.read(text, file=file, split=False)
    if findings:
        problem = SpecProblem((), findings[0].problem.message)  # its hint is one for an agent's document
        raise AccessFileError(f"{file}:{findings[0].line}: {problem}")
    if len(found) > 1:
        second = SpecProblem((), f"is one of {len(found)} YAML documents", "write one")
        raise AccessFileError(f"{file}:{found[1].line(())}: {second}")
    if not found:  # somebody may be writing it; without its content there is no ceiling
        empty = SpecProblem((), "is empty", "write {} if it shall say nothing")
        raise AccessFileError(f"{file}:1: {empty}")
    return found[0]


def require_origin(origin: str) -> None:
    """Raises ValueError for what no browser sends as an origin, and for `*`."""
    if origin == "*":
        raise ValueError(
            "* would let every page that somebody in your network opens call the gateway with that network's reach; "
            "name each origin"
        )
    found = _ORIGIN.fullmatch(origin)
    if found is None or not 0 < int(found["port"] or 1) < 65_536:
        raise ValueError(
            f"{origin!r} is not an origin in lower case: write the scheme, the host and, unless it is the scheme's own,"
            " the port, such as https://app.example.com"
        )
    if found["port"] == {"https": "443", "http": "80"}[found["scheme"]]:
        raise ValueError(f"{origin!r} never matches: browsers leave the scheme's own port out; leave it out too")


def require_https(url: str, what: str, *, loopback: bool = True) -> None:
    """Raises ValueError for a URL that is not https; http is allowed on `loopback`, for tests and development."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname and "@" not in parts.netloc:
        return
    if loopback and parts.scheme == "http" and _loopback(parts.hostname or ""):
        return
    raise ValueError(f"{what} must be an https URL: whoever can change an answer over http can forge every token")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
