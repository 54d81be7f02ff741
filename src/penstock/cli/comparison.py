"""Two runs over the same rows, joined: row by row, or by the records' ids.

By row both runs are merged range by range, in order, so that memory is bounded. By id the results
of both are first dealt out to files by a hash of the id, so that each pair of files can be joined
by itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from penstock.errors import UsageError
from penstock.job import EMBED
from penstock.ledger.copies import Copies
from penstock.ledger.figures import Figures
from penstock.ledger.manifest import Manifest
from penstock.ledger.merge import RANGE_ROWS, Merge, single_batch
from penstock.ledger.run_directory import RunDirectory
from penstock.ledger.schema import RESULT_SCHEMA
from penstock.record import SUCCEEDED

By = Literal["row", "id"]
SIDES: Final = ("a", "b")
PART_ROWS: Final = 100_000  # that are joined at once by their ids

# What the joined table has of either run, beside what both have in common.
JOINED: Final = (
    *("row", "outcome", "output", "finish_reason", "model", "input_tokens", "output_tokens"),
    *("cost_usd", "attempts", "latency_seconds", "error_class", "error_message"),
)
JOINED_SCHEMA: Final = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("same", pa.string()),  # text, json or nothing; null where one is missing
        *(
            pa.field(f"{name}_{side}", RESULT_SCHEMA.field(name).type)
            for name in JOINED
            for side in SIDES
        ),
    ]
)


class Side(msgspec.Struct, frozen=True):
    """One of the two runs."""

    path: Path
    directory: RunDirectory
    manifest: Manifest

    @property
    def embeds(self) -> bool:
        """Whether its answers are vectors."""
        return bool(self.manifest.job.get("task") == EMBED)


class Difference(msgspec.Struct, frozen=True):
    """A row that ended otherwise."""

    row: int  # in the first run
    id: str | None
    first: dict[str, Any]
    second: dict[str, Any]


class Comparison(msgspec.Struct):
    """What two runs have in common, and where they differ; `add` takes them pair by pair."""

    most_shown: int
    by: By = "row"
    matched: int = 0
    only_first: int = 0
    only_second: int = 0
    same_text: int = 0  # of the rows that succeeded in both
    same_json: int = 0  # other text, but the same JSON value
    other: int = 0
    outcomes: dict[str, int] = {}  # `succeeded -> timeout`, where they differ
    figures: tuple[Figures, Figures] = msgspec.field(default_factory=lambda: (Figures(), Figures()))
    shown: list[Difference] = []

    @property
    def agreement(self) -> float | None:
        """Of the rows that succeeded in both, the share whose answers are the same."""
        both = self.same_text + self.same_json + self.other
        return (self.same_text + self.same_json) / both if both else None

    def add(self, pairs: Joined) -> pa.RecordBatch:
        """Count pairs, and return them as rows of the joined table."""
        self.only_first += pairs.only[0]
        self.only_second += pairs.only[1]
        self.matched += pairs.first.num_rows
        for figures, batch in zip(self.figures, (pairs.first, pairs.second), strict=True):
            figures.add(batch)
        same = [self._judge(*pair) for pair in pairs.rows()]
        columns = [pairs.first["id"], pa.array(same, pa.string())]
        for name in JOINED:
            columns += [pairs.first[name], pairs.second[name]]
        return pa.RecordBatch.from_arrays(columns, schema=JOINED_SCHEMA)

    def _judge(self, first: dict[str, Any], second: dict[str, Any]) -> str | None:
        """How alike two endings of a row are: `text`, `json`, or not (None)."""
        one, other = ending(first), ending(second)
        if one != other:
            change = f"{one} -> {other}"
            self.outcomes[change] = self.outcomes.get(change, 0) + 1
        elif one != SUCCEEDED:
            return None
        elif first["output"] == second["output"]:
            self.same_text += 1
            return "text"
        elif is_same_json(first["output"], second["output"]):
            self.same_json += 1
            return "json"
        else:
            self.other += 1
        if len(self.shown) < self.most_shown:
            self.shown.append(Difference(first["row"], first["id"], first, second))
        return None


class Joined(msgspec.Struct, frozen=True):
    """Results of two runs, of which those at the same place belong together."""

    first: pa.RecordBatch
    second: pa.RecordBatch
    only: tuple[int, int]  # results of either that the other has none for

    def rows(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Each pair's cells that a judgement needs."""
        names = ["row", "id", "outcome", "error_class", "output"]
        both = (batch.select(names).to_pylist() for batch in (self.first, self.second))
        return zip(*both, strict=True)


def ending(result: dict[str, Any]) -> str:
    """How a row ended: `succeeded`, or its error class."""
    return SUCCEEDED if result["outcome"] == SUCCEEDED else result["error_class"] or "unknown"


def is_same_json(one: str | None, other: str | None) -> bool:
    """Whether two texts are JSON of the same value, however written."""
    try:
        return bool(msgspec.json.decode(one or "") == msgspec.json.decode(other or ""))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False


def side_of(path: Path) -> Side:
    """A run to be compared. Raises RunDirectoryError."""
    directory = RunDirectory(path)
    return Side(path, directory, directory.manifest())


def matching(first: Side, second: Side) -> By:
    """How the rows of two runs belong together: by number where both read the same input."""
    frozen = [[(one.size, one.sample) for one in side.manifest.inputs] for side in (first, second)]
    shared = min(map(len, frozen))
    # One may have read more files, or a file that has grown: what both have begins alike.
    return "row" if frozen[0][:shared] == frozen[1][:shared] else "id"


def joined(first: Side, second: Side, by: By) -> Iterator[Joined]:
    """The results of two runs, pair by pair. Raises UsageError where ids are missing or twice."""
    if by == "row":
        yield from joined_by_row(first, second)
        return
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        yield from joined_by_id(first, second, Path(folder))


def joined_by_row(first: Side, second: Side) -> Iterator[Joined]:
    """Row by row, in order."""
    copies = [Copies(side.directory, side.manifest.run_id) for side in (first, second)]
    one, other = Merge(copies[0]), Merge(copies[1])
    start, end = 0, max(each.end for each in copies)
    while start < end:
        left = one.merge(start, min(start + RANGE_ROWS, end))
        rights = []
        while start < left.end:
            right = other.merge(start, left.end)
            rights.append(right.results)
            start = right.end
        yield together(left.results, single_batch(pa.Table.from_batches(rights)), "row")


def joined_by_id(first: Side, second: Side, folder: Path) -> Iterator[Joined]:
    """By ids, in the first run's order as far as it fits into memory."""
    rows = [Copies(side.directory, side.manifest.run_id).end for side in (first, second)]
    parts = 1 + max(rows) // PART_ROWS
    files = [
        deal(counted(side), side, [folder / f"{name}-{n}" for n in range(parts)])
        for name, side in zip(SIDES, (first, second), strict=True)
    ]
    for one, other in zip(*files, strict=True):
        yield together(read(one), read(other), "id")


def counted(side: Side) -> Iterator[pa.RecordBatch]:
    """The results of a run that count, as the ledger has them."""
    copies = Copies(side.directory, side.manifest.run_id)
    return (merged.results for merged in Merge(copies).ranges(copies.end))


def deal(batches: Iterable[pa.RecordBatch], side: Side, files: list[Path]) -> list[Path]:
    """Deal results out to files by a hash of their ids. Raises UsageError for one without an id."""
    writers = [pa.ipc.new_stream(str(path), RESULT_SCHEMA) for path in files]
    for batch in batches:
        places: list[list[int]] = [[] for _ in files]
        for place, name in enumerate(batch["id"].to_pylist()):
            if name is None:
                raise UsageError(
                    f"{side.path}: row {batch['row'][place].as_py()} has no id to be matched by",
                    "Match the rows by their numbers: --by row.",
                )
            places[xxhash.xxh3_64_intdigest(name.encode()) % len(files)].append(place)
        for writer, some in zip(writers, places, strict=True):
            if some:
                writer.write_batch(batch.take(pa.array(some, pa.int64())))
    for writer in writers:
        writer.close()
    return files


def read(path: Path) -> pa.RecordBatch:
    with pa.ipc.open_stream(str(path)) as reader:
        return single_batch(reader.read_all())


def together(first: pa.RecordBatch, second: pa.RecordBatch, by: By) -> Joined:
    """Of two batches the results that belong together, in the first one's order."""
    for batch in (first, second):
        if by == "id" and len(pc.unique(batch["id"])) < batch.num_rows:
            raise UsageError(
                f"the id {repeated(batch)!r} is there more than once",
                "Match the rows by their numbers: --by row.",
            )
    places = pc.index_in(first[by], value_set=second[by])
    found = pc.is_valid(places)
    matched = first.filter(found)
    partners = second.take(places.filter(found))
    return Joined(
        matched,
        partners,
        (first.num_rows - matched.num_rows, second.num_rows - partners.num_rows),
    )


def repeated(batch: pa.RecordBatch) -> str | None:
    """An id that a batch has more than once."""
    counts = pc.value_counts(batch["id"])
    more = counts.filter(pc.greater(counts.field("counts"), 1))
    return more.field("values")[0].as_py() if len(more) else None
