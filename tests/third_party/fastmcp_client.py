"""Fastmcp's client with its tasks package: delegates, answers the question, waits for the result.

Run by the Python of `.third_party/python`, which has no devin-mcp. Prints JSON.
"""

import asyncio
import json
import sys
from typing import Any

import fastmcp_tasks  # noqa: F401 - importing it is what turns tasks on
from fastmcp import Client

QUESTIONS: list[str] = []


async def answer(message: str, *_: Any) -> dict[str, str]:
    QUESTIONS.append(message)
    return {"answer": "Strict, please."}


async def main(url: str) -> None:
    async with Client(url, elicitation_handler=answer) as client:
        arguments = {"prompt": "Refuse negative prices", "max_wait_s": 5}
        result = await client.call_tool("devin_delegate_task", arguments)
        print(json.dumps({"questions": QUESTIONS, "result": result.structured_content}))


asyncio.run(main(sys.argv[1]))
