"""The terms of a plan, gathered: the app's policy and mapping, the ranking and the org's options of one moment."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from mastering.clock import wire
from mastering.remaster import load_sources
from mastering.rules.change import Terms
from mastering.rules.expressions import compile_expression
from mastering.rules.mapping import compile_mapping, compile_username
from mastering.rules.policy import ImportPolicy
from mastering.rules.record import Mode
from mastering.store import catalog, tables


def terms_of(session: Session, app_id: str, mode: Mode, now: datetime, policy: ImportPolicy | None = None) -> Terms:
    """Under what an app's records are planned now; `policy` is the one a plan was made under, where it is applied later."""
    policy = policy or catalog.policy_of(session.get_one(tables.App, app_id))
    schema = catalog.schema(session)
    return Terms(
        app_id=app_id,
        mode=mode,
        policy=policy,
        mapping=compile_mapping(catalog.mapping_rules(session, app_id), schema),
        username=compile_username(policy.username.format, policy.username.expression),
        schema=schema,
        sources=load_sources(session, now),
        org=catalog.org_safeguard(session),
        now=now,
        at=wire(now),
    )


def source_names(session: Session, app_id: str) -> frozenset[str]:
    """The attributes of the app's profile that its inbound mapping, its username and its matching read, as they are named there."""
    policy = catalog.policy_of(session.get_one(tables.App, app_id))
    texts = [rule.expression_text for rule in catalog.mapping_rules(session, app_id)]
    texts += [policy.username.expression] if policy.username.expression else []
    references = {reference for text in texts for reference in compile_expression(text).references}
    return frozenset(name for root, name in references if root != "user") | {pair.app for pair in policy.matching.attributes}
