"""One dead letter of a batch as the example of its class."""

from __future__ import annotations

import pyarrow as pa

from penstock.observe.report import Failure


def example(failures: pa.RecordBatch, at: int) -> Failure:
    """One dead letter as the example of its class, not counted yet."""
    return Failure(
        count=0,
        row=failures["row"][at].as_py(),
        id=failures["id"][at].as_py(),
        message=failures["error_message"][at].as_py() or "",
    )
