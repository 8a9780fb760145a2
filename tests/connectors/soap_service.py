"""A SOAP service for tests, with a WSDL and an imported schema: it takes nothing that isn't valid by them, and nobody without a UsernameToken."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from lxml import etree

NS, WSSE, WSU = (
    "urn:bookings", "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd",
)  # fmt: skip
PROFILE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0"
ENVELOPES = {"11": "http://schemas.xmlsoap.org/soap/envelope/", "12": "http://www.w3.org/2003/05/soap-envelope"}
USER = "booker"
SCHEMA = f"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="{NS}" targetNamespace="{NS}" elementFormDefault="qualified">
  <xs:complexType name="Line"><xs:sequence>
    <xs:element name="article" type="xs:string"/><xs:element name="price" type="xs:decimal"/><xs:element name="on" type="xs:date" minOccurs="0"/>
  </xs:sequence><xs:attribute name="kind" type="xs:string"/></xs:complexType>
  <xs:element name="Book"><xs:complexType><xs:sequence>
    <xs:element name="town" type="xs:string"/><xs:element name="weight" type="xs:int"/>
    <xs:element name="line" type="t:Line" minOccurs="0" maxOccurs="unbounded"/><xs:element name="size" type="xs:int" minOccurs="0"/>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="BookResponse"><xs:complexType><xs:sequence>
    <xs:element name="number" type="xs:int"/><xs:element name="total" type="xs:decimal"/><xs:element name="on" type="xs:date"/>
    <xs:element name="line" type="t:Line" minOccurs="0" maxOccurs="unbounded"/><xs:element name="note" type="xs:string"/>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="Refuse"><xs:complexType><xs:sequence><xs:element name="how" type="xs:string"/></xs:sequence></xs:complexType></xs:element>
  <xs:element name="RefuseResponse"><xs:complexType><xs:sequence/></xs:complexType></xs:element>
  <xs:element name="SoldOut"><xs:complexType><xs:sequence><xs:element name="left" type="xs:int"/></xs:sequence></xs:complexType></xs:element>
  <xs:element name="Branch"><xs:complexType><xs:sequence><xs:element name="code" type="xs:string"/></xs:sequence></xs:complexType></xs:element>
</xs:schema>"""
VALID = etree.XMLSchema(etree.fromstring(SCHEMA.encode()))


def wsdl(port: int, types: str = "", host: str = "127.0.0.1", scheme: str = "http") -> str:
    """`types`: instead of the import of the schema."""
    types = (
        types
        or f"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:import namespace="{NS}" schemaLocation="types.xsd"/></xs:schema>"""
    )

    def binding(v: str) -> str:
        soap = {"11": "soap", "12": "soap12"}[v]
        header = f'<{soap}:header message="t:BranchHeader" part="branch" use="literal"/>'
        operation = "".join(
            f"""<w:operation name="{name}"><{soap}:operation soapAction="{NS}/{name}"/>
              <w:input><{soap}:body use="literal"/>{header if name == "Book" else ""}</w:input><w:output><{soap}:body use="literal"/></w:output></w:operation>"""
            for name in ("Book", "Refuse")
        )
        transport = "http://schemas.xmlsoap.org/soap/http"
        return f"""<w:binding name="B{v}" type="t:Bookings"><{soap}:binding style="document" transport="{transport}"/>{operation}</w:binding>"""

    def messages(name: str) -> str:
        return f"""<w:message name="{name}In"><w:part name="parameters" element="t:{name}"/></w:message>
          <w:message name="{name}Out"><w:part name="parameters" element="t:{name}Response"/></w:message>"""

    operations = "".join(
        f'<w:operation name="{n}"><w:input message="t:{n}In"/><w:output message="t:{n}Out"/><w:fault name="SoldOut" message="t:SoldOutFault"/></w:operation>'
        for n in ("Book", "Refuse")
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
    xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:t="{NS}" targetNamespace="{NS}" name="Bookings">
  <w:types>{types}</w:types>
  {messages("Book")}{messages("Refuse")}
  <w:message name="BranchHeader"><w:part name="branch" element="t:Branch"/></w:message>
  <w:message name="SoldOutFault"><w:part name="fault" element="t:SoldOut"/></w:message>
  <w:portType name="Bookings">{operations}</w:portType>
  {binding("11")}{binding("12")}
  <w:service name="BookingService">
    <w:port name="Eleven" binding="t:B11"><soap:address location="{scheme}://{host}:{port}/soap/11"/></w:port>
    <w:port name="Twelve" binding="t:B12"><soap12:address location="{scheme}://{host}:{port}/soap/12"/></w:port>
  </w:service>
</w:definitions>"""


class Soap:
    """The ASGI application. `password`: what it takes; None: it asks nobody."""

    def __init__(self, password: str | None = None) -> None:
        self.password, self.port = password, 0
        self.seen: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.nonces: set[str] = set()
        self.routes: dict[str, tuple[int, str, bytes]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        self.asked.append(scope["path"])
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        status, kind, said = self.answer(scope["path"], headers, body)
        lines = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": status, "headers": lines})
        await send({"type": "http.response.body", "body": said})

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        if path in self.routes:
            return self.routes[path]
        if path == "/bookings.wsdl":
            host, _, port = headers["host"].partition(":")
            return 200, "text/xml", wsdl(int(port or 80), host=host).encode()
        if path == "/types.xsd":
            return 200, "text/xml", SCHEMA.encode()
        version = path.rpartition("/")[2]
        if version not in ENVELOPES:
            return 404, "text/plain", b"no such path"
        return self.called(version, headers, body)

    def called(self, version: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        e = ENVELOPES[version]
        root = etree.fromstring(body)
        assert root.tag == f"{{{e}}}Envelope", root.tag
        kind = headers["content-type"]
        found = root.find(f"{{{e}}}Body")
        assert found is not None and len(found) == 1
        name = etree.QName(found[0]).localname
        if version == "11":
            assert kind == "text/xml; charset=utf-8" and headers["soapaction"] == f'"{NS}/{name}"', headers
        else:
            assert kind == f'application/soap+xml; charset=utf-8; action="{NS}/{name}"' and "soapaction" not in headers, headers
        header = root.find(f"{{{e}}}Header")
        if self.password is not None and (why := self.refused(header)):
            return self.fault(version, "wsse:FailedAuthentication", why)
        if not VALID.validate(found[0]):
            return self.fault(version, "Client", f"not valid: {VALID.error_log.last_error.message}")
        said = {etree.QName(c).localname: c.text for c in found[0]}
        branch = None if header is None else header.findtext(f"{{{NS}}}Branch/{{{NS}}}code")
        self.seen.append(
            {"name": name, "said": said, "headers": headers, "branch": branch, "body": found[0], "security": header is not None}
        )
        if name == "Refuse":
            how = str(said["how"])
            if how == "sold out":
                return self.fault(version, "Server", "no room left", f'<t:SoldOut xmlns:t="{NS}"><t:left>0</t:left></t:SoldOut>')
            return self.fault(version, how, "I will not")
        lines = "".join(etree.tostring(c, encoding="unicode", with_tail=False) for c in found[0].findall(f"{{{NS}}}line"))
        note = "x" * int(said.get("size") or 1)
        answer = f"""<t:BookResponse xmlns:t="{NS}"><t:number>{said["weight"]}</t:number><t:total>1.10</t:total><t:on>2026-11-30</t:on>{lines}
            <t:note>{note}</t:note></t:BookResponse>"""
        assert VALID.validate(etree.fromstring(answer))
        return 200, kind.partition(";")[0], self.envelope(version, answer)

    @staticmethod
    def envelope(version: str, inner: str) -> bytes:
        return f'<?xml version="1.0" encoding="utf-8"?><e:Envelope xmlns:e="{ENVELOPES[version]}"><e:Body>{inner}</e:Body></e:Envelope>'.encode()

    def fault(self, version: str, code: str, words: str, detail: str = "") -> tuple[int, str, bytes]:
        if version == "11":
            full = code if ":" in code else f"e:{code}"
            told = f"<detail>{detail}</detail>" if detail else ""
            inner = f'<e:Fault xmlns:wsse="{WSSE}"><faultcode>{full}</faultcode><faultstring>{words}</faultstring>{told}</e:Fault>'
            return 500, "text/xml", self.envelope(version, inner)
        outer = {"Client": "Sender", "Server": "Receiver"}.get(code, code if ":" not in code else "Sender")
        sub = f"<e:Subcode><e:Value>{code}</e:Value></e:Subcode>" if ":" in code else ""
        told = f"<e:Detail>{detail}</e:Detail>" if detail else ""
        inner = f"""<e:Fault xmlns:wsse="{WSSE}"><e:Code><e:Value>e:{outer}</e:Value>{sub}</e:Code><e:Reason>
            <e:Text xml:lang="en">{words}</e:Text></e:Reason>{told}</e:Fault>"""
        return 400 if outer == "Sender" else 500, "application/soap+xml", self.envelope(version, inner)

    def refused(self, header: Any) -> str:
        """UsernameToken Profile 1.1; a nonce is good once."""
        token = None if header is None else header.find(f"{{{WSSE}}}Security/{{{WSSE}}}UsernameToken")
        if token is None:
            return "who are you?"
        name, given = token.findtext(f"{{{WSSE}}}Username"), token.find(f"{{{WSSE}}}Password")
        if name != USER or given is None:
            return "unknown"
        if given.get("Type") == f"{PROFILE}#PasswordText":
            return "" if given.text == self.password else "wrong"
        nonce, created = token.findtext(f"{{{WSSE}}}Nonce"), token.findtext(f"{{{WSU}}}Created")
        if not nonce or not created or not created.endswith("Z") or nonce in self.nonces:
            return "no nonce, or one that was here"
        self.nonces.add(nonce)
        made = hashlib.sha1(base64.b64decode(nonce) + created.encode() + str(self.password).encode()).digest()
        return "" if base64.b64encode(made).decode() == given.text else "wrong"
