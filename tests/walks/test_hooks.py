"""The import inline hook in the walk (SPEC §§5.6, 8): asked before anybody is created, heard by the rules, and never in a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from mastering import review
from mastering.catalog import hooks as catalog_hooks
from mastering.catalog import policies
from mastering.clock import now
from mastering.connectors.outbound import Door
from mastering.errors import Invalid
from mastering.imports.hooking import HookCaller
from mastering.imports.worker import Worker, recover
from mastering.rules.hook import OnFailure
from mastering.rules.lifecycle import Status
from mastering.rules.policy import Confirmation, ImportPolicy, Matching
from mastering.rules.record import AccountState, Mode
from mastering.store import tables
from mastering.store.documents import load
from mastering.store.engine import reading, writing
from mastering.store.tables import HookStatus
from mastering.vault import Vault
from tests.hook_server import HookServer, Reply, Seen, commanded, hanging, hook_server, linking
from tests.walks.imports_world import ADMIN, CONFIRM_ALL, World, calm, master, person

VAULT = Vault(["a key for tests, of enough characters"])
QUICK = 0.3


@dataclass
class Hooked:
    """A world with an app, HR, whose imports ask a hook."""

    world: World
    server: HookServer
    door: Door
    hook_id: str = ""
    hr: str = ""
    bounds: dict[str, Any] = field(default_factory=dict)

    def set_up(self, on_failure: OnFailure = OnFailure.HOLD, **parts: Any) -> Hooked:
        form = catalog_hooks.Form(
            name="transform", uri=self.server.uri, auth=catalog_hooks.Auth("Authorization", "s3cret"), on_failure=on_failure
        )
        self.hook_id = catalog_hooks.create(self.world.engine, VAULT, ADMIN, now(), form).id
        self.hr = self.world.app("HR", self.policy(**parts))
        self.work_with(Worker)
        return self

    def work_with(self, kind: Callable[..., Worker], **bounds: Any) -> None:
        self.world.worker = kind(self.world.engine, HookCaller(VAULT, self.door, **{"seconds": QUICK, **bounds}))

    def policy(self, **parts: Any) -> ImportPolicy:
        return replace(calm(**parts), hook_id=self.hook_id)

    def hook(self, run: tables.ImportRun) -> dict[str, Any]:
        """What a run says of its hook."""
        told: dict[str, Any] = load(run.hook or "null")
        return told

    def outcomes(self, run: tables.ImportRun) -> dict[str, int]:
        counted: dict[str, int] = self.hook(run)["outcomes"]
        return counted

    def left_over(self) -> int:
        """Questions and words that are still in the database."""
        with reading(self.world.engine) as session:
            return len(session.execute(select(tables.HookCall)).all())


@pytest.fixture
def hooked(org: World) -> Iterator[Hooked]:
    door = Door()
    with hook_server() as server:
        yield Hooked(org, server, door)
    door.close()


# -- whom it is asked about -------------------------------------------------------------------------------------------


def test_a_hook_is_asked_about_who_would_be_created_and_about_nobody_else(hooked: Hooked) -> None:
    it = hooked.set_up(confirmation=replace(CONFIRM_ALL, auto_confirm_exact=False), matching=Matching(allow_partial=True))
    it.world.by_hand("known")
    it.world.send(it.hr, [person("Old")])
    assert it.server.asked_about() == ["old@example.com"]
    run = it.world.send(
        it.hr,
        [
            person("Old", department="Sales"),
            person("Known"),
            person("New"),
            person("Gone", active=False),
            person("Broken", email=None),
            person("Half", firstName="First-known", lastName="Last-known"),
        ],
    )
    assert it.server.asked_about() == ["new@example.com", "old@example.com"]
    assert it.outcomes(run) == {"unchanged": 1}
    assert it.world.user_of(it.hr, "New").status is Status.ACTIVE


def test_nobody_is_asked_about_who_waits_for_a_reviewer_anyway(hooked: Hooked) -> None:
    it = hooked.set_up(confirmation=Confirmation())
    run = it.world.send(it.hr, [person("E1")])
    assert (it.server.seen, it.hook(run)["asked"], run.actions) == ([], 0, '{"wait":1}')


def test_a_hook_is_told_the_record_the_mapped_user_and_the_run(hooked: Hooked) -> None:
    it = hooked.set_up()
    run = it.world.send(it.hr, [person("E1", department="Sales", badge=7)])
    (seen,) = it.server.seen
    assert seen.headers["Authorization"] == "s3cret"
    data = seen.document["data"]
    assert data["appUser"]["profile"] == {
        "email": "e1@example.com",
        "firstName": "First-E1",
        "lastName": "Last-E1",
        "department": "Sales",
        "badge": 7,
    }
    assert (data["user"]["profile"]["login"], data["user"]["profile"]["department"]) == ("e1@example.com", "Sales")
    assert data["context"]["job"] == {"id": run.id, "type": "import:users", "dryRun": False}
    assert (data["context"]["application"]["label"], data["context"]["conflicts"], data["context"]["policy"]) == ("HR", [], ["USERNAME"])
    assert seen.document["source"] == it.hook_id


def test_a_hook_that_is_switched_off_is_not_asked(hooked: Hooked) -> None:
    it = hooked.set_up()
    catalog_hooks.set_status(it.world.engine, ADMIN, now(), it.hook_id, HookStatus.INACTIVE)
    run = it.world.send(it.hr, [person("E1")])
    assert (it.server.seen, run.hook) == ([], None)
    assert it.world.user_of(it.hr, "E1").status is Status.ACTIVE


def test_what_was_asked_is_forgotten_when_the_plan_is_made(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.world.send(it.hr, [person("E1")])
    assert it.left_over() == 0


def test_no_transaction_is_open_while_a_hook_is_called(hooked: Hooked) -> None:
    """A connection that is checked out while the server answers would be one: there is none but in short moments between the answers."""
    it = hooked.set_up()
    out: list[int] = []
    pool = it.world.engine.pool

    def behave(_: Seen) -> Reply:
        it.server.over.wait(0.02)
        out.append(pool.checkedout())  # type: ignore[attr-defined]
        return Reply()

    it.server.behaves = behave
    it.work_with(Worker, at_once=1)
    it.world.send(it.hr, [person(f"E{n}") for n in range(3)])
    assert out == [0, 0, 0]


# -- what it may change -----------------------------------------------------------------------------------------------


def test_a_changed_app_profile_is_kept_and_flows_through_the_mapping(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.server.commands(("appUser.profile.update", {"department": "Sales", "firstName": "Ann", "email": "ann@example.com"}))
    it.world.send(it.hr, [person("E1", department="x")])
    user, account = it.world.user_of(it.hr, "E1"), it.world.account(it.hr, "E1")
    assert (user.login, user.profile["firstName"], user.profile["department"]) == ("ann@example.com", "Ann", "Sales")
    assert account.profile["department"] == "Sales"
    assert it.world.send(it.hr, [person("E1", department="x")]).situations == '{"UNCHANGED":1}'


def test_a_changed_user_profile_comes_over_what_is_mapped_and_leaves_the_app_profile(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.server.commands(("user.profile.update", {"login": " ann@example.com ", "title": "Dr", "department": ""}))
    it.world.send(it.hr, [person("E1", department="x")])
    user, account = it.world.user_of(it.hr, "E1"), it.world.account(it.hr, "E1")
    assert (user.login, user.profile["title"], user.profile["department"]) == ("ann@example.com", "Dr", None)
    assert (account.profile["department"], "title" in account.profile) == ("x", False)


def test_what_a_hook_changed_is_in_the_history_by_name_and_not_by_value(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.server.commands(("user.profile.update", {"title": "Countess"}), ("appUser.profile.update", {"department": "Engines"}))
    it.world.send(it.hr, [person("E1")])
    created = it.world.events(it.world.user_of(it.hr, "E1").id)[0]
    facts = load(created.body)["facts"]["hook"]
    assert facts == {"id": it.hook_id, "outcome": "changed", "tries": 1, "changed": {"appUser": ["department"], "user": ["title"]}}
    assert "Countess" not in created.body


@pytest.mark.parametrize(
    ("command", "field_"),
    [
        (("user.profile.update", {"lastName": None}), "lastName"),
        (("user.profile.update", {"nonsense": 1}), "nonsense"),
        (("user.profile.update", {"login": 7}), "login"),
        (("user.profile.update", {"countryCode": "too long"}), "countryCode"),
        (("appUser.profile.update", {"email": None}), "login"),
        (("appUser.profile.update", {"firstName": ["x"]}), "firstName"),
    ],
)
@pytest.mark.parametrize("on_failure", OnFailure)
def test_a_changed_profile_that_the_schema_refuses_is_a_failure_of_the_hook(
    hooked: Hooked, command: tuple[str, dict[str, Any]], field_: str, on_failure: OnFailure
) -> None:
    it = hooked.set_up(on_failure)
    it.server.commands(command)
    run = it.world.send(it.hr, [person("E1")])
    row = it.world.change(run, "E1")
    assert it.outcomes(run) == {"invalid_profile": 1}
    assert field_ in (row.detail or "")
    assert row.action == ("wait" if on_failure is OnFailure.HOLD else "create")


# -- logins -----------------------------------------------------------------------------------------------------------


def test_a_hook_is_told_of_a_login_that_two_records_want_and_can_resolve_it(hooked: Hooked) -> None:
    it = hooked.set_up()

    def behave(seen: Seen) -> Reply:
        assert seen.document["data"]["context"]["conflicts"] == ["login"]
        badge = seen.document["data"]["appUser"]["profile"]["badge"]
        return Reply(body=commanded(("user.profile.update", {"login": f"ann{badge}@example.com"})))

    it.server.behaves = behave
    it.world.send(it.hr, [person(f"E{n}", email="ann@example.com", badge=n) for n in (1, 2)])
    assert [it.world.user_of(it.hr, f"E{n}").login for n in (1, 2)] == ["ann1@example.com", "ann2@example.com"]


def test_a_hook_is_told_of_a_login_that_somebody_else_has_and_can_resolve_it(hooked: Hooked) -> None:
    it = hooked.set_up(matching=Matching(username=False, email=True))
    it.world.by_hand("ann", email="other@example.com")
    it.server.commands(("user.profile.update", {"login": "ann2@example.com"}))
    it.world.send(it.hr, [person("E1", email="ann@example.com")])
    assert it.world.user_of(it.hr, "E1").login == "ann2@example.com"
    assert it.server.seen[0].document["data"]["context"]["conflicts"] == ["login"]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_a_login_that_the_hook_gives_twice_nobody_gets_whatever_the_order(hooked: Hooked, order: tuple[int, int]) -> None:
    it = hooked.set_up()
    it.server.commands(("user.profile.update", {"login": "same@example.com"}))
    run = it.world.send(it.hr, [person(f"E{n}") for n in order])
    assert it.world.situations(run) == {"CONFLICT": 2}
    assert it.world.queue(it.hr) == {f"E{n}": ("CONFLICT", "login_claimed_twice", []) for n in (1, 2)}


def test_a_login_that_the_hook_gives_and_a_record_without_a_hook_wants_nobody_gets(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.world.by_hand("known")
    it.world.send(it.hr, [person("Known")])
    it.server.commands(("user.profile.update", {"login": "moved@example.com"}))
    run = it.world.delta(it.hr, [person("E1"), person("Known", email="moved@example.com")])
    assert it.world.change(run, "E1").reason == "login_claimed_twice"
    assert it.world.change(run, "Known").reason == "login_claimed_twice"


def test_a_record_that_a_hook_changes_into_somebody_known_is_matched_again(hooked: Hooked) -> None:
    it = hooked.set_up()
    ann = it.world.by_hand("ann")
    it.server.commands(("appUser.profile.update", {"email": "ann@example.com"}))
    run = it.world.send(it.hr, [person("E1")])
    assert it.world.account(it.hr, "E1").user_id == ann.id
    assert (it.world.change(run, "E1").situation, it.world.change(run, "E1").action) == ("EXACT", "link")


# -- links ------------------------------------------------------------------------------------------------------------


def test_a_hook_links_to_the_user_it_names(hooked: Hooked) -> None:
    it = hooked.set_up()
    ann = it.world.by_hand("ann")
    it.server.behaves = lambda _: Reply(body=linking(ann.id))
    run = it.world.send(it.hr, [person("E1", department="Sales")])
    row = it.world.change(run, "E1")
    assert (row.situation, row.action, row.rule, row.user_id) == ("UNMATCHED", "link", "inline_hook", ann.id)
    user = it.world.user_of(it.hr, "E1")
    assert (user.id, user.login, user.profile["department"]) == (ann.id, "e1@example.com", "Sales")
    assert load(it.world.events(ann.id)[-2].body)["facts"]["hook"]["outcome"] == "linked"


def test_a_link_and_a_changed_user_profile_go_together_as_far_as_the_account_masters_the_user(hooked: Hooked) -> None:
    higher = hooked.world.app("Higher", calm())
    it = hooked.set_up()
    ann, bob = it.world.by_hand("ann"), it.world.by_hand("bob")
    it.world.send(higher, [person("Bob")])
    to = {"e1@example.com": ann.id, "e2@example.com": bob.id}

    def behave(seen: Seen) -> Reply:
        user_id = to[seen.document["data"]["appUser"]["profile"]["email"]]
        return Reply(body={"commands": linking(user_id)["commands"] + commanded(("user.profile.update", {"title": "Dr"}))["commands"]})

    it.server.behaves = behave
    it.world.send(it.hr, [person("E1"), person("E2")])
    assert it.world.user(ann.id).profile["title"] == "Dr"
    assert it.world.account(it.hr, "E2").user_id == bob.id
    assert it.world.user(bob.id).profile.get("title") is None


def test_a_link_to_a_user_whose_place_is_taken_waits_and_goes_on_waiting(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.world.send(it.hr, [person("Ann")])
    ann = it.world.user_of(it.hr, "Ann")
    it.server.behaves = lambda _: Reply(body=linking(ann.id))
    run = it.world.delta(it.hr, [person("E2")])
    assert it.world.change(run, "E2").situation == "CONFLICT"
    held = {"E2": ("CONFLICT", "hook_place_taken", ["ann@example.com"])}
    assert it.world.queue(it.hr) == held
    it.world.by_hand("somebody")
    assert it.world.queue(it.hr) == held


def test_a_link_that_waits_says_so_once_also_where_the_hook_changed_more(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.world.send(it.hr, [person("Ann")])
    link = linking(it.world.user_of(it.hr, "Ann").id)["commands"]
    it.server.behaves = lambda _: Reply(body={"commands": [*link, *commanded(("user.profile.update", {"title": "Dr"}))["commands"]]})
    it.world.delta(it.hr, [person("E2")])
    assert it.world.queue(it.hr)["E2"][1] == "hook_place_taken"


def test_a_record_that_the_hook_changes_into_somebody_known_waits_where_matches_wait(hooked: Hooked) -> None:
    it = hooked.set_up(confirmation=replace(CONFIRM_ALL, auto_confirm_exact=False))
    it.world.by_hand("ann")
    it.server.commands(("user.profile.update", {"login": "ann@example.com"}))
    it.world.send(it.hr, [person("E1")])
    waiting = {"E1": ("EXACT", "hook_exact", ["ann@example.com"])}
    assert it.world.queue(it.hr) == waiting
    it.world.by_hand("somebody")
    assert it.world.queue(it.hr) == waiting


def test_two_records_linked_to_one_user_both_wait(hooked: Hooked) -> None:
    it = hooked.set_up()
    ann = it.world.by_hand("ann")
    it.server.behaves = lambda _: Reply(body=linking(ann.id))
    run = it.world.send(it.hr, [person("E1"), person("E2")])
    assert it.world.situations(run) == {"CONFLICT": 2}
    assert {reason for _, reason, _ in it.world.queue(it.hr).values()} == {"user_claimed_twice"}


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_an_exact_match_of_another_record_beats_a_link_that_is_none(hooked: Hooked, order: tuple[int, int]) -> None:
    it = hooked.set_up()
    ann = it.world.by_hand("ann")
    it.server.behaves = lambda _: Reply(body=linking(ann.id))
    records = {1: person("E1"), 2: person("E2", email="ann@example.com")}
    it.world.send(it.hr, [records[n] for n in order])
    assert it.world.account(it.hr, "E2").user_id == ann.id
    assert it.world.queue(it.hr) == {"E1": ("CONFLICT", "user_claimed_twice", ["ann@example.com"])}


def test_a_link_to_somebody_who_left_and_whom_the_record_exactly_matches_is_an_exact_return(hooked: Hooked) -> None:
    it = hooked.set_up(mastering=master(deactivated=True), matching=Matching(username=False, email=True))
    ann = it.world.by_hand("ann", email="other@example.com")
    it.world.act(ann.id, "deactivate")
    command = linking(ann.id)["commands"] + commanded(("appUser.profile.update", {"email": "other@example.com"}))["commands"]
    it.server.behaves = lambda _: Reply(body={"commands": command})
    run = it.world.send(it.hr, [person("E1")])
    row = it.world.change(run, "E1")
    assert (row.action, row.trigger) == ("link", "reactivate")
    assert it.world.user(ann.id).status is Status.ACTIVE


@pytest.mark.parametrize("switch", [True, False])
def test_a_link_to_somebody_who_left_is_a_return_by_the_apps_switches(hooked: Hooked, switch: bool) -> None:
    it = hooked.set_up(mastering=master(deactivated=switch))
    ann = it.world.by_hand("ann")
    it.world.act(ann.id, "deactivate")
    it.server.behaves = lambda _: Reply(body=linking(ann.id))
    run = it.world.send(it.hr, [person("E1")])
    row = it.world.change(run, "E1")
    assert (row.action, row.trigger, row.reason) == (("link", "require_activation", None) if switch else ("link", None, "switch_off"))
    assert it.world.user(ann.id).status is (Status.PENDING_ACTIVATION if switch else Status.DEACTIVATED)


def test_a_link_by_an_app_that_is_not_the_authority_moves_no_status(hooked: Hooked) -> None:
    top = hooked.world.app("Top", calm())
    it = hooked.set_up(mastering=master(deactivated=True))
    it.world.send(top, [person("Ann")])
    ann = it.world.user_of(top, "Ann")
    it.world.send(top, [], allow_empty=True)
    assert it.world.user(ann.id).status is Status.DEACTIVATED
    it.server.behaves = lambda _: Reply(body=linking(ann.id))
    run = it.world.send(it.hr, [person("E1")])
    assert it.world.change(run, "E1").reason == "not_authority"
    assert it.world.user(ann.id).status is Status.DEACTIVATED


# -- failures ---------------------------------------------------------------------------------------------------------

FAILING: dict[str, tuple[Reply, str]] = {
    "slow": (hanging(), "time_out"),
    "hanging in the middle": (Reply(body=b"{", promise=9, hangs=True), "time_out"),
    "500 always": (Reply(500), "server_error"),
    "400": (Reply(400), "bad_status"),
    "redirecting": (Reply(302, headers={"Location": "http://127.0.0.1:1/"}), "bad_status"),
    "huge": (Reply(body=b" " * 300_000), "too_large"),
    "wrong": (Reply(body=b"<html>"), "unparsable"),
    "strange": (Reply(body=commanded(("user.delete", {}))), "unknown_command"),
    "mistaken": (Reply(body=linking("00uNobody")), "unknown_user"),
    "refusing": (Reply(body={"error": {"errorSummary": "not on a Monday"}}), "refused"),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_record_whose_hook_failed_waits_for_a_reviewer_with_the_reason(hooked: Hooked, case: str) -> None:
    reply, outcome = FAILING[case]
    it = hooked.set_up(OnFailure.HOLD)
    it.server.behaves = lambda _: reply
    run = it.world.send(it.hr, [person("E1")])
    row = it.world.change(run, "E1")
    assert (row.situation, row.action, row.rule, row.reason) == ("UNMATCHED", "wait", "inline_hook", "hook_failed")
    assert (row.detail or "").startswith("the inline hook transform failed: ")
    assert it.outcomes(run) == {outcome: 1}
    assert it.world.queue(it.hr) == {"E1": ("UNMATCHED", "hook_failed", [])}
    account = it.world.account(it.hr, "E1")
    body = load(it.world.events(account.id)[-1].body)
    assert (body["reason"], body["facts"]["hook"]["outcome"]) == ("hook_failed", outcome)


@pytest.mark.parametrize("case", FAILING)
def test_a_record_whose_hook_failed_goes_on_where_the_hook_says_so(hooked: Hooked, case: str) -> None:
    reply, outcome = FAILING[case]
    it = hooked.set_up(OnFailure.CONTINUE)
    it.server.behaves = lambda _: reply
    run = it.world.send(it.hr, [person("E1")])
    user = it.world.user_of(it.hr, "E1")
    assert (user.status, user.login) == (Status.ACTIVE, "e1@example.com")
    assert it.outcomes(run) == {outcome: 1}
    assert load(it.world.events(user.id)[0].body)["facts"]["hook"]["outcome"] == outcome


def test_a_hook_that_is_gone_is_a_failure(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.server.close()
    run = it.world.send(it.hr, [person("E1")])
    assert it.outcomes(run) == {"unreachable": 1}


def test_one_failure_holds_one_record_and_lets_the_others_go(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.server.behaves = lambda seen: Reply(400 if "e2@" in seen.document["data"]["appUser"]["profile"]["email"] else 200)
    run = it.world.send(it.hr, [person(f"E{n}") for n in range(4)])
    assert it.outcomes(run) == {"bad_status": 1, "unchanged": 3}
    assert list(it.world.queue(it.hr)) == ["E2"]


@pytest.mark.parametrize("mode", Mode)
def test_who_waits_for_a_hook_is_asked_about_again_in_the_next_run(hooked: Hooked, mode: Mode) -> None:
    it = hooked.set_up()
    it.server.behaves = lambda _: Reply(400)
    it.world.send(it.hr, [person("E1")])
    it.server.commands(("user.profile.update", {"title": "Dr"}))
    it.world.send(it.hr, [person("E1")] if mode is Mode.FULL else [], mode)
    assert it.world.queue(it.hr) == {}
    assert it.world.user_of(it.hr, "E1").profile["title"] == "Dr"


def test_who_waits_for_a_hook_is_refreshed_when_somebody_appears_whom_it_could_be(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.server.behaves = lambda _: Reply(400)
    it.world.send(it.hr, [person("E1")])
    it.world.by_hand("nobody")
    assert it.world.queue(it.hr) == {"E1": ("UNMATCHED", "hook_failed", [])}
    it.world.by_hand("e1")
    assert it.world.queue(it.hr) == {"E1": ("EXACT", "exact", ["e1@example.com"])}


def test_a_reviewer_creates_who_waits_for_a_hook_without_asking_it(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.server.behaves = lambda _: Reply(400)
    it.world.send(it.hr, [person("E1")])
    assert it.world.review(it.hr, "E1", review.Verdict.CREATE, activate=True).error is None
    assert len(it.server.seen) == 1


def test_a_secret_that_does_not_open_is_a_failure_and_nothing_is_sent(hooked: Hooked) -> None:
    it = hooked.set_up()
    other = Vault(["another key for tests, of enough characters"])
    it.world.worker = Worker(it.world.engine, HookCaller(other, it.door))
    run = it.world.send(it.hr, [person("E1")])
    assert (it.outcomes(run), it.server.seen) == ({"secret_unreadable": 1}, [])
    assert "secret cannot be read" in it.hook(run)["gaveUp"]


def test_a_process_that_cannot_call_fails_the_run_with_a_sentence(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.world.worker = Worker(it.world.engine)
    run = it.world.send(it.hr, [person("E1")])
    assert (run.status, "cannot call any" in (run.error or "")) == ("FAILED", True)
    assert it.left_over() == 0


# -- many, and for long -----------------------------------------------------------------------------------------------


def test_hooks_are_called_many_at_a_time_and_never_more_than_the_bound(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.work_with(Worker, at_once=4, seconds=5.0)

    def behave(_: Seen) -> Reply:
        it.server.over.wait(0.03)
        return Reply()

    it.server.behaves = behave
    it.world.send(it.hr, [person(f"E{n}") for n in range(20)])
    assert it.server.most_at_once == 4


def test_a_hook_that_is_down_is_given_up_and_the_run_says_so(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.server.behaves = lambda _: Reply(503)
    it.work_with(Worker, at_once=2, down_after=3)
    run = it.world.send(it.hr, [person(f"E{n:03}") for n in range(100)])
    assert run.status == "COMPLETED"
    outcomes = it.outcomes(run)
    assert outcomes["server_error"] + outcomes["given_up"] == 100
    assert 3 <= outcomes["server_error"] <= 8
    assert "calls in a row had no answer" in it.hook(run)["gaveUp"]
    assert len(it.world.queue(it.hr)) == 100
    planned = [event for event in it.world.events(it.hr) if event.type == "import.planned"][-1]
    assert load(planned.body)["hook"] == it.hook(run)


def test_answers_between_the_failures_keep_a_hook_from_being_given_up(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.server.behaves = lambda seen: Reply(503 if int(seen.document["data"]["appUser"]["profile"]["badge"]) % 2 else 400)
    it.work_with(Worker, at_once=1, down_after=2)
    run = it.world.send(it.hr, [person(f"E{n}", badge=n) for n in range(9)])
    assert it.outcomes(run) == {"bad_status": 5, "server_error": 4}
    assert it.hook(run)["gaveUp"] is None


def test_asking_that_takes_too_long_in_all_is_given_up(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.work_with(Worker, at_once=1, longest=timedelta(0))
    run = it.world.send(it.hr, [person(f"E{n}") for n in range(20)])
    assert it.outcomes(run)["given_up"] >= 15
    assert "took longer than" in it.hook(run)["gaveUp"]


def test_a_process_that_is_told_to_stop_leaves_the_run_and_the_next_one_asks_only_about_the_rest(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.work_with(Worker, at_once=1, seconds=5.0)
    first = it.world.worker
    everybody = [person(f"E{n}") for n in range(8)]
    run_id = it.world.receive(it.hr, everybody)

    def behave(_: Seen) -> Reply:
        if len(it.server.seen) == 4:
            first._stopping.set()
        return Reply()

    it.server.behaves = behave
    first.turn()
    assert it.world.run(run_id).status == "PLANNING"
    asked = len(it.server.seen)
    assert 4 <= asked < 8
    it.work_with(Worker)
    it.world.work()
    assert it.world.run(run_id).status == "COMPLETED"
    assert it.server.asked_about() == sorted(record["profile"]["email"] for record in everybody)


def test_a_run_taken_over_while_its_hook_is_asked_is_planned_by_the_other_alone(hooked: Hooked) -> None:
    it = hooked.set_up()
    run_id = it.world.receive(it.hr, [person("E1"), person("E2")])
    mine = it.world.worker

    def behave(_: Seen) -> Reply:
        if len(it.server.seen) == 1:
            recover(it.world.engine)
            with writing(it.world.engine) as session:
                row = session.get_one(tables.ImportRun, run_id)
                row.fence, row.owner = row.fence + 1, "another"
                session.add(row)
        return Reply()

    it.server.behaves = behave
    assert mine.turn()
    assert it.world.run(run_id).status == "PLANNING"
    recover(it.world.engine)
    it.work_with(Worker)
    it.world.work()
    assert it.world.run(run_id).status == "COMPLETED"
    assert it.world.user_of(it.hr, "E1").history_seq == 2


# -- plans ------------------------------------------------------------------------------------------------------------


def test_a_dry_run_asks_so_that_the_plan_says_what_would_happen(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.server.commands(("user.profile.update", {"login": "ann@example.com"}))
    run = it.world.send(it.hr, [person("E1")], dry_run=True)
    row = it.world.change(run, "E1")
    assert (run.status, row.action, load(row.effect)["create"]["login"]) == ("PLANNED", "create", "ann@example.com")
    assert it.server.seen[0].document["data"]["context"]["job"]["dryRun"] is True
    assert it.world.by_login("ann@example.com") is None
    assert it.left_over() == 0


def test_an_approved_plan_is_applied_as_reviewed_and_the_hook_is_not_asked_again(hooked: Hooked) -> None:
    it = hooked.set_up()
    everybody = [person(f"E{n}") for n in range(5)]
    it.world.send(it.hr, everybody)
    it.world.set_policy(it.hr, replace(it.policy(), safeguard=ImportPolicy().safeguard))
    it.server.commands(("user.profile.update", {"title": "Dr"}))
    held = it.world.send(it.hr, [everybody[0], person("New")])
    assert (held.status, it.left_over()) == ("HELD", 0)
    asked = len(it.server.seen)
    it.server.commands(("user.profile.update", {"title": "Other"}))
    it.world.approve(held)
    assert it.world.user_of(it.hr, "New").profile["title"] == "Dr"
    assert len(it.server.seen) == asked


def held_run(it: Hooked, *records: dict[str, Any]) -> tables.ImportRun:
    """A run with these new records that the safeguard holds."""
    everybody = [person(f"Old{n}") for n in range(5)]
    it.server.behaves, behaves = (lambda _: Reply()), it.server.behaves
    it.world.send(it.hr, everybody)
    it.server.behaves = behaves
    it.world.set_policy(it.hr, replace(it.policy(), safeguard=ImportPolicy().safeguard))
    held = it.world.send(it.hr, [everybody[0], *records])
    assert held.status == "HELD"
    return held


def test_a_row_decided_again_keeps_the_values_that_the_hook_gave(hooked: Hooked) -> None:
    it = hooked.set_up()
    it.server.commands(
        ("user.profile.update", {"title": "Dr", "login": "ann@example.com"}), ("appUser.profile.update", {"department": "S"})
    )
    held = held_run(it, person("New"))
    it.world.set_org(enabled=False, held_plan_retention_days=5)
    policies.replace(it.world.engine, ADMIN, now(), it.world.app("Other"), ImportPolicy())
    it.world.approve(held)
    user = it.world.user_of(it.hr, "New")
    assert (user.login, user.profile["title"], user.profile["department"]) == ("ann@example.com", "Dr", "S")
    assert it.world.change(it.world.run(held.id), "New").state is None


def test_a_link_decided_again_stands_while_its_user_does(hooked: Hooked) -> None:
    it = hooked.set_up()
    ann = it.world.by_hand("ann")
    it.server.behaves = lambda _: Reply(body=linking(ann.id))
    held = held_run(it, person("New"))
    policies.replace(it.world.engine, ADMIN, now(), it.world.app("Other"), ImportPolicy())
    it.world.approve(held)
    assert it.world.account(it.hr, "New").user_id == ann.id


def test_a_link_decided_again_is_left_where_its_user_has_been_deleted(hooked: Hooked) -> None:
    it = hooked.set_up()
    ann = it.world.by_hand("ann")
    it.server.behaves = lambda _: Reply(body=linking(ann.id))
    held = held_run(it, person("New"))
    it.world.remove(ann.id)
    it.world.remove(ann.id)
    it.world.approve(held)
    done = it.world.run(held.id)
    assert (done.status, it.world.change(done, "New").state) == ("COMPLETED", "SKIPPED")


def test_a_link_decided_again_waits_where_its_users_place_has_been_taken(hooked: Hooked) -> None:
    it = hooked.set_up()
    ann = it.world.by_hand("ann")
    it.server.behaves = lambda _: Reply(body=linking(ann.id))
    held = held_run(it, person("New"))
    with writing(it.world.engine) as session:
        account = tables.AppUser(
            id="0uaTaken",
            app_id=it.hr,
            external_id="Taken",
            user_id=ann.id,
            account=AccountState.ACTIVE,
            seen_active=True,
            profile="{}",
            created=held.created,
            last_updated=held.created,
        )
        session.add(account)
    it.world.act(ann.id, "suspend")
    it.world.approve(held)
    row = it.world.change(it.world.run(held.id), "New")
    assert row.state == "REDECIDED"
    assert it.world.queue(it.hr)["New"] == ("CONFLICT", "hook_place_taken", ["ann@example.com"])


# -- the setting ------------------------------------------------------------------------------------------------------


def test_a_policy_names_only_a_hook_that_is_there(hooked: Hooked) -> None:
    it = hooked.set_up()
    policies.replace(it.world.engine, ADMIN, now(), it.hr, it.policy())
    with pytest.raises(Invalid) as refused:
        policies.replace(it.world.engine, ADMIN, now(), it.hr, replace(it.policy(), hook_id="calNobody"))
    assert refused.value.causes == ("hookId: there is no inline hook calNobody",)
