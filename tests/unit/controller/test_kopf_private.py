import inspect

import kopf

from lambdaagent.controller import kopf_private


def test_kopf_takes_an_identity_that_is_its_name() -> None:
    assert str(kopf_private.identity("lambdaagent")) == "lambdaagent"
    assert "Identity" in str(inspect.signature(kopf.operator).parameters["identity"].annotation)
