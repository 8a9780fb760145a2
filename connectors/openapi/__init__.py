"""OpenAPI: one operation of a document, over the HTTP connector's machinery."""
