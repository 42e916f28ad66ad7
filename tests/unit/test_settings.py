"""What the environment may say, and what it may not."""

import pytest
from pydantic import ValidationError

from lambdaagent.settings import GatewaySettings, Installation, OperatorSettings

LONG = "a" * 63


@pytest.mark.parametrize("model", [Installation, OperatorSettings, GatewaySettings])
@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("", (), id="none are all"),
        pytest.param(" ", (), id="blank is none"),
        pytest.param("shop", ("shop",), id="one"),
        pytest.param("shop, bank-1", ("shop", "bank-1"), id="two, in order"),
        pytest.param(LONG, (LONG,), id="the longest"),
    ],
)
def test_namespaces_are_read_from_a_list(
    model: type[Installation], text: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMBDAAGENT_NAMESPACES", text)
    assert model().namespaces == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("shop,", "'' is not a namespace", id="a stray comma"),
        pytest.param(",", "'' is not a namespace", id="only a comma, which must not mean all"),
        pytest.param("Shop", "'Shop' is not a namespace", id="upper case"),
        pytest.param("-shop", "'-shop' is not a namespace", id="a leading dash"),
        pytest.param("a.b", "'a.b' is not a namespace", id="a dot"),
        pytest.param("*", "is not a namespace", id="a pattern"),
        pytest.param(LONG + "a", "is not a namespace", id="too long"),
        pytest.param("shop,bank,shop", "shop stands more than once", id="twice"),
    ],
)
def test_what_is_no_list_of_namespaces_is_refused(text: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMBDAAGENT_NAMESPACES", text)
    with pytest.raises(ValidationError, match="namespaces") as refused:
        OperatorSettings()
    assert said in str(refused.value)
