"""What SCIM calls a user and a group here (RFC 7643), by the library `scim2-models`, and what this service says of itself.

Of a person no more is taken than a workflow needs: names and addresses of mail. What else a provider sends (telephones, addresses, certificates, passwords)
is accepted and dropped, since providers send all they have.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field
from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Filter,
    GroupMembership,
    Meta,
    Mutability,
    Name,
    Patch,
    Reference,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

from flowledger.api.access.scim_bulk import OPERATIONS_MAX, PAYLOAD_MAX
from flowledger.infra.accounts import people as rows

#: resources of a page, and what one may ask for
PAGE_MAX, PAGE = 1_000, 100
#: what providers send and we don't keep is dropped; Entra ID's two ways of saying PATCH are understood
POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)


class Email(ComplexAttribute):
    """The library's own takes no address below names like `.local`, which companies have."""

    value: Annotated[str | None, Field(max_length=320)] = None
    display: Annotated[str | None, Field(max_length=255)] = None
    type: Annotated[str | None, Field(max_length=100)] = None
    primary: bool | None = None


class User(Resource[Any]):
    """`user_name` is the actor of all that one does, and stays."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true, Mutability.immutable] = None
    name: Name | None = None
    display_name: Annotated[str | None, Field(max_length=255)] = None
    active: bool | None = None
    emails: Annotated[list[Email] | None, Field(max_length=20)] = None
    groups: Annotated[list[GroupMembership] | None, Mutability.read_only] = None


class GroupMember(ComplexAttribute):
    """A person; what they are called is theirs to say, so it isn't here."""

    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    ref: Annotated[Reference[User] | None, Mutability.immutable] = Field(None, serialization_alias="$ref", validation_alias="$ref")
    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User"])


class Group(Resource[Any]):
    """`display_name` is what the file of people knows it by."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Uniqueness.server, Required.true, CaseExact.true, Field(max_length=200)] = None
    members: list[GroupMember] | None = None


#: of a person, what is kept as it came
KEPT = {"name", "display_name", "emails"}


def _meta(kind: str, base: str, row: rows.Person | rows.Group) -> Meta:
    return Meta(
        resource_type=kind, location=f"{base}/{kind}s/{row.id}", version=etag(row.version), created=_moment(row.created_us),
        last_modified=_moment(row.changed_us),
    )  # fmt: skip


def _moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)


def etag(version: int) -> str:
    return f'W/"{version}"'


def user_of(row: rows.Person, base: str) -> User:
    groups = [GroupMembership(value=id, display=name, ref=f"{base}/Groups/{id}", type="direct") for id, name in row.groups]  # type: ignore[arg-type]
    found = User.model_validate({**row.profile, "schemas": [str(User.__schema__)], "userName": row.name}, scim_policy=POLICY, scim_ctx=None)
    found.id, found.external_id, found.active, found.groups = row.id, row.external_id, row.active, groups or None
    found.meta = _meta("User", base, row)
    return found


def group_of(row: rows.Group, base: str) -> Group:
    members = [GroupMember(value=id, ref=f"{base}/Users/{id}", type="User") for id, _ in row.members]  # type: ignore[arg-type]
    return Group(id=row.id, external_id=row.external_id, display_name=row.name, members=members or None, meta=_meta("Group", base, row))


def profile_of(user: User) -> dict[str, Any]:
    return user.model_dump(include=KEPT, scim_ctx=None, by_alias=True, exclude_none=True, mode="json")


#: endpoint -> what is there
TYPES: dict[str, type[Resource[Any]]] = {"Users": User, "Groups": Group}


def config() -> ServiceProviderConfig:
    return ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=True, max_operations=OPERATIONS_MAX, max_payload_size=PAYLOAD_MAX),
        filter=Filter(supported=True, max_results=PAGE_MAX),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=True),
        etag=ETag(supported=True),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="API key",
                description="An API key of the role provisioner, as a bearer token",
                primary=True,
            )
        ],
    )


def resource_types() -> list[ResourceType]:
    return [ResourceType.from_resource(t) for t in TYPES.values()]
