from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.errors import JobError, TemplateError
from penstock.job import Job
from penstock.origins import convert
from penstock.providers.allowance import RenderError
from penstock.providers.conversation import Conversation

MESSAGES = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]


def conversation(**options: Any) -> Conversation:
    return Conversation(Job(**options))


def test_a_system_message_goes_before_the_prompt_and_the_column() -> None:
    asked = conversation(system="Be {{ mood }}", prompt="Hi {{ name }}")
    assert asked.messages({"mood": "kind", "name": "Zoë"}) == [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": "Hi Zoë"},
    ]
    listed = conversation(system="s", messages="m").messages({"m": json.dumps(MESSAGES)})
    assert listed == [{"role": "system", "content": "s"}, *MESSAGES]


def test_a_prompt_and_nothing_else_is_known_as_such() -> None:
    only = conversation(prompt="{{ a }}").only_prompt
    assert only is not None and only.render({"a": "x"}) == "x"
    assert conversation(prompt="x", system="s").only_prompt is None
    assert conversation(messages="m").only_prompt is None


@pytest.mark.parametrize("value", [None, [], "[", "{}", ["x"], 5])
def test_a_column_that_holds_no_messages_can_not_be_rendered(value: Any) -> None:
    with pytest.raises(RenderError, match="column 'm' is not"):
        conversation(messages="m").messages({"m": value})


def test_columns_that_are_not_there_are_refused_with_the_nearest() -> None:
    with pytest.raises(JobError, match="--messages message: there is no such column") as caught:
        conversation(messages="message").check_columns(["messages"])
    assert "Did you mean 'messages'?" in caught.value.next_step
    with pytest.raises(TemplateError, match="--system: there is no column 'txt'"):
        conversation(prompt="x", system="{{ txt }}").check_columns(["text"])
    with pytest.raises(JobError, match="neither --prompt nor --messages"):
        conversation(system="s").check_columns(["text"])


EXAMPLES = [
    {"role": "user", "content": "2 + 2"},
    {"role": "assistant", "content": "{{ n }}"},
]


def test_messages_of_the_job_are_templates_between_system_and_prompt() -> None:
    job = convert({"system": "s", "messages": EXAMPLES, "prompt": "{{ n }} + 1"})
    asked = Conversation(job)
    assert asked.messages({"n": 4}) == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "2 + 2"},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "4 + 1"},
    ]
    assert asked.only_prompt is None
    with pytest.raises(TemplateError, match=r"messages\[1\]: there is no column 'n'"):
        asked.check_columns(["m"])
    asked.check_columns(["n"])
