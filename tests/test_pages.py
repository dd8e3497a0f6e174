"""The pages that people read: their commands run, their links lead somewhere, and the list of decisions is whole."""

import json
import os
import re
from pathlib import Path

import pytest

from tests import page

ROOT = page.DOCS.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *page.DOCS.rglob("*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(r"`((?:api|bench|docker|docs|mastering|scripts|tests)/[\w./-]*)`")
_DATA = Path(os.environ.get("HR_DATA") or ROOT.parent / "shared" / "data" / "hr")


def test_the_walkthrough_runs_as_it_stands_and_ends_with_who_decided_what_and_why(tmp_path: Path) -> None:
    *_, held, approved, why = page.run("walkthrough.md", tmp_path)
    assert '"status":"HELD"' in held
    assert '"WENT_MISSING"' in held
    assert json.loads(approved[approved.index('{"id":"00u') :])["status"] == "DEPROVISIONED"
    newest = json.JSONDecoder().raw_decode(why)[0][0]
    assert (newest["trigger"], newest["rule"], newest["from"], newest["to"]) == ("deactivate", "when_deactivated", "ACTIVE", "DEACTIVATED")
    assert newest["facts"]["situation"] == "WENT_MISSING"


def test_the_page_on_why_tells_who_decided_who_could_have_prevented_it_and_what_would_confirm(tmp_path: Path) -> None:
    _, _, left, held, waits, told = page.run("why.md", tmp_path)
    assert "jane@example.com  Active → Deactivated" in left
    assert "the import imp" in left
    prevented = left[left.index("What would have prevented it") :]
    assert "an admin hold on the user → status stays Active" in prevented
    assert "HR ranked 2 instead of 1 → status stays Active" in prevented
    assert "the app's safeguard at 49 % or less: the import ended 1 of 2 assignments" in prevented
    assert "not followed, because an admin hold keeps the status as it is" in held
    assert "no admin hold on the user → Deactivated" in held[held.index("What would have made it come out differently") :]
    assert "AD: “auto-confirm partial matches” on → linked to bob@example.com" in waits[waits.index("What would confirm it") :]
    assert json.loads(told)["wouldChange"][0]["distance"] == 1


def test_the_page_on_what_if_shows_who_would_change_and_what_a_past_run_would_have_done(tmp_path: Path) -> None:
    _, order, replayed, mapped, taken = page.run("what-if.md", tmp_path)
    assert "2 users who would have another authority" in " ".join(order.split())
    assert "title: Clerk → Head of Sales" in order
    assert "safeguards: the run was let pass; it would have been held" in replayed
    assert "deactivate → suspend" in replayed
    assert "SUSPENDED instead of DEACTIVATED" in replayed
    assert "title: Clerk → The Clerk" in mapped
    assert "title: Cook → The Cook" in mapped
    assert "seq,kind,effect,userId" in taken


def test_the_full_circle_runs_as_it_stands_from_hr_to_the_wiki_and_back(tmp_path: Path) -> None:
    *_, made, left, returned, activated, settled, why = page.run("full-circle.md", tmp_path)
    assert '"active": true' in made
    assert '"status":"DEPROVISIONED"' in left
    assert '"status":"STAGED"' in returned
    assert returned.strip().endswith("[False]")
    account = json.loads(made[made.index('{"schemas"') :])["Resources"][0]["id"]
    back = json.loads(activated[activated.index('{"schemas"') :])["Resources"][0]
    assert (back["id"], back["active"], back["emails"][0]["value"]) == (account, True, "ada@lovelace.example")
    assert re.findall(r'"situations":(\{[^}]*\})', settled)[-1] == '{"UNCHANGED":1}'
    told = [event["type"] for event in json.loads(why) if event["type"].startswith("user.") and event["type"] != "user.update"]
    assert told == ["user.activate", "user.require_activation", "user.deactivate", "user.activate", "user.create"]


def test_the_page_for_auditors_answers_what_it_asks(tmp_path: Path) -> None:
    _, active, why, differences, whole, tampered, undone = page.run("auditors.md", tmp_path)[:7]
    then, present = active.partition("jane@example.com")[::2]
    assert "login" in then
    assert "bob@example.com" in present
    assert "jane@example.com" not in present
    assert [day["counts"]["ACTIVE"] for day in json.loads(active[active.rindex("[{") :])] == [3]
    assert "jane@example.com  Active → Deactivated" in why
    assert "an admin hold on the user → status stays Active" in why[why.index("What would have prevented it") :]
    assert "ann@example.com" in differences
    assert "The history is whole" in whole
    assert "written anew" in tampered
    assert "checkpoint 1" in tampered
    assert "The history is whole" not in tampered
    assert "jane@example.com  Deactivated → Active" in undone
    assert json.loads(undone[undone.rindex('{"id":"00u') :])["status"] == "ACTIVE"


def test_the_page_on_the_sdk_does_the_whole_job_with_nothing_but_the_sdk(tmp_path: Path) -> None:
    *_, printed = page.run("okta-sdk.md", tmp_path)
    (told,) = [text for kind, text in page.blocks("okta-sdk.md") if kind == "text"]
    assert printed.strip() == told.strip()


def test_the_page_on_reconciliation_finds_what_has_drifted_and_respects_what_an_admin_wants(tmp_path: Path) -> None:
    _, told, over_http, against_apps, repaired, after, nightly, undone = page.run("reconciliation.md", tmp_path)[:8]
    assert "3 differences: 1 repairable" in against_apps
    assert "status: the run left DEACTIVATED, now ACTIVE" in undone
    assert "COMPLETED" in undone
    assert ("COMPLETED" in repaired, "deactivate" in repaired) == (True, True)
    assert [json.loads(line)["status"] for line in after.replace("}{", "}\n{").splitlines()] == ["DEPROVISIONED", "SUSPENDED"]
    assert json.loads(nightly)["next"] is not None
    assert "ada@example.com" in told
    assert "Suspended → Deactivated" in told
    assert "3 differences: 1 repairable, 2 as an admin or an option wants it" in told
    found = json.JSONDecoder().raw_decode(over_http[over_http.index('[{"seq"') :])[0]
    assert {(each["login"], each["cause"]) for each in found} == {
        ("ada@example.com", "not_followed"),
        ("grace@example.com", "held_by_admin"),
        ("alan@example.com", "admins_decision"),
    }


@pytest.mark.skipif(not _DATA.is_dir(), reason="the public HR samples are not beside this tree, and HR_DATA names no copy of them")
def test_the_page_on_real_data_prints_what_its_commands_print(tmp_path: Path) -> None:
    printed = iter(page.run("real-data.md", tmp_path, {"HR_DATA": str(_DATA)}))
    said = ""
    compared = 0
    for kind, text in page.blocks("real-data.md"):
        if kind == "sh":
            said = next(printed)
        else:
            assert said.strip() == text.strip()
            compared += 1
    assert compared == 9


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_every_file_that_a_page_names_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in _LINK.findall(text) if not re.match(r"https?:|#", link)]
    missing = [link for link in links if not (path.parent / link).exists()]
    missing += [name for name in _FILE.findall(text) if not (ROOT / name).exists()]
    assert not missing


def test_the_list_of_decisions_names_every_record_with_its_own_title() -> None:
    folder = page.DOCS / "decisions"
    listed = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \| (.+) \|$", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    records = {
        record.name: record.read_text(encoding="utf-8").partition("\n")[0].removeprefix(f"# {record.name[:4]}: ")
        for record in folder.glob("0*.md")
    }
    assert sorted(name for _, name, _ in listed) == sorted(records)
    assert all(name.startswith(number) for number, name, _ in listed)
    assert {name: title for _, name, title in listed} == records


def test_every_decision_says_its_context_what_was_decided_and_what_follows() -> None:
    wanted = ("## Context", "## Decision", "## Consequences", "## Alternatives")
    for record in (page.DOCS / "decisions").glob("0*.md"):
        text = record.read_text(encoding="utf-8")
        assert [part for part in wanted if f"\n{part}\n" not in text] == [], record.name
