"""`spending.json`: what a run has spent beyond what its rows cost, and may have spent at most.

Rows carry their own cost. What is paid and leaves no row is known to running processes alone:
attempts of records that have not ended, answers that were lost with a worker, requests in flight.
So it is written down with each checkpoint, as if all of that were lost at that moment; and before a
worker is granted a part of a budget, what the run can have spent by then if everything dies, which
is no less. After a crash the latter counts where there is a budget: what was in flight is taken as
spent.
"""

from __future__ import annotations

import msgspec

from penstock.disk import Disk
from penstock.errors import LedgerError
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.sealed_json import pack, unpack


class Spending(msgspec.Struct, frozen=True):
    """In picodollars, over all epochs."""

    run_id: str
    beyond_rows: int = 0
    at_most: int = 0  # with rows; 0 where no budget bounds it

    def total(self, rows: int) -> int:
        """What counts as spent where the copies of rows that are there cost `rows`.

        Rows that a worker wrote after this was written down were beyond rows by then. What a budget
        bounds has them once.
        """
        return max(rows, self.at_most or rows + self.beyond_rows)


def write_spending(disk: Disk, run_dir: RunDirectory, spending: Spending) -> None:
    """Put it in place, durably. Raises LedgerError."""
    disk.replace_file(run_dir.spending_path, pack(msgspec.json.encode(spending)))


def read_spending(run_dir: RunDirectory, run_id: str) -> Spending:
    """What is known of it; nothing where nothing was written. Raises LedgerError if broken."""
    data = Disk().read_file(run_dir.spending_path)
    if data is None:
        return Spending(run_id)
    try:
        found = msgspec.json.decode(unpack(data), type=Spending)
        if found.run_id != run_id:
            raise ValueError("it is of another run")
    except (ValueError, RecursionError) as error:
        raise LedgerError(
            f"{run_dir.spending_path} can't be read: {error}",
            "Remove it to go on by what the rows cost alone; answers that were paid and lost are "
            "then not counted.",
        ) from None
    return found
