"""Odd requests over raw sockets against a real server: each gets one answer, at once; what is wrong gets one clear problem (4xx), never a 500,
and harms nobody. RFC 9110, 9112, 8259, 3986."""

from __future__ import annotations

import gzip
import json
import re
import socket

import pytest

from flowledger.api import edge, entrance
from flowledger.api.openapi import MODEL

pytestmark = pytest.mark.req("APG-DAT-004", "D-API-037")


def get(target, *headers, method=b"GET", host=b"localhost"):
    return b"".join([method, b" ", target, b" HTTP/1.1\r\nHost: ", host, b"\r\n", *(h + b"\r\n" for h in headers), b"\r\n"])


def post(body, *headers, target=b"/v1/instances", kind=b"application/json", method=b"POST", length=None):
    fields = [b"Content-Type: " + kind] if kind is not None else []
    return get(target, *fields, b"Content-Length: %d" % (len(body) if length is None else length), *headers, method=method) + body


def form(body, more=b"; boundary=b", kind=b"multipart/form-data"):
    return post(body, target=b"/v1/deployments", kind=kind + more)


def variables(text):
    return post(b'{"definition":"hello","variables":{"x":' + text + b"}}")


CHUNKED = b"POST /v1/instances HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
SOCKET = b"Connection: Upgrade", b"Upgrade: websocket"
OK = b'{"definition":"hello"}'
LIST = b"/v1/instances"
#: (status, what its text says, request)
ODD = {
    # --- what the body is said to be
    "no JSON by its type": (415, "found text/plain", post(OK, kind=b"text/plain")),
    "no type": (415, "found none", post(OK, kind=None)),
    "an empty type": (415, "found none", post(OK, kind=b"")),
    "a form": (415, "x-www-form-urlencoded", post(b"a=b", kind=b"application/x-www-form-urlencoded")),
    "XML": (415, "found application/xml", post(b"<a/>", kind=b"application/xml")),
    "a type that is none": (415, "must be application/json", post(OK, kind=b";;;/")),
    "two types": (400, "given twice", post(OK, b"Content-Type: text/plain")),
    "Latin-1": (415, "iso-8859-1", post('{"definition":"é"}'.encode("latin-1"), kind=b"application/json; charset=iso-8859-1")),
    "UTF-16": (415, "utf-16", post(OK.decode().encode("utf-16"), kind=b"application/json; charset=utf-16")),
    "UTF-16 unsaid": (400, "byte order mark", post(OK.decode().encode("utf-16"))),
    "UTF-16 without a mark": (400, "must be JSON", post(OK.decode().encode("utf-16-be"))),
    "UTF-32": (400, "byte order mark", post(OK.decode().encode("utf-32"))),
    "a byte order mark": (400, "byte order mark", post(b"\xef\xbb\xbf" + OK)),
    "gzip": (415, "found 'gzip'", post(gzip.compress(OK), b"Content-Encoding: gzip")),
    "a bomb": (415, "found 'gzip'", post(gzip.compress(b"0" * 50_000_000), b"Content-Encoding: gzip")),
    "deflate": (415, "found 'deflate'", post(OK, b"Content-Encoding: deflate")),
    "two codings": (415, "found 'br, gzip'", post(OK, b"Content-Encoding: br, gzip")),
    # --- what is in it
    "a name twice": (400, "'definition' twice", post(b'{"definition":"a","definition":"b"}')),
    "a name twice, once escaped": (400, "'definition' twice", post(b'{"definition":"a","\\u0064efinition":"b"}')),
    "a name twice, deep": (400, "'y' twice", variables(b'[{"y":1,"y":2}]')),
    "NaN": (400, "must be JSON", variables(b"NaN")),
    "Infinity": (400, "must be JSON", variables(b"-Infinity")),
    "a number of 100,000 digits": (400, "out of range", variables(b"9" * 100_000)),
    "a leading zero": (400, "invalid number", variables(b"01")),
    "a plus": (400, "must be JSON", variables(b"+1")),
    "a point without digits": (400, "must be JSON", variables(b"1.")),
    "hexadecimal": (400, "must be JSON", variables(b"0x10")),
    "a version beyond": (400, "<= 2147483647", post(b'{"definition":"a","version":99999999999999999999999}')),
    "a version below": (400, ">= 0, found -1", post(b'{"definition":"a","version":-1}')),
    "half a version": (400, "got `float`", post(b'{"definition":"a","version":1.5}')),
    "a version that is a truth": (400, "got `bool`", post(b'{"definition":"a","version":true}')),
    "a comma at the end": (400, "trailing comma", post(b'{"definition":"a",}')),
    "a comment": (400, "trailing characters", post(b'{"definition":"a"}//x')),
    "two texts": (400, "trailing characters", post(OK + OK)),
    "single quotes": (400, "must be strings", post(b"{'definition':'a'}")),
    "a list": (400, "got `array`", post(b"[]")),
    "null": (400, "got `null`", post(b"null")),
    "a text": (400, "got `str`", post(b'"x"')),
    "a number": (400, "got `int`", post(b"1")),
    "nothing": (400, "found no body", post(b"")),
    "blanks": (400, "must be JSON", post(b"   ")),
    "a NUL": (400, "must be JSON", post(b"\0")),
    "a NUL in a name": (400, "matching regex", post(b'{"definition":"a\\u0000b"}')),
    "a line's end in a text": (400, "invalid character", post(b'{"definition":"a\nb"}')),
    "half a surrogate": (400, "surrogate", post(b'{"definition":"\\ud800"}')),
    "no UTF-8": (400, "must be JSON", post(b'{"definition":"\xff\xfe"}')),
    "overlong UTF-8": (400, "must be JSON", post(b'{"definition":"\xc0\xaf"}')),
    "a surrogate in UTF-8": (400, "must be JSON", post(b'{"definition":"\xed\xa0\x80"}')),
    "5,000 lists deep": (400, "100 levels", variables(b"[" * 5_000 + b"]" * 5_000)),
    "5,000 objects deep": (400, "100 levels", variables(b'{"a":' * 5_000 + b"1" + b"}" * 5_000)),
    "17 million bytes": (413, "a body of at most 16777216 bytes was expected, found more", post(b'{"definition":"' + b"x" * 17_000_000 + b'"}')),
    # --- forms
    "no boundary": (400, "boundary", form(b"x", b"")),
    "a form that is none": (400, "multipart", form(b"x")),
    "half a form": (400, "multipart", form(b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.bpmn"\r\n\r\nabc')),
    "a part without a name": (400, "found the field", form(b"--b\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--b--\r\n")),
    "a form of nothing": (400, "found 0", form(b"--b--\r\n")),
    "multipart/mixed": (415, "multipart/mixed", form(b"--b--\r\n", kind=b"multipart/mixed")),
    "3,000 parts": (413, "1000 parts", form(b"".join(b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n1\r\n' % n for n in range(3_000)) + b"--b--\r\n")),
    "a boundary of 5,000 characters": (400, "multipart", form(b"x", b"; boundary=" + b"b" * 5_000)),
    # --- how long it is
    "length and chunks": (400, "Content-Length", post(b"", b"Transfer-Encoding: chunked", length=5)),
    "an unknown transfer coding": (400, "Transfer-Encoding", post(OK, b"Transfer-Encoding: gzip")),
    "two lengths": (400, "Content-Length", post(OK, b"Content-Length: 3")),
    "a length below nothing": (400, "Content-Length", post(b"", length=-1)),
    "a length that is none": (400, "Content-Length", get(LIST, b"Content-Length: abc", method=b"POST")),
    "a length of 20 digits": (400, "Content-Length", post(b"", length=10**20)),
    "a length of a terabyte": (413, "a body of at most 16777216 bytes was expected, found more", post(b"", length=10**12)),
    "a chunk without a size": (400, "chunk size", CHUNKED + b"zz\r\n"),
    # --- headers
    "a header of 100,000 bytes": (431, "65536 bytes", get(LIST, b"X-A: " + b"a" * 100_000)),
    "a header of a million bytes": (431, "65536 bytes", get(LIST, b"X-A: " + b"a" * 1_000_000)),
    "201 headers": (431, "200 headers", get(LIST, *(b"X-%d: 1" % n for n in range(200)))),
    "5,000 headers": (431, "200 headers", get(LIST, *(b"X-%d: 1" % n for n in range(5_000)))),
    "a cookie of 70,000 bytes": (431, "65536 bytes", get(LIST, b"Cookie: " + b"a=b; " * 14_000)),
    "a header without a colon": (400, "header", get(LIST, b"nonsense")),
    "a blank in a header's name": (400, "header", get(LIST, b"X A: 1")),
    "a folded header": (400, "header", get(LIST, b"X-A: 1\r\n b")),
    "a control character in a header": (400, "header", get(LIST, b"X-A: a\x01b")),
    "a NUL in a header": (400, "header", get(LIST, b"X-A: a\0b")),
    "no host": (400, "one Host was expected, found 0", b"GET /v1/instances HTTP/1.1\r\n\r\n"),
    "two hosts": (400, "one Host was expected, found 2", get(LIST, b"Host: localhost")),
    "a host that is none": (400, "a name and maybe a port", get(LIST, host=b"[::1")),
    "a host with a path": (400, "a name and maybe a port", get(LIST, host=b"localhost/x")),
    "another host": (421, "evil.example", get(LIST, host=b"evil.example")),
    "another host in the target": (400, "the Host of the target", get(b"http://evil.example/v1/instances")),
    "another site's page": (403, "evil.example", post(OK, b"Origin: http://evil.example")),
    "a page of nowhere": (403, "null", post(OK, b"Origin: null")),
    "an origin that is none": (403, "web origin", post(OK, b"Origin: ://[")),
    "two origins": (400, "given twice", post(OK, b"Origin: http://localhost", b"Origin: http://localhost")),
    "two idempotency keys": (400, "given twice", post(OK, b"Idempotency-Key: a", b"Idempotency-Key: b")),
    "a long idempotency key": (400, "at most 200 characters", post(OK, b"Idempotency-Key: " + b"k" * 300)),
    "a tag where nothing has a version": (400, "If-Match", post(OK, b"If-Match: zz")),
    "what we don't give": (406, "application/xml", get(LIST, b"Accept: application/xml")),
    "nothing at all": (406, "q=0", get(LIST, b"Accept: application/json;q=0")),
    "a socket without a key": (400, None, get(b"/v1/events", *SOCKET, b"Sec-WebSocket-Version: 13")),
    "a socket of version 1": (400, None, get(b"/v1/events", *SOCKET, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 1")),
    "a socket where there is none": (403, None, get(LIST, *SOCKET, b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13")),
    # --- the line
    "HTTP/2.0": (400, "found HTTP/2.0", get(LIST).replace(b"HTTP/1.1", b"HTTP/2.0")),
    "HTTP/9.9": (400, "version", get(LIST).replace(b"HTTP/1.1", b"HTTP/9.9")),
    "the preface of HTTP/2": (400, "HTTP/1.1 was expected", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "TLS": (400, "HTTP/1.1 was expected", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 100),
    "noise": (400, "HTTP/1.1 was expected", b"\0\1\2\3\r\n\r\n"),
    "an unknown method": (400, "method", get(LIST, method=b"BREW")),
    "a method in small letters": (400, "method", get(LIST, method=b"get")),
    "PROPFIND": (405, "found PROPFIND", get(LIST, method=b"PROPFIND")),
    "TRACE": (405, "found TRACE", get(LIST, method=b"TRACE")),
    "CONNECT": (400, "HTTP/1.1 was expected", get(b"localhost:80", method=b"CONNECT")),
    "a method that isn't here": (405, "found PATCH", post(OK, method=b"PATCH")),
    "GET *": (404, "nothing is at *", get(b"*")),
    "no slash": (400, "HTTP/1.1 was expected", get(b"v1/instances")),
    "two dots": (404, "nothing is at", get(b"/v1/../v1/instances")),
    "two dots, escaped": (404, "nothing is at", get(b"/v1/%2e%2e/v1/instances")),
    "above the root": (404, "nothing is at", get(b"/../../etc/passwd")),
    "above the root, escaped": (404, "nothing is at", get(b"/assets/..%2f..%2fetc/passwd")),
    "a backslash": (404, "nothing is at", get(b"/v1\\instances")),
    "capitals": (404, "nothing is at", get(b"/V1/Instances")),
    "a semicolon": (404, "nothing is at", get(b"/v1/instances;a=b")),
    "half an escape": (400, "must be a key", get(b"/v1/instances/%2")),
    "no escape": (400, "must be a key", get(b"/v1/instances/%zz")),
    "a NUL in the path": (400, "control characters", get(b"/v1/instances/%00")),
    "no UTF-8 in the path": (400, "0xff", get(b"/v1/instances/%ff")),
    "a surrogate in the path": (400, "0xed", get(b"/v1/instances/%ed%a0%80")),
    "raw bytes in the path": (400, "HTTP/1.1 was expected", get("/v1/instances/é".encode())),
    "a blank in the path": (400, "HTTP/1.1 was expected", get(b"/v1/inst ances")),
    "a path of 100,000 characters": (431, "65536 bytes", get(b"/v1/" + b"a" * 100_000)),
    "a query of a million characters": (431, "65536 bytes", get(b"/v1/instances?business_key=" + b"a" * 1_000_000)),
    # --- keys and parameters
    **{f"the key {key}": (400, "must be a key", get(b"/v1/instances/" + key.encode()))
       for key in ("0", "-1", "+1", "1.0", "0x1", "%201", "%D9%A1", "9223372036854775808", "9" * 5_000)},
    "a limit twice": (400, "given twice", get(b"/v1/instances?limit=1&limit=2")),
    "an unknown parameter": (400, "known are", get(b"/v1/instances?x=1")),
    "a parameter without a name": (400, "known are", get(b"/v1/instances?=1")),
    "two question marks": (400, "known are", get(b"/v1/instances??limit=1")),
    "3,000 parameters": (400, "known are", get(b"/v1/instances?" + b"&".join(b"a%d=1" % n for n in range(3_000)))),
    "brackets": (400, "known are", get(b"/v1/instances?limit[]=1")),
    **{f"the limit {text}": (400, "limit", get(b"/v1/instances?limit=" + text.encode()))
       for text in ("", "0", "-1", "x", "1_0", "%201", "+1", "0x1", "%D9%A1", "1;limit=2", "9" * 30)},
    "a NUL in a value": (400, "control characters", get(b"/v1/instances?business_key=%00")),
    "no UTF-8 in a value": (400, "0xff", get(b"/v1/instances?business_key=%ff")),
    "a cursor that is none": (400, "cursor", get(b"/v1/instances?cursor=x")),
    "a truth that is none": (400, "open", get(b"/v1/tasks?open=maybe")),
    "a variable beyond": (400, "1e140000", get(b"/v1/instances?var.a=1e140000")),
    "a variable's unknown comparison": (400, "one of eq", get(b"/v1/instances?var.a[zz]=1")),
    "a variable without a name": (400, "expected the filters", get(b"/v1/instances?var.=1")),
    "a variable twice": (400, "given twice", get(b"/v1/instances?var.a=1&var.a=1")),
    "a move that is none": (400, "explode", post(b"{}", target=b"/v1/tasks/5/explode")),
    "a directory that is none": (404, "users, agents", get(b"/v1/directory/nothing")),
}  # fmt: skip
#: odd, and all right: (status, request)
WELL = {
    "HTTP/1.0 without a host": (200, b"GET /v1/instances HTTP/1.0\r\n\r\n"),
    "the target with its host": (200, get(b"http://localhost/v1/instances")),
    "a host with a port": (200, get(LIST, host=b"localhost:12345")),
    "an address of version 6": (200, get(LIST, host=b"[::1]:80")),
    "a quoted charset": (201, post(OK, kind=b'application/json; charset="UTF-8"')),
    "a type of its own": (201, post(OK, kind=b"application/vnd.x+json")),
    "chunks": (201, CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(OK), OK)),
    "a float beyond doubles": (201, variables(b"1e400")),
    "a fraction of 10,000 digits": (201, variables(b"0." + b"9" * 10_000)),
    "200 headers": (200, get(LIST, *(b"X-%d: 1" % n for n in range(199)))),
    "a header of 60,000 bytes": (200, get(LIST, b"X-A: " + b"a" * 60_000)),
    "two accepts": (200, get(LIST, b"Accept: text/html", b"Accept: application/json")),
    "a body with GET": (200, post(OK, method=b"GET")),
    "HEAD": (200, get(LIST, method=b"HEAD")),
    "OPTIONS": (204, get(LIST, method=b"OPTIONS")),
    "a part of a range": (200, get(LIST, b"Range: bytes=0-1")),
    "an upgrade that nobody knows": (200, get(LIST, b"Connection: Upgrade", b"Upgrade: foo")),
    "odd correlation and trace": (200, get(LIST, b"X-Correlation-Id: " + b"x" * 5_000, b"traceparent: zz")),
}  # fmt: skip


def asked(url, request, patience_s=60):
    """Status, type and body of the answer, by a connection of its own."""
    port = int(url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=patience_s) as line:
        try:
            line.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused while it was still being sent: the answer is there
        data = b""
        while b"\r\n\r\n" not in data and (more := line.recv(65_536)):
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        while length and not request.startswith(b"HEAD") and len(body) < int(length[1]) and (more := line.recv(65_536)):
            body += more
    kind = re.search(rb"(?i)content-type: ([^\r\n]*)", head)
    return int(head.split(b" ", 2)[1]), kind[1].decode() if kind else "", body


@pytest.fixture(scope="module", autouse=True)
def hello(server):
    assert (
        asked(server.url, post(json.dumps({"resources": [{"name": "hello.bpmn", "content": MODEL}]}).encode(), target=b"/v1/deployments"))[
            0
        ]
        == 201
    )


@pytest.mark.parametrize(("status", "says", "request_"), ODD.values(), ids=[name[:40] for name in ODD])
def test_what_is_wrong_gets_one_clear_answer(server, status, says, request_):
    found, kind, body = asked(server.url, request_)
    assert found == status, body
    if says is not None:
        problem = json.loads(body)
        assert kind == "application/problem+json" and problem["status"] == status and problem["code"] and problem["title"]
        assert says in problem["detail"] + str(problem.get("errors", "")), problem
    assert asked(server.url, get(b"/health/live"))[0] == 200


@pytest.mark.parametrize(("status", "request_"), WELL.values(), ids=list(WELL))
def test_what_is_odd_and_all_right_is_done(server, status, request_):
    found, _, body = asked(server.url, request_)
    assert found == status, body
    if request_.startswith(b"POST"):
        key = json.loads(body)["id"].encode()
        assert asked(server.url, get(b"/v1/instances/" + key + b"/variables"))[0] == 200


@pytest.mark.parametrize(
    ("limit", "part"),
    [
        ("HEAD_S", b"GET /v1/inst"),
        ("HEAD_S", b"GET /v1/instances HTTP/1.1\r\nHost: localhost\r\nX-A: b"),
        ("HEAD_S", b"GET /v1/instances\r\n"),
        ("BODY_S", post(OK[:5], length=len(OK))),
        ("BODY_S", CHUNKED + b"ffff\r\nabc"),
        ("BODY_S", form(b"--b\r\n", b"; boundary=b").replace(b"Content-Length: 5", b"Content-Length: 500")),
    ],
)
def test_what_does_not_come_whole_is_given_up(server, monkeypatch, limit, part):
    monkeypatch.setattr(entrance if limit == "HEAD_S" else edge, limit, 0.3)
    status, kind, body = asked(server.url, part)
    assert status == 408 and kind == "application/problem+json" and "within 0.3 s" in json.loads(body)["detail"], body


def test_who_says_nothing_is_hung_up_on(server, monkeypatch):
    monkeypatch.setattr(entrance, "HEAD_S", 0.3)
    with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=60) as line:
        assert line.recv(1) == b""


def test_what_breaks_behind_a_request_under_way_ends_both_with_one_answer(server):
    """The first waits for its work; what comes behind it is no request: one answer, and nothing of ours is logged as an error."""
    with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=60) as line:
        line.sendall(post(b'{"type":"t","worker":"w","wait_ms":30000}', target=b"/v1/jobs/activate") + b"\0\r\n\r\n")
        data = b""
        while more := line.recv(65_536):
            data += more
    assert data.startswith(b"HTTP/1.1 400") and len(re.findall(rb"HTTP/1\.1 \d", data)) == 1 and b"application/problem+json" in data
