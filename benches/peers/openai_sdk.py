"""The openai SDK as its documents show it: one AsyncOpenAI, so many coroutines."""

from __future__ import annotations

import asyncio

from asking import MODEL, arguments, ask_all, check_count, messages
from openai import AsyncOpenAI


async def main() -> None:
    given = arguments()
    async with AsyncOpenAI(base_url=given.base_url, api_key="none", max_retries=0) as client:

        async def ask(row: int) -> str | None:
            completion = await client.chat.completions.create(model=MODEL, messages=messages(row))
            return completion.choices[0].message.content

        answered = await ask_all(ask, range(given.requests), given.connections)
    check_count(answered, given.requests)


asyncio.run(main())
