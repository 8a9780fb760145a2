"""Owners in processes of their own: the socket between them and the doors (HTTP, gRPC, projector).

`wire` says the messages, `host` is the owners' side, `door` one connection of the other side, `client` the client port over all of them.
"""
