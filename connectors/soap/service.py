"""A service as its WSDL describes it, by `zeep`, which writes envelopes and reads them. It opens no connection: what it wants to read it gets from us."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from lxml import etree

from flowledger.connectors.frame import Failed
from flowledger.connectors.reach import lacking, plain

#: documents of one WSDL, its imports included, and bytes of them all; names that a message repeats, and characters of a server's words
DOCUMENTS_MAX, BYTES_MAX, TOLD_MAX, WORDS_MAX = 50, 8 * 1024 * 1024, 20, 300
#: WSDLs of models that are kept
INLINE_MAX = 20
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
SOAP_11, SOAP_12 = "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"
#: faults that the same message may not get a second time (SOAP 1.1, 4.4.1; SOAP 1.2, 5.4.6)
_AGAIN = {"Server", "Receiver"}


class Place:
    """An operation of a port."""

    def __init__(self, operation: Any, binding: Any, address: str, twelve: bool) -> None:
        self.operation, self.binding, self.address, self.twelve = operation, binding, address, twelve


class Service:
    """Raises, when it is made: Failed."""

    def __init__(self, data: bytes, address: str, load: Callable[[str], bytes]) -> None:
        """`load` of an import's address gives its bytes; it is called in the thread that makes this."""
        try:
            from zeep.exceptions import Error
            from zeep.settings import Settings
            from zeep.wsdl import Document
        except ImportError:
            raise lacking("zeep") from None
        self._settings = Settings(strict=True, forbid_dtd=True, forbid_entities=True, xml_huge_tree=False)
        self._loads: Any = _Loads(load, len(data))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                document: Any = Document
                self._wsdl: Any = document(io.BytesIO(data), self._loads, base=address, settings=self._settings)
        except Failed:
            raise
        except RecursionError:
            raise _unreadable("its types nest too deeply") from None
        except (
            Error,
            etree.LxmlError,
            KeyError,
            ValueError,
            TypeError,
            AttributeError,
            IndexError,
            NotImplementedError,
            AssertionError,
        ) as e:
            # what isn't as WSDL has it comes out of the library in many ways
            raise _unreadable(_words(e)) from None

    def place(self, operation: str, service: str, port: str) -> Place:
        """Raises: Failed."""
        from zeep.wsdl.bindings import Soap11Binding, Soap12Binding

        seen: list[str] = []
        for each in self._wsdl.services.values():
            for one in each.ports.values():
                if (
                    service not in ("", each.name)
                    or port not in ("", one.name)
                    or not isinstance(one.binding, (Soap11Binding, Soap12Binding))
                ):
                    continue
                binding: Any = one.binding
                names: dict[str, Any] = binding.all()
                if operation in names:
                    address = str((one.binding_options or {}).get("address") or "")
                    return Place(names[operation], one.binding, address, isinstance(one.binding, Soap12Binding))
                seen += names
        there = ", ".join(list(dict.fromkeys(seen))[:TOLD_MAX]) or "none"
        where = "".join(f" of {what} '{name}'" for what, name in (("port", port), ("service", service)) if name)
        raise Failed("CONFIGURATION", f"operation: the WSDL has no SOAP operation '{operation[:100]}'{where}; there is {there}")

    def written(
        self, place: Place, arguments: dict[str, Any], headers: dict[str, Any], token: Any, address: str
    ) -> tuple[str, dict[str, str]]:
        """The envelope, and headers of HTTP. Raises: Failed: the arguments don't fit the WSDL."""
        from zeep import wsa
        from zeep.exceptions import Error

        if odd := [name for name in arguments if name.startswith("_soap") or name.startswith("_xsd")]:
            raise _invalid(f"arguments: {odd[0][:100]} is no part of a message")
        try:
            made = place.operation.create(**arguments, **({"_soapheaders": headers} if headers else {}))
            envelope, sent = made.content, dict(made.headers)
            if place.operation.abstract.wsa_action:
                plugin: Any = wsa.WsAddressingPlugin()
                envelope, sent = plugin.egress(envelope, sent, place.operation, {"address": address})
            if token is not None:
                envelope, sent = token.apply(envelope, sent)
        except RecursionError:
            raise _invalid("arguments: they nest too deeply") from None
        except (Error, KeyError, ValueError, TypeError, AttributeError, ArithmeticError) as e:
            raise _invalid(f"arguments: {_words(e)}") from None
        if place.twelve:
            sent.pop("SOAPAction", None)
            sent["Content-Type"] = f'application/soap+xml; charset=utf-8; action="{place.operation.soapaction or ""}"'
        else:
            sent["Content-Type"] = "text/xml; charset=utf-8"
        return etree.tostring(envelope, xml_declaration=True, encoding="utf-8").decode(), sent

    def read(self, place: Place, data: bytes, status: int) -> Any:
        """What an answer says. Raises: Failed: a fault; or it is no SOAP."""
        from zeep.exceptions import Error, Fault
        from zeep.loader import parse_xml

        if not data.strip():
            if place.operation.output is None or status == 202:
                return None
            raise Failed("ANSWER_UNREADABLE", "expected an envelope, found an empty answer")
        try:
            parse: Any = parse_xml
            document = parse(data, self._loads, settings=self._settings)
            found = document.find(f"{{{SOAP_12 if place.twelve else SOAP_11}}}Body")
            if found is None:
                raise Failed(
                    "ANSWER_UNREADABLE", f"expected an envelope of SOAP {'1.2' if place.twelve else '1.1'}, found {document.tag[:200]}"
                )
            if (fault := found.find("{*}Fault")) is not None:
                try:
                    place.binding.process_error(document, place.operation)
                except Fault as e:
                    raise self._fault(e, fault) from None
            if place.operation.output is None:
                return None
            return values(place.operation.process_reply(document))
        except RecursionError:
            raise Failed("ANSWER_UNREADABLE", "the answer nests too deeply") from None
        except (Error, etree.LxmlError, KeyError, ValueError, TypeError, AttributeError, ArithmeticError, AssertionError) as e:
            raise Failed("ANSWER_UNREADABLE", f"the answer is not as the WSDL says: {_words(e)}") from None

    def _fault(self, fault: Any, node: Any) -> Failed:
        codes = [str(fault.code or ""), *(str(c) for c in fault.subcodes or ())]
        detail = fault.detail if fault.detail is not None else []
        told: dict[str, Any] = {}
        declared = False
        for part in detail:
            if not isinstance(part.tag, str):
                continue
            name = etree.QName(part).localname
            try:
                told[name] = values(self._wsdl.types.deserialize(part))
                declared = True
            except Exception:  # noqa: BLE001 - of a type that the WSDL doesn't have: as it stands
                told[name] = "".join(part.itertext())
        local = [c.rpartition(":")[2].rpartition("}")[2] for c in codes]
        body = {"code": codes[0], "subcodes": codes[1:], "message": fault.message, "actor": fault.actor, "detail": told or None}
        words = " ".join(str(fault.message or "without a word").split())[:WORDS_MAX]
        namespaces = {ns for ns in (node.nsmap.get(c.rpartition(":")[0]) for c in codes if ":" in c) if ns}
        if WSSE in namespaces or any(f"{{{WSSE}}}" in c for c in codes):
            return Failed("AUTHENTICATION", f"the service refuses who we are: {words}", response={"fault": body})
        if declared:  # what the WSDL foresees is an answer of the business: the same message gets it again
            return Failed("FAULT", f"the service answers with the fault {next(iter(told))}: {words}", response={"fault": body})
        again = local[0] in _AGAIN
        return Failed(
            "FAULT_SERVER" if again else "FAULT", f"the service answers with a fault: {words}", again=again, response={"fault": body}
        )


class _Loads:
    """What the library takes for its transport: imports come by our way, and there is no other."""

    def __init__(self, load: Callable[[str], bytes], size: int) -> None:
        self._load, self._left, self._bytes = load, DOCUMENTS_MAX - 1, BYTES_MAX - size
        self._told()

    def load(self, url: Any) -> bytes:
        """Raises: Failed."""
        text = str(url)
        if not text.startswith(("http://", "https://")):
            raise Failed("CONFIGURATION", f"the WSDL imports '{text[-100:]}', which can't be found from where it is")
        self._left -= 1
        data = self._load(text) if self._left >= 0 else b""
        self._bytes -= len(data)
        self._told()
        return data

    def _told(self) -> None:
        if self._left < 0 or self._bytes < 0:
            raise Failed("ANSWER_TOO_LARGE", f"expected a WSDL of at most {DOCUMENTS_MAX} documents and {BYTES_MAX} bytes with its imports")


@lru_cache(maxsize=INLINE_MAX)
def inline(text: str) -> Service:
    """Of a WSDL that stands in the model. Raises: Failed."""
    return Service(_bytes(text), "", _nothing)


def _nothing(url: str) -> bytes:
    raise Failed("CONFIGURATION", f"wsdl: expected one without imports, found one of {url[:200]}; wsdlUrl may have them")


def _bytes(text: str) -> bytes:
    """A text is UTF-8 here, whatever its first line says."""
    text = text.lstrip("\ufeff \t\r\n")
    if text.startswith("<?xml"):
        text = text.partition("?>")[2]
    return text.encode()


def values(found: Any) -> Any:
    """As JSON has them; what the WSDL leaves open (`xsd:any`) as XML."""
    from zeep.xsd.valueobjects import CompoundValue

    if isinstance(found, CompoundValue):
        return {name: values(found[name]) for name in found}
    if isinstance(found, dict):
        return {str(k): values(v) for k, v in found.items()}
    if isinstance(found, list):
        return [values(v) for v in found]
    if etree.iselement(found):
        return etree.tostring(found, encoding="unicode", with_tail=False)
    return plain(found)


def _words(e: BaseException) -> str:
    return " ".join(str(e).split())[:WORDS_MAX] or type(e).__name__


def _unreadable(why: str) -> Failed:
    return Failed("CONFIGURATION", f"the WSDL can't be read: {why}")


def _invalid(why: str) -> Failed:
    return Failed("REQUEST_INVALID", why)
