"""Issuers of OpenID Connect: what is set of them (`config`), their keys (`keys`), and what a token of theirs says (`tokens`).

Signatures and claims are joserfc's to check, flows are authlib's. Sources: OpenID Connect Core and Discovery 1.0, RFC 7515 to 7519, 8725 (best
practices of tokens), 9068 (access tokens).
"""
