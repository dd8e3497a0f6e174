"""USER_PROVISIONING: the provisioning policy as Okta writes it, in both directions (SPEC §10; API.md, /apps/{id}/features).

`profile.excludeUsernameUpdates` is ours: Okta has the switch on its console page and no word for it in this shape. A request may say any
part; what it leaves out stays as it is. `CYCLE`, as some of Okta's pages have it, is read as CHANGE.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType, field

from api.inbound import EnabledStatus
from mastering.rules.policy import PasswordChange, PasswordSeed, PasswordSync, ProvisioningPolicy

# -- what is shown --------------------------------------------------------------------------------------------------------


class Switch(Struct, rename="camel"):
    """A setting that is on or off."""

    status: EnabledStatus


class ProfilePush(Struct, rename="camel"):
    """Whether changes of a profile are pushed, and whether those of the username are left out."""

    status: EnabledStatus
    exclude_username_updates: bool


class PasswordPush(Struct, rename="camel"):
    """Whether passwords are pushed, which, and whether a change follows."""

    status: EnabledStatus
    seed: PasswordSeed
    change: PasswordChange


class CreateCapability(Struct, rename="camel"):
    """What follows when a user is assigned."""

    lifecycle_create: Switch


class UpdateCapability(Struct, rename="camel"):
    """What follows when an assigned user changes."""

    lifecycle_deactivate: Switch
    password: PasswordPush
    profile: ProfilePush


class OutboundCapabilities(Struct, rename="camel"):
    """The provisioning policy."""

    create: CreateCapability
    update: UpdateCapability


def outbound_view(policy: ProvisioningPolicy) -> OutboundCapabilities:
    """The policy as Okta shows it."""
    password, on = policy.password, EnabledStatus.of
    return OutboundCapabilities(
        CreateCapability(Switch(on(policy.create_users))),
        UpdateCapability(
            lifecycle_deactivate=Switch(on(policy.deactivate_users)),
            password=PasswordPush(on(password.enabled), password.seed, password.change),
            profile=ProfilePush(on(policy.update_attributes), policy.exclude_username_updates),
        ),
    )


# -- what is said ---------------------------------------------------------------------------------------------------------


class ChangeSpelling(StrEnum):
    """What follows in the app when a password changes, in every spelling that Okta has published."""

    KEEP_EXISTING = "KEEP_EXISTING"
    CHANGE = "CHANGE"
    CYCLE = "CYCLE"


class _Form(Struct, rename="camel", forbid_unknown_fields=True):
    """A part of a request. What is left out stays as it is."""


class SwitchForm(_Form):
    """A setting to be on or off."""

    status: EnabledStatus | UnsetType = UNSET


class ProfileForm(_Form):
    """Whether changes of a profile are to be pushed."""

    status: EnabledStatus | UnsetType = UNSET
    exclude_username_updates: bool | UnsetType = UNSET


class PasswordForm(_Form):
    """Whether passwords are to be pushed, and which."""

    status: EnabledStatus | UnsetType = UNSET
    seed: PasswordSeed | UnsetType = UNSET
    change: ChangeSpelling | UnsetType = UNSET


class CreateForm(_Form):
    """What is to follow when a user is assigned."""

    lifecycle_create: SwitchForm = field(default_factory=SwitchForm)


class UpdateForm(_Form):
    """What is to follow when an assigned user changes."""

    lifecycle_deactivate: SwitchForm = field(default_factory=SwitchForm)
    password: PasswordForm = field(default_factory=PasswordForm)
    profile: ProfileForm = field(default_factory=ProfileForm)


class OutboundForm(_Form):
    """What is to change of a provisioning policy."""

    create: CreateForm = field(default_factory=CreateForm)
    update: UpdateForm = field(default_factory=UpdateForm)


def outbound_from(said: OutboundForm, known: ProvisioningPolicy) -> ProvisioningPolicy:
    """The policy that a request makes of the one in force."""
    update, password = said.update, said.update.password
    excluded = update.profile.exclude_username_updates
    return ProvisioningPolicy(
        create_users=_on(said.create.lifecycle_create.status, known.create_users),
        update_attributes=_on(update.profile.status, known.update_attributes),
        deactivate_users=_on(update.lifecycle_deactivate.status, known.deactivate_users),
        exclude_username_updates=known.exclude_username_updates if isinstance(excluded, UnsetType) else excluded,
        password=PasswordSync(
            enabled=_on(password.status, known.password.enabled),
            seed=known.password.seed if isinstance(password.seed, UnsetType) else password.seed,
            change=known.password.change if isinstance(password.change, UnsetType) else _CHANGE[password.change],
        ),
    )


_CHANGE = {
    ChangeSpelling.KEEP_EXISTING: PasswordChange.KEEP_EXISTING,
    ChangeSpelling.CHANGE: PasswordChange.CHANGE,
    ChangeSpelling.CYCLE: PasswordChange.CHANGE,
}


def _on(wanted: EnabledStatus | UnsetType, known: bool) -> bool:
    return known if wanted is UNSET else wanted is EnabledStatus.ENABLED
