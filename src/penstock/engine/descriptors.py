"""File descriptors: every request in flight takes one, and the system gives only so many.

Raising the soft limit costs nothing, so it is done without a word; the hard limit is the
administrator's, and where it is too low the run has fewer slots instead of failing connections.
"""

from __future__ import annotations

import resource

from penstock.errors import EngineError

# What a worker has open besides its connections: streams, socket, region, lock, loop, segments, a
# name being resolved, and connections that are being closed while others take their place.
SPARE_DESCRIPTORS = 64
LEAST_SPARE = 28  # where there is no room for that
LEAST = LEAST_SPARE + 4  # below that nothing works
WORKER_DESCRIPTORS = 4  # what each worker takes in the supervisor, while others come and go
NO_LIMIT = 1 << 30


def allowed() -> int:
    """The most file descriptors that a process may be given."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return NO_LIMIT if hard == resource.RLIM_INFINITY else hard


def check() -> None:
    """Raises EngineError where there are too few for a run of any kind."""
    if (most := allowed()) < LEAST:
        raise EngineError(
            f"a process may open only {most} files here, and a run needs {LEAST} at the least",
            "Raise the hard limit (ulimit -Hn).",
        )


def allow(needed: int) -> None:
    """Raise the soft limit to what is needed, as far as the hard one lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, allowed()), hard))


def needed_by_worker(slots: int) -> int:
    """What a worker with so many slots should be allowed."""
    return slots + SPARE_DESCRIPTORS


def needed_by_supervisor(workers: int) -> int:
    """What the supervisor of so many workers should be allowed."""
    return workers * WORKER_DESCRIPTORS + SPARE_DESCRIPTORS


def workers_that_fit(workers: int, descriptors: int) -> int:
    """Of `workers` those that a supervisor with so many descriptors can have."""
    return min(workers, max(1, (descriptors - LEAST_SPARE) // WORKER_DESCRIPTORS))


def slots_that_fit(slots: int, workers: int, descriptors: int) -> int:
    """Of `slots` over all workers those for which so many descriptors a process are enough."""
    spare = max(LEAST_SPARE, min(SPARE_DESCRIPTORS, descriptors // 2))
    return min(slots, workers * max(1, descriptors - spare))


def words(slots: int, fitting: int, descriptors: int) -> str:
    """The warning that fewer slots are had than asked for."""
    return (
        f"a process may open only {descriptors:,} files, so that at most {fitting:,} requests are "
        f"in flight instead of {slots:,}: raise the hard limit (ulimit -Hn) for more"
    )
