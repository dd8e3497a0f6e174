"""A public HR export, imported as it is. The data is not part of this project; without it these stories are skipped."""

from pathlib import Path

import pytest

from mastering.connectors.intake import open_intake
from mastering.rules.mapping import MappingRule
from mastering.rules.policy import Csv, CsvActive, Matching
from mastering.store import catalog
from mastering.store.documents import dump
from mastering.store.engine import writing
from tests.walks.imports_world import World, calm, policy

HR = Path(__file__).parents[3] / "shared" / "data" / "hr"
EVERYBODY = "csv-with-1000-records.csv"
ACTIVE = CsvActive("WorkerStatus", ("Active",))
BY_WORKER = Csv(external_id="WorkerID", active=ACTIVE)
BY_WORKER_AND_NAME = Csv(external_id=("WorkerID", "FirstName", "LastName"), active=ACTIVE)
MAPPING = (
    MappingRule("firstName", "appuser.FirstName"),
    MappingRule("lastName", "appuser.LastName"),
    MappingRule("email", 'appuser.FirstName + "." + appuser.LastName + "@corp.example"'),
    MappingRule("employeeNumber", "appuser.UserID"),
    MappingRule("department", "appuser.Department"),
    MappingRule("title", "appuser.JobTitle"),
    MappingRule("countryCode", "appuser.CountryCode"),
)

pytestmark = pytest.mark.skipif(not HR.is_dir(), reason="the public HR samples are not beside this tree")


def rows(name: str, csv: Csv) -> list[bytes]:
    """The records of a file, as an import receives them."""
    intake = open_intake("text/csv", csv)
    return [line.payload for line in intake.feed((HR / name).read_bytes()) + intake.close()]


def with_mapping(world: World, app_id: str) -> str:
    with writing(world.engine) as session:
        catalog.inbound_mapping(session, app_id).properties = dump(catalog.properties_of(MAPPING))
    return app_id


def test_the_whole_export_makes_its_active_people_and_nobody_else_and_means_nothing_the_second_time(world: World) -> None:
    hr = with_mapping(world, world.app("HR", policy()))
    everybody = rows(EVERYBODY, BY_WORKER_AND_NAME)
    first = world.send(hr, everybody, expected_count=1_000)
    assert (first.status, world.situations(first)) == ("COMPLETED", {"UNMATCHED": 496, "INACTIVE_UNKNOWN": 504})
    again = world.send(hr, everybody[::-1])
    assert (again.status, world.situations(again)) == ("COMPLETED", {"UNCHANGED": 496, "INACTIVE_UNKNOWN": 504})
    user = world.by_login("ginnie.fadiman@corp.example")
    assert user is not None
    assert (user.status, user.profile["employeeNumber"], user.profile["title"]) == ("ACTIVE", "EMP1513", "Project Manager")


def test_a_worker_id_that_several_people_share_makes_each_of_their_rows_invalid(world: World) -> None:
    hr = with_mapping(world, world.app("HR", policy()))
    run = world.send(hr, rows(EVERYBODY, BY_WORKER))
    found = world.situations(run)
    assert (found["INVALID"], sum(found.values())) == (641, 1_000)
    assert {row.reason for row in world.changes(run) if row.situation == "INVALID"} == {"duplicate_external_id"}


def test_a_file_of_a_third_of_the_people_is_held_and_names_everybody_else(world: World) -> None:
    hr = with_mapping(world, world.app("HR", policy()))
    world.send(hr, rows(EVERYBODY, BY_WORKER_AND_NAME))
    held = world.send(hr, rows("employeeData.csv", BY_WORKER_AND_NAME))
    absent = [row for row in world.changes(held) if row.situation == "WENT_MISSING"]
    assert (held.status, len(absent)) == ("HELD", world.situations(held)["WENT_MISSING"])
    assert all(row.login and row.to_status == "DEACTIVATED" for row in absent)
    assert all(world.account(hr, row.external_id or "").account == "ACTIVE" for row in absent[:10])


def test_the_same_people_in_three_other_apps_are_found_by_name_and_address_and_nobody_is_made_twice(world: World) -> None:
    hr = with_mapping(world, world.app("HR", policy()))
    world.send(hr, rows(EVERYBODY, BY_WORKER_AND_NAME))
    linked = 0
    for name in ("employeeData.csv", "contractorData.csv", "internData.csv"):
        app_id = with_mapping(world, world.app(name, calm(matching=Matching(username=True, email=True))))
        run = world.send(app_id, rows(name, BY_WORKER))
        linked += world.situations(run).get("EXACT", 0)
        assert set(world.situations(run)) <= {"EXACT", "INACTIVE_UNKNOWN", "INVALID"}
    assert linked > 300
