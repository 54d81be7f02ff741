"""A job's input as commands read it that make no run."""

from __future__ import annotations

import sys
from pathlib import Path

from penstock.errors import JobError
from penstock.job import Job
from penstock.providers.batch import check_batch
from penstock.providers.provider import provider_for
from penstock.sources.inputs import Inputs


def opened(job: Job, spool: Path) -> Inputs:
    """A job's inputs, found to fit its requests; standard input is kept in `spool`.

    Raises UsageError.
    """
    if not job.inputs:
        raise JobError("there is no input", "Name files, globs or directories, or - for stdin.")
    provider = provider_for(job)
    inputs = Inputs.open(job.inputs, spool=spool, stdin=sys.stdin.buffer)
    if inputs.batch_lines:
        check_batch(job)
    else:
        provider.check_columns(inputs.schema().names)
    return inputs
