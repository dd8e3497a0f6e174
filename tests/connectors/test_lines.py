"""What leaves the decoders: records and refusals, and that nobody can pass the one off as the other."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastering.connectors.lines import MAX_KNOWN_ID, MAX_LINE, Unusable, decode_unusable, leading_external_id, record_line, refusal

plain_values = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text()


def test_every_reason_is_spelled_as_its_name() -> None:
    assert all(reason.name == reason.value for reason in Unusable)


def test_a_refusal_is_told_from_a_record_by_its_first_byte() -> None:
    assert record_line(1, {"unusable": "not_json"}, "E1").payload.startswith(b"{")
    assert refusal(1, Unusable.not_json, "broken", "E1").payload.startswith(b"!")


def test_a_refusal_comes_back_as_it_was_said() -> None:
    assert decode_unusable(refusal(4, Unusable.not_csv, 'text behind a "quote"', "E1").payload) == (
        Unusable.not_csv,
        'text behind a "quote"',
        "E1",
    )
    assert decode_unusable(refusal(4, Unusable.not_csv, "…").payload)[2] is None


def test_a_refusal_repeats_no_empty_and_no_endless_external_id() -> None:
    assert decode_unusable(refusal(1, Unusable.not_json, "broken", "").payload)[2] is None
    assert decode_unusable(refusal(1, Unusable.not_json, "broken", "x" * MAX_KNOWN_ID).payload)[2] == "x" * MAX_KNOWN_ID
    assert decode_unusable(refusal(1, Unusable.not_json, "broken", "x" * (MAX_KNOWN_ID + 1)).payload)[2] is None


def test_what_a_record_does_not_say_is_left_out() -> None:
    assert record_line(1, {"a": ""}).payload == b'{"profile":{"a":""}}'
    assert record_line(1, {}, "E1", active=False).payload == b'{"externalId":"E1","active":false,"profile":{}}'
    assert record_line(1, {}, None, active=None).payload == b'{"externalId":null,"active":null,"profile":{}}'


@given(st.dictionaries(st.text(), plain_values), plain_values, plain_values)
def test_a_record_is_one_line_whatever_is_in_it(profile: dict[str, object], external_id: object, active: object) -> None:
    payload = record_line(1, profile, external_id, active).payload
    assert b"\n" not in payload
    assert msgspec.json.decode(payload) == {"externalId": external_id, "active": active, "profile": profile}


def test_a_record_that_grows_too_long_in_writing_is_refused_by_name() -> None:
    line = record_line(3, {"note": "\x01" * (MAX_LINE // 4)}, "E3")
    assert line.number == 3
    assert decode_unusable(line.payload)[::2] == (Unusable.line_too_long, "E3")


@pytest.mark.parametrize(
    ("text", "external_id"),
    [
        (b'{"externalId":"E1","profile":{"a', "E1"),
        (b'{ "externalId" : "E1" }', "E1"),
        (b'{"externalId":17,"profile":', "17"),
        (b'{"externalId":-17,', "-17"),
        (b'{"externalId":"a\\"b\\u00e9","', 'a"bé'),
        ('{"externalId":"Jürgen","'.encode(), "Jürgen"),
        (b'{"profile":{},"externalId":"E1"}', None),
        (b'{"externalId":"E1', None),
        (b'{"externalId":"E1"', None),
        (b'{"externalId":12', None),
        (b'{"externalId":1.5,', None),
        (b'{"externalId":null,', None),
        (b'{"externalId":"","a":1', None),
        (b'{"externalId":"\xff",', None),
        (b'{"externalId":"\\ud800",', None),
        (b'{"externalId":"\\q",', None),
        (b"", None),
    ],
)
def test_the_external_id_of_a_broken_record_is_known_only_if_it_comes_first_and_whole(text: bytes, external_id: str | None) -> None:
    assert leading_external_id(text) == external_id
