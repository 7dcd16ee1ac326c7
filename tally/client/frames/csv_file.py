"""CSV files, read row by row and never held whole."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from tally.client.frames.guessing import Guess
from tally.client.frames.parts import Part, binary_query, text_part
from tally.errors import InvalidInput

_MEDIA_TYPE = "text/csv"


class CsvFile:
    """A CSV file in UTF-8 with a header; `.gz` is read, too.

    Args:
        path: of the file.

    Raises:
        InvalidInput: it cannot be read, or has no header.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._letters: list[str | None] | None = None
        with self._rows() as rows:
            self.names = tuple(next(rows, ()))
            if not self.names:
                raise InvalidInput(str(path), "it is empty; a CSV file starts with a row of names")
            self.rows = sum(1 for _ in rows)

    def guess(self, column: int) -> str | None:
        """Return the type that a column has by its values; None: it holds text."""
        if self._letters is None:
            self._letters = self._guessed()
        return self._letters[column]

    def parts(
        self, letters: Sequence[str], *, rows: int, start: int, lenient: bool
    ) -> Iterator[Part]:
        """Yield CSV; see `Source.parts`."""
        query = binary_query(letters, lenient)
        with self._rows() as read:
            next(read)
            # Sent in earlier requests; read again, since a row may span lines.
            for _ in islice(read, start * rows):
                pass
            while part := list(islice(read, rows)):
                text = io.StringIO(newline="")
                csv.writer(text, lineterminator="\n").writerows([self.names, *part])
                yield text_part(len(part), text.getvalue().encode(), _MEDIA_TYPE, query)

    def cells(self) -> Iterator[Sequence[object]]:
        """Yield the rows."""
        with self._rows() as read:
            next(read)
            yield from read

    def _guessed(self) -> list[str | None]:
        guesses = [Guess() for _ in self.names]
        with self._rows() as rows:
            next(rows)
            for row in rows:
                for guess, cell in zip(guesses, row, strict=False):
                    guess.see(cell)
        return [guess.letter for guess in guesses]

    @contextmanager
    def _rows(self) -> Iterator[Iterator[list[str]]]:
        """Give the rows, the header first, without empty lines."""
        try:
            with self._open() as file:
                yield (row for row in csv.reader(file, strict=True) if row)
        except OSError as error:
            raise InvalidInput(str(self._path), str(error.strerror or error)) from error
        except (EOFError, zlib.error) as error:
            raise InvalidInput(str(self._path), f"it is no whole gzip file: {error}") from error
        except UnicodeDecodeError as error:
            raise InvalidInput(str(self._path), f"it is not UTF-8: {error.reason}") from error
        except csv.Error as error:
            raise InvalidInput(str(self._path), f"it is no CSV: {error}") from error

    def _open(self) -> io.TextIOWrapper:
        if self._path.suffix == ".gz":
            return io.TextIOWrapper(gzip.open(self._path), encoding="utf-8-sig", newline="")
        return self._path.open(encoding="utf-8-sig", newline="")
