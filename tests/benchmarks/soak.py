"""`python -m tests.benchmarks.soak`: mixed calls from many keys for an hour, with faults of Devin.

The server must end with the memory, the descriptors and the tasks that it had after the first
minutes. One call in twenty meets a fault: no answer, a broken connection, a cut or odd answer, an
error, a web page. Some callers have made-up keys, send nonsense or leave before their answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.load import Usage
from tests.benchmarks.raw_http import request
from tests.upstream import (
    Exchange,
    Fault,
    ReceivedRequest,
    Upstream,
    answer,
    cut_reply,
    drop_connection,
    lose_reply,
    page,
)

FAULT_SHARE = 0.05
SAMPLE_SECONDS = 30.0
ANSWER_SECONDS = 70.0


async def answer_late(exchange: Exchange) -> None:
    """Later than most callers wait."""
    await asyncio.sleep(random.uniform(1, 10))
    await lose_reply(exchange)


FAULTS: list[Fault] = [
    answer(500, {"detail": "x"}),
    answer(503, b""),
    answer(429, {"detail": "slow down"}, retry_after="1"),
    answer(200, b"[" * 1000),
    answer(200, b'{"sessions": [' + b"{}," * 5000 + b"{}]}"),
    answer(403, {"detail": "Forbidden"}),
    page(502),
    page(200),
    lose_reply,
    drop_connection,
    cut_reply,
    answer_late,
]


class FaultyUpstream(Upstream):
    """The simulated Devin; one request in twenty meets a fault."""

    def _next_fault(self, received: ReceivedRequest) -> Fault | None:
        self.requests.clear()  # an hour of them would fill the memory
        if "madeup" in received.headers.get("authorization", ""):
            return answer(401, {"detail": "Invalid API key"})
        return random.choice(FAULTS) if random.random() < FAULT_SHARE else None


Arguments = dict[str, Any]
CALLS: list[tuple[int, str, Callable[[str], Arguments]]] = [
    (4, "devin_list_sessions", lambda _: {"limit": random.choice([1, 20, 200])}),
    (4, "devin_get_session", lambda session_id: {"session_id": session_id}),
    (3, "devin_list_knowledge", lambda _: {"body": "full"}),
    (2, "devin_list_playbooks", lambda _: {}),
    (1, "devin_list_secrets", lambda _: {}),
    (
        2,
        "devin_delegate_task",
        lambda _: {"prompt": "sandbox:quick", "idempotency_key": f"k{random.randrange(40)}"},
    ),
    (2, "devin_send_message", lambda session_id: {"session_id": session_id, "message": "go on"}),
    (
        2,
        "devin_wait_for_sessions",
        lambda session_id: {"session_ids": [session_id], "max_wait_s": random.randint(1, 20)},
    ),
    (
        1,
        "devin_upload_attachment",
        lambda _: {"name": "a.txt", "content": "x" * random.choice([100, 100_000, 2_000_000])},
    ),
    (1, "devin_create_knowledge", lambda _: {"name": "n", "body": "b" * 2000, "trigger": "t"}),
    (1, "devin_no_such_tool", lambda _: {"x": [[]] * 100}),
]
WEIGHTS = [weight for weight, _, _ in CALLS]
NONSENSE = [b"{", b"[]" * 1000, b"null", b'{"jsonrpc":"2.0","id":1,"method":"x"}', b"\xff" * 50]


@dataclass
class Soak:
    port: int
    until: float
    pause: float
    outcomes: Counter[str] = field(default_factory=Counter)

    async def run_caller(self, number: int) -> None:
        prefix = "apk_user_" if number % 2 else "cog_sandbox-"
        key = f"{prefix}soak{number:05}"
        session_id = "devin-" + "0" * 32
        await asyncio.sleep(random.uniform(0, self.pause))
        while time.monotonic() < self.until:
            key_now = (
                key if random.random() > FAULT_SHARE else f"{prefix[:4]}madeup{random.random()}"
            )
            if random.random() < FAULT_SHARE:
                body = random.choice(NONSENSE)
                text = await self._exchange(_head(key_now, len(body)) + body)
            else:
                _, tool, arguments = random.choices(CALLS, WEIGHTS)[0]
                text = await self._exchange(
                    request(tool, arguments(session_id), x_devin_api_key=key_now)
                )
            if found := re.search(r'"session_id": ?"(devin-[0-9a-f]{32})"', text):
                session_id = found[1]
            await asyncio.sleep(random.uniform(0.5, 1.5) * self.pause)

    async def run_listener(self, number: int) -> None:
        """Listen streams that are opened and left again."""
        while time.monotonic() < self.until:
            uris = [f"devin://sessions/devin-{number:032x}", "devin://playbooks"]
            notifications = {"resourceSubscriptions": uris}
            body = request("x", {}, x_devin_api_key=f"apk_user_soak{number:05}")
            head, _, text = body.partition(b"\r\n\r\n")
            message = json.loads(text)
            message["method"] = "subscriptions/listen"
            message["params"] = {
                "notifications": notifications,
                "_meta": message["params"]["_meta"],
            }
            content = json.dumps(message).encode()
            head = re.sub(rb"mcp-method: [^\r]*", b"mcp-method: subscriptions/listen", head)
            head = re.sub(rb"mcp-name: [^\r]*\r\n", b"", head)
            head = re.sub(rb"content-length: \d+", b"content-length: %d" % len(content), head)
            leave_after = random.uniform(5, 60)
            await self._exchange(head + b"\r\n\r\n" + content, leave_after)

    async def _exchange(self, data: bytes, leave_after: float | None = None) -> str:
        """Send a request on a connection of its own and read the answer; one in ten leaves before
        it comes.
        """
        if leave_after is None:
            leave_after = random.uniform(0, 2) if random.random() < 0.1 else ANSWER_SECONDS
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError as error:
            self.outcomes[type(error).__name__] += 1
            return ""
        text = b""
        try:
            async with asyncio.timeout(leave_after):
                writer.write(
                    data.replace(b"host: 127.0.0.1", b"host: 127.0.0.1\r\nconnection: close")
                )
                await writer.drain()
                text = await reader.read(-1)
            self.outcomes[_outcome(text)] += 1
        except TimeoutError:
            self.outcomes["left" if leave_after < ANSWER_SECONDS else "NO ANSWER"] += 1
        except OSError as error:
            self.outcomes[type(error).__name__] += 1
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        return text.decode("utf-8", "replace")


def _head(key: str, length: int) -> bytes:
    return (
        "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        "accept: application/json, text/event-stream\r\n"
        f"x-devin-api-key: {key}\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


def _outcome(text: bytes) -> str:
    if not text:
        return "EMPTY"
    status = text.split(b" ", 2)[1].decode()
    if b"bug in it" in text:
        return "BUG " + text[-400:].decode("utf-8", "replace")
    return f"{status} {'error' if b'isError' in text and b'true' in text else 'ok'}"


async def run(callers: int, seconds: float, pause: float) -> int:
    upstream = FaultyUpstream()
    await upstream.start()
    plain = {name: value for name, value in os.environ.items() if not name.startswith("DEVIN_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmarks.soak_server",
        env=plain | {"DEVIN_BASE_URL": upstream.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 22,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    port = int(await process.stdout.readline())
    soak = Soak(port, time.monotonic() + seconds, pause)
    tracebacks, events = 0, Counter[str]()

    async def read_log(stream: asyncio.StreamReader) -> None:
        nonlocal tracebacks
        async for line in stream:
            tracebacks += b"Traceback" in line
            if b'"event": "crash"' in line or b"Traceback" in line:
                print(line.decode()[:2000], flush=True)
            with suppress(ValueError):
                events[json.loads(line)["event"]] += 1

    async def read_samples(stream: asyncio.StreamReader) -> None:
        started_at = time.monotonic()
        async for line in stream:
            usage, counts = Usage.of(process.pid), json.loads(line)
            minutes = (time.monotonic() - started_at) / 60
            print(
                f"{minutes:6.1f} min  {usage.rss_mb:6.1f} MB  {usage.descriptors:4} descriptors  "
                f"{counts['tasks']:4} tasks  {counts['used'] / 1e6:6.1f} MB held  "
                f"{sum(soak.outcomes.values())} calls",
                flush=True,
            )

    readers = asyncio.gather(read_log(process.stderr), read_samples(process.stdout))
    await asyncio.gather(
        *(soak.run_caller(number) for number in range(callers)),
        *(soak.run_listener(number) for number in range(20)),
    )
    await asyncio.sleep(2.2 * SAMPLE_SECONDS)  # idle: what is left is kept for no call
    process.terminate()
    status = await process.wait()
    await readers
    await upstream.stop()
    print(f"exit status {status}, {tracebacks} tracebacks, events {dict(events)}")
    for outcome, count in soak.outcomes.most_common(30):
        print(f"  {count:>7} {outcome}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callers", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--pause", type=float, default=10, help="seconds between a caller's calls")
    options = parser.parse_args()
    return asyncio.run(run(options.callers, options.seconds, options.pause))


if __name__ == "__main__":
    sys.exit(main())
