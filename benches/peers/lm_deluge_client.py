"""lm-deluge's LLMClient over all prompts, its limits far above what is sent."""

from __future__ import annotations

import asyncio
import os

from asking import MODEL, arguments, check, check_count, text

os.environ["BENCH_API_KEY"] = "none"

from lm_deluge import LLMClient
from lm_deluge.models import register_model


async def main() -> None:
    given = arguments()
    register_model(MODEL, MODEL, given.base_url, "BENCH_API_KEY", api_spec="openai")
    client = LLMClient(
        MODEL,
        max_requests_per_minute=1_000_000_000,
        max_tokens_per_minute=1_000_000_000_000,
        max_concurrent_requests=given.connections,
    )
    prompts = [text(row) for row in range(given.requests)]
    answers = await client.process_prompts_async(
        prompts, return_completions_only=True, show_progress=False
    )
    for answer in answers:
        check(answer)
    check_count(len(answers), given.requests)


asyncio.run(main())
