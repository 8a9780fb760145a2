"""One step of an agent: what came of the tools that were called is told to the model, it is asked once, and what it wants goes to the engine.

A step is a job of the ad-hoc sub-process. The engine takes its outcome once: the calls of tools, what the model said and the memory are one record of the
log, and only then does a tool begin. Who dies before that has asked the model in vain; nobody calls a tool twice for one answer.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from flowledger.connectors.agent import talk
from flowledger.connectors.agent.config import AgentConfig
from flowledger.connectors.agent.memory import Memory, recalled
from flowledger.connectors.agent.tools import FINISH, Tools
from flowledger.connectors.frame import Call, Config, Failed, Turn
from flowledger.connectors.llm import check_input, cost_of, reckoned, told
from flowledger.connectors.templated import filled, shown
from flowledger.kernel.elements.agents import CALL, JOB_TYPE, RESULT

#: calls of one answer; more are refused
CALLS_MAX = 16
#: characters of what the model said, in the record of the step
SUMMARY_MAX = 4_000
_ALONE = f"Nothing was done: {FINISH} is called alone, when all tools have answered"
_MANY = f"Nothing was done: expected at most {CALLS_MAX} calls at once"


class AgentConnector:
    name = "agent"
    job_type = JOB_TYPE
    aliases: tuple[str, ...] = ()
    config: type[Config] = AgentConfig
    chooses = True

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        from flowledger.connectors.http.connector import HttpConnector

        self._http, self._clock = HttpConnector(), clock

    async def close(self) -> None:
        await self._http.close()

    async def call(self, config: AgentConfig, call: Call) -> Turn:
        """The answer of one that is done: `{text, value, confidence, steps, model, usage: {input, output, cost}}`. Raises: as the HTTP connector, and Failed."""
        memory = await recalled(config.agent_memory, call)
        tools = Tools(config)
        memory.since = memory.since or math.ceil(self._clock())
        _settle(config, memory)
        system = filled(config.system_template, config.data) if config.system_template else config.system
        prompt = filled(config.prompt_template, config.data) if config.prompt_template else config.prompt
        asked = talk.asked(config, "\n\n".join(p for p in (system, tools.guidance()) if p), prompt, memory.turns, tools.described())
        left = self._limits(config, memory, reckoned(asked))
        try:
            async with asyncio.timeout(left) as limit:
                answer = await told(self._http, config, asked, call)
        except TimeoutError:
            if not limit.expired():
                raise
            raise _late(config, "the answer of the model that was under way was not waited for") from None
        said = talk.heard(config, answer)
        return await _turn(config, call, memory, tools, said, _used(config, memory, said, reckoned(asked)))

    def _limits(self, config: AgentConfig, memory: Memory, tokens: int) -> float | None:
        """Before the model is asked again: the seconds that its answer may take, None where nothing is said of them. Raises: Failed."""
        if memory.steps >= config.max_steps:
            raise Failed(
                "STEP_LIMIT", f"the model was asked {memory.steps} times without an end, and {config.max_steps} is the most (maxSteps)"
            )
        left = None if config.max_seconds is None else memory.since + config.max_seconds - self._clock()
        if left is not None and left <= 0:
            raise _late(config, "the model is not asked again")
        check_input(config, tokens)
        whole = memory.tokens_in + memory.tokens_out + tokens + config.max_tokens
        if config.max_total_tokens is not None and whole > config.max_total_tokens:
            raise Failed(
                "TOKEN_LIMIT", f"with this step it may be {whole} tokens, more than the {config.max_total_tokens} of maxTotalTokens"
            )
        cost = cost_of(config, tokens, config.max_tokens)
        if config.max_cost is not None and cost is not None and (whole_cost := cost + (memory.cost or 0)) > config.max_cost:
            raise Failed("COST_LIMIT", f"with this step it may cost {whole_cost}, more than the {config.max_cost} of maxCost")
        return left


def _late(config: AgentConfig, what: str) -> Failed:
    return Failed("TIME_LIMIT", f"the {config.max_seconds} s of maxSeconds are over: {what}")


def _used(config: AgentConfig, memory: Memory, said: talk.Said, tokens: int) -> dict[str, Any]:
    """What a step took, as figures; the memory has the sum. A server that doesn't count is reckoned with."""
    tokens_in = tokens if said.tokens_in is None else said.tokens_in
    tokens_out = config.max_tokens if said.tokens_out is None else said.tokens_out
    memory.steps += 1
    memory.tokens_in += tokens_in
    memory.tokens_out += tokens_out
    cost = cost_of(config, tokens_in, tokens_out)
    if cost is not None:
        memory.cost = (memory.cost or Decimal(0)) + cost
    return {"step": memory.steps, "tokens_in": tokens_in, "tokens_out": tokens_out, **({"cost": cost} if cost is not None else {})}


def _settle(config: AgentConfig, memory: Memory) -> None:
    """What tools gave since the last step becomes what the model is told next. A job only comes when nothing runs any more."""
    fresh = (config.tool_call_results or [])[memory.seen :]
    memory.seen += len(fresh)
    came = {str(row.get("id")): row for row in fresh if row.get("id") is not None}
    results = []
    for id in memory.open:
        if id in memory.told:
            results.append({"id": id, "content": memory.told[id], "error": True})
        elif id not in came:
            results.append({"id": id, "content": "It was withdrawn, and gave no result", "error": True})
        else:
            results.append({"id": id, "content": _shown(came[id].get("content"), config)})
    if results:
        memory.turns.append({"results": results})
    if memory.asked:
        found = came.get(memory.asked)
        words = "Nobody answered." if found is None else f"A person answered: {_shown(found.get('content'), config)}"
        memory.turns.append({"user": f"You were not sure enough, so a person was asked. {words}"})
    for row in fresh:
        if str(row.get("id")) not in memory.open and str(row.get("id")) != memory.asked:
            memory.turns.append({"user": f"An activity that you had not called has ended and gave: {_shown(row.get('content'), config)}"})
    memory.open, memory.told, memory.asked = {}, {}, ""


def _shown(value: Any, config: AgentConfig) -> str:
    text = "Done, without a result" if value is None else shown(value)
    most = config.tool_answer_chars
    return text if len(text) <= most else f"{text[:most]} [cut off after {most} of {len(text)} characters]"


async def _turn(config: AgentConfig, call: Call, memory: Memory, tools: Tools, said: talk.Said, figures: dict[str, Any]) -> Turn:
    ids = [f"s{memory.steps}-{n}" for n in range(1, len(said.calls) + 1)]
    calls = [{"id": id, "name": w.name, "arguments": w.arguments} for id, w in zip(ids, said.calls, strict=True)]
    memory.turns.append({"said": said.text or ("" if calls else "(no words)"), "calls": calls})
    turn = Turn({}, summary=said.text[:SUMMARY_MAX], metrics=figures)
    if not said.calls:
        if said.finish == "length":
            memory.turns.append({"user": "Your answer was cut off, it was too long. Say it in fewer words."})
        elif tools.finishes:
            memory.turns.append({"user": f"Give your answer by the tool {FINISH}, or call another tool."})
        else:
            turn.done, turn.answer = True, _answer(config, memory, said.text, None, None)
    elif len(said.calls) == 1 and said.calls[0].name == FINISH and tools.finishes and not tools.problem(said.calls[0]):
        _finished(config, memory, tools, said, ids[0], turn)
    else:
        for n, (id, wanted) in enumerate(zip(ids, said.calls, strict=True)):
            problem = (
                tools.problem(wanted) or (_ALONE if wanted.name == FINISH and tools.finishes else "") or (_MANY if n >= CALLS_MAX else "")
            )
            memory.open[id] = wanted.name
            if problem:
                memory.told[id] = problem
            else:
                turn.activate.append(_activated(tools.by_name[wanted.name]["id"], id, wanted.name, wanted.arguments))
    turn.variables = {"agentMemory": await memory.kept(call)}
    call.notes |= {**figures, "tools": len(turn.activate)}
    return turn


def _activated(element: str, id: str, name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The tool's result has its place in the choice from the beginning: tools that run side by side don't write each other's."""
    return element, {CALL: {**arguments, "_meta": {"id": id, "name": name}}, RESULT: None}


def _finished(config: AgentConfig, memory: Memory, tools: Tools, said: talk.Said, id: str, turn: Turn) -> None:
    given = said.calls[0].arguments
    if tools.unsure(said.calls[0]):
        memory.open[id], memory.told[id] = FINISH, "You are not sure enough: a person is asked first"
        memory.asked = f"{id}-ask"
        question = f"The agent is not sure: is this right? {shown(given['answer'])}"
        about = {"question": question, "answer": given["answer"], "confidence": given.get("confidence")}
        turn.activate.append(_activated(config.ask, memory.asked, tools.name_of(config.ask), about))
        return
    value = given["answer"] if config.schema_ is not None else None
    text = given["answer"] if config.schema_ is None else said.text
    turn.done, turn.answer = True, _answer(config, memory, text, value, given.get("confidence"))


def _answer(config: AgentConfig, memory: Memory, text: str, value: Any, confidence: Any) -> dict[str, Any]:
    usage = {"input": memory.tokens_in, "output": memory.tokens_out, "cost": memory.cost}
    return {"text": text, "value": value, "confidence": confidence, "steps": memory.steps, "model": config.model, "usage": usage}
