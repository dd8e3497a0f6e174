"""Changing the user schema: what Okta lets one say of an attribute, and what is refused by name (SPEC §4)."""

from typing import Any

import pytest

from mastering.errors import Invalid
from mastering.rules.attribute_fields import document
from mastering.rules.formats import FORMATS
from mastering.rules.schema import Attribute, AttributeMaster, MasterKind, Permission, Schema, default_schema, faults
from mastering.rules.schema_change import MOST_CUSTOM, Wish, changed, remasters, tightened

APPS = frozenset({"hr", "ad"})
SIZES: dict[str, Any] = {"title": "Size", "type": "string", "enum": ["S", "M"]}
TITLES = [{"const": "S", "title": "Small"}, {"const": "M", "title": "Medium"}]


def custom(schema: Schema | None = None, /, **said: dict[str, Any] | None) -> Schema:
    return changed(schema or default_schema(), Wish({}, said), APPS)


def base(schema: Schema | None = None, /, **said: dict[str, Any]) -> Schema:
    return changed(schema or default_schema(), Wish(said, {}), APPS)


def refused(wish: Wish, schema: Schema | None = None) -> list[str]:
    with pytest.raises(Invalid) as caught:
        changed(schema or default_schema(), wish, APPS)
    return list(caught.value.causes)


def objection(attribute: Attribute, value: Any) -> str | None:
    return attribute.objection(value)


def test_a_new_attribute_has_oktas_defaults() -> None:
    made = custom(badge={"title": "Badge", "type": "integer"}).attributes["badge"]
    assert made == Attribute("badge", "Badge", "integer", permission=Permission.READ_ONLY)
    assert made.master == AttributeMaster(MasterKind.PROFILE_MASTER)


def test_what_a_change_leaves_out_stays() -> None:
    before = custom(size={**SIZES, "description": "of shirts", "required": True, "oneOf": TITLES})
    after = custom(before, size={"title": "Shirt size"}).attributes["size"]
    assert (after.title, after.description, after.enum, after.titles, after.required) == (
        "Shirt size", "of shirts", ("S", "M"), ("Small", "Medium"), True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "default"),
    [
        ("description", "x", None),
        ("minLength", 2, 0),
        ("maxLength", 9, None),
        ("format", "email", None),
        ("enum", ["a", "b"], ()),
        ("required", True, False),
        ("scope", "SELF", "NONE"),
        ("permissions", [{"principal": "SELF", "action": "HIDE"}], Permission.READ_ONLY),
        ("master", {"type": "OKTA"}, AttributeMaster()),
    ],
)
def test_null_takes_a_field_back_to_its_default(field: str, value: Any, default: Any) -> None:
    ours = {"minLength": "min_length", "maxLength": "max_length", "permissions": "permission"}.get(field, field)
    before = custom(x={"title": "X", "type": "string", field: value})
    assert getattr(before.attributes["x"], ours) != default
    assert getattr(custom(before, x={field: None}).attributes["x"], ours) == default


@pytest.mark.parametrize(
    "schema", [default_schema(), custom(size={**SIZES, "oneOf": TITLES, "master": {"type": "OKTA"}}, tags={"title": "T", "type": "array"})]
)
def test_sending_back_what_was_shown_changes_nothing(schema: Schema) -> None:
    shown = {name: document(attribute) for name, attribute in schema.attributes.items()}
    mine = {name: shown[name] for name, attribute in schema.attributes.items() if not attribute.base}
    assert changed(schema, Wish({name: told for name, told in shown.items() if name not in mine}, mine), APPS) == schema


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ({"type": "string"}, "title: is required of a new attribute"),
        ({"title": "X"}, "type: is required of a new attribute"),
        ({"title": " ", "type": "string"}, "title: must have 1 to 300 characters"),
        ({"title": "X", "type": "string", "description": "d" * 1_001}, "description: has more than 1000 characters"),
        ({"title": "X", "type": "integer", "maxLength": 3}, "maxLength: is only of attributes of type string"),
        ({"title": "X", "type": "string", "minLength": -1}, "minLength: must be 0 or more"),
        ({"title": "X", "type": "string", "minLength": 5, "maxLength": 4}, "minLength: is 5, more than the maxLength of 4"),
        ({"title": "X", "type": "integer", "format": "email"}, "format: is only of attributes of type string"),
        ({"title": "X", "type": "string", "format": "encrypted"}, "format: encrypted is not supported; one of country-code"),
        ({"title": "X", "type": "string", "pattern": ".+"}, "pattern: is only of the base attribute login"),
        ({"title": "X", "type": "string", "enum": []}, "enum: must list at least one value"),
        ({"title": "X", "type": "string", "enum": ["a", 1]}, "enum: lists '1', which is no value of type string"),
        ({"title": "X", "type": "integer", "enum": [1, True]}, "enum: lists 'True', which is no value of type integer"),
        ({"title": "X", "type": "string", "enum": ["a", "a"]}, "enum: lists a value twice"),
        ({"title": "X", "type": "integer", "enum": [2**63]}, "enum: lists a number beyond 64 bits"),
        ({"title": "X", "type": "boolean", "enum": ["a"]}, "enum: is not of attributes of type boolean"),
        ({"title": "X", "type": "array", "enum": ["a"]}, "enum: belongs under items"),
        ({"title": "X", "type": "array", "oneOf": TITLES}, "oneOf: belongs under items"),
        ({"title": "X", "type": "string", "oneOf": TITLES}, "oneOf: must name the values of enum"),
        ({"title": "X", "type": "string", "enum": ["M", "S"], "oneOf": TITLES}, "oneOf: must name the values of enum"),
        ({"title": "X", "type": "string", "items": {"type": "string"}}, "items: is only of attributes of type array"),
        ({"title": "X", "type": "array", "items": {"type": "number", "enum": ["a"]}}, "items: lists 'a', which is no value of type number"),
        ({"title": "X", "type": "string", "permissions": [{"principal": "EVERYONE", "action": "HIDE"}]}, "permissions: must be one"),
        ({"title": "X", "type": "string", "permissions": [{"principal": "SELF", "action": "BURN"}]}, "permissions: must be one"),
        ({"title": "X", "type": "string", "mutability": "IMMUTABLE"}, "mutability: must be READ_WRITE"),
        ({"title": "X", "type": "string", "unique": True}, "unique: uniqueness of custom attributes is not supported"),
        ({"title": "X", "type": "string", "unique": "UNIQUE_VALIDATED"}, "unique: uniqueness of custom attributes is not supported"),
        ({"title": "X", "type": "string", "default": "d"}, "default: default values are not supported"),
        ({"title": "X", "type": "string", "externalName": "n"}, "externalName: is only of an identity provider's"),
        ({"title": "X", "type": "string", "externalNamespace": "n"}, "externalNamespace: is only of an identity provider's"),
        ({"title": "X", "type": "string", "master": {"type": "OVERRIDE"}}, "master: an OVERRIDE needs its masters"),
        ({"title": "X", "type": "string", "master": {"type": "OKTA", "priority": [{"value": "hr"}]}}, "master: has a priority"),
        (
            {"title": "X", "type": "string", "master": {"type": "OVERRIDE", "priority": [{"type": "OKTA", "value": "hr"}]}},
            "master: priority[0].type must be APP",
        ),
        (
            {"title": "X", "type": "string", "master": {"type": "OVERRIDE", "priority": [{"value": "hr"}, {"value": "nobody"}]}},
            "master: priority[1].value: there is no app nobody",
        ),
        (
            {"title": "X", "type": "string", "master": {"type": "OVERRIDE", "priority": [{"value": "hr"}, {"value": "hr"}]}},
            "master: names an app twice",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_by_its_name(said: dict[str, Any], cause: str) -> None:
    (found,) = refused(Wish({}, {"x": said}))
    assert found.startswith(f"definitions.custom.properties.x.{cause}")


@pytest.mark.parametrize("value", [None, False, "NOT_UNIQUE"])
def test_what_asks_for_nothing_is_taken(value: Any) -> None:
    said = {"unique": value, "default": None, "externalName": None, "externalNamespace": None, "pattern": None, "mutability": "READ_WRITE"}
    assert custom(x={"title": "X", "type": "string", **said}) == custom(x={"title": "X", "type": "string"})


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("9lives", "is no variable name"),
        ("with-dash", "is no variable name"),
        ("a" * 101, "is no variable name"),
        ("FIRSTNAME", "differs from the attribute firstName only by case"),
        ("department", "is a base attribute; say it under definitions.base"),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, cause: str) -> None:
    (found,) = refused(Wish({}, {name: {"title": "X", "type": "string"}}))
    assert found == f"definitions.custom.properties.{name[:100]}: {found.partition(': ')[2]}"
    assert cause in found


def test_the_type_of_an_attribute_cannot_be_changed() -> None:
    (found,) = refused(Wish({}, {"badge": {"type": "string"}}), custom(badge={"title": "B", "type": "integer"}))
    assert "type: cannot be changed from integer" in found


def test_an_attribute_with_titles_gets_another_enum_only_with_other_titles() -> None:
    before = custom(size={**SIZES, "oneOf": TITLES})
    (found,) = refused(Wish({}, {"size": {"enum": ["S", "L"]}}), before)
    assert "size.oneOf: must be said with another enum" in found
    after = custom(before, size={"enum": ["S", "L"], "oneOf": [TITLES[0], {"const": "L", "title": "Large"}]}).attributes["size"]
    assert (after.enum, after.titles) == (("S", "L"), ("Small", "Large"))


def test_null_takes_a_custom_attribute_away_and_nothing_else_can_be_taken_away() -> None:
    before = custom(size=SIZES)
    assert custom(before, size=None) == default_schema()
    assert refused(Wish({}, {"shoe": None})) == ["definitions.custom.properties.shoe: is not a custom attribute"]
    assert "is a base attribute" in refused(Wish({}, {"title": None}))[0]


def test_of_a_base_attribute_master_and_permission_may_be_changed() -> None:
    found = base(
        title={
            "master": {"type": "OVERRIDE", "priority": [{"type": "APP", "value": "ad"}]},
            "permissions": [{"principal": "SELF", "action": "HIDE"}],
        }
    )
    assert found.attributes["title"].master == AttributeMaster(MasterKind.OVERRIDE, ("ad",))
    assert found.attributes["title"].permission is Permission.HIDE


@pytest.mark.parametrize("name", ["firstName", "lastName"])
def test_first_and_last_name_may_become_optional(name: str) -> None:
    profile = {"login": "jane@x.example", "email": "jane@x.example", "firstName": "J", "lastName": "D", name: None}
    assert [fault.field for fault in faults(default_schema(), profile)] == [name]
    assert faults(changed(default_schema(), Wish({name: {"required": False}}, {}), APPS), profile) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("email", {"required": False}),
        ("department", {"required": True}),
        ("department", {"title": "Ministry"}),
        ("department", {"maxLength": 5}),
        ("login", {"minLength": None}),
        ("login", {"enum": ["a"]}),
        ("login", {"type": "integer"}),
        ("email", {"pattern": ".+"}),
        ("city", {"scope": "SELF"}),
        ("city", {"unique": True}),
    ],
)
def test_the_rest_of_a_base_attribute_is_oktas(name: str, said: dict[str, Any]) -> None:
    (field,) = said
    assert refused(Wish({name: said}, {})) == [f"definitions.base.properties.{name}.{field}: cannot be changed in a base attribute"]


def test_a_base_attribute_that_does_not_exist_is_refused() -> None:
    assert refused(Wish({"shoe": {}}, {})) == ["definitions.base.properties.shoe: is not a base attribute"]


@pytest.mark.parametrize("pattern", ["", ".*", "[a-z", "[]+", "(a+)+", "[a-z]*", r"[\d]+", "[z-a]+", "[a--z]+", "[^a]+", "[a-z]+|.+", None])
def test_a_login_pattern_is_a_set_of_characters_or_none_at_all(pattern: str | None) -> None:
    (found,) = refused(Wish({"login": {"pattern": pattern}}, {}))
    assert found.startswith("definitions.base.properties.login.pattern: must be")


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("[a-z13579\\.]+", "jane.doe1", "jane.doe2"),
        ("[-a-zA-Z0-9]+", "Jane-Doe", "jane@x.example"),
        ("[a-z\\@\\.]+", "jane@x.example", "jane\n@x"),
    ],
)
def test_a_login_has_the_characters_of_its_pattern_and_no_others(pattern: str, good: str, bad: str) -> None:
    login = base(login={"pattern": pattern}).attributes["login"]
    assert objection(login, good) is None
    assert objection(login, bad) == f"has characters that are not among {pattern}"
    assert base(base(login={"pattern": pattern}), login={"pattern": ".+"}) == default_schema()


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("country-code", ["DE", "ch".upper()], ["DEU", "de", "XX"]),
        ("date-time", ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000+02:00"], ["2026-01-01", "today", "2026-13-01T00:00:00Z"]),
        ("email", ["a@b", "jane.doe@example.com"], ["jane", "@b", "a@", "a b@c", "a@b@c"]),
        ("language-code", ["en", "de-CH", "zh-Hans-CN"], ["e", "english-", "en_US"]),
        ("locale", ["en", "en_US"], ["EN_us", "en-US"]),
        ("timezone", ["Europe/Berlin", "UTC"], ["Mars/Olympus", "../etc/passwd", "x" * 5_000]),
        ("uri", ["https://x.example/a", "urn:x"], ["x.example", "https: //x"]),
    ],
)
def test_a_format_is_a_promise_about_the_shape_of_a_text(kind: str, good: list[str], bad: list[str]) -> None:
    attribute = custom(x={"title": "X", "type": "string", "format": kind}).attributes["x"]
    assert {value: objection(attribute, value) for value in good} == dict.fromkeys(good)
    assert {value: objection(attribute, value) for value in bad} == dict.fromkeys(bad, f"is not {FORMATS[kind][0]}")


def test_a_profile_is_held_to_format_and_pattern_as_to_everything_else() -> None:
    schema = base(custom(mail={"title": "M", "type": "string", "format": "email"}), login={"pattern": "[a-z]+"})
    profile = {"login": "JANEDOE", "email": "jane@x.example", "firstName": "J", "lastName": "D", "mail": "nowhere"}
    assert {fault.field for fault in faults(schema, profile)} == {"login", "mail"}


@pytest.mark.parametrize(
    ("items", "good", "bad"),
    [
        ({"type": "string"}, ["a"], [1]),
        ({"type": "integer"}, [1], ["1"]),
        ({"type": "integer"}, [1], [True]),
        ({"type": "number"}, [1, 1.5], [None]),
        ({"type": "string", "enum": ["a", "b"]}, ["b", "a"], ["c"]),
        ({"type": "integer", "enum": [1, 2]}, [2], [True]),
    ],
)
def test_a_list_holds_what_its_items_say(items: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    attribute = custom(x={"title": "X", "type": "array", "items": items}).attributes["x"]
    assert objection(attribute, good) is None
    assert objection(attribute, bad) is not None


@pytest.mark.parametrize(
    ("said", "narrow"),
    [
        ({"maxLength": 5}, True),
        ({"minLength": 1}, True),
        ({"enum": ["S"]}, True),
        ({"format": "email"}, True),
        ({"required": True}, True),
        ({"title": "Other"}, False),
        ({"description": "x"}, False),
        ({"master": {"type": "OKTA"}}, False),
        ({"permissions": None}, False),
    ],
)
def test_only_what_bounds_values_has_the_values_looked_at_again(said: dict[str, Any], narrow: bool) -> None:
    before = custom(x={"title": "X", "type": "string"})
    after = custom(before, x=said)
    assert tightened(before.attributes["x"], after.attributes["x"]) is narrow


def test_profiles_are_mapped_again_where_a_master_changes_and_not_where_an_attribute_is_new() -> None:
    before = custom(x={"title": "X", "type": "string"})
    assert remasters(before, base(before, title={"master": {"type": "OKTA"}}))
    assert not remasters(default_schema(), before)
    assert not remasters(before, custom(before, x={"title": "Y"}))


@pytest.mark.parametrize(
    ("before", "after", "again"),
    [
        ({"required": True}, {"required": False}, True),
        ({"required": False}, {"required": True}, False),
        ({"minLength": 3}, {"minLength": 2}, True),
        ({"minLength": 2}, {"minLength": 3}, False),
        ({"maxLength": 3}, {"maxLength": 4}, True),
        ({"maxLength": 3}, {"maxLength": None}, True),
        ({"maxLength": 3}, {"maxLength": 2}, False),
        ({"maxLength": None}, {"maxLength": 2}, False),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, True),
        ({"enum": ["a"]}, {"enum": None}, True),
        ({"enum": ["a", "b"]}, {"enum": ["b"]}, False),
        ({"enum": None}, {"enum": ["b"]}, False),
        ({"format": "email"}, {"format": None}, True),
        ({"format": "email"}, {"format": "uri"}, True),
        ({"format": None}, {"format": "uri"}, False),
    ],
)
def test_profiles_are_mapped_again_where_what_was_refused_might_fit(before: Any, after: Any, again: bool) -> None:
    schema = custom(x={"title": "X", "type": "string", **before})
    assert remasters(schema, custom(schema, x=after)) is again


def test_there_is_an_end_to_attributes() -> None:
    many = {f"x{number}": {"title": "X", "type": "string"} for number in range(MOST_CUSTOM + 1)}
    assert refused(Wish({}, many)) == [f"definitions.custom.properties: a schema has at most {MOST_CUSTOM} custom attributes"]
