"""How a card says which credentials the gateway accepts (1.0 section 4.5; 0.3 section 5.5.4). Pure.

A hybrid card holds both forms of a scheme in one object: the fields of 0.3 beside the one field of 1.0. The public SDKs
of both versions read it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from lambdaagent.a2a import Json


class Kind(StrEnum):
    """The kinds of schemes, as 0.3 names them."""

    OPEN_ID_CONNECT = "openIdConnect"
    BEARER = "http"
    API_KEY = "apiKey"


@dataclass(frozen=True, slots=True)
class SecurityScheme:
    name: str
    kind: Kind
    where: str = ""  # the URL of a discovery document, or the header of a key
    description: str = ""


def v1(schemes: Sequence[SecurityScheme], *, required: bool) -> Json:
    """Return the card's fields of 1.0. Any one of the schemes suffices."""
    if not schemes:
        return {}
    shown: Json = {"securitySchemes": {each.name: _v1(each) for each in schemes}}
    if required:
        shown["securityRequirements"] = [{"schemes": {each.name: {"list": []}}} for each in schemes]
    return shown


def v03(schemes: Sequence[SecurityScheme], *, required: bool) -> Json:
    """Return the card's fields of 0.3."""
    if not schemes:
        return {}
    shown: Json = {"securitySchemes": {each.name: _v03(each) for each in schemes}}
    if required:
        shown["security"] = [{each.name: []} for each in schemes]
    return shown


def hybrid(schemes: Sequence[SecurityScheme], *, required: bool) -> Json:
    if not schemes:
        return {}
    merged = {each.name: _v03(each) | _v1(each) for each in schemes}
    return v03(schemes, required=required) | v1(schemes, required=required) | {"securitySchemes": merged}


def only_v1(shown: Json) -> Json:
    """Return the schemes of a card as a reader of 1.0 keeps them."""
    return {name: {key: value for key, value in scheme.items() if key in _V1} for name, scheme in shown.items()}


_FIELDS = {
    Kind.OPEN_ID_CONNECT: "openIdConnectSecurityScheme",
    Kind.BEARER: "httpAuthSecurityScheme",
    Kind.API_KEY: "apiKeySecurityScheme",
}
_V1 = frozenset(_FIELDS.values())


def _v1(scheme: SecurityScheme) -> Json:
    fields = _details(scheme)
    if scheme.kind is Kind.API_KEY:
        fields = {"location": "header", "name": scheme.where}
    return {_FIELDS[scheme.kind]: fields | _described(scheme)}


def _v03(scheme: SecurityScheme) -> Json:
    return {"type": str(scheme.kind)} | _details(scheme) | _described(scheme)


def _details(scheme: SecurityScheme) -> Json:
    match scheme.kind:
        case Kind.OPEN_ID_CONNECT:
            return {"openIdConnectUrl": scheme.where}
        case Kind.BEARER:
            return {"scheme": "Bearer", "bearerFormat": "JWT"}
        case Kind.API_KEY:
            return {"in": "header", "name": scheme.where}


def _described(scheme: SecurityScheme) -> Json:
    return {"description": scheme.description} if scheme.description else {}
