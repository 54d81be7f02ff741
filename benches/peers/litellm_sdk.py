"""LiteLLM's acompletion, so many coroutines at once."""

from __future__ import annotations

import asyncio
import os

from asking import MODEL, arguments, ask_all, check_count, messages

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the internet for prices

import litellm


async def main() -> None:
    given = arguments()

    async def ask(row: int) -> str | None:
        completion = await litellm.acompletion(
            model=f"openai/{MODEL}",
            messages=messages(row),
            api_base=given.base_url,
            api_key="none",
            num_retries=0,
        )
        return completion.choices[0].message.content

    answered = await ask_all(ask, range(given.requests), given.connections)
    check_count(answered, given.requests)


asyncio.run(main())
