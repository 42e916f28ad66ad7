"""Messages of failures have a text, even if a library raises an error without one."""

import asyncio

import pytest
from pika import exceptions

from lambdaagent.broker.errors import BrokerUnavailableError
from lambdaagent.errors import LambdaAgentError, TemporaryError, UsageError, words
from lambdaagent.store.errors import StoreError

SILENT = [TimeoutError(), ConnectionResetError(), OSError(), exceptions.AMQPConnectionError(), asyncio.CancelledError()]


@pytest.mark.parametrize("error", SILENT, ids=lambda error: type(error).__name__)
def test_an_error_without_a_word_is_named(error: BaseException) -> None:
    assert words(error).strip() not in ("", "()")
    for kind in (TemporaryError, BrokerUnavailableError, UsageError, StoreError):
        try:
            raise kind(str(error)) from error
        except LambdaAgentError as raised:
            assert str(raised) == words(error)


def test_words_of_our_own_stay_as_they_are() -> None:
    cause = TimeoutError("late")
    raised = TemporaryError("the thing is away")
    raised.__cause__ = cause
    assert str(raised) == words(raised) == "the thing is away"
    assert str(TemporaryError()) == "TemporaryError"
