"""A public HR export and its SCIM twin, read as they are. The data is not part of this project; without it these stories are skipped."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mastering.connectors.intake import Line, open_intake
from mastering.rules.policy import Csv, CsvActive

HR = Path(__file__).parents[3] / "shared" / "data" / "hr"
ALL = "csv-with-1000-records.csv"
SPLITS = ("employeeData.csv", "contractorData.csv", "internData.csv")
ACTIVE = CsvActive("WorkerStatus", ("Active",))

pytestmark = pytest.mark.skipif(not HR.is_dir(), reason="the public HR samples are not beside this tree")


def read(name: str, content_type: str, policy: Csv) -> list[Line]:
    intake = open_intake(content_type, policy)
    return intake.feed((HR / name).read_bytes()) + intake.close()


def records(name: str, policy: Csv, content_type: str = "text/csv") -> list[dict[str, Any]]:
    return [msgspec.json.decode(line.payload) for line in read(name, content_type, policy)]


def test_every_row_of_the_export_is_a_record_with_its_line() -> None:
    lines = read(ALL, "text/csv", Csv(external_id="WorkerID", active=ACTIVE))
    assert [line.number for line in lines] == list(range(2, len(lines) + 2))
    assert all(line.payload.startswith(b"{") for line in lines)
    assert len(lines) == (HR / ALL).read_bytes().rstrip().count(b"\n")


def test_worker_ids_of_the_export_repeat_and_half_of_the_rows_are_inactive() -> None:
    found = records(ALL, Csv(external_id="WorkerID", active=ACTIVE))
    assert len({record["externalId"] for record in found}) == 624
    states = Counter(record["active"] for record in found)
    assert set(states) == {True, False}
    assert 0.4 < states[True] / len(found) < 0.6
    assert all(len(record["profile"]) == 24 for record in found)


def test_a_combination_of_columns_tells_more_people_of_the_export_apart() -> None:
    found = records(ALL, Csv(external_id=("WorkerID", "FirstName", "LastName"), active=ACTIVE))
    assert found[0]["externalId"] == "1222|Talya|Fleeta"
    assert len({record["externalId"] for record in found}) > 990


def test_the_three_splits_hold_the_rows_of_the_whole() -> None:
    policy = Csv(external_id="WorkerID", active=ACTIVE)
    together = Counter(str(record) for name in SPLITS for record in records(name, policy))
    assert sum(together.values()) == len(records(ALL, policy))


def test_the_vendors_bulk_request_gives_three_people() -> None:
    barbara, jane, donald = records("Sample-CSV-2-SCIM-payload.json", Csv(), "application/scim+json")
    assert (barbara["externalId"], barbara["active"]) == ("701984", True)
    profile = barbara["profile"]
    assert (profile["userName"], profile["firstName"], profile["lastName"]) == ("bjensen", "Barbara", "Jensen")
    assert (profile["Email"], profile["WorkerType"], profile["TerminationDate"]) == ("bjensen@example.com", "Employee", "")
    assert jane == {
        "externalId": "807609",
        "active": True,
        "profile": {"userName": "DoeJane", "displayName": "Doe, Jane", "title": "Accounts Manager"},
    }
    assert donald["externalId"] == "807600"
