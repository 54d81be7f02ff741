# What nearly every chat completion says: one choice, a text in it and nothing beside it, and a usage
# under the names of chats. All else is left to whoever reads any (providers/openai_answers.py).

cdef tuple ANSWER_FIELDS = (
    "output", "finish_reason", "model", "input_tokens", "cached_input_tokens", "output_tokens",
    "reasoning_tokens", "cache_write_tokens", "truncated",
)


@cython.final
cdef class PlainChats:
    cdef object make
    cdef str cut
    cdef Field choices, error, model, usage  # of a body
    cdef Field message, finish_reason, failure  # of its choice
    cdef Field content  # of the message in that
    cdef tuple beside
    cdef Field prompt_tokens, completion_tokens, prompt_details, completion_details  # of the usage
    cdef tuple unusual
    cdef Field cached_tokens, cache_write_tokens, reasoning_tokens  # of details

    def __init__(self, answer, str cut not None, body, choice, message, usage, details):
        beside = ("tool_calls", "function_call", "reasoning_content", "reasoning")
        unusual = ("prompt_cache_hit_tokens", "input_tokens_details", "output_tokens_details")
        must_have(answer, ANSWER_FIELDS)
        self.make = answer
        self.cut = cut
        self.choices = Field(body, "choices")
        self.error = Field(body, "error")
        self.model = Field(body, "model")
        self.usage = Field(body, "usage")
        self.message = Field(choice, "message")
        self.finish_reason = Field(choice, "finish_reason")
        self.failure = Field(choice, "error")
        self.content = Field(message, "content")
        self.beside = tuple(Field(message, name) for name in beside)
        self.prompt_tokens = Field(usage, "prompt_tokens")
        self.completion_tokens = Field(usage, "completion_tokens")
        self.prompt_details = Field(usage, "prompt_tokens_details")
        self.completion_details = Field(usage, "completion_tokens_details")
        self.unusual = tuple(Field(usage, name) for name in unusual)
        self.cached_tokens = Field(details, "cached_tokens")
        self.cache_write_tokens = Field(details, "cache_write_tokens")
        self.reasoning_tokens = Field(details, "reasoning_tokens")

    def answer(self, body):
        cdef list choices = self.choices.get(body)
        cdef object usage = self.usage.get(body), text, reason, details
        cdef object inputs = None, cached = None, written = None, outputs = None, reasoning = None
        if len(choices) != 1 or self.error.get(body):
            return None
        text = self.text_of(choices[0])
        if text is None:
            return None
        if usage is not None:
            inputs, outputs = self.prompt_tokens.get(usage), self.completion_tokens.get(usage)
            if not inputs or outputs is None or knows_any(self.unusual, usage):
                return None
            if (details := self.prompt_details.get(usage)) is not None:
                cached = self.cached_tokens.get(details)
                written = self.cache_write_tokens.get(details)
            if (details := self.completion_details.get(usage)) is not None:
                reasoning = self.reasoning_tokens.get(details)
        reason = self.finish_reason.get(choices[0])
        return self.make(  # by position: as in ANSWER_FIELDS
            text, reason, self.model.get(body), inputs, cached, outputs, reasoning, written,
            reason == self.cut,
        )

    cdef object text_of(self, choice):
        """The text that a choice has, and nothing beside it; None for all else."""
        cdef object message = self.message.get(choice), text
        if message is None or self.failure.get(choice) or says_any(self.beside, message):
            return None
        text = self.content.get(message)
        return text if type(text) is str and text else None


cdef bint says_any(tuple fields, struct) except -1:
    """Whether any of a struct's fields has something in it."""
    cdef Field field
    for field in fields:
        if field.get(struct):
            return True
    return False


cdef bint knows_any(tuple fields, struct) except -1:
    """Whether any of a struct's fields is there, be it a zero."""
    cdef Field field
    for field in fields:
        if field.get(struct) is not None:
            return True
    return False
