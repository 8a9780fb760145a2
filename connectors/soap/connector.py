"""One call: the WSDL, the envelope that it asks for, and the request by way of the HTTP connector, whose authentication, limits and classes of errors hold."""

from __future__ import annotations

import asyncio
from typing import Any

from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.http.config import HttpConfig, NoAuth
from flowledger.connectors.http.connector import HttpConnector
from flowledger.connectors.kept import Kept, named, same_server
from flowledger.connectors.reach import within
from flowledger.connectors.soap.config import SoapConfig, UsernameToken
from flowledger.connectors.soap.service import Place, Service, inline

_ACCEPT = "text/xml, application/wsdl+xml, application/soap+xml, application/xml"


class SoapConnector:
    name = "soap"
    job_type = "flowledger:soap"
    aliases: tuple[str, ...] = ()
    config: type[Config] = SoapConfig

    def __init__(self) -> None:
        self._http = HttpConnector()
        self._kept: Kept[Service] = Kept()

    async def close(self) -> None:
        await self._http.close()

    async def call(self, config: SoapConfig, call: Call) -> dict[str, Any]:
        """`{status, body}`: what the operation answers, by its types. Raises: as the HTTP connector, and Failed for what doesn't fit the WSDL, and for faults."""
        async with within(config.timeout_in_seconds, call):
            service = await self._service(config, call)
            place = service.place(config.operation, config.service, config.port)
            address = await self._address(config, place, call)
            envelope, headers = service.written(place, config.arguments, config.soap_headers, _token(config), address)
            own = {name.lower() for name in config.headers}
            given = self._given(config) | {
                "url": address, "method": "POST", "body": envelope, "authentication": config.authentication,
                "headers": {"Accept": _ACCEPT, **{k: v for k, v in headers.items() if k.lower() not in own}, **config.headers},
                "idempotency_header": config.idempotency_header,
            }  # fmt: skip
            try:
                answer = await self._http.call(HttpConfig.model_validate(given), call, raw=True)
            except Failed as e:
                if (e.response or {}).get("body"):
                    await self._told(service, place, e)
                raise
            return {"status": answer["status"], "body": await self._read(service, place, answer)}

    @staticmethod
    async def _read(service: Service, place: Place, answer: dict[str, Any]) -> Any:
        kind = str({k.lower(): v for k, v in answer["headers"].items()}.get("content-type", ""))
        if kind.lower().startswith("multipart/"):
            raise Failed("ANSWER_UNREADABLE", "the answer has attachments (MIME, MTOM), which aren't taken")
        return await asyncio.to_thread(service.read, place, answer["body"], answer["status"])

    async def _told(self, service: Service, place: Place, e: Failed) -> None:
        """Faults come with 4xx and 5xx: they say more. Raises: Failed: the fault."""
        response = e.response or {}
        try:
            await self._read(service, place, response)
        except Failed as found:
            if found.code in ("FAULT", "FAULT_SERVER", "AUTHENTICATION"):
                found.after_s = e.after_s
                found.response = {**response, "body": None, **(found.response or {})}
                raise found from e
        e.response = {**response, "body": response["body"].decode("utf-8", "replace")}

    async def _service(self, config: SoapConfig, call: Call) -> Service:
        """Raises: Failed, and what the HTTP connector raises."""
        if config.wsdl:
            return await asyncio.to_thread(inline, config.wsdl)
        return await self._kept.of(await named(config.wsdl_url, config.profile, call), lambda: self._fetched(config, call))

    async def _fetched(self, config: SoapConfig, call: Call) -> Service:
        """Who we are is shown to the profile's server alone, not to whoever keeps WSDLs."""
        loop = asyncio.get_running_loop()
        base = ""
        if config.profile and call.profile is not None:
            base = (await call.profile(config.profile)).url(config.wsdl_url)

        async def get(url: str, profile: str) -> bytes:
            given = self._given(config) | {"profile": profile, "url": url, "headers": {"Accept": _ACCEPT}}
            try:
                return bytes((await self._http.call(HttpConfig.model_validate(given), call, raw=True))["body"])
            except Failed as e:
                e.message = f"the WSDL: {e.message}"
                if e.response is not None:
                    e.response = {**e.response, "body": None}
                raise

        def load(url: str) -> bytes:  # in the thread that reads the WSDL
            own = config.profile if base and same_server(url, base) else ""
            return asyncio.run_coroutine_threadsafe(get(url, own), loop).result()

        data = await get(config.wsdl_url, config.profile)
        return await asyncio.to_thread(Service, data, base or config.wsdl_url, load)

    @staticmethod
    async def _address(config: SoapConfig, place: Place, call: Call) -> str:
        """Raises: Failed."""
        if config.profile:
            return (await call.profile(config.profile)).url(config.url) if call.profile is not None else "/"
        if config.url:
            return config.url
        if not place.address:
            raise Failed("CONFIGURATION", "url: expected the service's address, since the WSDL has none")
        secret = not isinstance(config.authentication, NoAuth) or isinstance(config.security, UsernameToken)
        if config.wsdl_url and secret and not same_server(place.address, config.wsdl_url):
            raise Failed(
                "CONFIGURATION", "url: expected the service's address, since the WSDL leads elsewhere and who we are is not for everybody"
            )
        return place.address

    @staticmethod
    def _given(config: SoapConfig) -> dict[str, Any]:
        return {
            "profile": config.profile, "connection_timeout_in_seconds": config.connection_timeout_in_seconds,
            "read_timeout_in_seconds": config.read_timeout_in_seconds, "timeout_in_seconds": config.timeout_in_seconds,
        }  # fmt: skip


def _token(config: SoapConfig) -> Any:
    from zeep.wsse import username

    wanted = config.security
    make: Any = username.UsernameToken
    if not isinstance(wanted, UsernameToken):
        return None
    return make(wanted.username, wanted.password, use_digest=wanted.digest, zulu_timestamp=True)
