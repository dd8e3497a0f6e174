"""The mouth: which decoder a content type opens."""

import pytest

from mastering.connectors.intake import open_intake
from mastering.errors import UnsupportedMediaType
from mastering.rules.policy import Csv

RECORD = [(1, b'{"externalId":"E1","profile":{}}')]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-ndjson", b'{"externalId":"E1","profile":{}}\n'),
        ("application/json", b'[{"externalId":"E1","profile":{}}]'),
        ("application/scim+json", b'{"Resources":[{"externalId":"E1"}]}'),
    ],
)
@pytest.mark.parametrize("parameters", ["", ";charset=utf-8", '; charset="UTF-8"; q=1'])
def test_each_type_of_the_contract_opens_its_decoder(content_type: str, body: bytes, parameters: str) -> None:
    intake = open_intake(content_type.upper() + parameters, Csv())
    assert intake.feed(body) + intake.close() == RECORD


def test_csv_is_read_by_the_policy() -> None:
    intake = open_intake("text/csv; header=present", Csv(external_id=("nr",), active=None, delimiter="\t"))
    assert intake.feed(b"nr\tactive\nE1\tx\n") + intake.close() == [(2, b'{"externalId":"E1","profile":{"nr":"E1"}}')]


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/xml", "json", "application/json, text/csv", "application/ndjson+x"]
)
def test_a_type_that_nobody_reads_is_refused_and_told_what_is_read(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=r"application/x-ndjson, application/json, text/csv or application/scim\+json"):
        open_intake(content_type, Csv())


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", "windows-1252"])
def test_a_charset_other_than_utf_8_is_refused_and_named(charset: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=charset):
        open_intake(f"text/csv; charset={charset}", Csv())
