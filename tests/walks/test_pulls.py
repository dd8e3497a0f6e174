"""Pulls, from the order to what becomes of people (SPEC §5.1, §11): read by a lease, sealed whole or not at all, and deltas that say how they read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from mastering import connections
from mastering.clock import now, wire
from mastering.connections import Peers
from mastering.connectors.outbound import Door
from mastering.errors import Invalid
from mastering.imports import runs
from mastering.imports.puller import Puller
from mastering.imports.pulling import start_pull
from mastering.rules.lifecycle import Status
from mastering.rules.policy import AttributePair, ImportPolicy, Matching, Username, UsernameFormat
from mastering.rules.record import Mode
from mastering.schedule import tick
from mastering.store import catalog, tables
from mastering.store import connections as connection_store
from mastering.store.connections import Method
from mastering.store.documents import dump, load
from mastering.store.engine import reading, writing
from mastering.vault import Vault
from tests.hook_server import Reply
from tests.scim_server import ENTERPRISE, Asked, ScimServer, error, scim_server, user
from tests.walks.imports_world import ADMIN, World, calm

VAULT = Vault(["k" * 40])
DAY = "2026-01-{:02}T00:00:00Z"


@pytest.fixture
def server() -> Iterator[ScimServer]:
    with scim_server() as started:
        yield started


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


class Pulled:
    """An app that is connected to a server, and pulled when it is asked to be."""

    def __init__(self, world: World, server: ScimServer, door: Door, policy: ImportPolicy | None = None) -> None:
        self.world, self.server = world, server
        self.peers = Peers(world.engine, VAULT, door)
        self.puller = Puller(world.engine, self.peers)
        self.app_id = world.app("Peer", policy or calm())
        self.connect()

    def connect(self, base_url: str | None = None) -> None:
        form = connections.Form(base_url or self.server.base_url, Method.HEADER, {}, "token")
        connections.save(self.world.engine, VAULT, ADMIN, now(), self.app_id, form, activate=True)

    def order(self, mode: Mode = Mode.FULL, **parts: Any) -> str:
        return start_pull(self.world.engine, ADMIN, now(), self.app_id, runs.Order(mode, **parts))

    def pull(self, mode: Mode = Mode.FULL, **parts: Any) -> tables.ImportRun:
        """Order a pull, receive it, work it off; the run as it stands then."""
        run_id = self.order(mode, **parts)
        assert self.puller.turn()
        self.world.work()
        return self.world.run(run_id)

    def delta(self) -> tables.ImportRun:
        return self.pull(Mode.INCREMENTAL)

    def mark(self) -> str | None:
        with reading(self.world.engine) as session:
            row = connection_store.connection(session, self.app_id)
            assert row is not None
            return row.mark

    def map(self, **expressions: str) -> None:
        """Another mapping of the app, as if by an admin."""
        with writing(self.world.engine) as session:
            row = catalog.inbound_mapping(session, self.app_id)
            properties = load(row.properties)
            row.properties = dump(
                {**properties, **{name: {"expression": text, "pushStatus": "PUSH"} for name, text in expressions.items()}}
            )
            session.add(row)


@pytest.fixture
def pulled(org: World, server: ScimServer, door: Door) -> Pulled:
    server.users = [user("ada", modified=DAY.format(1)), user("bob", modified=DAY.format(2)), user("eve", modified=DAY.format(3))]
    return Pulled(org, server, door)


def how(run: tables.ImportRun) -> dict[str, Any]:
    """How a run fetched its records."""
    told: dict[str, Any] = load(run.pull or "{}")
    return told


# -- a snapshot ---------------------------------------------------------------------------------------------------------


def test_a_full_pull_makes_users_of_everybody_there_and_a_second_finds_nothing_new(pulled: Pulled) -> None:
    run = pulled.pull()
    assert (run.status, run.source, run.records, run.situations) == ("COMPLETED", "PULL", 3, '{"UNMATCHED":3}')
    ada = pulled.world.user_of(pulled.app_id, "id-ada")
    assert (ada.status, ada.login) == (Status.ACTIVE, "ada@example.com")
    assert how(run)["read"] == "ALL"
    for each in pulled.server.users:
        each["meta"] = {"lastModified": DAY.format(9), "version": 'W/"77"'}
        each.update(dict(reversed(list(each.items()))))
    again = pulled.pull()
    assert pulled.world.situations(again) == {"UNCHANGED": 3}


def test_who_is_gone_or_ended_there_leaves_here(pulled: Pulled) -> None:
    pulled.pull()
    pulled.server.users = [user("bob", active=False), user("eve")]
    run = pulled.pull()
    assert pulled.world.situations(run) == {"WENT_MISSING": 1, "WENT_INACTIVE": 1, "UNCHANGED": 1}
    assert [pulled.world.user_of(pulled.app_id, f"id-{name}").status for name in ("ada", "bob", "eve")] == [
        Status.DEACTIVATED,
        Status.DEACTIVATED,
        Status.ACTIVE,
    ]


def test_an_account_is_known_by_its_id_whatever_anybody_writes_into_externalid(pulled: Pulled) -> None:
    pulled.pull()
    for each in pulled.server.users:
        each["externalId"] = f"ours-{each['id']}"
    assert pulled.world.situations(pulled.pull()) == {"UNCHANGED": 3}


def test_a_reading_that_does_not_come_to_its_end_changes_nothing_and_says_why(pulled: Pulled) -> None:
    pulled.pull()
    pulled.server.behaves = lambda _: Reply(body={"totalResults": 3, "Resources": [user("bob")]})
    run = pulled.pull()
    assert (run.status, run.pull, run.sealed) == ("FAILED", None, None)
    assert run.error == (
        "The app's users could not be read: after 1 of 3 users it sent some of them twice: "
        "they changed meanwhile, or its pages repeat; nothing was changed"
    )
    assert pulled.world.user_of(pulled.app_id, "id-ada").status is Status.ACTIVE
    pulled.server.behaves = lambda _: None
    assert pulled.world.situations(pulled.pull()) == {"UNCHANGED": 3}


def test_a_number_of_users_that_changes_while_they_are_read_fails_the_run(pulled: Pulled) -> None:
    pulled.server.users = [user(f"u{number:03}") for number in range(150)]

    def leaves(asked: Asked) -> None:
        if asked.start > 1:
            pulled.server.users.pop()

    pulled.server.behaves = leaves
    run = pulled.pull()
    assert run.status == "FAILED"
    assert "its totalResults changed from 150 to 149 while it was read" in (run.error or "")


def test_a_count_that_was_announced_is_held_against_what_came(pulled: Pulled) -> None:
    run = pulled.pull(expected_count=4)
    assert (run.status, run.error) == ("FAILED", "expectedCount: 4 records were announced, 3 came; nothing was changed")
    assert pulled.pull(expected_count=3).status == "COMPLETED"


def test_nobody_at_all_is_held_as_any_empty_snapshot(pulled: Pulled) -> None:
    pulled.pull()
    pulled.server.users = []
    assert pulled.pull().status == "HELD"


def test_what_cannot_be_used_is_a_row_of_the_plan(pulled: Pulled) -> None:
    pulled.server.users += [{**user("max"), "active": "yes"}, {key: value for key, value in user("nix").items() if key != "id"}]
    pulled.server.users.append("nobody")  # type: ignore[arg-type]
    run = pulled.pull()
    assert pulled.world.situations(run) == {"UNMATCHED": 3, "INVALID": 3}
    assert {(row.line, row.reason) for row in pulled.world.changes(run) if row.situation == "INVALID"} == {
        (4, "bad_active"),
        (5, "no_external_id"),
        (6, "not_an_object"),
    }


def test_a_dry_pull_shows_its_plan_and_remembers_nothing(pulled: Pulled) -> None:
    run = pulled.pull(dry_run=True)
    assert (run.status, pulled.mark()) == ("PLANNED", None)
    assert pulled.world.by_login("ada@example.com") is None


# -- who may be called --------------------------------------------------------------------------------------------------


def test_an_app_that_is_not_connected_is_not_pulled(org: World) -> None:
    app_id = org.app("HR")
    with pytest.raises(Invalid) as refused:
        start_pull(org.engine, ADMIN, now(), app_id, runs.Order(Mode.FULL))
    assert refused.value.causes == ("connection: HR has none; set its address and credentials first",)


def test_a_connection_that_is_switched_off_before_the_pull_began_fails_it(pulled: Pulled) -> None:
    run_id = pulled.order()
    connections.set_enabled(pulled.world.engine, ADMIN, now(), pulled.app_id, enabled=False)
    assert pulled.puller.turn()
    run = pulled.world.run(run_id)
    assert (run.status, "is switched off; activate it" in (run.error or "")) == ("FAILED", True)
    assert pulled.server.seen == []


def test_refused_credentials_fail_the_run_and_new_ones_do_better(pulled: Pulled) -> None:
    pulled.server.credentials = {"Bearer new"}
    run = pulled.pull()
    assert run.error == "The app's users could not be read: it refused the credentials with status 401; nothing was changed"
    form = connections.Form(None, None, {}, "new")
    connections.save(pulled.world.engine, VAULT, ADMIN, now(), pulled.app_id, form)
    assert pulled.pull().status == "COMPLETED"


# -- leases -------------------------------------------------------------------------------------------------------------


def test_who_takes_a_pull_over_begins_at_the_first_page(pulled: Pulled, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first worker dies after a chunk was written; the second one's snapshot has nothing of it."""
    monkeypatch.setattr("mastering.imports.spool.LINES_PER_CHUNK", 100)
    pulled.server.users = [user(f"u{number:03}") for number in range(150)]

    run_id = pulled.order()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peer := pulled.peers.open(pulled.app_id), "get", dying_at(2, peer.get))
        with pytest.raises(SystemExit):
            pulled.puller.turn()
    run = pulled.world.run(run_id)
    assert (run.status, run.fence) == ("RECEIVING", 1)
    assert chunks(pulled.world, run_id) == 1
    assert not pulled.puller.turn(), "the lease holds"
    lapse(pulled.world, run_id)
    pulled.server.users = [user(f"v{number:03}") for number in range(120)]
    assert pulled.puller.turn()
    pulled.world.work()
    run = pulled.world.run(run_id)
    assert (run.status, run.records, run.situations, run.takeovers) == ("COMPLETED", 120, '{"UNMATCHED":120}', 1)


def dying_at(call: int, get: Callable[..., Any]) -> Callable[..., Any]:
    """In place of a peer's reading: the process ends at its nth."""
    calls = count(1)

    def dies(*asked: Any, **options: Any) -> Any:
        if next(calls) == call:
            raise SystemExit
        return get(*asked, **options)

    return dies


def chunks(world: World, run_id: str) -> int:
    with reading(world.engine) as session:
        return len(session.connection().exec_driver_sql(f"SELECT seq FROM run_chunks WHERE run_id = '{run_id}'").all())


def lapse(world: World, run_id: str) -> None:
    with writing(world.engine) as session:
        run = session.get_one(tables.ImportRun, run_id)
        run.lease_until = wire(now() - timedelta(seconds=1))
        session.add(run)


def test_a_worker_that_slept_past_its_lease_seals_nothing(pulled: Pulled) -> None:
    """While it reads, its lease runs out and another claims the run: what it has read is nobody's."""
    run_id, other = pulled.order(), Puller(pulled.world.engine, pulled.peers)

    def overtaken(asked: Asked) -> None:
        if len(pulled.server.pages()) == 1:
            lapse(pulled.world, run_id)
            assert other.turn()

    pulled.server.behaves = overtaken
    assert pulled.puller.turn()
    run = pulled.world.run(run_id)
    assert (run.status, run.fence, run.arrival) == ("QUEUED", 2, 1)
    pulled.world.work()
    assert pulled.world.run(run_id).records == 3


def test_a_pull_can_be_cancelled_while_it_is_received(pulled: Pulled) -> None:
    run_id = pulled.order()
    pulled.server.behaves = lambda _: pulled.world.cancel(run_id)
    assert pulled.puller.turn()
    assert pulled.world.run(run_id).status == "CANCELLED"
    assert pulled.world.by_login("ada@example.com") is None


def test_a_pull_that_waits_for_its_worker_is_no_broken_upload(pulled: Pulled) -> None:
    run_id = pulled.order()
    tick(pulled.world.engine, now() + timedelta(hours=1))
    assert pulled.world.run(run_id).status == "RECEIVING"
    assert runs.fail_stalled(pulled.world.engine, ADMIN, now(), all_of_them=True) == 0


def test_an_apps_pulls_are_received_one_after_the_other(pulled: Pulled) -> None:
    first, second = pulled.order(), pulled.order(Mode.INCREMENTAL)
    seen: list[bool] = []
    pulled.server.behaves = lambda _: seen.append(Puller(pulled.world.engine, pulled.peers).turn())
    assert pulled.puller.turn()
    assert seen == [False] * len(seen)
    pulled.server.behaves = lambda _: None
    assert pulled.puller.turn()
    assert [pulled.world.run(run_id).arrival for run_id in (first, second)] == [1, 2]


def test_a_process_receives_pulls_of_several_apps_at_a_time_and_stops_in_the_middle_of_one(
    org: World, server: ScimServer, door: Door
) -> None:
    """One server hangs and keeps only its own app waiting; when the process stops, its pull is left to others."""
    reached = threading.Event()

    def hangs(_: Asked) -> Reply:
        reached.set()
        return Reply(body=b"", hangs=True)

    with scim_server() as stuck:
        stuck.behaves = hangs
        slow, quick = Pulled(org, stuck, door), Pulled(org, server, door)
        hung, sealed = slow.order(), threading.Event()
        puller = Puller(org.engine, quick.peers, sealed=sealed.set)
        puller.start()
        assert reached.wait(30)
        done = quick.order()
        puller.wake()
        assert sealed.wait(30)
        assert org.run(done).status == "QUEUED"
        stuck.over.set()
        puller.stop()
    assert org.run(hung).status == "RECEIVING"


# -- deltas -------------------------------------------------------------------------------------------------------------


def test_a_delta_asks_for_what_changed_since_the_newest_change_seen_a_little_earlier(pulled: Pulled) -> None:
    full = pulled.pull()
    assert (pulled.mark(), how(full)["newest"]) == (DAY.format(3), DAY.format(3))
    pulled.server.users[0] |= user("ada", modified=DAY.format(5), title="Countess")
    run = pulled.delta()
    assert pulled.server.seen[-1].params["filter"] == 'meta.lastModified gt "2026-01-02T23:58:00.000Z"'
    told = {"read": "CHANGES", "since": "2026-01-02T23:58:00.000Z", "fallback": None, "newest": DAY.format(5), "pages": 1, "requests": 1}
    assert how(run) == {"server": pulled.server.base_url, **told}
    assert pulled.world.situations(run) == {"CHANGED": 1, "UNCHANGED": 1}
    assert pulled.world.user_of(pulled.app_id, "id-ada").profile["title"] == "Countess"
    assert pulled.mark() == DAY.format(5)


def test_a_delta_in_which_nothing_changed_keeps_its_mark(pulled: Pulled) -> None:
    pulled.pull()
    pulled.server.users = []
    run = pulled.delta()
    assert (run.status, run.records, pulled.mark()) == ("COMPLETED", 0, DAY.format(3))


def test_a_delta_before_any_completed_import_reads_everybody_and_says_so(pulled: Pulled) -> None:
    run = pulled.delta()
    assert (how(run)["read"], how(run)["fallback"]) == ("ALL", "no completed import of this server says since when")
    assert (run.records, pulled.mark()) == (3, DAY.format(3))
    assert how(pulled.delta())["read"] == "CHANGES"


def fallen_back(pulled: Pulled, reason: str) -> None:
    """A delta that reads everybody, says why, and takes nobody who is not there for gone."""
    pulled.server.users = [each for each in pulled.server.users if each["id"] != "id-ada"]
    run = pulled.delta()
    assert (run.status, how(run)["read"]) == ("COMPLETED", "ALL")
    assert how(run)["fallback"].startswith(reason)
    assert pulled.world.situations(run) == {"UNCHANGED": 2}
    assert pulled.world.user_of(pulled.app_id, "id-ada").status is Status.ACTIVE


def test_a_server_that_says_it_does_not_filter_is_not_asked_to(pulled: Pulled) -> None:
    pulled.pull()
    pulled.server.filters = False
    fallen_back(pulled, "its /ServiceProviderConfig says that it does not filter")
    assert not any("filter" in asked.params for asked in pulled.server.seen)


def test_a_server_that_refuses_the_filter_is_read_whole(pulled: Pulled) -> None:
    pulled.pull()
    pulled.server.behaves = lambda asked: error(400, "no such filter") if "filter" in asked.params else None
    fallen_back(pulled, "the filter meta.lastModified was refused: it answered with status 400")


def test_a_server_that_does_not_heed_the_filter_is_seen_through(pulled: Pulled) -> None:
    pulled.pull()
    pulled.server.behaves = lambda asked: (
        Reply(body=pulled.server.page(pulled.server.users, asked.start, asked.count)) if "filter" in asked.params else None
    )
    fallen_back(pulled, "it answers with users who have not changed")


def test_a_server_that_says_nothing_of_itself_is_asked_with_the_filter(pulled: Pulled) -> None:
    pulled.pull()
    pulled.server.behaves = lambda asked: error(404, "no") if asked.path.endswith("Config") else None
    assert how(pulled.delta())["read"] == "CHANGES"


def test_a_run_that_was_not_applied_moves_no_mark(pulled: Pulled) -> None:
    """What a held or cancelled delta has seen is asked for again by the next one."""
    pulled.pull()
    pulled.world.set_policy(pulled.app_id, ImportPolicy(confirmation=calm().confirmation, mastering=calm().mastering))
    pulled.server.users = [user(name, active=False, modified=DAY.format(7)) for name in ("ada", "bob", "eve")]
    held = pulled.delta()
    assert (held.status, pulled.mark()) == ("HELD", DAY.format(3))
    pulled.world.cancel(held.id)
    assert pulled.mark() == DAY.format(3)
    pulled.world.set_policy(pulled.app_id, calm())
    assert pulled.world.situations(pulled.delta()) == {"WENT_INACTIVE": 3}
    assert pulled.mark() == DAY.format(7)


def test_another_server_is_read_whole_first(pulled: Pulled, door: Door) -> None:
    pulled.pull()
    with scim_server() as other:
        other.users = [user("ada", modified=DAY.format(1))]
        pulled.connect(other.base_url)
        assert pulled.mark() is None
        assert how(pulled.delta())["fallback"] == "no completed import of this server says since when"


@pytest.mark.parametrize("modified", ["2999-01-01T00:00:00Z", "yesterday", "", None, 7])
def test_a_date_that_cannot_be_or_is_none_is_no_mark(pulled: Pulled, modified: Any) -> None:
    pulled.server.users = [user("ada", modified=modified)]
    run = pulled.pull()
    assert (run.status, pulled.mark()) == ("COMPLETED", None)


def test_dates_are_compared_as_instants_whatever_their_zone(pulled: Pulled) -> None:
    pulled.server.users = [user("ada", modified="2026-01-05T01:00:00+09:00"), user("bob", modified="2026-01-04T20:00:00Z")]
    pulled.pull()
    assert pulled.mark() == "2026-01-04T20:00:00Z"


# -- attributes by their paths ------------------------------------------------------------------------------------------


def test_a_mapping_a_username_and_matching_read_scim_paths(pulled: Pulled) -> None:
    extension: dict[str, Any] = {ENTERPRISE: {"department": "Engines", "employeeNumber": "E1"}}
    pulled.server.users = [
        user(
            "ada",
            emails=[{"value": "ada@home.example", "type": "home"}, {"value": "ada@work.example", "type": "work"}],
            roles=[{"value": "countess"}],
        )
        | extension
    ]
    pulled.map(
        email='appuser["emails[type eq ""work""].value"]',
        title="appuser.roles[0].value",
        department=f'appuser["{ENTERPRISE}"].department',
        nickName='String.toUpperCase(appuser["name.givenName"])',
        middleName="appuser.name.familyName",
    )
    employee = f"{ENTERPRISE}:employeeNumber"
    wanted = Matching(username=False, attributes=(AttributePair(employee, "employeeNumber"),))
    format_ = Username(UsernameFormat.CUSTOM, f'appuser["{employee}"] + "@example.com"')
    pulled.world.set_policy(pulled.app_id, calm(matching=wanted, username=format_))
    run = pulled.pull()
    assert run.status == "COMPLETED", run.error
    ada = pulled.world.user_of(pulled.app_id, "id-ada")
    assert ada.login == "E1@example.com"
    profile = {name: ada.profile.get(name) for name in ("email", "title", "department", "nickName", "middleName")}
    assert profile == {"email": "ada@work.example", "title": "countess", "department": "Engines", "nickName": "ADA", "middleName": "Doe"}
    assert pulled.world.situations(pulled.pull()) == {"UNCHANGED": 1}


def test_a_path_that_a_mapping_reads_from_now_on_comes_with_the_next_snapshot(pulled: Pulled) -> None:
    pulled.pull()
    pulled.map(nickName='appuser["name.familyName"]')
    assert pulled.world.situations(pulled.pull()) == {"CHANGED": 3}
    assert pulled.world.user_of(pulled.app_id, "id-ada").profile["nickName"] == "Doe"
