"""Starts runs: checks the input against the workflow's schema, and waits for the end if somebody wants it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson

from lambdaagent.coordination.bodies import has_nul
from lambdaagent.coordination.refusals import TooManyError
from lambdaagent.coordination.workflow import ENDED, Run, Workflow
from lambdaagent.gateway.coordination.workflow_host import DEPTH
from lambdaagent.gateway.schema_checks import SchemaChecks
from lambdaagent.json_schema.checker import Checker
from lambdaagent.store.errors import StoreError
from lambdaagent.workflows.workflows import Workflows


class UnfitInputError(Exception):
    """The input is too large, or does not fit the workflow's schema; the text says why."""


@dataclass(kw_only=True)
class WorkflowStarts:
    workflows: Workflows
    checks: SchemaChecks = field(default_factory=SchemaChecks)
    depth_key: str = DEPTH

    async def start(
        self, workflow: Workflow, given: Any, *, by: str, principal: str, run_id: str = "", depth: int = 0
    ) -> tuple[Run, bool]:
        """Raises UnfitInputError, TooManyError, StoreError."""
        most, text = self.workflows.limits.value, orjson.dumps(given)
        if len(text) > most:
            raise UnfitInputError(f"the input has {len(text)} bytes of at most {most}")
        if has_nul(text):
            raise UnfitInputError("the input contains the character U+0000, which cannot be stored")
        if workflow.input_schema is not None:
            wrong = await self.checks.violations(Checker(workflow.input_schema), given, name="input")
            if wrong:
                raise UnfitInputError(f"the input does not fit the workflow's schema: {'; '.join(wrong)[:1000]}")
        return await self.workflows.submit(workflow, given, by=by, principal=principal, run_id=run_id, depth=depth)

    async def outcome(self, name: str, given: Any, *, owner: str, run_id: str, depth: int) -> tuple[Run | None, str]:
        """Return the ended run, and why it did not complete. Raises StoreError.

        Whoever calls over A2A is known by its name alone, so groups and claims give the run no rights.
        """
        found = await self.workflows.run(run_id)
        if found is None:
            workflow = await self.workflows.workflow(name)
            if workflow is None:
                return None, f"there is no workflow {name} any more"
            try:
                found, _ = await self.start(workflow, given, by=owner, principal="", run_id=run_id, depth=depth)
            except UnfitInputError as error:
                return None, str(error)
            except TooManyError:
                return None, f"{owner} has as many runs that have not ended as one principal may have"
        if found.created_by != owner:
            return None, "the run belongs to another principal"
        ended = await self.workflows.ended(run_id)
        if ended is None:
            return None, "the run was deleted"
        why = ended.error or {}
        return ended, str(why.get("detail") or why.get("title") or "it faulted")

    async def cancel(self, run_id: str, owner: str) -> None:
        """Cancel the run of a task; it may begin only after that, if its gateway was slow."""
        for _ in range(3):
            try:
                found = await self.workflows.run(run_id)
                if found is not None and found.status not in ENDED:
                    await self.workflows.cancel(run_id, by=owner)
                if found is not None:
                    return
            except StoreError:
                pass
            await asyncio.sleep(1.0)
