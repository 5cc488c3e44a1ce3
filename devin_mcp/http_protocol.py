"""HTTP/1.1 for uvicorn: its protocol on httptools, a compiled parser, with a few changes."""

from __future__ import annotations

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from devin_mcp.observability.log import event


class HttpProtocol(HttpToolsProtocol):
    """What uvicorn does with h11, and not with httptools:

    - What is held of a request besides its body is bounded, as with h11: the bytes since the last
      event, which is a complete head or a part of the body. httptools keeps whatever comes.
    - A request to upgrade is served as any other (RFC 9110 §7.8). Java's client sends one with
      each request, and httptools would take its body for the other protocol.
    - Blanks around a header's value do not belong to it (RFC 9110 §5.5). httptools keeps those at
      the end.
    - A request that could be read in two ways is refused, such as one with two hosts.
    - An invalid request ends the connection only after the earlier ones are answered.
    """

    _unfinished_bytes = 0
    _plain_body_bytes = 0
    """What is still to come of the body of a request to upgrade."""

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._unfinished_bytes += len(data)
        try:
            while data:
                data = self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response("The request is not valid HTTP.")
            return
        limit = self.config.h11_max_incomplete_event_size or 0
        if self._unfinished_bytes > limit:
            self.send_400_response(f"The headers of a request may have {limit} bytes.")

    def _feed(self, data: bytes) -> bytes:
        """Returns what is still to be fed."""
        if self._plain_body_bytes:
            body, rest = data[: self._plain_body_bytes], data[self._plain_body_bytes :]
            self._plain_body_bytes -= len(body)
            self.on_body(body)
            self.on_message_complete()
            return rest
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            end_of_head: int = upgrade.args[0]
            return data[end_of_head:]
        return b""

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        self._unfinished_bytes = 0
        if not self._is_unambiguous():
            raise ValueError  # httptools makes a parser error of it
        if self.parser.should_upgrade():
            self._plain_body_bytes = int(dict(self.headers).get(b"content-length", 0))
        super().on_headers_complete()

    def _is_unambiguous(self) -> bool:
        """False if a proxy in front could see another request, or one for another host."""
        version = self.parser.get_http_version()
        hosts = [value for name, value in self.headers if name == b"host"]
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        return (
            version in {"1.0", "1.1"}
            and (len(hosts) == 1 or (not hosts and version == "1.0"))
            and codings in ([], [b"chunked"])
            and self.url.startswith(b"/")
            and b"#" not in self.url
        )

    def on_body(self, body: bytes) -> None:
        self._unfinished_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished_bytes = 0
        if not self._plain_body_bytes:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self.transport.is_closing():
            return
        peer = self.client[0] if self.client else None
        event("http_rejected", level="warning", status=400, reason="invalid_http", peer=peer)
        cycle = self.cycle
        is_answering = cycle is not None and not cycle.response_complete
        if is_answering and (self.pipeline or not cycle.more_body):
            cycle.keep_alive = False
            self.transport.pause_reading()
        else:
            super().send_400_response(msg)
