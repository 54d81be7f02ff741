"""The shortest honest loop over aiohttp's ClientSession, on uvloop."""

from __future__ import annotations

import json
import ssl

import aiohttp
import uvloop
from asking import arguments, ask_all, body, check_count

HEADERS = {"Content-Type": "application/json"}


async def main() -> None:
    given = arguments()
    tls = ssl.create_default_context(cafile=given.ca_file) if given.ca_file else True
    url = f"{given.base_url}/chat/completions"
    connector = aiohttp.TCPConnector(limit=0, ssl=tls)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(row: int) -> str:
            data = json.dumps(body(row)).encode()
            async with session.post(url, data=data, headers=HEADERS) as response:
                answer = json.loads(await response.read())
            return answer["choices"][0]["message"]["content"]

        answered = await ask_all(ask, range(given.requests), given.connections)
    check_count(answered, given.requests)


uvloop.run(main())
