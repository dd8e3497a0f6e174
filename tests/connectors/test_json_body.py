"""JSON bodies: all or nothing as a document, record by record inside."""

import codecs
import json

import pytest

from mastering.connectors.intake import MAX_LINE, Line, Unusable, decode_unusable
from mastering.connectors.jsonbody import JsonIntake
from mastering.errors import MalformedBody


def read(body: bytes, limit: int = 10_000_000) -> list[Line]:
    intake = JsonIntake(limit)
    return intake.feed(body) + intake.close()


def refused(body: bytes) -> tuple[str, int | None]:
    with pytest.raises(MalformedBody) as caught:
        read(body)
    return str(caught.value), caught.value.line


def test_an_array_and_an_object_with_the_array_say_the_same() -> None:
    expected = [(1, b'{"externalId":"E1"}'), (2, b'{"externalId":"E2"}')]
    assert read(b'[{"externalId":"E1"},{"externalId":"E2"}]') == expected
    assert read(b'{"source":"HR","records":[{"externalId":"E1"},{"externalId":"E2"}]}') == expected


def test_an_empty_array_is_an_empty_snapshot() -> None:
    assert read(b"[]") == read(b' {"records" : [ ] } ') == []


def test_pretty_printing_is_no_change_of_content() -> None:
    records = [{"externalId": "E1", "profile": {"note": "two  blanks\nand a line", "tags": [1, 2.50, True, None]}}]
    pretty, dense = json.dumps(records, indent=4).encode(), json.dumps(records, separators=(",", ":")).encode()
    assert read(pretty) == read(dense) == [(1, dense[1:-1])]


def test_numbers_and_keys_of_a_record_are_left_to_planning_as_they_came() -> None:
    assert read(b'[{"externalId":12345678901234567890123,"a":1e999,"a":2}]') == [
        (1, b'{"externalId":12345678901234567890123,"a":1e999,"a":2}')
    ]


def test_a_byte_order_mark_is_dropped() -> None:
    assert read(codecs.BOM_UTF8 + b"[{}]") == [(1, b"{}")]


def test_an_element_that_is_no_object_is_refused_and_the_others_stand() -> None:
    lines = read(b'[{"a":1},null,"E3",[{}],{"a":5}]')
    assert [line.number for line in lines] == [1, 2, 3, 4, 5]
    assert {decode_unusable(line.payload)[0] for line in lines[1:4]} == {Unusable.not_an_object}
    assert [lines[0].payload, lines[4].payload] == [b'{"a":1}', b'{"a":5}']


def test_a_record_of_more_than_the_greatest_length_is_refused_by_name() -> None:
    lines = read(b'[{"externalId":"E1","profile":{"note":"' + b"x" * (2 * MAX_LINE) + b'"}},{"externalId":"E2"}]')
    assert decode_unusable(lines[0].payload)[::2] == (Unusable.line_too_long, "E1")
    assert lines[1] == (2, b'{"externalId":"E2"}')


@pytest.mark.parametrize("body", [b'[\n{"a":1},\n', b"[", b'{"records":[{"a":1}', b'[{"a":"cut'])
def test_a_body_cut_off_half_way_is_malformed_and_says_where(body: bytes) -> None:
    message, line = refused(body)
    assert "ends before it is complete" in message
    assert line == 1 + body.count(b"\n")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'[{"a":1},\n{"a" 2}]', 2),
        (b"[{}]\n\n[{}]", 3),
        (b"[1,\n\x00]", 2),
        (b'["a\x00b"]', 1),
        (b"[{}]\nx", 2),
        (b"[NaN]", 1),
        (b"[\\]", 1),
    ],
)
def test_what_is_not_json_is_malformed_and_says_where(body: bytes, line: int) -> None:
    assert refused(body)[1] == line


def test_places_are_counted_with_the_byte_order_mark() -> None:
    assert "(byte 5)" in refused(codecs.BOM_UTF8 + b"[1x]")[0]


@pytest.mark.parametrize("body", [b"{}", b"null", b"17", b'"text"', b'{"records":{}}', b'{"records":null}', b'{"Resources":[]}'])
def test_json_that_is_no_list_of_records_is_malformed(body: bytes) -> None:
    assert "must be an array of records" in refused(body)[0]


@pytest.mark.parametrize("body", [b"", b"  \n", codecs.BOM_UTF8])
def test_a_body_without_a_document_is_malformed(body: bytes) -> None:
    assert "ends before it is complete" in refused(body)[0]


@pytest.mark.parametrize(
    "body", [b"[" * 1_000_000, b'{"a":' * 1_000_000, b"[" * 200_000 + b"]" * 200_000, b'{"records":[' + b'{"a":' * 200_000]
)
def test_deep_nesting_is_malformed_and_never_a_crash(body: bytes) -> None:
    assert "nested too deeply" in refused(body)[0]


def test_at_every_depth_a_document_is_read_or_refused() -> None:
    for depth in range(1, 1_500):
        try:
            lines = read(b'[{"a":' + b"[" * depth + b"]" * depth + b"}]")
        except MalformedBody as refusal:
            assert "nested too deeply" in str(refusal)  # noqa: PT017  (either outcome is right)
        else:
            assert lines[0].payload[:1] == b"{" or decode_unusable(lines[0].payload)[0] is Unusable.not_json


@pytest.mark.parametrize(("encoding", "at"), [("utf-16", 0), ("latin-1", 17), ("utf-8-sig", None)])
def test_a_document_in_another_encoding_is_malformed(encoding: str, at: int | None) -> None:
    body = '[\n{"firstName":"Jürgen"}]'.encode(encoding)
    if at is None:
        assert len(read(body)) == 1
        return
    message, line = refused(body)
    assert f"not UTF-8 text (byte {at})" in message
    assert line == body.count(b"\n", 0, at) + 1


def test_utf_16_without_a_mark_is_malformed_too() -> None:
    assert refused("[{}]".encode("utf-16-le"))[1] == 1


def test_a_character_cut_in_two_by_the_end_is_malformed() -> None:
    refused('["é"]'.encode()[:3])


def test_a_document_beyond_the_limit_is_malformed_before_all_of_it_is_kept() -> None:
    intake = JsonIntake(limit=100)
    intake.feed(b"[" + b" " * 99)
    with pytest.raises(MalformedBody, match="x-ndjson"):
        intake.feed(b" ")
