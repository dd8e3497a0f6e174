"""What counts as an unassignment, and what it is counted against, before anything is applied (SPEC §8)."""

from collections.abc import Callable
from typing import Any

import pytest

from mastering import assignments
from mastering.catalog import apps
from mastering.clock import now
from mastering.rules.policy import Confirmation, Safeguard, WhenDeactivated
from mastering.rules.record import Mode
from mastering.store import tables
from mastering.store.documents import load
from tests.walks.imports_world import ADMIN, World, calm, master, person, policy


def people(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [person(name, **more) for name in names]


def crowd(count: int) -> list[str]:
    return [f"P{number}" for number in range(count)]


def counted(run: tables.ImportRun, limit: str = "app") -> tuple[int, int]:
    """Unassignments and the assignments they are counted against."""
    told = load(run.safeguard or "")[limit]
    return told["unassigned"], told["assigned"]


WAYS: dict[str, tuple[Mode, Callable[[list[str], list[str]], list[dict[str, Any]]]]] = {
    "inactive in a delta": (Mode.INCREMENTAL, lambda gone, _left: people(*gone, active=False)),
    "inactive in a snapshot": (Mode.FULL, lambda gone, left: people(*gone, active=False) + people(*left)),
    "missing from a snapshot": (Mode.FULL, lambda _gone, left: people(*left)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("when", WhenDeactivated)
@pytest.mark.parametrize(("gone", "held"), [(2, False), (3, True)])
def test_every_active_assignment_that_would_end_counts_in_every_mode_and_whichever_option_is_set(
    org: World, when: WhenDeactivated, way: str, gone: int, held: bool
) -> None:
    hr, everybody = org.app("HR", policy(mastering=master(when))), crowd(10)
    org.send(hr, people(*everybody))
    mode, records = WAYS[way]
    run = org.send(hr, records(everybody[:gone], everybody[gone:]), mode)
    assert (run.status, counted(run)) == ("HELD" if held else "COMPLETED", (gone, 10))
    moved = {org.user_of(hr, name).status.value for name in everybody}
    assert (moved == {"ACTIVE"}) == (held or when is WhenDeactivated.DO_NOTHING)
    assert len([name for name in everybody if org.account(hr, name).account != "ACTIVE"]) == (0 if held else gone)


@pytest.mark.parametrize("when", WhenDeactivated)
def test_it_counts_whether_or_not_the_app_has_authority(org: World, when: WhenDeactivated) -> None:
    top, low = org.app("TOP", calm()), org.app("LOW", policy(mastering=master(when)))
    org.send(top, people(*crowd(4)))
    org.send(low, people(*crowd(4)))
    run = org.send(low, people(*crowd(3)))
    assert (run.status, counted(run)) == ("HELD", (1, 4))


def test_accounts_of_deactivated_users_count_neither_above_nor_below_the_line(org: World) -> None:
    hr = org.app("HR", policy())
    org.send(hr, people(*crowd(10)))
    for name in ("P0", "P1", "P2", "P3"):
        org.act(org.user_of(hr, name).id, "deactivate")
    run = org.send(hr, people(*crowd(10)[5:]))
    assert (run.status, counted(run)) == ("COMPLETED", (1, 6))


def test_what_is_no_assignment_does_not_count(org: World) -> None:
    hr = org.app("HR", policy())
    org.send(hr, people(*crowd(10)))
    org.delta(hr, people("P0", active=False))
    assignments.unassign(org.engine, ADMIN, now(), hr, org.user_of(hr, "P1").id)
    never_seen = org.by_hand("never")
    assignments.assign(org.engine, ADMIN, now(), hr, never_seen.id, external_id="N")
    org.moment()
    run = org.send(hr, people(*crowd(10)[3:]))
    assert (run.status, counted(run)) == ("COMPLETED", (1, 8))
    assert org.account(hr, "N").account == "MISSING"


def test_an_account_whose_place_another_takes_in_the_same_run_counts_once(org: World) -> None:
    hr = org.app("HR", policy(mastering=master(deactivated=True)))
    org.send(hr, people(*crowd(5)))
    run = org.send(hr, [*people(*crowd(4)), person("NEW", email="p4@example.com")])
    assert (run.status, counted(run)) == ("COMPLETED", (1, 5))
    assert (org.user_of(hr, "NEW").status, org.account(hr, "P4").released) == ("ACTIVE", True)
    run = org.delta(hr, people("P4", active=False))
    assert counted(run) == (0, 5)


def test_taking_the_place_of_an_account_that_was_gone_already_is_no_unassignment(org: World) -> None:
    hr = org.app("HR", policy(mastering=master(deactivated=True)))
    org.send(hr, people(*crowd(5)))
    org.delta(hr, people("P4", active=False))
    run = org.send(hr, [*people(*crowd(4)), person("NEW", email="p4@example.com")])
    assert (run.status, counted(run), org.user_of(hr, "NEW").status) == ("COMPLETED", (0, 4), "ACTIVE")


def test_records_that_cannot_be_used_unassign_nobody(org: World) -> None:
    hr = org.app("HR", policy())
    org.send(hr, people(*crowd(5)))
    run = org.send(hr, [*people(*crowd(3)), person("P3", lastName=None), person("P4", email=None)])
    assert (run.status, counted(run), org.situations(run)) == ("COMPLETED", (0, 5), {"INVALID": 2, "UNCHANGED": 3})


def test_the_org_counts_the_assignments_of_all_active_apps(world: World) -> None:
    hr, ad, off = world.app("HR", calm()), world.app("AD", calm()), world.app("OFF", calm())
    for app_id in (hr, ad, off):
        world.send(app_id, people(*crowd(5)))
    apps.set_status(world.engine, ADMIN, now(), off, tables.AppStatus.INACTIVE)
    run = world.send(hr, people(*crowd(3)))
    assert (run.status, counted(run, "org")) == ("COMPLETED", (2, 10))
    run = world.send(ad, people("P2"))
    assert (run.status, load(run.safeguard or "")["reason"], counted(run, "org")) == ("HELD", "org_limit", (2, 6))


def test_each_app_has_its_own_limit_and_only_the_app_that_is_over_it_waits(org: World) -> None:
    mild, strict = org.app("MILD", policy(safeguard=Safeguard(max_unassigned_percent=50))), org.app("STRICT", policy())
    for app_id in (mild, strict):
        org.send(app_id, people(*crowd(4)))
    assert [org.send(app_id, people(*crowd(2))).status for app_id in (strict, mild)] == ["HELD", "COMPLETED"]


@pytest.mark.parametrize(("minimum", "status"), [(5, "COMPLETED"), (4, "HELD")])
def test_a_limit_does_not_bind_an_app_with_fewer_assignments_than_its_minimum(org: World, minimum: int, status: str) -> None:
    hr = org.app("HR", policy(safeguard=Safeguard(minimum_assignments=minimum)))
    org.send(hr, people(*crowd(4)))
    assert org.send(hr, people(*crowd(2))).status == status


def test_a_held_run_names_everybody_it_would_touch_and_what_would_happen_to_each(org: World) -> None:
    hr = org.app("HR", policy())
    org.send(hr, people(*crowd(4)))
    run = org.send(hr, [person("P0", title="Lead"), person("P1"), person("NEW")])
    assert run.status == "HELD"
    told = {row.external_id: (row.login, row.action, row.from_status, row.to_status) for row in org.changes(run)}
    assert told == {
        "P0": ("p0@example.com", "update", "ACTIVE", "ACTIVE"),
        "P2": ("p2@example.com", "deactivate", "ACTIVE", "DEACTIVATED"),
        "P3": ("p3@example.com", "deactivate", "ACTIVE", "DEACTIVATED"),
        "NEW": ("new@example.com", "create", None, "ACTIVE"),
    }
    assert (org.user_of(hr, "P0").profile.get("title"), org.by_login("new@example.com")) == (None, None)


@pytest.mark.parametrize("waiting", [False, True], ids=["assignments", "only waiting rows"])
def test_an_empty_snapshot_is_held_even_where_the_safeguard_is_off(org: World, waiting: bool) -> None:
    hr = org.app("HR", calm())
    if waiting:
        org.set_policy(hr, calm(confirmation=Confirmation()))
    org.send(hr, people("P0"))
    run = org.send(hr, [])
    assert (run.status, load(run.safeguard or "")["reason"]) == ("HELD", "empty_snapshot")
    org.cancel(run.id)
    assert org.send(hr, [], allow_empty=True).status == "COMPLETED"
    assert org.send(hr, []).status == "COMPLETED"  # there is nobody left whom it could be about


def test_allowing_an_empty_snapshot_lifts_no_other_limit(org: World) -> None:
    hr = org.app("HR", policy())
    org.send(hr, people("P0"))
    run = org.send(hr, [], allow_empty=True)
    assert (run.status, load(run.safeguard or "")["reason"]) == ("HELD", "app_limit")


def test_an_empty_delta_says_nothing_and_is_not_held(org: World) -> None:
    hr = org.app("HR", policy())
    org.send(hr, people("P0"))
    assert org.delta(hr, []).status == "COMPLETED"
