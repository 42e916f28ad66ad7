"""The process that evaluates jq: one JSON request a line in, one JSON response a line out.

It runs with an empty environment, no files, bounded memory, bounded processor time for each request, and nothing that
it could write to. A request that takes longer ends it by SIGPROF. Hazard: it is run as a script, by its path, so it
imports only the standard library and jq.
"""

import json
import os
import resource
import signal
import sys
from collections import OrderedDict
from typing import Any

_PROGRAMS = 512
_compiled: "OrderedDict[str, Any]" = OrderedDict()


def _limit(memory: int) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 3),  # the three that are open
    ):
        resource.setrlimit(kind, (most, most))


def _program(jq: Any, expression: str, names: "list[str]") -> Any:
    """In brackets, an expression cannot import a module, which jq reads from files."""
    bound = ", ".join(f"${name}" for name in names)
    text = f". as [$__value, {bound}] | $__value | (\n{expression}\n)" if names else f".[0] | (\n{expression}\n)"
    known = _compiled.get(text)
    if known is None:
        known = _compiled[text] = jq.compile(text)
        if len(_compiled) > _PROGRAMS:
            _compiled.popitem(last=False)
    else:
        _compiled.move_to_end(text)
    return known


def _answer(jq: Any, request: Any) -> Any:
    variables = request["variables"]
    names = sorted(variables)
    results = []
    for number, expression in enumerate(request["expressions"]):
        try:
            program = _program(jq, expression, names)
            if not request.get("check"):
                text = json.dumps([request["value"], *(variables[name] for name in names)])
                results.append(next(iter(program.input_text(text)), None))
        except (ValueError, StopIteration) as error:
            return {"error": str(error)[:500], "at": number}
    return {"results": results}


def main() -> None:
    sys.path.append(sys.argv[1])
    import jq

    most, seconds = int(sys.argv[3]), float(sys.argv[4])
    requests, answers = os.fdopen(0, "rb"), os.fdopen(1, "wb")
    _limit(int(sys.argv[2]))
    for line in requests:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            answer = json.dumps(_answer(jq, json.loads(line)), allow_nan=False)
        except MemoryError:
            answer = '{"error": "it needs too much memory", "at": 0}'
        except (ValueError, RecursionError) as error:
            answer = json.dumps({"error": f"its result cannot be written as JSON: {error}"[:500], "at": 0})
        if len(answer) > most:
            answer = json.dumps({"error": f"its result has {len(answer)} characters of at most {most}", "at": 0})
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(answer.encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
