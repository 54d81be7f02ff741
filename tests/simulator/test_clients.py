"""The providers' own clients ask the simulator: answers fit their types, errors are theirs.

The clients are loaded by the first test that needs them, on the process that has them loaded for
what is asked of real providers: they take seconds to load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from penstock.simulator import Settings, SimulatorProcess, spawn

if TYPE_CHECKING:
    from anthropic import Anthropic
    from google.genai import Client
    from openai import OpenAI

pytestmark = pytest.mark.xdist_group("official clients")

KEY = "sk-right"


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with spawn(Settings(key=KEY, models=("m",), context_tokens=1000)) as running:
        yield running


@pytest.fixture(scope="module")
def limited() -> Iterator[SimulatorProcess]:
    with spawn(Settings(throttle=1.0, retry_after_seconds=7.0)) as running:
        yield running


@pytest.fixture(scope="module")
def failing() -> Iterator[SimulatorProcess]:
    with spawn(Settings(error_500=1.0)) as running:
        yield running


def openai(at: SimulatorProcess, key: str = KEY) -> OpenAI:
    from openai import OpenAI

    return OpenAI(base_url=at.base_url, api_key=key, max_retries=0)


def anthropic(at: SimulatorProcess, key: str = KEY) -> Anthropic:
    from anthropic import Anthropic

    origin = at.base_url.removesuffix("/v1")
    return Anthropic(base_url=origin, api_key=key, max_retries=0)


def gemini(at: SimulatorProcess, key: str = KEY) -> Client:
    from google.genai import Client
    from google.genai.types import HttpOptions

    origin = at.base_url.removesuffix("/v1")
    return Client(api_key=key, vertexai=False, http_options=HttpOptions(base_url=origin))


def chat(at: SimulatorProcess, key: str = KEY, model: str = "m", text: str = "hello") -> Any:
    with openai(at, key) as client:
        messages: Any = [{"role": "user", "content": text}]
        return client.chat.completions.create(model=model, messages=messages, max_tokens=50)


def response(at: SimulatorProcess, key: str = KEY, model: str = "m", text: str = "hello") -> Any:
    with openai(at, key) as client:
        return client.responses.create(model=model, input=text)


def message(at: SimulatorProcess, key: str = KEY, model: str = "m", text: str = "hello") -> Any:
    with anthropic(at, key) as client:
        messages: Any = [{"role": "user", "content": text}]
        return client.messages.create(model=model, messages=messages, max_tokens=50)


def content(at: SimulatorProcess, key: str = KEY, model: str = "m", text: str = "hello") -> Any:
    with gemini(at, key) as client:
        return client.models.generate_content(model=model, contents=text)


Asked = Callable[..., Any]


def fits(found: Any) -> None:
    """Raises unless all of an answer is of its type: the clients build theirs without a look."""
    dumped = found.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings="error")
    type(found).model_validate(dumped)


def test_answers_fit_the_clients_types(simulator: SimulatorProcess) -> None:
    said = chat(simulator)
    assert said.choices[0].message.content.startswith("echo: hello")
    assert said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens
    responded = response(simulator)
    assert responded.output_text.startswith("echo: hello") and responded.status == "completed"
    wrote = message(simulator)
    assert wrote.content[0].text.startswith("echo: hello") and wrote.stop_reason == "end_turn"
    made = content(simulator)
    assert made.text.startswith("echo: hello")
    assert made.candidates[0].finish_reason.value == "STOP"
    for one in (said, responded, wrote, made):
        fits(one)


@pytest.mark.parametrize("ask", [chat, response, message])
def test_a_refusal_is_the_exception_that_the_client_has_for_it(
    ask: Asked, simulator: SimulatorProcess, limited: SimulatorProcess, failing: SimulatorProcess
) -> None:
    module = __import__("anthropic" if ask is message else "openai")
    with pytest.raises(module.AuthenticationError):
        ask(simulator, key="sk-wrong")
    with pytest.raises(module.NotFoundError):
        ask(simulator, model="other")
    with pytest.raises(module.BadRequestError):
        ask(simulator, text="word " * 2000)
    with pytest.raises(module.InternalServerError):
        ask(failing)
    with pytest.raises(module.RateLimitError) as refused:
        ask(limited)
    assert float(refused.value.response.headers["retry-after"]) == 7
    assert refused.value.request_id


def test_gemini_s_client_reads_what_is_refused(
    simulator: SimulatorProcess, limited: SimulatorProcess, failing: SimulatorProcess
) -> None:
    from google.genai.errors import ClientError, ServerError

    refused: list[tuple[int, str | None]] = []
    for at, options in (
        (simulator, {"key": "sk-wrong"}),
        (simulator, {"model": "other"}),
        (simulator, {"text": "word " * 2000}),
        (limited, {}),
    ):
        with pytest.raises(ClientError) as error:
            content(at, **options)
        refused.append((error.value.code, error.value.status))
    assert refused == [
        (400, "INVALID_ARGUMENT"),
        (404, "NOT_FOUND"),
        (400, "INVALID_ARGUMENT"),
        (429, "RESOURCE_EXHAUSTED"),
    ]
    with pytest.raises(ServerError) as broken:
        content(failing)
    assert broken.value.code == 500
