"""However a body is cut on its way, the same lines come out, and a CSV body is cut into records as the standard library would."""

import csv
import io
import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mastering.connectors import csvfile, csvrecords
from mastering.connectors.csvrecords import Overlong, RecordCutter, Records
from mastering.connectors.intake import Line, open_intake
from mastering.errors import MalformedBody
from mastering.rules.policy import Csv

Outcome = list[Line] | str

BODIES = {
    "application/x-ndjson": b'\xef\xbb\xbf{"externalId":"E1","profile":{"a":"\xc3\xa9"}}\r\n\n[1]\n\xff\n{"externalId":"E2"}',
    "application/json": b'\xef\xbb\xbf[{"externalId":"E1","profile":{"a":"\xf0\x9f\x98\x80"}},\n null, {"externalId":"E2"}]\n',
    "text/csv": b'\xef\xbb\xbfexternalId,a\r\nE1,"x\r\n""\xc3\xa9"""\r\n\r\nE2\nE3,\xff\xc3\nE4,"x"y\nE5,\xf0\x9f\x98\x80',
    "application/scim+json": b'{"Resources":[{"id":"E1","name":{"givenName":"Zo\xc3\xab"}},17]}',
}
TYPES = st.sampled_from(sorted(BODIES))
CSV_LIKE = st.lists(st.sampled_from(['"', ",", "\n", "\r", "\r\n", "x", "é", "\0", '"x"', '",', ',"', "E1,"]), max_size=60).map("".join)


def outcome(content_type: str, chunks: list[bytes]) -> Outcome:
    intake = open_intake(content_type, Csv())
    try:
        return [line for chunk in chunks for line in intake.feed(chunk)] + intake.close()
    except MalformedBody as error:
        return f"{error} ({error.line})"


def pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[start:end] for start, end in itertools.pairwise(places)]


def cut_up(text: str, size: int) -> tuple[list[Records | Overlong], int | None]:
    """What a cutter makes of a text in pieces of that size, and the line of a quote that stays open."""
    cutter = RecordCutter(",")
    found = [piece for at in range(0, len(text), size) for piece in cutter.push(text[at : at + size])]
    try:
        return found + cutter.close(), None
    except MalformedBody as error:
        return found, error.line


def rows(line: int, text: str) -> list[tuple[int, list[str] | str]]:
    """The standard library's reading of complete records: rows, and what it complains about, by line."""
    reader = csv.reader(io.StringIO(text, newline="\n"), strict=True)
    found: list[tuple[int, list[str] | str]] = []
    while True:
        at = line + reader.line_num
        try:
            found.append((at, next(reader)))
        except csv.Error as error:
            found.append((at, str(error)))
        except StopIteration:
            return found


@pytest.mark.parametrize("content_type", sorted(BODIES))
def test_a_body_sent_byte_by_byte_gives_the_same_lines(content_type: str) -> None:
    body = BODIES[content_type]
    whole = outcome(content_type, [body])
    assert isinstance(whole, list)
    assert whole
    assert outcome(content_type, [bytes([byte]) for byte in body]) == whole


@given(TYPES, st.lists(st.integers(0, 1_000), max_size=8), st.integers(0, 1_000))
def test_a_body_gives_the_same_lines_wherever_it_is_cut_and_wherever_it_ends(content_type: str, cuts: list[int], end: int) -> None:
    body = BODIES[content_type][: end % 200]
    assert outcome(content_type, pieces(body, cuts)) == outcome(content_type, [body])


@given(TYPES, st.binary(max_size=40), st.integers(0, 1_000), st.lists(st.integers(0, 1_000), max_size=8))
def test_a_damaged_body_gives_the_same_answer_wherever_it_is_cut(content_type: str, damage: bytes, at: int, cuts: list[int]) -> None:
    body = BODIES[content_type]
    body = body[: at % len(body)] + damage + body[at % len(body) + len(damage) :]
    assert outcome(content_type, pieces(body, cuts)) == outcome(content_type, [body])


@given(st.binary(max_size=60), st.integers(1, 40))
def test_csv_bytes_give_the_same_answer_in_blocks_of_any_size(rest: bytes, block: int) -> None:
    body = b"externalId,a\n" + rest
    whole = outcome("text/csv", [body])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csvfile, "_BLOCK", block)
        assert outcome("text/csv", [body]) == whole


@given(CSV_LIKE, st.integers(1, 20))
@example('x\rx,"\nx"\n', 1)
@example('"x"\r\r\n"y\n"\n', 3)
def test_records_are_cut_as_the_standard_library_reads_them(text: str, size: int) -> None:
    found, open_quote = cut_up(text, size)
    assert all(isinstance(piece, Records) for piece in found)
    complete = "".join(piece.text for piece in found if isinstance(piece, Records))
    read = [row for piece in found if isinstance(piece, Records) for row in rows(piece.line, piece.text)]
    assert read == rows(1, complete)
    if open_quote is None:
        assert complete.removesuffix("\n") == text.removesuffix("\n")
    else:
        assert "unexpected end of data" in rows(1, text)[-1][1]
        assert 1 <= open_quote <= 1 + text.count("\n")


@given(CSV_LIKE, st.integers(1, 12))
@example('"""\n', 1)
@example('x"x""x""\r\r"x"\n', 1)
@example('xxxxxxxxxxxxxx\rx,"\n', 1)
@example("xxxxxxxxxxxx\n", 1)
@example('"x""x""x"\r\r\r\n', 1)
@example('xxxxxxxxxxxxxxx\r\n"', 12)
@example('"xxxxxxxxxxxxxxxxx"\r\nx,"\n"\n', 5)
def test_an_overlong_record_ends_where_it_would_end_if_it_were_held(text: str, size: int) -> None:
    held, open_quote = cut_up(text, 1)  # one by one
    excess = {piece.line for piece in held if isinstance(piece, Records) and len(piece.text) > 12}
    expected = {line: row for piece in held if isinstance(piece, Records) for line, row in rows(piece.line, piece.text)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csvrecords, "MAX_LINE", 12)
        found, still_open = cut_up(text, size)
    usual = {line: row for piece in found if isinstance(piece, Records) for line, row in rows(piece.line, piece.text)}
    overlong = {piece.line: piece.broken for piece in found if isinstance(piece, Overlong)}
    assert still_open == open_quote
    assert usual == {line: row for line, row in expected.items() if line not in excess}
    assert overlong == {line: isinstance(row, str) for line, row in expected.items() if line in excess}
