"""Requests for vectors, and what comes back."""

from __future__ import annotations

import base64
import json
import random
import struct
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import JobError, TemplateError
from penstock.job import Job, check
from penstock.providers.embedder import Embedder, Embeddings
from penstock.providers.provider import BadResponse, Refusal, UnrenderableRecord, provider_for
from penstock.record import Record
from penstock.vector import numbers_of

URLS = {
    "openai": "https://api.openai.com/v1",
    "azure": "https://name.openai.azure.com",
    "gemini": "https://generativelanguage.googleapis.com/v1beta",
}


def embedder(provider: str = "openai", **options: Any) -> Embedder:
    known = {"task": "embed", "model": "m", "prompt": "{{ t }}", "base_url": URLS.get(provider)}
    return cast(Embedder, provider_for(Job(provider=provider, **{**known, **options})))  # type: ignore[arg-type]


def record(text: Any, row: int = 0) -> Record:
    return Record(row, f"in:{row}", fields={"t": text})


def vector(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def body(*data: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"object": "list", "data": data, "model": "m", **more}).encode()


def at(index: int, embedding: Any) -> dict[str, Any]:
    return {"object": "embedding", "index": index, "embedding": embedding}


def numbers(found: Embeddings | Refusal) -> list[list[float] | None]:
    assert isinstance(found, Embeddings)
    return list(map(numbers_of, found.vectors))


# --- requests -------------------------------------------------------------------------------------


def test_openai_is_asked_for_base64_and_for_the_dimensions_that_are_given() -> None:
    asked = embedder().request(record('a "b" {{ c }}'))
    assert asked.path == "/embeddings"
    assert json.loads(asked.body) == {
        "model": "m",
        "input": ['a "b" {{ c }}'],
        "encoding_format": "base64",
    }
    asked = embedder(dimensions=8, param={"user": "u", "encoding_format": "float"}).request(
        record("x")
    )
    assert json.loads(asked.body) == {
        "model": "m",
        "input": ["x"],
        "encoding_format": "float",
        "dimensions": 8,
        "user": "u",
    }
    asked = embedder(param={"encoding_format": None}).request(record("x"))
    assert json.loads(asked.body) == {"model": "m", "input": ["x"]}


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (URLS["azure"], "/openai/v1/embeddings"),
        (URLS["azure"] + "/openai/v1", "/embeddings"),
        (URLS["azure"] + "?api-version=2024-10-21", "/openai/deployments/m/embeddings"),
        (URLS["azure"] + "/openai/deployments/m?api-version=2024-10-21", "/embeddings"),
    ],
)
def test_azure_has_both_of_its_paths(url: str, path: str) -> None:
    asked = embedder("azure", base_url=url)
    assert asked.request(record("x")).path == path
    assert asked.headers("k")["api-key"] == "k"


def test_gemini_has_a_request_within_for_each_text() -> None:
    asked = embedder("gemini", dimensions=8, param={"taskType": "RETRIEVAL_DOCUMENT"})
    joined = asked.joined([asked.request(record(text)) for text in ("a", "b")])
    assert joined.path == "/models/m:batchEmbedContents"
    each = {"outputDimensionality": 8, "taskType": "RETRIEVAL_DOCUMENT", "model": "models/m"}
    assert json.loads(joined.body) == {
        "requests": [{"content": {"parts": [{"text": text}]}, **each} for text in ("a", "b")]
    }


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8), st.sampled_from(["openai", "gemini"]))
def test_requests_that_are_joined_ask_for_each_text_in_order(
    texts: list[str], provider: str
) -> None:
    asked = embedder(provider, dimensions=3)
    requests = []
    for text in texts:
        try:
            requests.append(asked.request(record(text)))
        except UnrenderableRecord:  # lone surrogates
            return
    joined = asked.joined(requests)
    said = json.loads(joined.body)
    if provider == "openai":
        assert said["input"] == texts
    else:
        assert [one["content"]["parts"][0]["text"] for one in said["requests"]] == texts
    assert joined.rows == len(texts) and joined.request_hash == requests[0].request_hash
    assert joined.weight_bytes == sum(one.weight_bytes for one in requests)
    assert joined.input_tokens == sum(one.input_tokens for one in requests)
    if len(texts) == 1:
        assert joined.body == requests[0].body


def test_a_record_s_name_does_not_depend_on_those_that_it_is_asked_with() -> None:
    asked = embedder()
    one, other = (asked.request(record(text, row)) for row, text in enumerate("aa"))
    assert one.request_hash == other.request_hash
    assert one.request_hash != embedder(dimensions=2).request(record("a")).request_hash


@pytest.mark.parametrize("provider", ["openai", "gemini"])
def test_an_empty_text_is_none_that_a_vector_can_be_made_of(provider: str) -> None:
    with pytest.raises(UnrenderableRecord, match="the text is empty"):
        embedder(provider).request(record(""))


def test_a_row_that_has_no_text_makes_no_request() -> None:
    with pytest.raises(UnrenderableRecord):
        embedder().request(record(None))
    with pytest.raises(UnrenderableRecord, match="broken"):
        embedder().request(Record(0, "in:0", problem="broken"))


# --- answers --------------------------------------------------------------------------------------


def test_vectors_are_told_apart_by_their_index_and_not_by_their_place() -> None:
    said = [at(place, vector(place, 0.5)) for place in range(50)]
    random.Random(7).shuffle(said)
    found = embedder().embeddings(body(*said, usage={"prompt_tokens": 9}), 50)
    assert numbers(found) == [[float(place), 0.5] for place in range(50)]
    assert isinstance(found, Embeddings) and found.input_tokens == 9 and found.model == "m"


def test_numbers_are_read_where_base64_was_asked_for() -> None:
    found = embedder().embeddings(body(at(0, [1, 0.25]), at(1, vector(2, 3))), 2)
    assert numbers(found) == [[1.0, 0.25], [2.0, 3.0]]


def test_an_index_that_is_left_out_is_nought() -> None:
    first = {"embedding": vector(5)}
    assert numbers(embedder().embeddings(body(at(1, vector(6)), first), 2)) == [[5.0], [6.0]]


@pytest.mark.parametrize(
    ("data", "rows", "words"),
    [
        ([at(0, vector(1))], 2, "1 vectors for 2 texts"),
        ([at(0, vector(1)), at(1, vector(1))], 1, "2 vectors for 1 texts"),
        ([at(0, vector(1)), at(0, vector(2))], 2, "one of index 0"),
        ([at(0, vector(1)), at(2, vector(2))], 2, "one of index 2"),
        ([at(-1, vector(1)), at(0, vector(2))], 2, "one of index -1"),
        ([{"embedding": vector(1)}, {"embedding": vector(2)}], 2, "one of index 0"),
        ([at(0, vector(1, 2)), at(1, vector(1))], 2, "a vector of"),
        ([at(0, [])], 1, "no vector"),
        ([at(0, "")], 1, "no vector"),
        ([at(0, None)], 1, "no vector"),
        ([at(0, ["a"])], 1, "no vector"),
        ([at(0, [1, None])], 1, "no vector"),
        ([at(0, "not base64!")], 1, "no vector"),
        ([at(0, "AAAA")], 1, "no vector"),  # three bytes
        ([at(0, vector(float("nan")))], 1, "no vector"),
        ([at(0, vector(float("inf")))], 1, "no vector"),
        ([at(0, [1e300])], 1, "no vector"),
        ([], 1, "without an answer"),
    ],
)
def test_an_answer_that_does_not_fit_its_request_is_none(
    data: list[Any], rows: int, words: str
) -> None:
    with pytest.raises(BadResponse, match=words):
        embedder().embeddings(body(*data), rows)


def test_a_vector_that_is_not_as_long_as_was_asked_for_is_none() -> None:
    asked = embedder(dimensions=2)
    assert numbers(asked.embeddings(body(at(0, vector(1, 2))), 1)) == [[1.0, 2.0]]
    with pytest.raises(BadResponse, match="of 3 numbers, where 2 were expected"):
        asked.embeddings(body(at(0, vector(1, 2, 3))), 1)


def test_without_dimensions_the_first_answer_says_how_long_vectors_are() -> None:
    asked = embedder()
    with pytest.raises(BadResponse):
        asked.embeddings(body(at(0, vector(1)), at(1, vector(1, 2))), 2)
    assert numbers(asked.embeddings(body(at(0, vector(1, 2))), 1)) == [[1.0, 2.0]]
    with pytest.raises(BadResponse, match="of 1 numbers, where 2 were expected"):
        asked.embeddings(body(at(0, vector(1))), 1)


@pytest.mark.parametrize("cut", [1, 20, 40])
def test_a_cut_body_is_no_answer(cut: int) -> None:
    whole = body(at(0, vector(*range(40))))
    with pytest.raises(BadResponse):
        embedder().embeddings(whole[:-cut], 1)


def test_an_error_in_a_200_is_a_refusal() -> None:
    said = b'{"error": {"message": "no", "code": "rate_limit_exceeded"}}'
    found = embedder().embeddings(said, 1)
    assert isinstance(found, Refusal) and found.code == "rate_limit_exceeded"


def test_gemini_s_vectors_are_in_the_order_of_the_texts() -> None:
    said = {
        "embeddings": [{"values": [1, 2]}, {"values": [3.5, 4]}],
        "usageMetadata": {"promptTokenCount": 7},
    }
    found = embedder("gemini").embeddings(json.dumps(said).encode(), 2)
    assert numbers(found) == [[1.0, 2.0], [3.5, 4.0]]
    assert isinstance(found, Embeddings) and found.input_tokens == 7
    with pytest.raises(BadResponse, match="2 vectors for 3 texts"):
        embedder("gemini").embeddings(json.dumps(said).encode(), 3)
    without = embedder("gemini").embeddings(
        json.dumps({"embeddings": said["embeddings"]}).encode(), 2
    )
    assert isinstance(without, Embeddings) and without.input_tokens is None


def test_the_answer_to_one_record_is_its_vector() -> None:
    found = embedder().answer("/embeddings", body(at(0, vector(1, 2))))
    assert isinstance(found, Embeddings) and numbers_of(found.output or "") == [1.0, 2.0]


# --- jobs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["anthropic", "http", "openai-responses"])
def test_who_makes_no_vectors_is_refused_with_those_who_do(provider: str) -> None:
    with pytest.raises(JobError, match="no vectors can be had") as caught:
        embedder(provider, base_url="https://h.example/v1")
    assert "openai, azure, gemini" in str(caught.value.next_step)


@pytest.mark.parametrize(
    "options",
    [
        {"system": "s"},
        {"messages": "m", "prompt": None},
        {"image": "i"},
        {"file": "f"},
        {"schema": {"type": "object"}},
        {"flatten": True},
        {"body": "{}"},
        {"pointer": {"output": "/a"}},
        {"affinity": "prefix"},
        {"on_truncated": "fail"},
        {"max_output_retries": 1},
        {"response": "always"},
        {"param": {"tools": []}},
        {"param": {"response_format.type": "text"}},
    ],
)
def test_what_is_for_chats_alone_is_refused(options: dict[str, Any]) -> None:
    job = Job(**{"task": "embed", "model": "m", "prompt": "{{ t }}", **options})
    with pytest.raises(JobError, match="which is not for --task embed"):
        check(job)


@pytest.mark.parametrize("options", [{"dimensions": 8}, {"rows_per_request": 8}])
def test_what_is_for_vectors_alone_is_refused_without_them(options: dict[str, Any]) -> None:
    with pytest.raises(JobError, match="without --task embed"):
        check(Job(model="m", prompt="x", **options))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"param": {"encoding_format": "int8"}}, "only floats can be read"),
        ({"param": {"dimensions": 5}}, "--param dimensions is given"),
        ({"param": {"input": "x"}}, "--param input is not a parameter"),
        ({"base_url": "https://h.example/v1/embeddings"}, "names one endpoint"),
        ({"provider": "gemini", "param": {"outputDimensionality": 5}}, "outputDimensionality"),
    ],
)
def test_parameters_that_contradict_the_job_are_refused(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(JobError, match=words):
        embedder(**options)


def test_a_prompt_a_model_and_its_columns_are_needed() -> None:
    embedder().check_columns(["t"])
    with pytest.raises(TemplateError, match="no column 't'"):
        embedder().check_columns(["u"])
    with pytest.raises(JobError, match="--prompt is not given"):
        embedder(prompt=None).check_columns(["t"])
    with pytest.raises(JobError, match="--model is not given"):
        embedder(model=None).check_columns(["t"])
