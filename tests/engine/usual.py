"""What is the same of the work of a worker in most tests."""

from __future__ import annotations

from typing import Any

USUAL_WORK: dict[str, Any] = {
    "max_output_retries": 2,
    "judge": None,
    "attach": None,
    "budget_share": 1.0,
    "on_taken": lambda: None,
    "refresh_key": lambda *_: False,
}
