"""Holding a document against a type, with every fault told at once."""

from typing import Any

import pytest
from msgspec import Struct, field

from api.bodies import faults_of


class Inner(Struct, forbid_unknown_fields=True, rename="camel"):
    how_many: int
    note: str = ""


class Outer(Struct, forbid_unknown_fields=True):
    name: str
    inner: Inner | None = None
    many: list[Inner] = field(default_factory=list)
    named: dict[str, Inner] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"name": "x"}, []),
        ({}, ["name: is required"]),
        ([], ["body: expected object, got array"]),
        (None, ["body: expected object, got null"]),
        ({"name": 1}, ["name: expected str, got int"]),
        ({"name": "5", "inner": {"howMany": "5"}}, ["inner.howMany: expected int, got str"]),
        ({"name": "x", "other": 1}, ["other: is not a field of this resource"]),
        ({"name": "x", "a.b": 1, "c": 2}, ["a.b: is not a field of this resource", "c: is not a field of this resource"]),
        ({"name": "x", "inner": {}}, ["inner.howMany: is required"]),
        ({"name": "x", "many": [{"howMany": 1}, {"howMany": None}]}, ["many[1].howMany: expected int, got null"]),
        ({"name": "x", "many": [{"more": 1}]}, ["many[0].more: is not a field of this resource"]),
        ({"name": "x", "named": {"a.b[0]": {"howMany": []}}}, ["named.a.b[0].howMany: expected int, got array"]),
        (
            {"name": "x", "named": {"a": {"howMany": 1}, "b": {"howMany": "x"}, "c": {"howMany": 1, "z": 1}, "d": 1}},
            ["named.b.howMany: expected int, got str", "named.c.z: is not a field of this resource", "named.d: expected object, got int"],
        ),
        (
            {"name": 1, "inner": {"howMany": "x", "note": 3, "why": 1}, "other": 1},
            [
                "name: expected str, got int",
                "inner.howMany: expected int, got str",
                "inner.note: expected str, got int",
                "inner.why: is not a field of this resource",
                "other: is not a field of this resource",
            ],
        ),
    ],
)
def test_every_fault_is_told_once_with_its_field(document: Any, found: list[str]) -> None:
    assert sorted(faults_of(document, Outer)) == sorted(found)


def test_the_document_is_left_as_it_was() -> None:
    document = {"name": 1, "inner": {"more": 1}}
    faults_of(document, Outer)
    assert document == {"name": 1, "inner": {"more": 1}}


def test_a_flood_of_faults_is_cut() -> None:
    assert len(faults_of({f"x{number}": 1 for number in range(500)}, Outer)) == 50
