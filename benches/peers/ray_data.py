"""Ray Data's HTTP stage (ray.data.llm), one actor on the core that it is given.

It asks for the rows of a batch one after the other; how many batches it has under way is its own
matter.
"""

from __future__ import annotations

import os

from asking import arguments, body, check, check_count

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray.data.llm import HttpRequestProcessorConfig, build_processor

BATCH = 64


def main() -> None:
    given = arguments()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    config = HttpRequestProcessorConfig(
        url=f"{given.base_url}/chat/completions",
        batch_size=BATCH,
        concurrency=1,
    )
    processor = build_processor(
        config,
        preprocess=lambda row: {"payload": body(int(row["id"]))},
        postprocess=lambda row: {"choice": row["http_response"]["choices"][0]},
    )
    answered = 0
    for row in processor(ray.data.range(given.requests)).iter_rows():
        check(row["choice"]["message"]["content"])
        answered += 1
    ray.shutdown()
    check_count(answered, given.requests)


main()
