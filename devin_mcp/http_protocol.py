"""HTTP/1.1 for uvicorn: its protocol on httptools, a compiled parser, which gets one request at a
time.
"""

from __future__ import annotations

import asyncio
import re

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from devin_mcp.observability.log import event

HEAD_END = b"\r\n\r\n"
"""Ends a head, and a chunked body with its trailers."""
LINE_OF_ZERO = b"\r\n0"
"""Begins the last chunk, if it is not a part of the data."""
FIRST_REQUEST_SECONDS = 1.0
"""How long a server that stops waits for the first request of a connection."""
_HTTP_LINE = re.compile(rb"(?!CONNECT )[A-Z]+ /[^ #\r\n]* HTTP/1\.[01]\r\n")
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_UPGRADE = re.compile(rb"\r\n(?=upgrade:)", re.IGNORECASE)


class HttpProtocol(HttpToolsProtocol):
    """What uvicorn does with h11, and not with httptools:

    - A request is parsed when the one before is answered. Until then its bytes wait. Beyond a bound
      the client does, and a disconnect is noticed with the next part of the answer.
    - A head is parsed when it is complete, and has a bound; so have trailers, which are ignored.
    - A request to upgrade is served as any other (RFC 9110 §7.8). Java's client sends one with
      each request, and httptools would take its body for the other protocol.
    - Blanks around a header's value do not belong to it (RFC 9110 §5.5). httptools keeps those at
      the end.
    - A request that is on its way when the server stops is answered, see `shutdown`.
    - A request is refused if a proxy could read the same bytes as another request.
    """

    _received: bytearray
    """Not parsed yet."""
    _searched = 0
    """Where the search for the end of a head goes on."""
    _body_bytes: int | None = None
    """What is to come of the body; None before a head and in a chunked body."""
    _is_chunked = False
    _may_end = False
    """Whether the next HEAD_END may be the end of a chunked body."""
    _unfinished_bytes = 0
    """Bytes of a chunked body since its last data."""
    _is_stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._received = bytearray()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._parse()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._parse()

    def shutdown(self) -> None:
        """Close the connection, after the answer if there is a request.

        A new connection is waited for: a proxy opens one when it has a request to send, and cannot
        send it to another server if this one closes the connection then.
        """
        self._is_stopping = True
        if self.cycle is None or (self._received and not self._is_answering()):
            self.loop.call_later(FIRST_REQUEST_SECONDS, self._close_if_idle)
        else:
            super().shutdown()

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    @property
    def _max_head_bytes(self) -> int:
        return self.config.h11_max_incomplete_event_size or 0

    def _parse(self) -> None:
        """Parse until a request is complete. The rest waits for its answer."""
        try:
            while self._received and not self.transport.is_closing():
                if self._is_answering():
                    if len(self._received) > self._max_head_bytes:
                        self.flow.pause_reading()
                    return
                part = self._take_part()
                if not part:
                    return
                self.parser.feed_data(part)
                if self._unfinished_bytes > self._max_head_bytes:
                    self._refuse(f"The headers of a request may have {self._max_head_bytes} bytes.")
        except (httptools.HttpParserError, ValueError):
            self._refuse("The request is not valid HTTP.")

    def _is_answering(self) -> bool:
        """Whether a request was received completely, and its answer is not complete."""
        return self.cycle is not None and not (self.cycle.more_body or self.cycle.response_complete)

    def _take_part(self) -> bytes:
        """The next part for the parser, which never goes beyond the end of a request. Empty if more
        has to come first.
        """
        if self._is_chunked:
            return self._take_chunks()
        if self._body_bytes is not None:
            part = self._take(self._body_bytes)
            self._body_bytes -= len(part)
            return part
        return self._take_head()

    def _take(self, count: int) -> bytes:
        part = bytes(self._received[:count])
        del self._received[:count]
        return part

    def _take_chunks(self) -> bytes:
        """A part of a chunked body, up to a place where it may end.

        The last bytes stay: its end may begin with them.
        """
        start = 0
        if not self._may_end:
            start = self._received.find(LINE_OF_ZERO)
            self._may_end = start >= 0
        place = self._received.find(HEAD_END, start) if self._may_end else -1
        if place >= 0:
            self._may_end = False
            part = self._take(place + len(HEAD_END))
        else:
            part = self._take(max(0, len(self._received) + 1 - len(HEAD_END)))
        self._unfinished_bytes += len(part)
        return part

    def _take_head(self) -> bytes:
        """The head of a request. Raises ValueError if it is none of HTTP/1."""
        while self._received[:2] == b"\r\n":  # after a body, RFC 9112 §2.2
            del self._received[:2]
        if self._received and not (self._received[:1].isalpha() or self._received == b"\r"):
            raise ValueError  # such as the beginning of TLS
        end = self._received.find(HEAD_END, self._searched)
        if end < 0 and _BARE_LINE_FEED.search(self._received, self._searched):
            raise ValueError
        if max(end, len(self._received) if end < 0 else 0) > self._max_head_bytes:
            self._refuse(f"The headers of a request may have {self._max_head_bytes} bytes.")
            return b""
        self._searched = max(0, len(self._received) + 1 - len(HEAD_END)) if end < 0 else 0
        if end < 0:
            return b""
        head = self._take(end + len(HEAD_END))
        self._unset_keepalive_if_required()
        if not _HTTP_LINE.match(head):
            raise ValueError
        return _UPGRADE.sub(b"\r\nx-", head)

    def on_message_begin(self) -> None:
        if self._is_answering():
            raise ValueError  # the parser found an end where _take_part does not look for one
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_chunked:  # otherwise it is a trailer, which no one may take for a header
            super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        headers = dict(self.headers)
        hosts = [value for name, value in self.headers if name == b"host"]
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        needs_host = self.parser.get_http_version() == "1.1"
        if not (needs_host <= len(hosts) <= 1 and codings in ([], [b"chunked"])):
            raise ValueError  # httptools makes a parser error of it
        self._is_chunked = self._may_end = bool(codings)
        self._body_bytes = int(headers.get(b"content-length", 0)) or None
        super().on_headers_complete()
        if self._is_stopping:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._unfinished_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_chunked, self._body_bytes, self._unfinished_bytes = False, None, 0
        super().on_message_complete()

    def _refuse(self, message: str) -> None:
        """Answer 400 and close the connection."""
        peer = self.client[0] if self.client else None
        event("http_rejected", level="warning", status=400, reason="invalid_http", peer=peer)
        self._received.clear()
        is_in_body = self._is_chunked or self._body_bytes is not None
        if is_in_body and self.cycle.response_started:
            self.transport.close()  # its request has an answer
        else:
            self.send_400_response(message)
