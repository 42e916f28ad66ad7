"""Calls whose caller waits for the result, so that no task is stored: direct skill calls of A2A containers."""

import asyncio
from contextlib import aclosing

from lambdaagent.a2a import Json
from lambdaagent.a2a.params import Send
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import OverfullError, fold, new, state_of
from lambdaagent.clock import Clock
from lambdaagent.containers import responses
from lambdaagent.containers.call import Caller
from lambdaagent.containers.callee import Callee
from lambdaagent.httpclient.errors import RefusedMessageError
from lambdaagent.store.errors import UnfitError
from lambdaagent.tasks.active_task import size_of
from lambdaagent.tasks.container_calls import GRACE
from lambdaagent.tasks.errors import refusal
from lambdaagent.tasks.messages import checked_skill
from lambdaagent.tasks.requests import Requester
from lambdaagent.tasks.runner import CallRunner


class UnstoredCalls:
    def __init__(self, *, runner: CallRunner, caller: Caller, clock: Clock, largest: int) -> None:
        """`largest` is the limit of a task, in bytes."""
        self._runner = runner
        self._caller = caller
        self._clock = clock
        self._largest = largest

    async def ask(self, callee: Callee, request: Send, *, client: Requester) -> Json:
        """Return the result of the message as a task that is not stored. Raises A2AError if the container refuses it.

        The timeout and the size limit of a stored task apply.
        """
        message = request.message
        skill = checked_skill(callee, message, client)
        task_id, context_id = self._clock.new_id(), self._clock.new_id()
        now, state = self._clock.now(), TaskState.WORKING
        task = new(task_id=task_id, context_id=context_id, message=message, state=state, now=now)
        turn = self._runner.turn(
            callee,
            skill,
            message,
            task_id=task_id,
            context_id=context_id,
            origin=client.origin,
            request=request,
        )
        size = 0
        try:
            async with asyncio.timeout(turn.timeout + GRACE), aclosing(self._caller.stream(turn)) as batches:
                async for updates in batches:
                    size += size_of(updates)
                    if size > self._largest:
                        raise OverfullError(f"it is larger than {self._largest} bytes")
                    for update in updates:
                        if "remote" not in update and not state_of(task).settled:
                            task = fold(task, update)
                    if state_of(task).settled:
                        break  # what follows changes nothing, and may have no end
        except RefusedMessageError as error:
            raise refusal(error) from error
        except (OverfullError, UnfitError) as error:
            task = fold(task, responses.failed(f"The agent's response is refused: {error}.", clock=self._clock))
        except TimeoutError:
            if not state_of(task).settled:
                text = f"The agent did not finish the task in {turn.timeout:g} s."
                task = fold(task, responses.failed(text, clock=self._clock))
        return task
