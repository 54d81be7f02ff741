"""OpenAI batch lines in, OpenAI batch output lines out."""

from __future__ import annotations

import json
from typing import Any

from conftest import Simulate
from integration.conftest import MakePlace
from integration.place import Place, read_lines

CHAT = "/v1/chat/completions"


def line(number: int, url: str, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "custom_id": f"c-{number}",
        "method": "POST",
        "url": url,
        "body": {"model": "m", **body},
    }


def ask(run: Place, base_url: str, lines: list[Any], **options: Any) -> int:
    """Run batch lines, which bring their own model and messages; returns the exit code."""
    run.input.write_text("".join(json.dumps(one) + "\n" for one in lines))
    ended = run.run(base_url, model=None, prompt=None, **options)
    assert ended.code in (0, 3), ended.stderr
    return ended.code


def test_each_line_of_the_output_answers_its_line_of_the_input(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(0), simulate(html_500=0.05, reject=0.05)
    messages = [[{"role": "user", "content": f"text {n}, of the run"}] for n in range(200)]
    lines = [line(n, CHAT, {"messages": one}) for n, one in enumerate(messages)]
    assert ask(run, provider.base_url, lines) == 3
    refused = provider.stats()["rejected_texts"]
    results = run.results()
    assert [one["custom_id"] for one in results] == [one["custom_id"] for one in lines]
    for one, given in zip(results, messages, strict=True):
        text = given[0]["content"]
        answer = one["response"]
        if text in refused:
            assert answer["status_code"] == 400
            assert answer["body"]["error"]["message"]
        else:
            assert (answer["status_code"], one["error"]) == (200, None)
            said = answer["body"]["choices"][0]["message"]["content"]
            assert said.startswith(f"echo: {text}")
            assert answer["request_id"]


def test_a_line_that_can_t_be_sent_is_a_dead_letter_and_the_others_are_answered(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(0), simulate()
    good = {"messages": [{"role": "user", "content": "hello"}]}
    lines: list[Any] = [line(n, CHAT, good) for n in range(20)]
    lines[3]["body"] = {**lines[3]["body"], "stream": True}
    lines[5]["url"] = "/v1/files"
    lines[8]["body"]["model"] = "does-not-exist"
    del lines[9]["body"]
    assert ask(run, provider.base_url, lines) == 3
    letters = {
        one["_penstock"]["row"]: one["_penstock"]["error_class"] for one in run.dead_letters()
    }
    assert letters == {3: "invalid_input", 5: "invalid_input", 8: "model", 9: "invalid_input"}
    assert provider.stats()["answered_bodies"] > 0
    assert len(run.results()) == 20


def test_embeddings_completions_and_responses_are_known_too(
    place: MakePlace, simulate: Simulate
) -> None:
    run, provider = place(0), simulate()
    lines = [
        line(0, "/v1/embeddings", {"input": ["one", "two"]}),
        line(1, "/v1/completions", {"prompt": "three"}),
        line(2, "/v1/responses", {"input": "four"}),
    ]
    assert ask(run, provider.base_url, lines) == 0
    bodies = [one["response"]["body"] for one in run.results()]
    assert len(bodies[0]["data"]) == 2
    assert bodies[1]["choices"][0]["text"].startswith("echo: three")
    assert "echo: four" in json.dumps(bodies[2]["output"])
    table = run.folder / "table.csv"
    assert run.penstock("export", run.run_dir, "-o", table).code == 0
    assert "echo: three" in table.read_text()


def test_the_failed_lines_are_an_input_themselves(place: MakePlace, simulate: Simulate) -> None:
    run, bad, good = place(0), simulate(reject=0.2), simulate()
    lines = [
        line(n, CHAT, {"messages": [{"role": "user", "content": f"text {n}"}]}) for n in range(60)
    ]
    assert ask(run, bad.base_url, lines) == 3
    failed = run.output.with_name(run.output.name + ".failed.jsonl")
    again = run.folder / "again.jsonl"
    ended = run.run(good.base_url, inputs=[failed], model=None, prompt=None, output=again)
    assert ended.code == 0, ended.stderr
    asked_again = [one["custom_id"] for one in read_lines(failed)]
    assert [one["custom_id"] for one in read_lines(again)] == asked_again
    assert all(one["response"]["status_code"] == 200 for one in read_lines(again))
