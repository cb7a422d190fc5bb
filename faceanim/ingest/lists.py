"""Reading of lists that people edit and spreadsheets export: encodings, separators, headers and numbers.

What a list can only mean one way is read; the rest is refused by line and column, all problems together.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple

from faceanim.errors import FaceanimError

MAX_PROBLEMS = 10
"""Problems that a message shows; the others are counted."""

_SEPARATORS = (",", ";", "\t", "|")
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WORKBOOK_MARKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(E[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?\d{1,3}([.,]\d{3})+", re.ASCII)
_FORMULA_ERROR = re.compile(r"\W?#(\w[\w/]*[!?]|N/\w|NV)")
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t|])"?', re.IGNORECASE)
_MAX_DIGITS = 16
_MAX_HEADER = 10_000
_INVISIBLE = "\ufeff\u200b\u200e\u200f"


class ListRow(NamedTuple):
    """Row of a list.

    Attributes:
        line: number of its first line in the file, from 1.
        cells: text of each required column, without surrounding blanks.
        separator: character between the cells, on which the meaning of `1.000` depends.
    """

    line: int
    cells: dict[str, str]
    separator: str


def read_list(path: Path, columns: Sequence[str]) -> list[ListRow]:
    """Read the required columns of a CSV, in whichever order and separated by comma, semicolon, tab or `|`.

    Blank rows are skipped, other columns ignored. Names of columns may differ in case and blanks.

    Raises:
        FaceanimError: the file is missing, not such a text, or lacks the header or a column; or a row has
            more cells than the header.
    """
    lines = _split_lines(read_text(path, "CSV"))
    number, header, separator = _find_header(path, lines, columns)
    places = {name: header.index(name) for name in columns}
    rows, problems = [], []
    for line, cells in _read_rows(path, lines[number:], number + 1, separator):
        if any(cells[len(header) :]):
            problems.append(f"line {line} has {len(cells)} cells, the header {len(header)}")
        elif any(cells):
            filled = cells + [""] * (len(header) - len(cells))
            rows.append(ListRow(line, {name: filled[place] for name, place in places.items()}, separator))
    raise_problems(f"{path}, ", problems)
    return rows


def read_text(path: Path, kind: str) -> str:
    """Read a text in UTF-8 or UTF-16, with or without a byte order mark.

    Args:
        path: file to read.
        kind: kind of the text for messages, such as `CSV`.

    Raises:
        FaceanimError: the file cannot be read or is in another encoding; the message names the line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FaceanimError(f"index.path: {path} does not exist") from None
    except OSError as error:
        raise FaceanimError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    if content.startswith(_WORKBOOK_MARKS):
        raise FaceanimError(f"{path} is a workbook, not a {kind}; save it as `CSV UTF-8`")
    try:
        return content.decode(_guess_encoding(content))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FaceanimError(
            f"cannot read {path} as UTF-8 {kind}: line {line} has other bytes; save it in UTF-8"
        ) from None


def _guess_encoding(content: bytes) -> str:
    """Tell UTF-16 by its byte order mark, or by an ASCII character at the start, from UTF-8."""
    if content.startswith(_UTF16_MARKS):
        return "utf-16"
    if content[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if content[:1] == b"\0" else "utf-8-sig"


def parse_text(text: str) -> str:
    """Return a text unless it is empty or the error of a formula.

    Raises:
        ValueError: the text is empty, or something such as `#NAME?`.
    """
    if not text:
        raise ValueError("empty")
    if _FORMULA_ERROR.fullmatch(text):
        raise ValueError(
            f"{text!r} is the error of a formula: a spreadsheet reads text that begins with - or = as one; "
            "restore the text, and import the column as text"
        )
    return text


def parse_number(text: str) -> float:
    """Parse a finite decimal number with a point or a comma.

    Raises:
        ValueError: the text is not such a number; the message says so.
    """
    value = float(text.replace(",", ".")) if _NUMBER.fullmatch(parse_text(text)) else nan
    if not isfinite(value):
        raise ValueError(f"{text[:60]!r} is not a number")
    return value


def parse_coordinate(text: str, separator: str) -> float:
    """Parse a number that may be 1000 or more, and refuse one that has a decimal or a thousands separator.

    Args:
        text: number.
        separator: separator of the list's cells; beside commas, a point is a decimal point.

    Raises:
        ValueError: the text is not a number, or ambiguous.
    """
    value = parse_number(text)
    if _GROUPED.fullmatch(text) and (separator != "," or "," in text):
        plain = re.sub("[.,]", "", text)
        raise ValueError(f"{text!r} may mean {value:g} or {plain}; write it without a separator")
    return value


def parse_whole(text: str, separator: str) -> int:
    """Parse a whole number, which may be written as `10.0`; see `parse_coordinate`.

    Raises:
        ValueError: the text is not a whole number, or ambiguous.
    """
    if len(text) < _MAX_DIGITS and text.isdecimal() and text.isascii():  # nearly all of them
        return int(text)
    try:
        value = parse_coordinate(text, separator)
    except ValueError as error:
        raise ValueError(str(error).replace("not a number", "not a whole number")) from None
    if not value.is_integer():
        raise ValueError(f"{text[:60]!r} is not a whole number")
    return int(value)


def raise_problems(prefix: str, problems: Sequence[str]) -> None:
    """Raise an error with a prefix and the first problems, in one line, unless there are none.

    Raises:
        FaceanimError: there are problems.
    """
    if problems:
        more = f"; and {len(problems) - MAX_PROBLEMS} more" if len(problems) > MAX_PROBLEMS else ""
        raise FaceanimError(f"{prefix}{'; '.join(problems[:MAX_PROBLEMS])}{more}")


def _split_lines(text: str) -> list[str]:
    """Split at all three line ends of text files, and at no other character, and keep them."""
    return list(io.StringIO(text, newline=""))


def _find_header(path: Path, lines: Sequence[str], columns: Sequence[str]) -> tuple[int, list[str], str]:
    """Return the number of lines up to the header, its names, and the separator that finds most of them."""
    number = next((n for n, line in enumerate(lines) if line.strip()), 0)
    separators: Sequence[str] = _SEPARATORS
    if number < len(lines) and (
        chosen := _SEPARATOR_LINE.fullmatch(lines[number].strip("\r\n" + _INVISIBLE))
    ):
        number, separators = number + 1, chosen[1]
    line = lines[number] if number < len(lines) else ""
    headers = [
        (header, separator)
        for separator in separators
        for header in [
            [_to_name(cell) for cell in next(csv.reader([line[:_MAX_HEADER]], delimiter=separator), [])]
        ]
    ]
    header, separator = max(headers, key=lambda found: len(set(columns) & set(found[0])))
    required = f"required: {','.join(columns)}"
    if missing := [name for name in columns if name not in header]:
        found = ", ".join(filter(None, header)) if len(missing) < len(columns) else "no header"
        names = ", ".join(map(repr, missing))
        raise FaceanimError(f"{path} has no column {names}: line {number + 1} has {found[:200]}; {required}")
    if twice := [name for name in columns if header.count(name) > 1]:
        raise FaceanimError(f"{path}, line {number + 1}: column {twice[0]!r} occurs twice; {required}")
    return number + 1, header, separator


def _to_name(cell: str) -> str:
    return re.sub(r"[\s-]+", "_", _clean(cell).lower())


def _read_rows(
    path: Path, lines: Sequence[str], first: int, separator: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each row's first line, and its cells without surrounding blanks."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    line = first
    try:
        for cells in reader:
            yield line, [_clean(cell) for cell in cells]
            line = first + reader.line_num
    except csv.Error:
        raise FaceanimError(
            f"cannot read {path} as UTF-8 CSV: line {line} has quotation marks that do not match, "
            "or a very long cell"
        ) from None


def _clean(cell: str) -> str:
    """Remove blanks and invisible marks around a cell, and the signs that make a spreadsheet keep a text."""
    text = cell.strip().strip(_INVISIBLE).strip()
    if text.startswith('="') and text.endswith('"'):
        text = text[2:-1]
    return text.removeprefix("'").strip()
