"""CSV: what makes a row a record, a refusal, or the whole body malformed."""

import codecs
import tracemalloc
from typing import Any

import msgspec
import pytest

from mastering.connectors.csvfile import CsvIntake
from mastering.connectors.intake import MAX_LINE, Line, Unusable, decode_unusable
from mastering.errors import MalformedBody
from mastering.rules.policy import Csv, CsvActive

STAFF = Csv(external_id="Staff No", active=CsvActive("Status", ("Employed", "on LEAVE")), delimiter=";")
STAFF_FILE = """\
Staff No;Status;Given;Family;Address\r
A-1;Employed;Amélie;Nkemelu;"12 Harbour Road
Block ""C""; left"\r
A-2; ON LEAVE ;José;García;\r
\r
A-3;Left;=HYPERLINK("x");'; DROP TABLE users;--\r
A-3;Left;=HYPERLINK("x");'' DROP TABLE users--;"Elm St"\r
A-4;;שרה;كمال\u202e;x"""


def read(body: bytes | str, policy: Csv | None = None) -> list[Line]:
    intake = CsvIntake(policy or Csv())
    return intake.feed(body.encode() if isinstance(body, str) else body) + intake.close()


def records(lines: list[Line]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line.payload) for line in lines if line.payload.startswith(b"{")]


def reasons(lines: list[Line]) -> list[tuple[int, Unusable, str | None]]:
    refusals = [(line.number, decode_unusable(line.payload)) for line in lines if line.payload.startswith(b"!")]
    assert all(detail for _, (_, detail, _) in refusals)
    return [(number, reason, external_id) for number, (reason, _, external_id) in refusals]


def malformed(body: bytes | str, policy: Csv | None = None) -> tuple[str, int | None]:
    with pytest.raises(MalformedBody) as caught:
        read(body, policy)
    return str(caught.value), caught.value.line


def test_a_file_from_an_office_is_read_row_by_row() -> None:
    lines = read(STAFF_FILE, STAFF)
    assert [line.number for line in lines] == [2, 4, 6, 7, 8]
    assert reasons(lines) == [(6, Unusable.wrong_number_of_columns, "A-3")]
    assert [(record["externalId"], record["active"]) for record in records(lines)] == [
        ("A-1", True),
        ("A-2", True),
        ("A-3", False),
        ("A-4", None),
    ]
    assert records(lines)[0]["profile"] == {
        "Staff No": "A-1",
        "Status": "Employed",
        "Given": "Amélie",
        "Family": "Nkemelu",
        "Address": '12 Harbour Road\nBlock "C"; left',
    }
    assert records(lines)[2]["profile"]["Given"] == '=HYPERLINK("x")'
    assert records(lines)[3]["profile"]["Family"] == "كمال\u202e"


def test_by_default_external_id_and_active_are_read_from_columns_of_these_names() -> None:
    lines = read("externalId,active,title\nE1,TRUE,\nE2, true ,x\nE3,false,x\nE4,yes,x\n")
    assert lines[0] == (2, b'{"externalId":"E1","active":true,"profile":{"title":""}}')
    assert [record["active"] for record in records(lines)] == [True, True, False, False]


def test_without_a_column_named_active_everybody_is_active() -> None:
    assert read("externalId,title\nE1,x") == [(2, b'{"externalId":"E1","profile":{"title":"x"}}')]
    assert read("externalId,active\nE1,", Csv(active=None)) == [(2, b'{"externalId":"E1","profile":{}}')]


def test_an_empty_active_cell_is_null_unless_the_policy_gives_it_a_meaning() -> None:
    assert records(read("externalId,active\nE1, \n"))[0]["active"] is None
    assert records(read("externalId,active\nE1,\n", Csv(active=CsvActive("active", ("", "true")))))[0]["active"] is True


def test_several_key_columns_make_one_key_and_different_cells_never_the_same() -> None:
    policy = Csv(external_id=("site", "number"))
    lines = read("site,number\nBER,7\na|b,c\na,b|c\na\\,b\n,7\n,\n", policy)
    keys = [record.get("externalId") for record in records(lines)]
    assert keys == ["BER|7", "a\\|b|c", "a|b\\|c", "a\\\\|b", "|7", None]
    assert records(lines)[0]["profile"] == {"site": "BER", "number": "7"}


def test_a_row_without_a_key_has_no_external_id() -> None:
    assert read("externalId,a\n,x") == [(2, b'{"profile":{"a":"x"}}')]


def test_a_key_is_taken_exactly_as_it_is() -> None:
    assert records(read("externalId,a\n 007 ,x"))[0]["externalId"] == " 007 "


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_line_endings_and_byte_order_marks_make_no_difference(ending: str, mark: bytes) -> None:
    rows = ["externalId,a", "E1,x", "", "E2,y"]
    expected = [(2, b'{"externalId":"E1","profile":{"a":"x"}}'), (4, b'{"externalId":"E2","profile":{"a":"y"}}')]
    assert read(mark + ending.join(rows).encode()) == expected
    assert read(mark + ending.join([*rows, ""]).encode()) == expected


def test_a_header_alone_is_an_empty_snapshot() -> None:
    assert read("externalId,active") == read("externalId,active\r\n\r\n") == []


@pytest.mark.parametrize("body", [b"", b"\n\r\n \n", codecs.BOM_UTF8])
def test_a_body_without_a_header_is_malformed(body: bytes) -> None:
    assert malformed(body) == ("the body has no header line", None)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("externalId,a,b,a", "names a column twice: a"),
        ("externalId,a, a ", "names a column twice: a"),
        ("externalId,,b", "column 2 of the header has no name"),
        ("externalId,a,", "column 3 of the header has no name"),
        ("WorkerID;Name", "no column 'externalId', which the policy gives as the external id column; it has: WorkerID;Name"),
        ("ExternalId,a", "it has: ExternalId, a"),
        ('externalId,"a"b', "header is not readable CSV"),
        ("externalId,a\x00", "header is not UTF-8 text"),
        ('externalId,"' + "x" * MAX_LINE + '"', "header is longer than"),
    ],
)
def test_a_header_that_does_not_serve_is_malformed_and_says_why(header: str, says: str) -> None:
    message, line = malformed(header + "\nE1,x\n")
    assert says in message
    assert line == 1


def test_an_active_column_the_policy_names_must_be_there() -> None:
    message, line = malformed("externalId,a\nE1,x\n", Csv(active=CsvActive("WorkerStatus", ("Active",))))
    assert "no column 'WorkerStatus', which the policy gives as the active column" in message
    assert line == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_a_file_in_another_unicode_encoding_is_malformed(encoding: str) -> None:
    assert "header is not UTF-8 text" in malformed("externalId,a\nE1,x\n".encode(encoding))[0]


def test_a_header_in_another_encoding_is_malformed_and_a_row_is_refused_by_name() -> None:
    assert "header is not UTF-8 text" in malformed("externalId,Straße\nE1,x\n".encode("latin-1"))[0]
    lines = read("externalId,city\nE1,Köln\nE2,Bonn\nÉ3,Bonn\n".encode("latin-1"))
    assert reasons(lines) == [(2, Unusable.not_utf8, "E1"), (4, Unusable.not_utf8, None)]
    assert [record["externalId"] for record in records(lines)] == ["E2"]


def test_a_nul_makes_its_row_unusable_and_no_other() -> None:
    lines = read("externalId,a\nE1,x\x00y\nE2,x\n\x00,x\n")
    assert reasons(lines) == [(2, Unusable.nul_character, "E1"), (4, Unusable.nul_character, None)]
    assert [record["externalId"] for record in records(lines)] == ["E2"]


@pytest.mark.parametrize("row", ["E1", "E1,x,y,z", "E1,", "E1,Doe, Jane,x"])
def test_a_row_of_another_length_than_the_header_is_refused(row: str) -> None:
    lines = read(f"externalId,a,b\n{row}\nE2,x,y\n")
    assert reasons(lines) == [(2, Unusable.wrong_number_of_columns, "E1")]
    assert [record["externalId"] for record in records(lines)] == ["E2"]


def test_behind_a_missing_cell_no_cell_is_certain() -> None:
    assert reasons(read("a,externalId,b\nx,E1\n")) == [(2, Unusable.wrong_number_of_columns, None)]


def test_a_row_that_may_have_swallowed_another_names_nobody() -> None:
    lines = read('externalId,a,b\nE1,"x\nE2,y",z,z\n')
    assert reasons(lines) == [(2, Unusable.wrong_number_of_columns, None)]


def test_text_behind_a_closing_quote_makes_its_row_unusable() -> None:
    lines = read('externalId,a\nE1,"x"y\nE2,5" disk\nE3,"x"\n')
    assert reasons(lines) == [(2, Unusable.not_csv, None)]
    assert [record["profile"]["a"] for record in records(lines)] == ['5" disk', "x"]


def test_a_carriage_return_in_the_middle_of_a_line_makes_its_row_unusable() -> None:
    lines = read('externalId,a\nE1,x\rE2,"x\nE3,x\n')
    assert reasons(lines) == [(2, Unusable.not_csv, None)]
    assert [record["externalId"] for record in records(lines)] == ["E3"]


def test_a_quote_that_never_closes_is_malformed_and_named() -> None:
    rows = "".join(f"E{number},x\n" for number in range(3, 20_000))
    message, line = malformed(f'externalId,a\nE1,"x\ny"\nE2,"x\n{rows}')
    assert "a quote is opened here and never closed" in message
    assert line == 4


@pytest.mark.parametrize("before", ["", "x,", '"a""b",', '"two\nlines",'])
@pytest.mark.parametrize("filler", ["x\n", '""\n', "x,\r\n"])
def test_a_quote_that_never_closes_is_named_however_long_the_body_goes_on(before: str, filler: str) -> None:
    body = f'externalId,a,b\n{before}"{filler * (3 * MAX_LINE // len(filler))}'
    assert malformed(body)[1] == 2 + before.count("\n")


def test_a_later_quote_in_an_overlong_row_is_the_one_that_is_named() -> None:
    long = "x\n" * MAX_LINE
    body = f'externalId,a\n"{long}","{long}'
    assert malformed(body)[1] == 2 + MAX_LINE


def test_a_quote_that_never_closes_takes_no_memory() -> None:
    intake, chunk = CsvIntake(Csv()), b"E1,x\n" * 13_107
    intake.feed(b'externalId,a\nE0,"')
    tracemalloc.start()
    try:
        for _ in range(300):
            assert intake.feed(chunk) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * MAX_LINE


@pytest.mark.parametrize("value", ["x" * 10_000_000, "two\nlines\n" * 300_000, '""' * 1_000_000, 'a "","" b\r\n' * 200_000])
def test_an_overlong_row_is_refused_by_name_and_the_next_ones_stand(value: str) -> None:
    lines = read(f'externalId,a,b\nE1,x,y\nE2,"{value}",y\nE3,x,y\n')
    assert reasons(lines) == [(3, Unusable.line_too_long, "E2")]
    assert [line.number for line in lines] == [2, 3, 4 + value.count("\n")]
    assert [record["externalId"] for record in records(lines)] == ["E1", "E3"]


def test_a_row_may_have_exactly_the_greatest_length_with_its_line_ending() -> None:
    longest = "E1," + "x" * (MAX_LINE - 5)
    for row, external_ids in ((longest + "\r\n", ["E1", "E2"]), (longest + "x\r\n", ["E2"])):
        lines = read("externalId,active\n" + row + "E2,x", Csv(active=None))
        assert [record["externalId"] for record in records(lines)] == external_ids


def test_an_overlong_row_without_quotes_is_refused_by_name() -> None:
    lines = read(f"externalId,a,b\nE2,{'x' * 2_000_000},y\r\nE3,x,y\n")
    assert reasons(lines) == [(2, Unusable.line_too_long, "E2")]
    assert lines[1].number == 3


def test_an_overlong_row_names_nobody_where_the_key_comes_behind_the_excess_or_the_row_is_broken() -> None:
    long = "x" * 2_000_000
    assert reasons(read(f"a,externalId\n{long},E1\n")) == [(2, Unusable.line_too_long, None)]
    assert reasons(read(f'externalId,a\nE1,"{long}"y\n')) == [(2, Unusable.line_too_long, None)]
    assert reasons(read(f"externalId,a\nE1,{long}\ry\n")) == [(2, Unusable.line_too_long, None)]


def test_a_value_may_be_longer_than_the_csv_reader_allows_by_itself() -> None:
    lines = read(f"externalId,a\nE1,{'x' * 500_000}\n")
    assert len(records(lines)[0]["profile"]["a"]) == 500_000


@pytest.mark.parametrize("delimiter", ["\t", "|", "^", "]", "-", "\\", ".", " ", "§"])
def test_any_single_character_can_be_the_delimiter(delimiter: str) -> None:
    body = f'externalId{delimiter}a\nE1{delimiter}"x{delimiter}y"\nE2{delimiter}z\n'
    profiles = [record["profile"] for record in records(read(body, Csv(delimiter=delimiter)))]
    assert profiles == [{"a": f"x{delimiter}y"}, {"a": "z"}]
