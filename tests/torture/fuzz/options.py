"""Options as text: each line is NAME=VALUE, for a variable; `param` and `header` are repeated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from penstock.errors import JobError
from penstock.job import options
from penstock.origins import load_job, parse_pair
from torture.fuzz.jobs import check_job, check_words

OPTIONS: Final = {one.name: one for one in options()}

VALUES: Final = (
    "output=out.jsonl\nmodel=m\nprompt={{ a }}\nrpm=500\nworkers=auto\njson=yes",
    "inputs=a:b\nsystem=x\nmessages=m\ntimeout=1e3\nstop_failed=5%\ngrace=1.5m",
    'param=temperature=0.5\nparam=a.b={"c":[1]}\nparam=stop=x\nheader=X-A=env:B',
    "metrics_port=0\nbase_url=http://localhost:1/v1\nproxy=http://h\nsimulate=on",
    "rpm=1e3\ntimeout=nan\nmetrics_port=\u0663\nworkers=\u00b2\nallow_failed=inf%",
    "param=a=1\nparam=a.b=2\nparam=.=3\nparam=model=x\nparam==y\nparam=z",
    "response=always\nkeep=none\nprefix=p_\nmax_concurrency=65536\ntpm=1000000000000001",
    "param=x=" + "[" * 3000,
    "metrics_port=" + "9" * 5000,
    "prompt_file=nothing\napi_key_file=k\napi_key_env=E\nca_file=c\nrun_dir=r\nlimit=10",
)


def seeds() -> Sequence[bytes]:
    return [text.encode() for text in VALUES]


def once(data: bytes, folder: Path) -> None:
    # As the system hands them on: what is no UTF-8 is a surrogate.
    pairs = [os.fsdecode(line).partition("=")[::2] for line in data.split(b"\n")]
    try:
        environment = {OPTIONS[name].variable: value for name, value in pairs if name in OPTIONS}
        repeated = [(name, value) for name, value in pairs if name in ("param", "header")]
        flags = {
            name: dict(
                parse_pair(OPTIONS[name], value) for other, value in repeated if other == name
            )
            for name in {name for name, _ in repeated}
        }
        job = load_job(flags, environment)
    except JobError as error:
        check_words(error)
        return
    check_job(job)
