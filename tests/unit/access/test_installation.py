"""The access file: what it may hold, and that each error names its line and its field."""

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdaagent.access import installation
from lambdaagent.access.installation import AccessFileError, ApiKeyFile, Installation, parse, parse_keys
from lambdaagent.access.principal import RESERVED

FILE = "/etc/lambdaagent/access.yaml"
HASH = "0" * 64
# The first field of each block is on a line of its own, so that a line says which field is meant.
WHOLE = f"""\
issuers:
- name: corp
  issuer: https://id.example.com
  audiences: [lambdaagent, other]
  algorithms: [ES256]
  subjectClaim: email
  groupsClaim: realm_access.roles
- name: files
  issuer: any text
  audiences: [lambdaagent]
  jwks: /etc/keys.json
kubernetes:
  enabled: false
  audiences: [gateway]
  subjectAccessReview: false
apiKeys:
- id: ci
  sha256: "{HASH}"
  groups: [builders]
  expires: 2027-01-31T00:00:00Z
- file: /etc/keys.yaml
hmac:
- id: batch
  keyFile: /etc/batch.key
  groups: [jobs]
ceiling:
  allowPublic: true
  issuers: [corp]
  namespaces: [shop, store]
  requiredClaims: {{mfa: ["true"]}}
admins: ["corp:root", "group:corp:platform"]
audit:
  sink: file
  file: /var/log/audit.jsonl
"""


def issuer(**fields: Any) -> dict[str, Any]:
    return {"name": "corp", "issuer": "https://id.example.com", "audiences": ["lambdaagent"], **fields}


def key(**fields: Any) -> dict[str, Any]:
    return {"id": "ci", "sha256": HASH, **fields}


def refusal(text: str | dict[str, Any]) -> str:
    with pytest.raises(AccessFileError) as caught:
        parse(text if isinstance(text, str) else yaml.safe_dump(text), file=FILE)
    return str(caught.value)


def test_a_whole_file_is_read() -> None:
    found = parse(WHOLE, file=FILE)
    corp, files = found.issuers
    assert (corp.subject_claim, corp.groups_claim, corp.algorithms) == ("email", "realm_access.roles", ["ES256"])
    assert (files.jwks, files.subject_claim, files.groups_claim) == ("/etc/keys.json", "sub", "groups")
    assert files.algorithms == ["RS256", "ES256"]
    assert found.kubernetes.model_dump() == {
        "enabled": False,
        "audiences": ["gateway"],
        "subject_access_review": False,
    }
    assert isinstance(found.api_keys[1], ApiKeyFile)
    assert found.audit.file == "/var/log/audit.jsonl"
    rules = found.rules()
    assert (rules.allow_public, rules.issuers, rules.namespaces) == (True, {"corp"}, {"shop", "store"})
    assert rules.required_claims == (("mfa", frozenset({"true"})),)
    assert rules.admins == {"corp:root", "group:corp:platform"}


def test_the_files_that_it_names_are_those_of_keys() -> None:
    """Issuers' files are read like their URLs, when a token needs them."""
    assert parse(WHOLE, file=FILE).files() == ["/etc/keys.yaml", "/etc/batch.key"]
    assert Installation().files() == []


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "---\n", "null\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    """Somebody may be about to write it: it would lift the ceiling until the rest is there."""
    assert refusal(text).startswith(f"{FILE}:1: (document): is empty; write {{}}")
    with pytest.raises(AccessFileError, match=r"^/keys\.yaml:1: \(document\): is empty"):
        parse_keys(text, file="/keys.yaml")


def test_a_file_that_says_nothing_admits_whom_the_cluster_admits() -> None:
    found = parse("{}\n", file=FILE)
    assert found == Installation()
    rules = found.rules()
    assert (rules.allow_public, rules.admins, rules.issuers, rules.namespaces) == (False, frozenset(), None, None)
    assert (found.kubernetes.enabled, found.kubernetes.audiences) == (True, ["lambdaagent"])
    assert found.audit.sink == "stdout"


BROKEN = [
    pytest.param("\tadmins: []", 1, "(document)", "is not YAML", id="a tab"),
    pytest.param("admins: []\nissuers: [", 2, "(document)", "is not YAML", id="cut off"),
    pytest.param("admins: []\nadmins: [a]", 2, "(document)", "'admins' occurs twice", id="a field twice"),
    pytest.param("- admins: []", 1, "(document)", "is a list, not an object", id="a list"),
    pytest.param("\n\nhello", 3, "(document)", "is a str, not an object", id="a word"),
    pytest.param("admins: []\n---\nadmins: [a]", 3, "(document)", "write one", id="two documents"),
    pytest.param("kind: List\nitems:\n- admins: [a]", 1, "kind", "unknown field", id="a List of one"),
    pytest.param("kind: List\nitems: []\nadmins: []", 1, "kind", "unknown field", id="a List of none"),
    pytest.param("a: " + "[" * 600, 1, "(document)", "is not YAML", id="deep"),
    pytest.param("admins: !!python/object/apply:os.getcwd []", 1, "(document)", "is not YAML", id="a tag of Python"),
    pytest.param("admins: []\nissuer: []", 2, "issuer", "unknown field", id="an unknown field"),
    pytest.param("ceiling:\n  public: true", 2, "ceiling.public", "unknown field", id="an unknown field of a block"),
    pytest.param(
        "ceiling:\n  allowPublic: false\n  allow_public: true", 3, "ceiling.allow_public", "unknown", id="two spellings"
    ),
    pytest.param("ceiling:\n  allowPublic: 'true'", 2, "ceiling.allowPublic", "boolean", id="a text for a boolean"),
    pytest.param("ceiling:\n  allowPublic: 1", 2, "ceiling.allowPublic", "boolean", id="a number for a boolean"),
    pytest.param("1: 2", 1, "[1]", "keys should be strings", id="a number for a field"),
    pytest.param("admins: corp:root", 1, "admins", "list", id="a text for a list"),
    pytest.param("admins:\n- a\n- ''", 3, "admins[1]", "at least 1", id="an empty name"),
    pytest.param("admins:", 1, "admins", "list", id="nothing for a list"),
    pytest.param("kubernetes:\n  audiences: []", 2, "kubernetes.audiences", "at least 1", id="no audience"),
    pytest.param("ceiling:\n  requiredClaims:\n    mfa: true", 3, "ceiling.requiredClaims.mfa", "list", id="a claim"),
    pytest.param("ceiling:\n  issuers:\n  - corp", 3, "ceiling.issuers[0]", "no issuer corp", id="an unknown issuer"),
    pytest.param("audit:\n  sink: syslog", 2, "audit.sink", "'stdout', 'file' or 'none'", id="an unknown sink"),
    pytest.param("audit:\n  sink: file", 1, "audit", "needs the path", id="a sink without its file"),
    pytest.param("audit:\n  file: /a", 1, "audit", "no other sink", id="a file without its sink"),
    pytest.param("audit:\n  sink: file\n  file: audit.log", 3, "audit.file", "begins with '/'", id="no absolute path"),
]


@pytest.mark.parametrize(("text", "line", "field", "why"), BROKEN)
def test_an_error_names_its_line_and_field(text: str, line: int, field: str, why: str) -> None:
    found = refusal(text)
    assert found.startswith(f"{FILE}:{line}: {field}: ")
    assert why in found


ISSUERS = [
    pytest.param({"name": "Corp"}, 1, "name", "should match", id="a capital"),
    pytest.param({"name": "corp:a"}, 1, "name", "should match", id="a colon in the name"),
    pytest.param({"name": "corp\n"}, 1, "name", "should match", id="a line break in the name"),
    pytest.param({"name": "a" * 33}, 1, "name", "should match", id="a long name"),
    pytest.param({"name": ""}, 1, "name", "should match", id="no name"),
    pytest.param({"audiences": []}, 3, "audiences", "at least 1", id="no audience"),
    pytest.param({"audiences": [""]}, 4, "audiences[0]", "at least 1", id="an empty audience"),
    pytest.param({"algorithms": ["RS256", "HS256"]}, 7, "algorithms[1]", "'HS256' is refused", id="a shared key"),
    pytest.param({"algorithms": ["none"]}, 6, "algorithms[0]", "'none' is refused", id="no signature"),
    pytest.param({"algorithms": []}, 5, "algorithms", "at least 1", id="no algorithm"),
    pytest.param({"subjectClaim": ""}, 5, "subjectClaim", "at least 1", id="no claim for the subject"),
    pytest.param({"issuer": "http://id.example.com"}, 1, "", "must be an https URL", id="http"),
    pytest.param({"issuer": "HTTP://id.example.com"}, 1, "", "must be an https URL", id="HTTP"),
    pytest.param({"issuer": "id.example.com"}, 1, "", "must be an https URL", id="no scheme"),
    pytest.param({"issuer": "https://"}, 1, "", "must be an https URL", id="no host"),
    pytest.param({"issuer": "https://["}, 1, "", "Invalid IPv6", id="half an address"),
    pytest.param({"issuer": "ftp://id.example.com"}, 1, "", "must be an https URL", id="another scheme"),
    pytest.param({"issuer": "file:///etc/keys"}, 1, "", "must be an https URL", id="a file as a URL"),
    pytest.param({"issuer": "https://me:pw@id.example.com"}, 1, "", "must be an https URL", id="a password"),
    pytest.param({"issuer": "https://:pw@id.example.com"}, 1, "", "must be an https URL", id="a password alone"),
    pytest.param({"issuer": "http://127.0.0.1.example.com"}, 1, "", "https", id="a name that begins like loopback"),
    pytest.param({"issuer": "http://localhost.example.com"}, 1, "", "https", id="a name that begins like localhost"),
    pytest.param({"issuer": "http://localhost@evil.example"}, 1, "", "https", id="localhost as a user"),
    pytest.param({"issuer": "http://[::2]"}, 1, "", "https", id="another address"),
    pytest.param({"issuer": "http://0.0.0.0"}, 1, "", "https", id="any address"),
    pytest.param({"jwks": "http://id.example.com/keys"}, 1, "", "jwks must be an https URL", id="http for keys"),
    pytest.param({"jwks": "keys.json"}, 1, "", "jwks must be an https URL", id="no absolute path for keys"),
    pytest.param({"jwk": "/keys.json"}, 5, "jwk", "unknown field", id="an unknown field"),
]


@pytest.mark.parametrize(("fields", "line", "field", "why"), ISSUERS)
def test_an_issuer_that_could_be_forged_or_mistaken_is_refused(
    fields: dict[str, Any], line: int, field: str, why: str
) -> None:
    """The lines are those of the issuer: its name, issuer, audiences with one item, and the rest in this order."""
    found = refusal(_issuers_file(issuer(**fields)))
    assert found.startswith(f"{FILE}:{line + 1}: issuers[0]{'.' if field else ''}{field}: ")
    assert why in found
    assert "value error" not in found.lower()


def _issuers_file(*issuers: dict[str, Any]) -> str:
    return yaml.safe_dump({"issuers": list(issuers)}, sort_keys=False)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_an_issuer_has_no_name_of_our_own(name: str) -> None:
    found = refusal(_issuers_file(issuer(name=name)))
    assert found.startswith(f"{FILE}:2: issuers[0].name: ")
    assert "LambdaAgent's own" in found and "value error" not in found


def test_names_of_the_cluster_and_of_our_own_sources_are_reserved() -> None:
    assert {"system", "key", "hmac", "agent", "anonymous", "kubernetes"} <= RESERVED


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:1", "http://localhost"])
def test_http_is_for_loopback(url: str) -> None:
    assert parse(_issuers_file(issuer(issuer=url)), file=FILE).issuers[0].issuer == url
    assert parse(_issuers_file(issuer(issuer="x", jwks=f"{url}/keys")), file=FILE).issuers[0].jwks == f"{url}/keys"


@pytest.mark.parametrize(
    ("twice", "line", "field"),
    [
        pytest.param([{"name": "corp"}, {"name": "corp", "issuer": "https://b"}], 6, "name", id="name"),
        pytest.param([{"name": "a"}, {"name": "b"}], 7, "issuer", id="issuer"),
    ],
)
def test_two_issuers_are_distinct(twice: list[dict[str, Any]], line: int, field: str) -> None:
    found = refusal(_issuers_file(*(issuer(**each) for each in twice)))
    assert found.startswith(f"{FILE}:{line}: issuers[1].{field}: ")
    assert "occurs more than once" in found


def test_two_hmac_keys_have_different_ids_and_two_api_keys_may_have_one() -> None:
    found = refusal("hmac:\n- id: a\n  keyFile: /a\n- id: b\n  keyFile: /b\n- id: a\n  keyFile: /c")
    assert found.startswith(f"{FILE}:6: hmac[2].id: ") and "occurs more than once" in found
    assert len(parse(yaml.safe_dump({"apiKeys": [key(), key(sha256="1" * 64)]}), file=FILE).api_keys) == 2


KEYS = [
    pytest.param("id: CI", 2, "id", id="a capital"),
    pytest.param("id: ci_x", 2, "id", id="an underscore, which separates the parts of a key"),
    pytest.param(f'id: "{"c" * 33}"', 2, "id", id="a long id"),
    pytest.param('id: "ci\\n"', 2, "id", id="a line break"),
    pytest.param(f'sha256: "{"A" * 64}"', 2, "sha256", id="a hash in capitals"),
    pytest.param(f'sha256: "{"a" * 63}"', 2, "sha256", id="a short hash"),
    pytest.param(f"sha256: {HASH}", 2, "sha256", id="a hash that YAML takes for a number"),
    pytest.param("groups: [a, 'system:masters']", 2, "groups", id="a group of the cluster"),
    pytest.param("groups: ['system:']", 2, "groups", id="the beginning of the cluster's groups"),
    pytest.param("groups: ['']", 2, "groups[0]", id="an empty group"),
    pytest.param("expires: tomorrow", 2, "expires", id="no time"),
    pytest.param("expires: 2027-01-31T00:00:00", 2, "expires", id="a time without a zone"),
    pytest.param("expires: 2027-01-31", 2, "expires", id="a date"),
    pytest.param("expires: ''", 2, "expires", id="an empty time"),
    pytest.param("expires: 1798761600", 2, "expires", id="a number"),
    pytest.param("key: la_ci", 2, "key", id="the key itself"),
]


@pytest.mark.parametrize(("line", "number", "field"), KEYS)
def test_an_api_key_of_another_form_is_refused(line: str, number: int, field: str) -> None:
    name = line.partition(":")[0]
    rest = "".join(f"  {each}: {value!r}\n" for each, value in key().items() if each != name)
    text = f"apiKeys:\n- {line}\n{rest}"
    assert refusal(text).startswith(f"{FILE}:{number}: apiKeys[0].{field}: ")
    with pytest.raises(AccessFileError) as caught:
        parse_keys(text, file="/keys.yaml")
    assert str(caught.value).startswith(f"/keys.yaml:{number}: apiKeys[0].{field}: ")


@pytest.mark.parametrize("path", ["keys.yaml", "", "../keys.yaml", "/a\0b"])
def test_a_file_is_named_by_its_absolute_path(path: str) -> None:
    assert "apiKeys[0].file: " in refusal({"apiKeys": [{"file": path}]})
    assert "hmac[0].keyFile: " in refusal({"hmac": [{"id": "a", "keyFile": path}]})
    assert "audit.file: " in refusal({"audit": {"sink": "file", "file": path}})


def test_a_key_is_either_in_the_file_or_in_another() -> None:
    assert "apiKeys[0].sha256: unknown field" in refusal({"apiKeys": [{"file": "/a", "sha256": HASH}]})
    assert "apiKeys[0].sha256: is required" in refusal({"apiKeys": [{"id": "ci"}]})


def test_the_file_of_keys_names_no_further_file() -> None:
    with pytest.raises(AccessFileError, match=r"^/keys\.yaml:2: apiKeys\[0]"):
        parse_keys("apiKeys:\n- file: /more.yaml\n", file="/keys.yaml")
    with pytest.raises(AccessFileError, match=r"^/keys\.yaml:1: admins: unknown field"):
        parse_keys("admins: [corp:me]\n", file="/keys.yaml")
    assert parse_keys("apiKeys: []", file="/keys.yaml") == []
    assert [each.id for each in parse_keys(yaml.safe_dump({"apiKeys": [key()]}), file="/keys.yaml")] == ["ci"]


@pytest.mark.parametrize("groups", [["system:masters"], ["ok", "system:serviceaccounts:shop"]])
def test_groups_of_hmac_keys_are_not_the_clusters(groups: list[str]) -> None:
    assert "hmac[0].groups: " in refusal({"hmac": [{"id": "a", "keyFile": "/a", "groups": groups}]})


def test_lists_are_bounded() -> None:
    many = [issuer(name=f"i{n}", issuer=f"https://i{n}") for n in range(33)]
    assert len(parse(_issuers_file(*many[:32]), file=FILE).issuers) == 32
    assert "issuers: " in refusal(_issuers_file(*many))
    assert "admins: " in refusal({"admins": [f"corp:{n}" for n in range(101)]})
    assert "issuers[0].issuer: " in refusal(_issuers_file(issuer(issuer="https://" + "a" * 512)))


def test_no_error_repeats_what_may_be_a_secret() -> None:
    """Somebody may write a key where its hash belongs."""
    secret = "la_ci_" + "5" * 64 + "_01234567"
    assert "5" * 30 not in refusal({"apiKeys": [key(sha256=secret)]})
    assert "5" * 30 not in refusal({"apiKeys": [{"id": secret, "sha256": HASH}]})


@settings(deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda found: found.decode("latin-1")))
def test_any_text_is_read_or_refused_with_the_files_name(text: str) -> None:
    try:
        parse(text, file=FILE)
    except AccessFileError as error:
        assert str(error).startswith(f"{FILE}:")


@settings(deadline=None)
@given(st.datetimes(timezones=st.just(UTC)))
def test_the_time_of_expiry_is_that_of_the_file(at: datetime) -> None:
    found = installation.ApiKey.model_validate(key(expires=at.isoformat()))
    assert found.expires is not None
    assert installation.time_of(found.expires) == at.timestamp()
