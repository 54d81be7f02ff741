"""The records of a lease: every row that was leased comes out as one record, whatever is in it.

A decoder that raises is a bug of ours or of Arrow's. It must not end the worker: the lease would
only go on to the next one, and end all of them in turn.
"""

from __future__ import annotations

from collections.abc import Container

from penstock.engine.messages import Lease
from penstock.record import Record
from penstock.sources.record import records


def records_of_lease(lease: Lease, payload: bytes, id_column: str | None) -> list[Record]:
    """The wanted rows' records, in order; what can't be decoded has a `problem`."""
    rows = [row for start, end in lease.wanted for row in range(start, end)]
    try:
        found = decode(lease, payload, id_column, set(rows) if len(rows) < lease.rows else None)
    except Exception:  # whatever one row did: each by itself, so that it alone has the problem
        found = [alone(lease, payload, id_column, row) for row in rows]
    if [record.row for record in found] == rows:
        return found
    lost = set(rows).difference(record.row for record in found)
    return [*found, *(unreadable(lease, row, "is not there") for row in sorted(lost))]


def decode(
    lease: Lease, payload: bytes, id_column: str | None, wanted: Container[int] | None
) -> list[Record]:
    """The records of a lease's payload; `wanted` None: all of them."""
    return list(
        records(
            lease.kind, payload, lease.first_row, lease.file, lease.first_line, id_column, wanted
        )
    )


def alone(lease: Lease, payload: bytes, id_column: str | None, row: int) -> Record:
    """The record of one row of a payload that can't be decoded as a whole."""
    try:
        return decode(lease, payload, id_column, {row})[0]
    except Exception as error:
        return unreadable(lease, row, f"can't be decoded: {type(error).__name__}: {error}")


def unreadable(lease: Lease, row: int, why: str) -> Record:
    """A record that stands for a row that could not be read."""
    return Record(row, f"{lease.file} row {row}", problem=why)
