"""The address and the credentials of the API server."""

import pytest

from lambdaagent.kube.client import _proxy

SERVER = "https://10.0.0.1:6443"


def test_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert _proxy(SERVER) == "http://proxy:3128"


def test_and_what_goes_past_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "10.0.0.1")
    monkeypatch.setenv("no_proxy", "10.0.0.1")
    assert _proxy(SERVER) is None
