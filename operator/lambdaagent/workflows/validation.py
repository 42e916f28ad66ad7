"""Checks the text of a workflow: its form, its fields and its expressions, with the line of what is wrong."""

import asyncio
from itertools import groupby

from lambdaagent.a2a import Json
from lambdaagent.coordination import workflow_document, workflow_text
from lambdaagent.coordination.workflow import BadWorkflowError, fault_at
from lambdaagent.coordination.workflow_document import Expression
from lambdaagent.coordination.workflow_expressions import ARGUMENTS
from lambdaagent.coordination.workflow_text import BadTextError
from lambdaagent.expressions.evaluator import Evaluator, ExpressionError

_AT_ONCE = 20  # expressions that one evaluation compiles


async def checked(text: bytes, evaluator: Evaluator, *, by: str) -> Json:
    """Return the document. Raises BadWorkflowError, TemporaryError."""
    try:
        located = await asyncio.to_thread(workflow_text.read, text)
    except BadTextError as error:
        raise BadWorkflowError([fault_at((), error.line, "", str(error))]) from None
    found, expressions = await asyncio.to_thread(workflow_document.check, located.value)
    faults = [fault_at(each.path, located.line(each.path), each.pointer, each.text) for each in found]
    if not faults:
        for each, why in await _wrong(expressions, evaluator, by):
            at = workflow_document.pointer(each.path)
            faults.append(fault_at(each.path, located.line(each.path), at, f"is no jq expression: {why}"))
    if faults:
        raise BadWorkflowError(faults)
    document: Json = located.value
    return document


async def _wrong(expressions: list[Expression], evaluator: Evaluator, by: str) -> list[tuple[Expression, str]]:
    wrong: list[tuple[Expression, str]] = []
    for variables, group in groupby(expressions, key=lambda each: each.variables):
        several = list(group)
        for first in range(0, len(several), _AT_ONCE):
            part = several[first : first + _AT_ONCE]
            try:
                await evaluator.check([each.text for each in part], (*ARGUMENTS, *variables), holder=by)
            except ExpressionError as error:
                wrong.append((part[error.at], str(error)))
    return wrong
