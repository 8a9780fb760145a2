"""Deployments: all resources of a request or none."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, post
from litestar.exceptions import ClientException
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.definitions import Content
from flowledger.api.edge import ApiRequest, Body, Name, reply
from flowledger.api.previews import Previewed
from flowledger.api.problems import Problem, malformed
from flowledger.api.services import services_of
from flowledger.api.view import deployment_view
from flowledger.events.base import RejectionCode
from flowledger.events.commands import Deploy, Resource
from flowledger.kernel.handlers.definitions import PROFILES_MAX
from flowledger.kernel.model.encodings import decode

RESOURCES_MAX = 1000


class ResourceBody(Body):
    """`content` is the text of a BPMN, DMN, JSON, YAML, BPML or form file; `name` its file name."""

    name: Name
    content: Content


class DeploymentBody(Body):
    """`status` draft keeps the definitions from being started until they are published. `profiles`: API profiles that go with the models, by name, as
    `PUT /v1/profiles/{name}` takes them: all are stored, and all models deployed, or nothing is. Not of forms."""

    resources: Annotated[list[ResourceBody], Meta(min_length=1, max_length=RESOURCES_MAX)]
    status: Literal["published", "draft"] = "published"
    metadata: dict[str, Any] | None = None
    profiles: Annotated[dict[str, dict[str, Any]], Meta(max_length=PROFILES_MAX)] | None = None


async def from_form(request: ApiRequest) -> DeploymentBody:
    """Each file of a multipart form is a resource; the fields `status` and `metadata` (JSON) may stand beside."""
    resources, fields = [], {}
    try:
        form = await request.form()
    except ClientException as e:
        if "Too Large" in e.detail:  # its limit of parts, with a status of former times
            raise Problem("BODY_TOO_LARGE", f"a form of at most {RESOURCES_MAX} parts was expected, found more", status=413) from None
        raise
    for name, value in form.multi_items():
        if hasattr(value, "filename"):
            data = await value.read()
            try:
                resources.append(ResourceBody(name=value.filename, content=decode(data)))
            except ValueError as e:
                raise malformed(str(e), f"file {value.filename}") from None
        elif name in ("status", "metadata"):
            fields[name] = value
        else:
            raise malformed(f"files and the fields status and metadata were expected, found the field {name}", f"field {name}")
    metadata = None
    if fields.get("metadata"):
        try:
            metadata = msgspec.json.decode(str(fields["metadata"]), type=dict[str, Any])
        except msgspec.MsgspecError as e:
            raise Problem(RejectionCode.INVALID_ARGUMENT, f"a JSON object was expected: {e}", where="field metadata") from None
    if not 1 <= len(resources) <= RESOURCES_MAX:
        raise malformed(f"1 to {RESOURCES_MAX} files were expected, found {len(resources)}", "body")
    if (status := str(fields.get("status", "published"))) not in ("published", "draft"):
        raise malformed(f"published or draft was expected, found {status!r}", "field status")
    return DeploymentBody(resources=resources, status=status, metadata=metadata)  # type: ignore[arg-type]


@post("/deployments", forms=from_form, previews=True, summary="Deploy models", raises=[])
async def deploy(request: ApiRequest, data: DeploymentBody) -> Response[a.Deployment]:
    """Deploys and publishes all resources, as JSON or as files of a multipart form. 422 with `findings` when a model has errors.
    With `dry_run` nothing is: `outcome` of the plan says what there would be, and what was found."""
    for n, resource in enumerate(data.resources):
        if not resource.name or not resource.content.strip():
            raise malformed("a name and a content were expected, found none", f"body resources[{n}]")
    s = services_of(request)
    resources = [Resource(r.name, r.content) for r in data.resources]
    command = Deploy(resources=resources, status=data.status, metadata=data.metadata, profiles=data.profiles)
    try:
        answer = await s.call(command, request)
    except Previewed as dry:
        dry.plan["outcome"] = deployment_view(dry.plan["outcome"])
        raise
    s.deployed(answer, s.identify(request).tenant)
    return reply(deployment_view(answer), 201)


HANDLERS: list[Any] = [deploy]
