"""A carrier's API for `book-transport.bpmn`: `CARRIER_TOKEN=... python carrier.py [PORT]` prints its address and serves until it is ended.

It is busy at each first attempt (503 with Retry-After), goes to no town that begins with X (422), and books once for each Idempotency-Key.
"""

import hmac
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

seen: dict[str, int] = {}
booked: dict[str, str] = {}


class Carrier(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: Any, **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or b"{}")
        key = self.headers.get("Idempotency-Key", "")
        if not hmac.compare_digest(self.headers.get("Authorization", ""), "Bearer " + os.environ["CARRIER_TOKEN"]):
            self.answer(401, {"reason": "who are you?"})
            return
        seen[key] = seen.get(key, 0) + 1
        if seen[key] == 1:
            self.answer(503, {"reason": "busy"}, Retry_After="0")
        elif self.path == "/quotes":
            if str(body.get("to", "")).startswith("X"):
                self.answer(422, {"reason": f"we don't go to {body['to']}"})
            else:
                self.answer(200, {"id": f"Q{len(seen)}", "price": 12.5 + float(body["weight"])})
        else:
            self.answer(200, {"tracking": booked.setdefault(key, f"T{len(booked) + 1}")})

    do_PUT = do_POST

    def log_message(self, *_: object) -> None:
        return


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Carrier)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
