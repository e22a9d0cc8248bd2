"""ClickHouse's HTTP interface over chDB: ``python clickhouse_http.py DIRECTORY PORT``.

The engine is the real one; what it cannot do is listen. So far as this house's client speaks HTTP: a
statement in the URL or the body, settings and parameters in the URL, an error as status 500 with its code.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
from clickhouse_connect.driver._backend.chdb_backend import CHDB_TRANSPORT_SETTINGS

PASSWORD = "sesame"
_NO_SETTINGS = CHDB_TRANSPORT_SETTINGS | {"query"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        if "Basic" not in self.headers.get("Authorization", ""):
            self._answer(
                403, b"Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", "516"
            )
            return
        try:
            self._answer(
                200, self._run(dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True)), body)
            )
        except Exception as error:
            message = str(error)
            code = re.search(r"Code: (\d+)", message)
            self._answer(500, message.encode(), code.group(1) if code else "0")

    def _answer(self, status: int, content: bytes, code: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("X-ClickHouse-Summary", "{}")
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.end_headers()
        self.wfile.write(content)

    def _run(self, arguments: dict[str, str], body: bytes) -> bytes:
        connection = chdb.connect(directory)
        try:
            if database := arguments.get("database"):
                connection.query(f"USE `{database}`")
            for name, value in arguments.items():
                if name not in _NO_SETTINGS and not name.startswith("param_"):
                    connection.query(f"SET {name} = '{value}'")
            parameters = {name[6:]: value for name, value in arguments.items() if name.startswith("param_")}
            statement = arguments.get("query")
            if statement is None:
                newline = body.find(b"\n") if body.startswith(b"INSERT") else -1
                statement, body = (
                    (body.decode(), b"") if newline < 0 else (body[:newline].decode(), body[newline + 1 :])
                )
            insert = re.fullmatch(r"(?s)(INSERT INTO .*)FORMAT (\w+)\s*", statement)
            if insert:
                with tempfile.NamedTemporaryFile() as file:
                    file.write(body)
                    file.flush()
                    statement = f"{insert[1]} FROM INFILE '{file.name}' FORMAT {insert[2]}"
                    return connection.query(statement, "TabSeparated").bytes()
            if body:
                statement += "\n" + body.decode()
            return connection.query(statement, "TabSeparated", params=parameters).bytes()
        finally:
            connection.close()


if __name__ == "__main__":
    directory = sys.argv[1]
    keep_open = chdb.connect(directory)
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
    server.daemon_threads = True
    print("ready", server.server_port, os.getpid(), flush=True)
    server.serve_forever()
