"""URLs with a password: an invalid one is refused without the password in the message."""

import pytest

from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.errors import UsageError
from lambdaagent.store.postgres.urls import DatabaseUrl


@pytest.mark.parametrize("password", ["se#cret", "se?cret", "se/cret", "1/se-cret", "se[cret", "se cret", "#", "1?x"])
@pytest.mark.parametrize(
    ("variable", "opened", "scheme"),
    [
        ("LAMBDAAGENT_AMQP_URL", lambda url: RabbitMQConnection(url=url, name="test"), "amqp"),
        ("LAMBDAAGENT_AMQP_URL", lambda url: RabbitMQConnection(url=url, name="test"), "amqps"),
        ("LAMBDAAGENT_DATABASE", DatabaseUrl, "postgresql"),
    ],
)
def test_a_password_that_is_not_encoded_is_an_error_that_names_the_variable(
    variable: str, opened: object, scheme: str, password: str
) -> None:
    with pytest.raises(UsageError, match=rf"{variable} is not a URL .* write # as %23") as found:
        opened(f"{scheme}://user:{password}@host:1234/name")  # type: ignore[operator]
    assert "cret" not in str(found.value)
    assert found.value.__cause__ is None and (found.value.__suppress_context__ or found.value.__context__ is None)


@pytest.mark.parametrize(
    "url", ["", "host:5672", "http://host/", "amqp://host:99999/", "amqp://host:0/", "amqp:///%2F?heartbeat=x"]
)
def test_what_is_no_url_of_rabbitmq_is_an_error(url: str) -> None:
    with pytest.raises(UsageError, match="LAMBDAAGENT_AMQP_URL"):
        RabbitMQConnection(url=url, name="test")


@pytest.mark.parametrize("encoded", ["se%23cret", "se%3Fcret", "se%2Fcret", "se@cret", "se:cret", "%25", ""])
def test_an_encoded_password_is_taken(encoded: str) -> None:
    RabbitMQConnection(url=f"amqp://user:{encoded}@host:5672/%2F", name="test")
    RabbitMQConnection(url=f"amqps://user:{encoded}@[::1]/vhost?heartbeat=20", name="test")
    assert "cret" not in str(DatabaseUrl(f"postgresql://user:{encoded}@host/name?sslmode=require"))
