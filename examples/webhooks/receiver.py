"""Receives webhooks, and believes only those that are signed: `HOOK=whsec_... python receiver.py [PORT]`. Nothing but Python is needed.

Source of the signature: Standard Webhooks 1.0; the package `standardwebhooks` does the same.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_S = 300
KEY = base64.b64decode(os.environ["HOOK"].removeprefix("whsec_"))
#: ids that were seen: an event may come more than once, always with the same id. Yours stand in your database, with what the event led to
SEEN: set[str] = set()


def believed(headers: Message, body: bytes) -> bool:
    """Whether it was signed with our secret, just now."""
    id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not stamp.isdecimal() or abs(time.time() - int(stamp)) > TOLERANCE_S:
        return False
    ours = hmac.new(KEY, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(s, f"v1,{base64.b64encode(ours).decode()}") for s in given)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if not believed(self.headers, body):
            return self.answer(401)
        if self.headers["webhook-id"] not in SEEN:
            SEEN.add(self.headers["webhook-id"])
            event = json.loads(body)
            print(event["type"], event.get("process") or "-", event.get("instance") or "-", flush=True)
        self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9200), Receiver)
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()
