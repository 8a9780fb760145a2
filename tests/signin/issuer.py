"""A small issuer of OpenID Connect for tests: real keys, real HTTP on loopback. Whoever comes to its sign-in page is who the test says.

Configuration, keys, authorisation codes with PKCE, client credentials, refreshing, the device flow, signing out: as the standards have them, and no more.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import Key, KeySet, RSAKey

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_RSA: list[RSAKey] = []


def rsa(number: int) -> RSAKey:
    """Keys take a while to be made: all issuers of a run share them."""
    while len(_RSA) <= number:
        _RSA.append(RSAKey.generate_key(2048, {"kid": f"rsa-{len(_RSA)}", "use": "sig", "alg": "RS256"}, auto_kid=False))
    return _RSA[number]


class StubIssuer:
    """`person`: claims of whoever comes to the sign-in page. `clients`: id -> secret. `asked`: paths, as they were asked for."""

    def __init__(self, now: Any = time.time) -> None:
        self.now = now
        self.keys: list[Key] = [rsa(0)]
        self.person: dict[str, Any] = {"sub": "1", "preferred_username": "olga", "roles": ["operator"], "groups": ["sales"]}
        self.clients = {"console": "console-secret", "worker": "worker-secret", "cli": ""}
        self.services: dict[str, dict[str, Any]] = {"worker": {"sub": "w", "preferred_username": "service-worker", "roles": ["machine"]}}
        self.audience: Any = "flowledger"
        self.away = False
        self.asked: list[str] = []
        self.lifetime = 300
        self.approved = False
        self.signed_out: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, Any]] = {}
        self._refresh: dict[str, str] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer._answer(self, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
                issuer._answer(self, {k: v[0] for k, v in parse_qs(body, keep_blank_values=True).items()})

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    # --- tokens --------------------------------------------------------------------------------------------------------------

    def claims(self, **more: Any) -> dict[str, Any]:
        now = int(self.now())
        found = {
            "iss": self.url,
            "aud": self.audience,
            "iat": now,
            "exp": now + self.lifetime,
            "jti": secrets.token_hex(4),
            **self.person,
            **more,
        }
        return {k: v for k, v in found.items() if v is not None}

    def token(self, key: Key | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """An access token. A claim or a part of the header that is None lacks."""
        key = key or self.keys[-1]
        head = {"alg": "RS256", "kid": key.kid, "typ": "JWT", **(header or {})}
        head = {k: v for k, v in head.items() if v is not None}
        return jwt.encode(head, self.claims(**claims), key, algorithms=[head["alg"]], default_type=None)

    def logout_token(self, **more: Any) -> str:
        """What it says to a console of whom it has signed out (Back-Channel Logout 1.0)."""
        events = {"http://schemas.openid.net/event/backchannel-logout": {}}
        nobody = dict.fromkeys(self.person)
        return self.token(header={"typ": "logout+jwt"}, **{**nobody, "sub": self.person["sub"], "aud": "console", "events": events, **more})

    def rotate(self, keep: bool = False) -> Key:
        """A new key; the old ones are taken back, unless `keep`."""
        new = rsa(int(str(self.keys[-1].kid).rpartition("-")[2]) + 1)
        self.keys = [*self.keys, new] if keep else [new]
        return new

    # --- HTTP ----------------------------------------------------------------------------------------------------------------

    def _answer(self, http: Any, form: dict[str, str]) -> None:
        parts = urlsplit(http.path)
        query = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        self.asked.append(parts.path)
        status, body, headers = 503, {}, {}
        if not self.away:
            try:
                status, body, headers = getattr(self, "_" + parts.path.strip("/").replace(".", "").replace("-", "_").replace("/", "_"))(
                    query, form, http
                )
            except AttributeError:
                status, body = 404, {"error": "not found"}
            except OAuthError as e:
                status, body = e.status, {"error": str(e)}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        http.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            http.send_header(name, value)
        http.end_headers()
        http.wfile.write(data)

    def _well_known_openid_configuration(self, *_: Any) -> Any:
        return 200, {
            "issuer": self.url, "jwks_uri": f"{self.url}/jwks", "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token", "device_authorization_endpoint": f"{self.url}/device", "end_session_endpoint": f"{self.url}/logout",
            "revocation_endpoint": f"{self.url}/revoke",
            "id_token_signing_alg_values_supported": ["RS256"], "response_types_supported": ["code"],
        }, {}  # fmt: skip

    def _jwks(self, *_: Any) -> Any:
        return 200, KeySet(self.keys).as_dict(private=False), {}

    def _authorize(self, query: dict[str, str], form: dict[str, str], http: Any) -> Any:
        """A page with one button, by which this person signs in."""
        if query.get("client_id") not in self.clients or query.get("code_challenge_method") != "S256" or not query.get("state"):
            return 400, {"error": "invalid_request"}, {}
        code = secrets.token_urlsafe(16)
        self._codes[code] = {**query, "claims": dict(self.person)}
        back = query["redirect_uri"] + "?" + urlencode({"code": code, "state": query["state"], "iss": self.url})
        page = f'<!doctype html><html lang="en"><title>Issuer</title><main><h1>Issuer</h1><a href="{back.replace("&", "&amp;")}">Continue</a></main></html>'
        return 200, page.encode(), {"Content-Type": "text/html"}

    def _logout(self, query: dict[str, str], form: dict[str, str], http: Any) -> Any:
        self.signed_out.append(query)
        return 302, b"", {"Location": query["post_logout_redirect_uri"]}

    def _client(self, form: dict[str, str], http: Any) -> str:
        given = http.headers.get("authorization", "")
        if given.startswith("Basic "):
            name, _, secret = base64.b64decode(given[6:]).decode().partition(":")
            name, secret = unquote(name), unquote(secret)
        else:
            name, secret = form.get("client_id", ""), form.get("client_secret", "")
        if name not in self.clients or self.clients[name] != secret:
            raise OAuthError("invalid_client", 401)
        return name

    def _token(self, query: dict[str, str], form: dict[str, str], http: Any) -> Any:
        client, kind = self._client(form, http), form.get("grant_type")
        if kind == "client_credentials":
            audience = form.get("audience") or self.audience
            return (
                200,
                {
                    "access_token": self.token(**self.services[client], aud=audience, groups=None),
                    "token_type": "Bearer",
                    "expires_in": self.lifetime,
                },
                {},
            )
        if kind == "authorization_code":
            asked = self._codes.pop(form.get("code", ""), None)
            challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
            if (
                asked is None
                or asked["client_id"] != client
                or asked["redirect_uri"] != form.get("redirect_uri")
                or asked["code_challenge"] != challenge
            ):
                raise OAuthError("invalid_grant")
            return 200, self._tokens(client, asked["claims"], asked.get("nonce")), {}
        if kind == "refresh_token" and self._refresh.pop(form.get("refresh_token", ""), None) == client:
            return 200, self._tokens(client, self.person, None), {}
        if kind == DEVICE and form.get("device_code") == "device-1":
            if not self.approved:
                raise OAuthError("authorization_pending")
            return 200, self._tokens(client, self.person, None), {}
        raise OAuthError("invalid_grant")

    def _tokens(self, client: str, person: dict[str, Any], nonce: str | None) -> dict[str, Any]:
        refresh = secrets.token_urlsafe(16)
        self._refresh[refresh] = client
        id_token = self.token(**person, aud=client, azp=client, nonce=nonce)
        return {
            "access_token": self.token(**person),
            "id_token": id_token,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": self.lifetime,
        }

    def _device(self, query: dict[str, str], form: dict[str, str], http: Any) -> Any:
        self._client(form, http)
        where = f"{self.url}/activate"
        return 200, {"device_code": "device-1", "user_code": "ABCD-EFGH", "verification_uri": where, "expires_in": 60, "interval": 0.1}, {}

    def _revoke(self, query: dict[str, str], form: dict[str, str], http: Any) -> Any:
        self._refresh.pop(form.get("token", ""), None)
        return 200, {}, {}


class OAuthError(Exception):
    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.status = status
