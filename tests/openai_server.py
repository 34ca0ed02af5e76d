"""An OpenAI-compatible server on loopback, with faults to order: what the real client is tested against.

    with OpenAIServer(faults={1: ["rate_limited"], 2: ["dropped", "fences"]}) as server:
        provider = get_provider("openai", model="test-model", base_url=server.url)

`faults` names the faults of single calls, counted from 1, or is a function of a `Call`. Faults of one call are mixed:
of those that end a call before an answer is given (`BREAKING`) the first counts, the others (`SPOILING`) add up.
`python tests/openai_server.py --help` runs it as a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openai_batches import Answered, Batches

KEY, MODEL = "test-key", "test-model"
RULES = {"vinil": "Pop", "taxi": "Viajes"}

Row = dict[str, Any]
Answer = Callable[[str], Row]


@dataclass(frozen=True)
class Call:
    """A call as the server sees it."""

    number: int
    """From 1, over all calls."""
    items: dict[int, str]
    """Number → all clean fields of the item, joined."""
    body: dict[str, Any]

    @property
    def instructions(self) -> str:
        return self.body["messages"][0]["content"]

    @property
    def format(self) -> str:
        return self.body.get("response_format", {}).get("type", "text")


def by_first_word(text: str) -> Row:
    """Answer by the first word, with the whole text as the reason: an answer that went astray can be seen."""
    return {"reason": text, "category": RULES.get(text.split()[0], "Otros"), "score": 0.9}


def lexical(path: str) -> Answer:
    """Answer as the embedded provider would with the prompt in a file."""
    from workbench.llm import load_prompt
    from workbench.llm.providers.lexical import PromptReader

    reader = PromptReader(load_prompt(path))

    def answer(text: str) -> Row:
        found = reader.answer({"cleanText": text})
        return {"reason": found.reason, "category": found.category, "score": found.score}

    return answer


# --- what spoils an answer: rows in, rows out


def _pick(rows: list[Row], call: Call) -> int:
    return random.Random(call.number).randrange(len(rows)) if rows else 0


def _changed(rows: list[Row], call: Call, **changes: Any) -> list[Row]:
    at = _pick(rows, call)
    return [row | changes if position == at else row for position, row in enumerate(rows)]


ROW_FAULTS: dict[str, Callable[[list[Row], Call], list[Row]]] = {
    "dropped": lambda rows, call: [row for n, row in enumerate(rows) if n != _pick(rows, call) or len(rows) == 1],
    "halved": lambda rows, call: rows[: len(rows) // 2],
    "doubled": lambda rows, call: rows + rows[_pick(rows, call) :][:1],
    "contradicted": lambda rows, call: [*rows, rows[_pick(rows, call)] | {"category": "Indeterminado"}],
    "unknown": lambda rows, call: [*rows, rows[0] | {"id": 1000 + call.number}],
    "reordered": lambda rows, call: random.Random(call.number).sample(rows, len(rows)),
    "off_list": lambda rows, call: _changed(rows, call, category="Marketing"),
    "all_off_list": lambda rows, call: [row | {"category": "Marketing"} for row in rows],
    "misspelt": lambda rows, call: [row | {"category": f" {row['category'].upper()} "} for row in rows],
    "off_scale": lambda rows, call: _changed(rows, call, score=7),
    "clase": lambda rows, call: [{"clase" if k == "category" else k: v for k, v in row.items()} for row in rows],
}
TEXT_FAULTS: dict[str, Callable[[str, Call], str]] = {
    "fences": lambda text, call: f"```json\n{text}\n```",
    "prose": lambda text, call: f"Sure! Here are the results {{as you asked}}:\n{text}\nAnything else?",
    "invalid_json": lambda text, call: text.replace(",", ";"),
    "thoughts": lambda text, call: f'<think>[1,["a trap"],"Otros",0.5] or not?</think>{text}',
    "twice": lambda text, call: f"{text}\n{text}",
    "garbage": lambda text, call: "I am sorry, I do not understand.",
    "empty": lambda text, call: "",
    "truncated": lambda text, call: text[: max(1, len(text) * 2 // 3)],
}
OTHER_FAULTS = ("refusal", "content_filter", "no_usage")
SPOILING = (*ROW_FAULTS, *TEXT_FAULTS, *OTHER_FAULTS)


def _error(status: int, code: str | None, message: str, **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    error = {"message": message, "type": "error", "param": None, "code": code}
    return status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()}


BREAKING = {
    "rate_limited": _error(429, "rate_limit_exceeded", "Rate limit reached.", retry_after="0.05"),
    "rate_limited_ms": _error(429, "rate_limit_exceeded", "Rate limit reached.", retry_after_ms="40"),
    "rate_limited_date": _error(429, None, "Rate limit reached.", retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
    "rate_limited_bare": _error(429, None, "Too many requests."),
    "quota": _error(429, "insufficient_quota", "You exceeded your current quota."),
    "server_error": _error(500, None, "The server had an error."),
    "overloaded": _error(503, None, "Overloaded."),
    "conflict": _error(409, None, "Conflict."),
    "unauthorized": _error(401, "invalid_api_key", "Incorrect API key provided."),
    "forbidden": _error(403, None, "Your country is not supported."),
    "unknown_model": _error(404, "model_not_found", "The model does not exist."),
    "too_long": _error(400, "context_length_exceeded", "This model's maximum context length is 8192 tokens."),
    "too_large": _error(413, None, "Request entity too large."),
    "filtered": _error(400, "content_filter", "The prompt was filtered by the content management policy."),
    "bad_request": _error(400, "invalid_value", "Invalid value."),
}
BROKEN = ("cut", "hang", "slow_headers", "html", "not_a_completion")
"""Faults of the connection itself."""

Faults = Mapping[int, Sequence[str]] | Callable[[Call], Sequence[str]]


class OpenAIServer:
    """The server; it runs in a thread of its own and counts what it is asked."""

    def __init__(
        self,
        answer: Answer = by_first_word,
        *,
        faults: Faults = lambda call: (),
        delay: float | Callable[[Call], float] = 0.0,
        held: Callable[[Call], bool] = lambda call: False,
        most_in_flight: int | None = None,
        formats: Sequence[str] = ("json_schema", "json_object", "text"),
        batches: Batches | None = None,
        says: Callable[[Call], str] | None = None,
        port: int = 0,
    ) -> None:
        """Prepare: `most_in_flight` calls are answered at a time, more get a 429; other formats a 400.

        A call waits as long as `held` says so: for things to happen, where `delay` waits for time to pass.
        `says` gives the text of every answer in the place of a sensible one.
        """
        self._says = says
        self.batches = batches
        self._answer = answer
        self._faults = faults if callable(faults) else lambda call: faults.get(call.number, ())
        self._delay = delay if callable(delay) else lambda call: delay
        self._held = held
        self._most = most_in_flight
        self._formats = formats
        self._port = port
        self.calls: list[Call] = []
        """Every call that asked for answers, those that got an error included."""
        self.asked: Counter[str] = Counter()
        """Text of an item → how often it was asked for."""
        self.statuses: Counter[int] = Counter()
        self.in_flight = self.peak = 0
        self.written: str | None = None
        """What a call without items gets: one that asks for free text."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> OpenAIServer:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve(ready.set)), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def serve(self, ready: Callable[[], object]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self._port, backlog=2048)
        self._port = server.sockets[0].getsockname()[1]
        ready()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *lines = head.decode("latin-1").split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (each.partition(":") for each in lines if each)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if not await self._respond(writer, line.rpartition(" ")[0], headers, body):
                    break
        writer.close()

    async def _respond(self, writer: asyncio.StreamWriter, asked: str, headers: dict[str, str], body: bytes) -> bool:
        path = asked.split(" ")[1]
        if headers.get("authorization") not in (f"Bearer {KEY}", "Bearer none"):
            return await self._send(writer, *BREAKING["unauthorized"])
        if path == "/v1/models":
            return await self._send(writer, 200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})
        if self.batches and path.startswith(("/v1/files", "/v1/batches")):
            return await self._send(writer, *self.batches.respond(asked, headers, body, self._complete_now))
        if path != "/v1/chat/completions":
            return await self._send(writer, *_error(404, None, f"Unknown path {path}."))
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await self._complete(writer, self._note(json.loads(body)))
        finally:
            self.in_flight -= 1

    def _note(self, body: dict[str, Any]) -> Call:
        call = Call(len(self.calls) + 1, items_of(body["messages"][-1]["content"]), body)
        self.calls.append(call)
        self.asked.update(call.items.values())
        return call

    async def _complete(self, writer: asyncio.StreamWriter, call: Call) -> bool:
        if self._most is not None and self.in_flight > self._most:
            return await self._send(writer, *BREAKING["rate_limited_bare"])
        faults = self._faults(call)
        if broken := next((name for name in faults if name in BROKEN), None):
            return await self._break(writer, broken)
        if (answered := self._answered(call, faults))[0] == 200:
            await asyncio.sleep(self._delay(call))
            while self._held(call):
                await asyncio.sleep(0.005)
        return await self._send(writer, *answered)

    def _complete_now(self, body: Any) -> Answered:
        call = self._note(body)
        return self._answered(call, self._faults(call))

    def _answered(self, call: Call, faults: Sequence[str]) -> Answered:
        if call.body["model"] != MODEL:
            return BREAKING["unknown_model"]
        if call.format not in self._formats:
            return _error(400, None, f"response_format {call.format} is not supported")
        if breaking := next((name for name in faults if name in BREAKING), None):
            return BREAKING[breaking]
        body = completion(call, self._answer, faults)
        if self._says:
            body["choices"][0]["message"]["content"] = self._says(call)
        elif not call.items:
            body["choices"][0]["message"]["content"] = self.written
        return 200, body, {}

    async def _break(self, writer: asyncio.StreamWriter, fault: str) -> bool:
        if fault == "html":
            return await self._send(writer, 200, "<html>Welcome</html>")
        if fault == "not_a_completion":
            return await self._send(writer, 200, {"object": "error", "message": "no"})
        if fault == "hang":
            await asyncio.sleep(3600)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n"
        writer.write(head if fault == "slow_headers" else head + b'\r\n{"choices": [{"mess')
        await writer.drain()
        await asyncio.sleep(3600 if fault == "slow_headers" else 0)
        return False

    async def _send(self, writer: asyncio.StreamWriter, status: int, content: Any, headers: Any = None) -> bool:
        self.statuses[status] += 1
        raw = (content if isinstance(content, str) else json.dumps(content)).encode()
        kind = "text/html" if isinstance(content, str) else "application/json"
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(raw)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + raw)
        await writer.drain()
        return True


def items_of(data: str) -> dict[int, str]:
    """Read the items of a call: a table, separated by tabs."""
    if not data.startswith("id\t"):
        return {}
    rows = [line.split("\t") for line in data.split("\n")[1:]]
    return {int(number): " ".join(filter(None, fields)) for number, *fields in rows}


def as_asked(rows: list[Row], instructions: str) -> list[Any]:
    """Give rows as the prompt wants them, reasons included or not."""
    if "clase" in "".join(rows[0] if rows else ()):
        return rows
    if '"why"' not in instructions:
        return [[row["id"], row["category"], row["score"]] for row in rows]
    if '[1,"name",0.9]' not in instructions:
        return [[row["id"], [row["reason"]], row["category"], row["score"]] for row in rows]
    return [[row["id"], row["category"], row["score"], *[[row["reason"]]] * (row["score"] < 0.7)] for row in rows]


def completion(call: Call, answer: Answer, faults: Sequence[str]) -> dict[str, Any]:
    """Give the body of a good response, spoilt by the faults that were ordered."""
    rows: list[Row] = [{"id": number, **answer(text)} for number, text in call.items.items()]
    for fault in faults:
        rows = ROW_FAULTS[fault](rows, call) if fault in ROW_FAULTS else rows
    text: str | None = json.dumps({"results": as_asked(rows, call.instructions)}, ensure_ascii=False)
    for fault in faults:
        text = TEXT_FAULTS[fault](text or "", call) if fault in TEXT_FAULTS else text
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if "refusal" in faults:
        message |= {"content": None, "refusal": "I cannot help with that."}
    reason = "length" if "truncated" in faults else "content_filter" if "content_filter" in faults else "stop"
    tokens = sum(len(each["content"]) for each in call.body["messages"]) // 4
    usage = {
        "prompt_tokens": tokens,
        "completion_tokens": len(text or "") // 4,
        "total_tokens": tokens + len(text or "") // 4,
        "prompt_tokens_details": {"cached_tokens": len(call.instructions) // 4 if call.number > 1 else 0},
    }
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    body = {"id": f"c{call.number}", "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice]}
    return body if "no_usage" in faults else body | {"usage": usage}


def main() -> None:
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server on loopback; prints its address.")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until an answer")
    parser.add_argument("--tail", type=float, default=0.0, help="share of calls that take 20 times as long")
    parser.add_argument("--most", type=int, help="calls in flight; more get a 429")
    parser.add_argument("--prompt", help="a prompt file to answer from; default: by the first word")
    parser.add_argument("--mixed", type=float, default=0.0, help="share of calls with a fault, drawn at random")
    parser.add_argument("--every", choices=(*SPOILING, *BREAKING), help="a fault of every call")
    parser.add_argument("--poison", help="text of an item with which a call gets a 500")
    options = parser.parse_args()
    kinds = [name for name in (*SPOILING, "rate_limited", "server_error", "cut") if name != "no_usage"]

    def faults(call: Call) -> Sequence[str]:
        if options.every or options.poison in call.items.values():
            return [options.every or "server_error"]
        draw = random.Random(call.number)
        return [draw.choice(kinds)] if draw.random() < options.mixed else ()

    def delay(call: Call) -> float:
        return options.delay * (20 if random.Random(-call.number).random() < options.tail else 1)

    answer = lexical(options.prompt) if options.prompt else by_first_word
    server = OpenAIServer(answer, faults=faults, delay=delay, most_in_flight=options.most)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve(lambda: print(server.url, flush=True)))


if __name__ == "__main__":
    main()
