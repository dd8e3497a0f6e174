"""Users over HTTP: Okta's shapes and codes, and our own views behind them (API.md, /users and /apps/{id}/users)."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api import create_app
from mastering.clock import now
from mastering.rules.lifecycle import Status
from mastering.settings import Settings
from tests.walks.world import MISSING, World, person

TOKEN = "a-token-of-thirty-two-characters!"
Client = TestClient[Litestar]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    settings = Settings.from_environment({"MASTERING_DATA_DIR": str(tmp_path), "MASTERING_ADMIN_TOKEN": TOKEN})
    with TestClient(create_app(settings)) as made:
        made.headers["Authorization"] = f"SSWS {TOKEN}"
        yield made


@pytest.fixture
def world(client: Client) -> World:
    return World(client.app.state.engine, now() - timedelta(hours=1))


def create(client: Client, name: str = "jane", *, activate: bool = True) -> dict[str, Any]:
    answer = client.post("/api/v1/users", params={"activate": activate}, json={"profile": person(name)})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def path(user: dict[str, Any], *below: str) -> str:
    return "/".join(["/api/v1/users", user["id"], *below])


def act(client: Client, user: dict[str, Any], wanted: str, **told: Any) -> tuple[int, str | None, list[str]]:
    """Status, error code and causes of a lifecycle call."""
    answer = client.post(path(user, "lifecycle", wanted), json=told) if told else client.post(path(user, "lifecycle", wanted))
    body = answer.json()
    return answer.status_code, body.get("errorCode"), [cause["errorSummary"] for cause in body.get("errorCauses", [])]


def status(client: Client, user: dict[str, Any]) -> str:
    shown: str = client.get(path(user)).json()["status"]
    return shown


# -- the user -------------------------------------------------------------------------------------------------------------


def test_a_user_has_oktas_shape(client: Client) -> None:
    user = create(client)
    assert user.keys() >= {"id", "status", "created", "activated", "statusChanged", "lastLogin", "lastUpdated", "passwordChanged", "type"}
    assert (user["status"], user["lastLogin"], user["passwordChanged"]) == ("ACTIVE", None, None)
    assert user["profile"] == {**person("jane"), "mobilePhone": None, "secondEmail": None}
    assert user["credentials"]["provider"] == {"type": "OKTA", "name": "OKTA"}
    assert user["_links"]["self"]["href"].endswith(path(user))
    assert user["_links"].keys() == {"self", "deactivate", "suspend"}
    assert "_embedded" not in user


@pytest.mark.parametrize(
    ("ours", "oktas"),
    [("PENDING_ACTIVATION", "STAGED"), ("ACTIVE", "ACTIVE"), ("SUSPENDED", "SUSPENDED"), ("DEACTIVATED", "DEPROVISIONED")],
)
def test_statuses_are_shown_in_oktas_words(client: Client, world: World, ours: str, oktas: str) -> None:
    assert client.get(f"/api/v1/users/{world.user(status=Status(ours))}").json()["status"] == oktas


def test_creating_activates_unless_told_otherwise(client: Client) -> None:
    assert create(client, "jane")["status"] == "ACTIVE"
    assert create(client, "john", activate=False)["status"] == "STAGED"


def test_what_oktas_clients_send_along_is_left_aside(client: Client) -> None:
    body = {"profile": person("jane"), "credentials": {"password": {"value": "x"}}, "groupIds": [], "type": {"id": "oty"}}
    assert client.post("/api/v1/users", json=body).status_code == 200


def test_a_user_is_found_by_id_and_by_login(client: Client) -> None:
    user = create(client)
    assert client.get("/api/v1/users/Jane@Example.com").json() == client.get(path(user)).json()
    nobody = client.get("/api/v1/users/nobody")
    assert (nobody.status_code, nobody.json()["errorCode"]) == (404, "E0000007")
    assert "nobody" in nobody.json()["errorSummary"]


def test_posting_merges_and_putting_replaces(client: Client) -> None:
    user = create(client)
    merged = client.post(path(user), json={"profile": {"title": "Rep", "department": None}}).json()["profile"]
    assert (merged["title"], merged["department"], merged["firstName"]) == ("Rep", None, "Jane")
    replaced = client.put(path(user), json={"profile": {**person("jane"), "city": "Berlin"}}).json()["profile"]
    assert (replaced["title"], replaced["department"], replaced["city"]) == (None, "Sales", "Berlin")


def test_every_fault_of_a_profile_is_a_cause_that_names_its_field(client: Client) -> None:
    answer = client.post("/api/v1/users", json={"profile": {"login": "jane@example.com", "shoeSize": 38, "email": ""}})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "E0000001")
    fields = {cause["errorSummary"].partition(":")[0] for cause in answer.json()["errorCauses"]}
    assert fields == {"shoeSize", "email", "firstName", "lastName"}


def test_a_login_that_is_taken_is_refused_in_oktas_words(client: Client) -> None:
    create(client)
    answer = client.post("/api/v1/users", json={"profile": person("jane")})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "E0000001")
    assert answer.json()["errorCauses"] == [{"errorSummary": "login: An object with this field already exists in the current organization"}]


def test_what_a_master_supplies_is_read_only(client: Client, world: World) -> None:
    world.app("hr", rank=1)
    user = create(client)
    world.account("hr", user["id"])
    answer = client.post(path(user), json={"profile": {"department": "Legal"}})
    assert (answer.status_code, answer.json()["errorCode"]) == (403, "E0000023")
    assert answer.json()["errorCauses"][0]["errorSummary"].startswith("department: ")


def test_a_change_is_made_to_what_its_author_saw_or_refused(client: Client) -> None:
    user = create(client)
    seen = client.get(path(user)).headers["ETag"]
    first = client.post(path(user), json={"profile": {"title": "Rep"}}, headers={"If-Match": seen})
    assert first.status_code == 200
    assert first.headers["ETag"] != seen
    for call in (client.post, client.put):
        late = call(path(user), json={"profile": {**person("jane"), "title": "Lead"}}, headers={"If-Match": seen})
        assert (late.status_code, late.json()["errorCode"]) == (412, "E0000231")
    assert client.delete(path(user), headers={"If-Match": seen}).status_code == 412
    assert client.post(path(user, "lifecycle", "suspend"), headers={"If-Match": seen}).status_code == 412
    assert client.get(path(user)).headers["ETag"] == first.headers["ETag"]


def test_the_first_delete_deactivates_the_second_deletes_and_the_history_stays(client: Client) -> None:
    user = create(client)
    assert client.delete(path(user)).status_code == 204
    assert status(client, user) == "DEPROVISIONED"
    assert client.delete(path(user)).status_code == 204
    assert client.get(path(user)).status_code == 404
    assert [event["type"] for event in client.get(path(user, "history")).json()][:2] == ["user.delete", "user.deactivate"]


def test_a_user_as_of_an_instant_is_what_the_history_says(client: Client, world: World) -> None:
    user = world.user(title="Rep")
    then = client.get(f"/api/v1/users/{user}").json()
    client.post(f"/api/v1/users/{user}", json={"profile": {"title": "Lead"}})
    past = client.get(f"/api/v1/users/{user}", params={"asOf": then["lastUpdated"]})
    assert past.json() == then
    before = client.get(f"/api/v1/users/{user}", params={"asOf": "2020-01-01T00:00:00.000Z"})
    assert before.status_code == 404
    assert client.get(f"/api/v1/users/{user}", params={"asOf": "yesterday"}).json()["errorCode"] == "E0000001"


# -- lifecycle and holds --------------------------------------------------------------------------------------------------


def test_refused_moves_answer_as_okta_does(client: Client) -> None:
    user = create(client)
    assert act(client, user, "activate")[:2] == (403, "E0000016")
    assert act(client, user, "reactivate")[:2] == (403, "E0000038")
    assert act(client, user, "unsuspend") == (400, "E0000001", ["Cannot unsuspend a user that is not suspended"])
    assert act(client, user, "suspend") == (200, None, [])
    assert act(client, user, "suspend") == (400, "E0000001", ["Cannot suspend a user that is not active"])
    assert act(client, user, "activate")[:2] == (403, "E0000038")
    assert act(client, user, "deactivate") == (200, None, [])
    assert act(client, user, "deactivate")[:2] == (403, "E0000038")
    assert act(client, user, "fly")[:2] == (404, "E0000007")


def test_reactivate_sends_a_pending_users_activation_again_and_moves_nobody(client: Client) -> None:
    user = create(client, activate=False)
    assert act(client, user, "reactivate") == (200, None, [])
    assert status(client, user) == "STAGED"


def test_a_move_may_bring_a_reason_and_a_hold(client: Client) -> None:
    user = create(client)
    assert act(client, user, "suspend", reason="parental leave", hold={"until": "2099-01-31T00:00:00.000Z"})[0] == 200
    hold = client.get(path(user, "hold")).json()
    assert (hold["reason"], hold["until"]) == ("parental leave", "2099-01-31T00:00:00.000Z")
    assert client.get(path(user)).json()["_embedded"]["hold"] == hold
    held, moved = client.get(path(user, "history")).json()[:2]
    assert (moved["type"], moved["reason"], moved["from"], moved["to"]) == ("user.suspend", "parental leave", "ACTIVE", "SUSPENDED")
    assert (held["type"], held["holdReason"]) == ("user.hold.set", "parental leave")


@pytest.mark.parametrize(
    "told",
    [
        {"hold": {}},
        {"reason": "x", "hold": {"until": "2020-01-01T00:00:00.000Z"}},
        {"reason": "x", "hold": {"until": "2099-01-01T00:00:00"}},
        {"reason": "x", "hold": {"untill": None}},
        {"reason": 7},
    ],
)
def test_a_refused_call_changes_nothing_a_hold_that_came_with_it_included(client: Client, told: dict[str, Any]) -> None:
    user = create(client)
    assert act(client, user, "suspend", **told)[:2] == (400, "E0000001")
    assert status(client, user) == "ACTIVE"
    assert client.get(path(user, "hold")).status_code == 404


def test_a_hold_is_set_read_replaced_and_lifted(client: Client) -> None:
    user = create(client)
    assert client.get(path(user, "hold")).status_code == 404
    first = client.put(path(user, "hold"), json={"reason": "legal hold", "until": None})
    assert first.status_code == 200
    assert first.json().keys() == {"reason", "until", "since", "by"}
    client.put(path(user, "hold"), json={"reason": "court order", "until": "2099-01-31T00:00:00.000Z"})
    assert client.get(path(user, "hold")).json()["reason"] == "court order"
    assert client.delete(path(user, "hold")).status_code == 204
    assert client.delete(path(user, "hold")).status_code == 404


# -- lists ----------------------------------------------------------------------------------------------------------------


def test_pages_lead_to_each_other_and_to_everybody_once(client: Client, world: World) -> None:
    everybody = [world.user(f"user{number}") for number in range(5)]
    seen, address = [], "/api/v1/users?limit=2"
    while address:
        answer = client.get(address)
        seen += [user["id"] for user in answer.json()]
        links = {rel: target for target, _, rel in (link.strip().partition("; rel=") for link in answer.headers["Link"].split(","))}
        address = links.get('"next"', "").strip("<>")
    assert seen == sorted(everybody)


def test_a_list_without_filter_leaves_out_the_deactivated_and_a_filter_finds_them(client: Client, world: World) -> None:
    gone = world.user("gone", Status.DEACTIVATED)
    here = create(client)
    assert [user["id"] for user in client.get("/api/v1/users").json()] == [here["id"]]
    found = client.get("/api/v1/users", params={"filter": 'status eq "DEPROVISIONED"'}).json()
    assert [user["id"] for user in found] == [gone]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"q": "ja"}, 1),
        ({"q": "doe"}, 2),
        ({"q": "x"}, 0),
        ({"filter": 'profile.login eq "JANE@example.com"'}, 1),
        ({"search": 'status eq "ACTIVE" and profile.email eq "john@example.com"'}, 1),
        ({"filter": 'status eq "SUSPENDED"'}, 0),
        ({"filter": 'id eq "x\\"y"'}, 0),
    ],
)
def test_lists_are_narrowed_by_beginnings_and_filters(client: Client, params: dict[str, str], found: int) -> None:
    create(client, "jane")
    create(client, "john")
    assert len(client.get("/api/v1/users", params=params).json()) == found


@pytest.mark.parametrize(
    "params",
    [
        {"filter": "status"},
        {"filter": 'status pr "x"'},
        {"filter": 'status eq "HAPPY"'},
        {"filter": 'profile.title eq "Rep"'},
        {"filter": 'not (status eq "ACTIVE")'},
        {"filter": 'status eq "ACTIVE" and '},
        {"search": 'profile.email ne "x"'},
        {"search": 'profile.department co "x"'},
        {"search": 'profile.shoeSize eq "x"'},
        {"search": 'created gt "yesterday"'},
        {"search": 'created gt "2026-01-01T00:00:00"'},
        {"search": "profile.city eq null"},
        {"search": 'id eq "1"', "filter": 'id eq "1"'},
        {"search": "status pr", "sortBy": "profile.shoeSize"},
        {"search": "status pr", "sortBy": "status", "sortOrder": "up"},
        {"search": "status pr", "sortBy": "status", "after": "00u"},
        {"limit": "0"},
        {"limit": "201"},
        {"limit": "many"},
    ],
)
def test_a_list_that_cannot_be_is_refused_instead_of_returning_everybody(client: Client, params: dict[str, str]) -> None:
    answer = client.get("/api/v1/users", params=params)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "E0000001")
    assert answer.json()["errorCauses"]


# -- behind the user ------------------------------------------------------------------------------------------------------


def test_the_masters_of_a_user_are_told_attribute_by_attribute(client: Client, world: World) -> None:
    hr, badge = world.app("hr", rank=1), world.app("badge")
    user = create(client)
    world.account("hr", user["id"], MISSING, unheeded=("deactivate", "held_by_admin"))
    world.account("badge", user["id"], external_id="7")
    client.put(path(user, "hold"), json={"reason": "legal hold"})
    view = client.get(path(user, "masters")).json()
    assert view["authority"] == {"appId": hr, "label": "hr"}
    assert [(each["appId"], each["rank"], each["account"]["account"]) for each in view["assignments"]] == [(hr, 1, "MISSING")]
    assert "unassign it" in view["assignments"][0]["wayOut"]
    assert [(each["appId"], each["silent"]) for each in view["others"]] == [(badge, "not_a_master")]
    assert view["attributes"]["department"] == {
        "value": "Sales",
        "master": {"appId": hr, "label": "hr"},
        "why": "inherit_from_profile_master_last_values",
        "readOnly": False,
    }
    assert [(each["trigger"], each["reason"]) for each in view["disagreements"]] == [("deactivate", "held_by_admin")]


def test_the_history_is_told_newest_first_page_by_page_with_the_values(client: Client) -> None:
    user = create(client)
    client.post(path(user), json={"profile": {"title": "Rep"}})
    first = client.get(path(user, "history"), params={"limit": 2})
    assert [event["type"] for event in first.json()] == ["user.update", "user.activate"]
    update = first.json()[0]
    assert update["attributes"] == {"title": {"old": None, "new": "Rep"}}
    assert (update["actor"]["type"], update["seq"], "salt" in update) == ("token", 3, False)
    rest = client.get(path(user, "history"), params={"limit": 2, "after": 2}).json()
    assert [event["type"] for event in rest] == ["user.create"]
    assert client.get("/api/v1/users/nobody/history").status_code == 404


# -- app users ------------------------------------------------------------------------------------------------------------


def test_an_app_user_has_oktas_shape_and_the_own_view_embedded(client: Client, world: World) -> None:
    hr = world.app("hr", rank=1)
    user = create(client)
    made = client.post(f"/api/v1/apps/{hr}/users", json={"id": user["id"], "scope": "USER", "externalId": "E7"}).json()
    assert (made["id"], made["externalId"], made["status"], made["scope"]) == (user["id"], "E7", "ACTIVE", "USER")
    account = made["_embedded"]["account"]
    assert (account["appId"], account["userId"], account["account"], account["released"]) == (hr, user["id"], "ACTIVE", False)
    assert client.get(f"/api/v1/apps/{hr}/users/{user['id']}").json() == made
    assert client.get(f"/api/v1/apps/{hr}/users").json() == [made]
    assert client.get("/api/v1/apps/nope/users").status_code == 404


def test_an_unassigned_user_is_shown_as_unassigned_and_watched(client: Client, world: World) -> None:
    hr = world.app("hr", rank=1)
    user = create(client)
    world.account("hr", user["id"], MISSING)
    address = f"/api/v1/apps/{hr}/users/{user['id']}"
    assert client.get(address).json()["status"] == "INACTIVE"
    assert client.delete(address).status_code == 204
    assert client.get(address).json()["status"] == "UNASSIGNED"
    assert client.delete(address).status_code == 404


@pytest.mark.parametrize(("candidates", "shown"), [((), "IMPORTED"), (("someone",), "MATCHED")])
def test_a_waiting_account_is_shown_under_its_own_id(client: Client, world: World, candidates: tuple[str, ...], shown: str) -> None:
    hr = world.app("hr", rank=1)
    account = world.account("hr", None, situation="PARTIAL", candidates=candidates)
    assert client.get(f"/api/v1/apps/{hr}/users/{account}").json()["status"] == shown
