from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.errors import JobError, TemplateError
from penstock.job import Job
from penstock.origins import convert
from penstock.providers.allowance import RenderError
from penstock.providers.conversation import Conversation, weight_bytes
from penstock.record import Attached, Attachment

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


def with_images(*urls: str, **fields: Any) -> Attached:
    row = Attached(fields)
    row.attachments = tuple(Attachment(url) for url in urls)
    return row


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}


def test_images_and_files_follow_the_text_of_the_last_message_of_the_user_s() -> None:
    asked = conversation(prompt="{{ a }}", system="s", image="x", file="y")
    row = with_images("data:image/png;base64,AA", a="see")
    row.attachments += (Attachment("data:application/pdf;base64,AA", "", "d.pdf", False),)
    file = {"filename": "d.pdf", "file_data": "data:application/pdf;base64,AA"}
    assert asked.messages(row) == [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "see"}, IMAGE, {"type": "file", "file": file}],
        },
    ]
    assert asked.messages(with_images(a="see"))[1]["content"] == "see"
    assert asked.messages({"a": "see"})[1]["content"] == "see"
    assert asked.only_prompt is None
    with pytest.raises(JobError, match="--image and --file: there is no column 'y'"):
        asked.check_columns(["a", "x"])


def test_images_go_into_a_column_of_messages_too_and_leave_it_as_it_was() -> None:
    asked = conversation(messages="m", image="x")
    talk = [{"role": "user", "content": [{"type": "text", "text": "a"}]}, MESSAGES[1]]
    sent = asked.messages(with_images("data:image/png;base64,AA", m=talk))
    assert sent == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, IMAGE]},
        MESSAGES[1],
    ]
    assert len(talk[0]["content"]) == 1
    alone = asked.messages(with_images("data:image/png;base64,AA", m=[MESSAGES[1]]))
    assert alone == [MESSAGES[1], {"role": "user", "content": [IMAGE]}]


def test_an_image_weighs_as_many_tokens_however_large_it_is() -> None:
    small, large = (with_images("data:," + "A" * size) for size in (10, 1_000_000))
    weights = [weight_bytes(len(row.attachments[0].url) + 500, row) for row in (small, large)]
    assert weights == [4500, 4500]
