"""`cors` and `trustedDomains` of the access file: exact origins and whole names, and what each error says."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lambdaagent.access.installation import AccessFileError, Cors, Installation, parse

FILE = "access.yaml"


def read(**fields: object) -> Installation:
    return parse(yaml.safe_dump(fields), file=FILE)


def refusal(**fields: object) -> str:
    with pytest.raises(AccessFileError) as raised:
        read(**fields)
    return str(raised.value)


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com", "http://localhost:3000", "http://localhost", "https://app.example:8443",
        "http://127.0.0.1:5173", "https://[::1]:8443", "https://[2001:db8::1]", "https://a-b.example", "http://a_b:1",
    ],
)  # fmt: skip
def test_origins_as_browsers_send_them(origin: str) -> None:
    assert read(cors={"origins": [origin]}).cors.allowed == {origin}


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("*", "name each origin"),
        ("https://*.example.com", "not an origin"),
        ("null", "not an origin"),
        ("app.example.com", "not an origin"),
        ("https://app.example.com/", "not an origin"),
        ("https://app.example.com/app", "not an origin"),
        ("https://APP.example.com", "not an origin"),
        ("HTTPS://app.example.com", "not an origin"),
        ("https://user@app.example.com", "not an origin"),
        ("https://app.example.com?x", "not an origin"),
        ("https://app.example.com#x", "not an origin"),
        ("https://app.example.com:", "not an origin"),
        ("https://app.example.com:0", "not an origin"),
        ("https://app.example.com:65536", "not an origin"),
        ("https://app.example.com:443", "leave it out"),
        ("http://app.example.com:80", "leave it out"),
        ("https://", "not an origin"),
        ("https:// a.example", "not an origin"),
        ("https://a.example\n", "not an origin"),
        ("file:///tmp", "not an origin"),
        ("chrome-extension://abc", "not an origin"),
        ("https://a.example, https://b.example", "not an origin"),
    ],
)
def test_what_no_browser_sends_and_what_is_too_much_is_refused(origin: str, said: str) -> None:
    text = refusal(cors={"origins": ["https://ok.example", origin]})
    assert text.startswith(f"{FILE}:")
    assert "cors.origins" in text
    assert said in text


@given(st.text(max_size=40))
def test_nothing_that_is_accepted_has_a_path_or_a_user(text: str) -> None:
    try:
        Cors(origins=[text])
    except ValueError:
        return
    assert text.count("/") == 2
    assert not set(text) & set("@?#\\ \t\r\n*,")
    assert text == text.lower()


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": ["x y"]},
        {"headers": ["*"]},
        {"headers": ["a,b"]},
        {"headers": [""]},
        {"maxAge": -1},
        {"maxAge": 86401},
    ],
)
def test_other_wrong_values_of_cors(fields: dict[str, object]) -> None:
    assert "cors." in refusal(cors=fields)


@pytest.mark.parametrize(
    "name", ["hooks", "hooks.corp.example", "*.corp.example", "*.svc.cluster.local", "a_b.example"]
)
def test_names_that_may_be_private(name: str) -> None:
    assert read(trustedDomains=[name]).trusted_domains == [name]


@pytest.mark.parametrize(
    "name",
    [
        "*", "*.com", "*example.com", "a.*.example", "10.0.0.1", "10.0.0.0/8", "[::1]", "::1", "Hooks.example",
        "hooks.example.", "hooks.example:8080", "https://hooks.example", ".example", "a..b", "-a.example", "a" * 64,
        ".".join(["a" * 60] * 5), "hooks.example/x", "hooks example", "*.1.2",
    ],
)  # fmt: skip
def test_what_is_no_name_or_every_name_is_refused(name: str) -> None:
    text = refusal(trustedDomains=[name])
    assert "trustedDomains" in text
    assert "LAMBDAAGENT_PUSH_ALLOW" in text
