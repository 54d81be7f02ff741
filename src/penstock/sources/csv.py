r"""CSV and TSV: a header, then rows of as many fields; every value is text.

Values stay as they are written, for only so do "007", "1e5" and "TRUE" survive; an empty field is
an empty string. The grammar is RFC 4180's, with `\n` or `\r\n` at a record's end: a quote opens a
quoted field at a field's beginning only, elsewhere it is a character like any other (5" disk). The
supervisor finds where records end with the same grammar by which the worker reads them.

Blank lines are no rows. A quote that is never closed makes its row too long, and ends with it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterator

from penstock.errors import InputError
from penstock.record import Record
from penstock.sources.decoded import Fields, records_of_lines, wanted_lines
from penstock.sources.lines import too_long


class Grammar:
    """Records with one delimiter: where they end, and which fields they hold."""

    def __init__(self, delimiter: str) -> None:
        quoted = r'"[^"]*+(?:""[^"]*+)*+"'
        plain = rf"[^{delimiter}\n]*+"
        field = rf'(?:{quoted}{plain}|(?!"){plain})'
        self._delimiter = delimiter
        self._record = re.compile(rf"{field}(?:{delimiter}{field})*+\n".encode())
        self._field = re.compile(
            rf'(?:"([^"]*+(?:""[^"]*+)*+)"({plain})|(?!")({plain})){delimiter}'
        )

    def row_end(self, data: bytes, position: int) -> int:
        """The index of the newline that ends the record at `position`; -1: not in `data`."""
        end = data.find(b"\n", position)
        if end < 0 or data.find(b'"', position, end) < 0:
            return end
        found = self._record.match(data, position)
        return found.end() - 1 if found else -1

    def records_of(self, data: bytes) -> Iterator[bytes]:
        """The records of whole records' bytes, without the newlines that end them."""
        position = 0
        while position < len(data):
            end = self.row_end(data, position)
            end = len(data) if end < 0 else end
            yield data[position:end]
            position = end + 1

    def fields_of(self, record: bytes) -> list[str] | str:
        """The values of one record, or what is wrong with it."""
        try:
            text = record.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            return f"invalid UTF-8 at byte {error.start}: {error.reason}"
        if '"' not in text:
            return too_long(record) or text.split(self._delimiter)
        text += self._delimiter
        values: list[str] = []
        position = 0
        while position < len(text):
            found = self._field.match(text, position)
            if found is None:
                return f"the quote that opens field {len(values) + 1} is never closed"
            quoted, rest, plain = found.groups()
            if rest:
                return f"field {len(values) + 1} goes on after its closing quote"
            values.append(plain if quoted is None else quoted.replace('""', '"'))
            position = found.end()
        return values


GRAMMARS = {"csv": Grammar(","), "tsv": Grammar("\t")}


def names_of(header: bytes, grammar: Grammar, file: str) -> list[str]:
    """The columns' names; one without a name is called by its place, `column_1`.

    Raises InputError, naming the file, where the header can't be read or a name stands twice.
    """
    values = grammar.fields_of(header)
    if isinstance(values, str):
        raise InputError(f"{file}: the header: {values}", "Mend the file's first line.")
    if any("\r" in name for name in values):
        raise InputError(
            f"{file}: its lines end with a lone carriage return",
            "Save it with line feeds at the ends of lines.",
        )
    names = [name or f"column_{place}" for place, name in enumerate(values, 1)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"{file}: two columns are called {twice[0]!r}", "Rename one of them.")
    return names


def records(
    grammar: Grammar,
    payload: bytes,
    first_row: int,
    file: str,
    first_line: int,
    id_column: str | None,
    wanted: Container[int] | None,
) -> Iterator[Record]:
    """The records of a payload: the header, then rows (see `penstock.sources.record.records`)."""
    rows = raw_rows(grammar, payload, first_line)
    names = names_of(next(rows)[1], grammar, file)
    lines = wanted_lines(rows, first_row, file, wanted)
    yield from records_of_lines(lines, lambda record: columns_of(record, names, grammar), id_column)


def columns_of(record: bytes, names: list[str], grammar: Grammar) -> Fields:
    """One row's columns, or what is wrong with it."""
    values = grammar.fields_of(record)
    if isinstance(values, str):
        return values
    if len(values) != len(names):
        return f"expected {len(names)} fields, as the header has, found {len(values)}"
    return dict(zip(names, values, strict=True))


def raw_rows(grammar: Grammar, payload: bytes, first_line: int) -> Iterator[tuple[int, bytes]]:
    """The header (line 0), then the rows of a payload, each with its 1-based line number."""
    everything = grammar.records_of(payload)
    yield 0, next(everything)
    line = first_line
    for record in everything:
        if record and not record.isspace():
            yield line, record
        line += 1 + record.count(b"\n")
