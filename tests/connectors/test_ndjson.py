"""NDJSON: lines go on as they came, and a line that cannot does not take others with it."""

import codecs
import tracemalloc

import pytest

from mastering.connectors.intake import MAX_LINE, Line, Unusable, decode_unusable
from mastering.connectors.ndjson import NdjsonIntake


def read(*chunks: bytes) -> list[Line]:
    intake = NdjsonIntake()
    return [line for chunk in chunks for line in intake.feed(chunk)] + intake.close()


def reasons(lines: list[Line]) -> list[tuple[int, Unusable, str | None]]:
    found = []
    for line in lines:
        if line.payload.startswith(b"!"):
            reason, detail, external_id = decode_unusable(line.payload)
            assert detail
            found.append((line.number, reason, external_id))
    return found


def test_lines_keep_their_bytes_and_their_numbers() -> None:
    body = b'{"externalId":"E1", "profile":{}}\r\n\n  {"externalId":"E2"} \n \t\r\n{"externalId":"E3"}'
    assert read(body) == [(1, b'{"externalId":"E1", "profile":{}}'), (3, b'{"externalId":"E2"}'), (5, b'{"externalId":"E3"}')]


def test_lines_come_out_as_soon_as_they_are_complete() -> None:
    intake = NdjsonIntake()
    assert intake.feed(b'{"a":1}\n{"a"') == [(1, b'{"a":1}')]
    assert intake.feed(b":2}") == []
    assert intake.feed(b"\n") == [(2, b'{"a":2}')]
    assert intake.close() == []


def test_an_empty_body_has_no_records() -> None:
    assert read() == read(b"") == read(b"\n\n") == read(codecs.BOM_UTF8) == []


def test_a_byte_order_mark_is_dropped_at_the_beginning_and_nowhere_else() -> None:
    assert read(codecs.BOM_UTF8 + b"{}\n{}") == [(1, b"{}"), (2, b"{}")]
    assert reasons(read(b"{}\n" + codecs.BOM_UTF8 + b"{}")) == [(2, Unusable.not_json, None)]


def test_a_body_that_is_only_the_beginning_of_a_byte_order_mark_is_a_broken_line() -> None:
    assert reasons(read(codecs.BOM_UTF8[:2])) == [(1, Unusable.not_utf8, None)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1,2]", Unusable.not_an_object),
        (b'"text"', Unusable.not_an_object),
        (b"null", Unusable.not_an_object),
        (b"externalId,active", Unusable.not_json),
        (b"\x00", Unusable.not_json),
        (b"[" * 100_000, Unusable.not_json),
        (b"\xff{}", Unusable.not_utf8),
        ("[é]".encode("latin-1"), Unusable.not_utf8),
    ],
)
def test_a_line_that_is_plainly_no_record_is_refused_and_the_others_stand(line: bytes, reason: Unusable) -> None:
    lines = read(b'{"a":1}\n' + line + b'\n{"a":2}\n')
    assert reasons(lines) == [(2, reason, None)]
    assert [lines[0], lines[2]] == [(1, b'{"a":1}'), (3, b'{"a":2}')]


def test_a_sender_cannot_forge_a_refusal() -> None:
    forged = b'!{"unusable":"not_json","detail":"nothing to see","externalId":"E1"}'
    assert reasons(read(forged)) == [(1, Unusable.not_json, None)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_body_in_another_unicode_encoding_has_no_line_that_reads_as_json(encoding: str) -> None:
    lines = read('{"externalId":"E1"}\n{"externalId":"E2"}\n'.encode(encoding))
    assert lines
    assert all(line.payload.startswith(b"!") or b"\x00" in line.payload for line in lines)


def test_a_line_may_have_exactly_the_greatest_length() -> None:
    longest = b'{"a":"' + b"x" * (MAX_LINE - 8) + b'"}'
    assert len(longest) == MAX_LINE
    assert read(longest + b"\n{}") == [(1, longest), (2, b"{}")]
    assert reasons(read(longest + b" \n{}")) == [(1, Unusable.line_too_long, None)]


@pytest.mark.parametrize("size", [997, 65_536, 20_000_000])
def test_a_line_of_ten_megabytes_is_refused_by_name_however_it_arrives(size: int) -> None:
    body = b'{"a":1}\n {"externalId":"E2","profile":{"note":"' + b"x" * 10_000_000 + b'"}}\n{"a":3}'
    lines = read(*(body[at : at + size] for at in range(0, len(body), size)))
    assert reasons(lines) == [(2, Unusable.line_too_long, "E2")]
    assert [lines[0], lines[2]] == [(1, b'{"a":1}'), (3, b'{"a":3}')]


def test_a_line_without_end_takes_no_memory() -> None:
    intake, chunk = NdjsonIntake(), b"x" * 65_536
    tracemalloc.start()
    try:
        for _ in range(500):
            assert intake.feed(chunk) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * MAX_LINE
    assert reasons(intake.close()) == [(1, Unusable.line_too_long, None)]
