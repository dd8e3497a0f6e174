"""SCIM 2.0 messages (RFC 7644) as imports: a `ListResponse` of User resources, or a `BulkRequest`.

A *ListResponse* has to be complete. One that says `totalResults` is more than it brings is a page, and a page read as a snapshot would
declare everybody on the other pages gone, so it is malformed.

A *BulkRequest* (§3.7) tells what happened to users; each operation is one record:

=========  ======================================================================================================
POST       the resource in `data`
PUT        the resource in `data`; its external id, where `data` has none, is the last segment of the path
PATCH      what it replaces, under the external id in the path. `replace` of whole attributes, of a part of `name`
           or of an extension's attribute is understood; `add`, `remove` and paths with filters are not
DELETE     an inactive account: the external id in the path, `active: false` and nothing else
=========  ======================================================================================================

So a client that sends PATCH or DELETE must use in its paths the ids that its accounts are known by here. Everything else, other methods
and endpoints, `bulkId:` references in a path and what a PATCH cannot say above, is refused as `unsupported_operation`, record by record.
`failOnErrors` is about answers to single operations and has no meaning for an import. Names are read without regard to case, and
`/users` is `/Users`: both occur in the wild.
"""

import re
from urllib.parse import unquote

import msgspec
from msgspec import UNSET, Raw

from mastering.connectors.document import MAX_DOCUMENT, Document
from mastering.connectors.lines import Line, Unusable, record_line, refusal
from mastering.connectors.scimpaths import Paths
from mastering.connectors.scimuser import ScimUser, fold, read_user
from mastering.errors import MalformedBody

_EXPECTED = "a SCIM ListResponse with `Resources`, or a BulkRequest with `Operations`"
_LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:listresponse"
_CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:user"
_HAVE_PARTS = {"name", "manager"}
_PATCH_PATH = re.compile(r"(?:(urn:.+):)?([A-Za-z$][\w$-]*)(?:\.([A-Za-z$][\w$-]*))?")

_decode_message = msgspec.json.Decoder(dict[str, Raw])
_decode_list = msgspec.json.Decoder(list[Raw])


class ScimIntake:
    """One body of `application/scim+json`, of `limit` bytes at most."""

    def __init__(self, limit: int = MAX_DOCUMENT, paths: Paths | None = None) -> None:
        self._document = Document(limit)
        self._paths = paths or {}

    def feed(self, data: bytes) -> list[Line]:
        """Nothing yet: there are no records before the document is complete."""
        self._document.feed(data)
        return []

    def close(self) -> list[Line]:
        """All the records. Raises MalformedBody if the document is not JSON, is no such message, or is a page of more."""
        message = {name.casefold(): raw for name, raw in self._document.read(_decode_message, _EXPECTED).items()}
        if "operations" in message:
            return [_operation(number, raw, self._paths) for number, raw in enumerate(_list(message["operations"]), 1)]
        return [_resource(number, raw, self._paths) for number, raw in enumerate(_resources(message), 1)]


class _Unsupported(Exception):
    """An operation that is no record; its message says why."""


def _resources(message: dict[str, Raw]) -> list[Raw]:
    total, schemas = _part(message, "totalresults"), _part(message, "schemas")
    if "resources" in message:
        resources = _list(message["resources"])
    elif total == 0 and _LIST_RESPONSE in str(schemas).casefold():
        resources = []  # §3.4.2: where nothing was found, nothing need be enclosed
    else:
        raise MalformedBody(f"the body must be {_EXPECTED}")
    if isinstance(total, int) and total > len(resources):
        raise MalformedBody(f"the ListResponse brings {len(resources)} of {total} resources; send all of them in one, or as NDJSON")
    return resources


def _part(message: dict[str, Raw], name: str) -> object:
    return _object(message[name]) if name in message else None


def _list(raw: Raw) -> list[Raw]:
    try:
        return _decode_list.decode(raw)
    except msgspec.ValidationError:
        raise MalformedBody(f"the body must be {_EXPECTED}, as a list") from None


def _object(raw: Raw) -> object:
    """What a part of the document says; None where only reading it shows that it cannot be read, as a number without a value."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def _resource(number: int, raw: Raw, paths: Paths) -> Line:
    resource = _object(raw)
    if not isinstance(resource, dict):
        return refusal(number, Unusable.not_an_object, "the resource is not an object")
    user = read_user(resource, paths)
    return record_line(number, user.profile, user.external_id, user.active)


def _operation(number: int, raw: Raw, paths: Paths) -> Line:
    found = _object(raw)
    if not isinstance(found, dict):
        return refusal(number, Unusable.not_an_object, "the operation is not an object")
    operation = fold(found)
    method = str(operation.get("method", "")).upper()
    path = str(operation.get("path", "")).rstrip("/")
    user_id = _user_in(path)
    try:
        user = _user(method, path, user_id, operation.get("data"), paths)
    except _Unsupported as why:
        return refusal(number, Unusable.unsupported_operation, str(why), user_id)
    return record_line(number, user.profile, user.external_id, user.active)


def _is_users(path: str) -> bool:
    return path.rpartition("/")[2].casefold() == "users"


def _user_in(path: str) -> str | None:
    """The id in a path that ends in `/Users/{id}`."""
    collection, _, segment = path.rpartition("/")
    if not _is_users(collection) or segment.casefold().startswith("bulkid:"):
        return None
    try:
        return unquote(segment, errors="strict") or None
    except UnicodeDecodeError:
        return None


def _user(method: str, path: str, user_id: str | None, data: object, paths: Paths) -> ScimUser:
    if method == "DELETE" and user_id:
        return ScimUser(user_id, active=False, profile={})
    if not isinstance(data, dict):
        raise _Unsupported("only the DELETE of a user comes without an object as its data")
    if method == "PATCH" and user_id:
        user = read_user(_patched(data), paths)
        said = {name: value for name, value in user.profile.items() if not isinstance(value, dict)}  # of an object a patch says a part
        return ScimUser(user_id, user.active, said)
    if method == "PUT" and user_id:
        user = read_user(data, paths)
        return user._replace(external_id=user_id) if user.external_id is UNSET else user
    if method == "POST" and _is_users(path):
        return read_user(data, paths)
    raise _Unsupported("not a POST to /Users, and not a PUT, PATCH or DELETE of one user there")


def _patched(data: dict[str, object]) -> dict[str, object]:
    """The part of a resource that a PatchOp (§3.5.2) replaces."""
    operations = fold(data).get("operations")
    resource: dict[str, object] = {}
    for operation in operations if isinstance(operations, list) else [None]:
        change = fold(operation) if isinstance(operation, dict) else {}
        if str(change.get("op")).casefold() != "replace":
            raise _Unsupported("a PATCH is understood only where all it does is replace")
        path, value = change.get("path"), change.get("value")
        values = {path: value} if isinstance(path, str) and path else value
        if not isinstance(values, dict):
            raise _Unsupported("a replace without a path needs an object as its value")
        for name, new in values.items():
            _replace(resource, name, new)
    return resource


def _replace(resource: dict[str, object], path: str, value: object) -> None:
    """Put one change into the resource. Core attributes go by casefolded names, so that two spellings are one."""
    if path.casefold().startswith("urn:") and path.casefold().endswith(":user") and isinstance(value, dict):  # a whole extension
        _inside(resource, path.casefold()).update(value)
        return
    found = _PATCH_PATH.fullmatch(path)
    in_parts = found is not None and (found[3] is not None or (found[1] is not None and isinstance(value, dict)))
    if found is None or (in_parts and found[2].casefold() not in _HAVE_PARTS):
        raise _Unsupported(f"a replace of {path!r} is not understood")
    schema, attribute, part = found.groups()
    if schema and schema.casefold() != _CORE_USER:
        resource = _inside(resource, schema.casefold())
    else:
        attribute = attribute.casefold()
    if part:
        resource, attribute = _inside(resource, attribute.casefold()), part
    resource[attribute] = value


def _inside(resource: dict[str, object], name: str) -> dict[str, object]:
    inner = resource.setdefault(name, {})
    if not isinstance(inner, dict):
        raise _Unsupported(f"{name!r} is replaced twice, in ways that do not fit together")
    return inner
