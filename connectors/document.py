"""Documents: a text or a Word document of the model filled with data, or what is at hand, kept as a file of the instance. Each version has an event, with its hash."""

from __future__ import annotations

import asyncio
import base64
import binascii
import mimetypes
from collections.abc import AsyncIterator
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from flowledger.connectors import word
from flowledger.connectors.fields import LITERAL
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.http.body import encode, media_type
from flowledger.connectors.templated import Template, filled

#: characters of what is given, and of what comes of a template
CHARS_MAX = 4 * 1024 * 1024
#: kinds whose values are escaped: what is written there can't become markup
_MARKUP = ("text/html", "text/xml", "application/xml", "image/svg+xml", "application/xhtml+xml")
#: by the name's end, where the system's tables differ
_KINDS = {
    "md": "text/markdown",
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
    "xml": "application/xml",
    "txt": "text/plain",
    "docx": word.MEDIA_TYPE,
}


class DocumentConfig(Config):
    """Writes a document and keeps it as a file of the instance."""

    model_config = ConfigDict(title="Document")

    file_name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f/\\]+$")] = Field(
        description="What it is called; one of that name is replaced, and stays in the history", title="File name"
    )
    media_type: Annotated[str, Field(max_length=200, pattern=r"^$|^[\w.+-]+/[\w.+-]+(; *charset=utf-8)?$")] = Field(
        "", description="Empty: by the end of the name", title="Media type"
    )
    template: Template | None = Field(
        None, description="With {{ FEEL }} over data; in HTML and XML each value is escaped", title="Template", json_schema_extra=LITERAL
    )
    docx: Annotated[str, Field(max_length=word.BASE64_CHARS_MAX)] | None = Field(
        None, description="Instead: a Word document as base64, with {{ FEEL }} over data in it", title="Template (.docx, base64)",
        json_schema_extra=LITERAL,
    )  # fmt: skip
    data: dict[str, Any] = Field({}, description="A context: what the template sees", title="Data")
    content: Any = Field(None, description="Instead: a text as it is, else JSON", title="Content")
    base64: Annotated[str, Field(max_length=CHARS_MAX)] | None = Field(
        None, description="Instead: bytes as base64", title="Content (base64)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(each is not None for each in (self.template, self.docx, self.content, self.base64)) != 1:
            raise ValueError("expected one of template, docx, content and base64")
        if self.file_name.strip(". ") != self.file_name:
            raise ValueError("file_name: expected a name without dots and blanks around it")
        if self.docx is not None:
            if not self.file_name.lower().endswith(".docx"):
                raise ValueError("file_name: expected a name that ends with .docx")
            if self.media_type not in ("", word.MEDIA_TYPE):
                raise ValueError("media_type: expected none, it is a Word document")
            try:
                word.template(self.docx)
            except ValueError as e:
                raise ValueError(f"docx: {e}") from None
        return self


class DocumentConnector:
    name = "document"
    job_type = "flowledger:document"
    aliases: tuple[str, ...] = ()
    config: type[Config] = DocumentConfig

    async def call(self, config: DocumentConfig, call: Call) -> dict[str, Any]:
        """`{document: {name, mediaType, size, sha256}}`. Raises: Failed."""
        if call.keep is None:
            raise Failed("CONFIGURATION", "nobody keeps files here")
        kind = config.media_type or kind_of(config.file_name)
        data = await asyncio.to_thread(_bytes, config, kind)
        call.target = "files"

        async def whole() -> AsyncIterator[bytes]:
            yield data

        return {"document": await call.keep(config.file_name, media_type(kind)[0], whole())}


def kind_of(name: str) -> str:
    end = name.rpartition(".")[2].lower() if "." in name else ""
    return _KINDS.get(end) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def _bytes(config: DocumentConfig, kind: str) -> bytes:
    """Raises: Failed."""
    if config.base64 is not None:
        try:
            return base64.b64decode(config.base64, validate=True)
        except binascii.Error:
            raise Failed("CONFIGURATION", "base64: expected base64") from None
    if config.docx is not None:
        return word.filled(config.docx, config.data, CHARS_MAX)
    if config.template is not None:
        data = filled(config.template, config.data, escaped=media_type(kind)[0] in _MARKUP or kind.endswith("+xml")).encode()
    else:
        data = config.content.encode() if isinstance(config.content, str) else encode(config.content)
    if len(data) > CHARS_MAX:
        raise Failed("DOCUMENT_TOO_LARGE", f"expected a document of at most {CHARS_MAX} bytes, found {len(data)}")
    return data
