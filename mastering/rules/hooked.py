"""Planning with an import inline hook: whom it is asked about, and what its word makes of a row (SPEC §§5.6, 8).

A record is asked about if it would create a user, or if nothing but a login that somebody has keeps it from that: to find another login is
what such hooks are for. Its word is then put to the same rules as what the app said:

* a changed app profile is mapped again, the user's attributes that it names come on top, and all of it is held against the schema. A
  profile that the schema refuses is a failure of the hook;
* the changed record is matched again, and claims its login and its person like any other record;
* a link it asks for is a confirmed match: link first, then ask who has authority; whether it is an exact match the app's options say.

A row that carries a word keeps it in `effect["hook"]`, so that it can be decided again without asking again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from mastering.rules.change import Change, Prepared, Terms, prepare
from mastering.rules.claims import Lost
from mastering.rules.decision import Action, Decision, Rule, Situation
from mastering.rules.expressions import Value
from mastering.rules.hook import HookTerms, HookWord, OnFailure, Outcome, failure
from mastering.rules.mapping import normalise
from mastering.rules.matching import Kind, Match, keys_of_record
from mastering.rules.people import Account
from mastering.rules.policy import Confirmation
from mastering.rules.record import Unusable
from mastering.rules.schema import faults
from mastering.rules.unlinked import Found, plan_unlinked

HOOK_FAILED = "hook_failed"
"""Why a record waits whose hook failed."""
_BY_HOOK = "hook_"
"""What the reason begins with of a row that waits where only the hook's word has led it."""


class Heard(NamedTuple):
    """A record after the hook's word, and the word: a failure if there was none, or none that can be followed."""

    prepared: Prepared
    word: HookWord


def is_asked_about(terms: Terms, change: Change) -> bool:
    """Whether the hook is asked about a row that was planned without it."""
    if change.decision.action is Action.create:
        return True
    alone = change.decision.situation is Situation.CONFLICT and not change.candidates and change.decision.action is Action.wait
    return alone and change.decision.reason == Lost.login_taken and terms.policy.confirmation.auto_confirm_new


def hear(terms: Terms, prepared: Prepared, account: Account | None, word: HookWord) -> Heard:
    """The record with what the hook changed of it; the record as it was if the hook failed, or asks for what the schema refuses."""
    if word.failed or not (word.app or word.user):
        return Heard(prepared, word)
    record = prepared.record._replace(profile={**prepared.record.profile, **word.app})
    changed = prepare(terms, record, account.profile if account else {})
    fresh = overlaid(terms, changed, word.user) if isinstance(changed, Prepared) else changed
    if isinstance(fresh, Unusable):
        return Heard(prepared, failure(Outcome.invalid_profile, fresh.detail, word.tries))
    return Heard(fresh, word)


def overlaid(terms: Terms, prepared: Prepared, said: Mapping[str, Value]) -> Prepared | Unusable:
    """A record with the user's attributes that the hook gave a value, held against the schema once more."""
    if not said:
        return prepared
    said = normalise(dict(said))
    mapped = {**prepared.mapped, **said}
    found = faults(terms.schema, mapped)
    if found:
        detail = "; ".join(f"{fault.field}: {fault.message}" for fault in found)
        return Unusable(prepared.record.line, "invalid_profile", detail, prepared.record.external_id)
    login = mapped["login"] = mapped["login"].strip()
    keys = keys_of_record(terms.policy.matching, login, mapped, prepared.merged)
    return prepared._replace(mapped=mapped, login=login, keys=keys, said=said)


def link_of(user_id: str, found: Match) -> Match:
    """The match that a hook's link stands for: an exact one only if the record matched that user exactly by itself, which `found` says.

    So an exact match of another record beats it, and it is told from one where a return depends on that.
    """
    return Match(Kind.EXACT if found.kind is Kind.EXACT and user_id in found.user_ids else Kind.PARTIAL, (user_id,))


def plan_heard(terms: Terms, hook: HookTerms, heard: Heard, account: Account | None, found: Found) -> Change:
    """The row of a record that the hook was asked about; `found` is what the record, as it is now, was correlated with.

    Where the word names a user, `found` has `link_of` that user for its match.
    """
    word = heard.word
    change = plan_unlinked(_confirming(terms) if word.link else terms, heard.prepared, account, found)
    if word.failed and hook.on_failure is OnFailure.HOLD and change.decision.action is Action.create:
        change.effect.pop("create")
        _wait(change, HOOK_FAILED)
    if word.failed:
        change.detail = f"the inline hook {hook.name} failed: {word.detail}"
    _name_the_hook(change, word)
    change.effect["hook"] = _kept(hook, word)
    return change


def word_kept(change: Change) -> HookWord | None:
    """The word that a planned row carries, for deciding it again; `None` where no hook was asked or it failed."""
    kept = change.effect.get("hook")
    if kept is None or HookWord(Outcome(kept["outcome"])).failed:
        return None
    return HookWord(Outcome(kept["outcome"]), user=kept["user"], link=kept["link"], tries=kept["tries"])


def plan_kept(terms: Terms, planned: Change, prepared: Prepared, account: Account | None, found: Found) -> Change:
    """A row with a word, decided again on other facts: the word stands, its hook is not asked again."""
    word = word_kept(planned)
    change = plan_unlinked(_confirming(terms) if word and word.link else terms, prepared, account, found)
    if word is not None:
        _name_the_hook(change, word)
    if "hook" in planned.effect:
        change.effect["hook"], change.detail = planned.effect["hook"], change.detail or planned.detail
    return change


def hook_facts(change: Change) -> dict[str, Any] | None:
    """What history tells of the hook's part in a row: the outcome and which attributes it changed, none of their values."""
    kept = change.effect.get("hook")
    if kept is None:
        return None
    told = {"id": kept["id"], "outcome": kept["outcome"], "tries": kept["tries"]}
    changed = {side: names for side, names in (("appUser", kept["app"]), ("user", sorted(kept["user"]))) if names}
    return {**told, **({"changed": changed} if changed else {})}


def stands_by_hook(reason: str | None, situation: Situation) -> bool:
    """Whether a waiting row keeps its reason until the next run of its app, now that it would be in this situation without the hook.

    Where the hook failed, only as long as nobody has appeared whom the record could mean; where its word led, in any case.
    """
    if reason == HOOK_FAILED:
        return situation is Situation.UNMATCHED
    return reason is not None and reason.startswith(_BY_HOOK)


def _confirming(terms: Terms) -> Terms:
    """The terms under which a hook's link is judged: it is confirmed, and everything else is the app's."""
    return replace(terms, policy=replace(terms.policy, confirmation=Confirmation(auto_confirm_exact=True, auto_confirm_partial=True)))


def _name_the_hook(change: Change, word: HookWord) -> None:
    """Whose doing a link was, or that a row waits. By itself a record that the hook links matched nobody: so its situation says."""
    decision = change.decision
    if word.link is not None and decision.action is Action.link:
        confirmed = decision.rule in {Rule.auto_confirm_exact, Rule.auto_confirm_partial}
        rule = Rule.inline_hook if confirmed else decision.rule
        change.decision = replace(decision, situation=Situation.UNMATCHED, rule=rule)
    elif (word.link is not None or word.user) and decision.action is Action.wait:
        _wait(change, f"{_BY_HOOK}{decision.reason}")


def _wait(change: Change, reason: str) -> None:
    decision = change.decision
    change.decision = Decision(decision.situation, Action.wait, Rule.inline_hook, to=change.before, reason=reason)
    change.effect["wait"] = {"situation": decision.situation.value, "reason": reason, "candidates": list(change.candidates)}


def _kept(hook: HookTerms, word: HookWord) -> dict[str, Any]:
    told = {"id": hook.id, "outcome": word.outcome.value, "tries": word.tries, "link": word.link}
    return {**told, "app": sorted(word.app)[:_MOST_NAMES], "user": dict(word.user)}


_MOST_NAMES = 100
