"""HTTP/2 to the letter where the library `h2` is coarser: what RFC 9113 calls an error of a stream ends that stream and no other, each error
has its own code, and what a peer may make us keep or compute is bounded.

What nearly every call is goes a shorter way than the library's: a block of headers that says what one before said, byte by byte, is neither decoded nor
checked again; and an answer of one message is written as its three frames at once.

Against `h2` 4.4: there a malformed request, a stream too many, a message longer than its window, and an update of nothing end the connection;
errors of HPACK (RFC 7541) bear PROTOCOL_ERROR; a client's GOAWAY forbids the answers to its own calls; the first frame may be any; a client
may have our encoder keep a table of four gigabytes.
"""

from __future__ import annotations

import struct

from h2.config import H2Configuration
from h2.connection import AllowedStreamIDs, ConnectionInputs, ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import (
    DenialOfServiceError,
    FlowControlError,
    FrameTooLargeError,
    InvalidBodyLengthError,
    NoSuchStreamError,
    ProtocolError,
    StreamClosedError,
    StreamIDTooLowError,
)
from h2.frame_buffer import FrameBuffer
from h2.settings import SettingCodes, Settings
from h2.stream import H2Stream, StreamClosedBy, StreamInputs, StreamState
from hpack import HeaderTuple
from hpack.exceptions import HPACKError, OversizedHeaderListError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

#: what our encoder keeps at most, whatever a client allows
TABLE_BYTES_MAX = 4_096
#: ended streams that are kept until all are counted
STREAMS_KEPT = 32
#: blocks of headers of requests that are remembered, each up to so many bytes
BLOCKS_KEPT, BLOCK_BYTES_KEPT = 64, 1_024
HEAD = 9
FRAME_HEAD = struct.Struct(">HBBBL")  # length (16 bits and 8), type, flags, stream
DATA, END_STREAM, END_HEADERS = 0x0, 0x1, 0x4
HEADERS, PRIORITY, SETTINGS, WINDOW_UPDATE, CONTINUATION = 0x1, 0x2, 0x4, 0x8, 0x9
ACK, PADDED, WITH_PRIORITY = 0x1, 0x8, 0x20

Outcome = tuple[list[Frame], list[Event]]


def literals(*fields: tuple[str, str]) -> bytes:
    """A block of headers that no table knows of (RFC 7541, 6.2.2), for names and values below 127 bytes; `:status: 200` is the static table's."""
    block = b""
    for name, value in fields:
        assert len(name) < 127 and len(value) < 127
        block += b"\x88" if (name, value) == (":status", "200") else b"\0%c%b%c%b" % (len(name), name.encode(), len(value), value.encode())
    return block


def frame(kind: int, flags: int, stream_id: int, body: bytes) -> bytes:
    return FRAME_HEAD.pack(len(body) >> 8, len(body) & 0xFF, kind, flags, stream_id) + body


class CompressionError(ProtocolError):
    error_code = ErrorCodes.COMPRESSION_ERROR


class Broken:
    """A frame that breaks its stream, and no other."""

    __slots__ = ("code", "stream_id", "why")

    def __init__(self, stream_id: int, code: ErrorCodes, why: str) -> None:
        self.stream_id, self.code, self.why = stream_id, code, why


class Frames(FrameBuffer):
    """Looks at the head of a frame before its body is here. `block_max`: bytes of one header block."""

    def __init__(self, block_max: int) -> None:
        super().__init__(server=True)
        self.block_max, self.greeted = block_max, False

    def __next__(self) -> Frame:
        data = self._data
        if len(data) < HEAD:
            raise StopIteration
        length, kind, flags = int.from_bytes(data[:3], "big"), data[3], data[4]
        if not self.greeted:
            if kind != SETTINGS or flags & ACK:
                raise ProtocolError(f"expected SETTINGS as the first frame, found one of type {kind}")
            self.greeted = True
        if length > self.max_frame_size:
            raise FrameTooLargeError(f"expected frames up to {self.max_frame_size} bytes, found one of {length}")
        if kind == HEADERS or kind == CONTINUATION:
            if sum(len(f.data) for f in self._headers_buffer) + length > self.block_max:
                raise DenialOfServiceError(f"expected headers up to {self.block_max} bytes, found more")
            if kind == HEADERS and flags & PADDED and len(data) > HEAD and 1 + data[HEAD] + (5 if flags & WITH_PRIORITY else 0) > length:
                raise ProtocolError("the padding is longer than its frame")
        elif kind == SETTINGS:
            if flags & ACK and length:
                raise FrameTooLargeError("an acknowledgement of SETTINGS has no body")
        elif kind == PRIORITY or kind == WINDOW_UPDATE:
            stream = int.from_bytes(data[5:HEAD], "big") & 0x7FFFFFFF
            if stream and len(data) >= HEAD + length and not self._headers_buffer:
                broken = None
                if kind == PRIORITY and length != 5:
                    broken = Broken(stream, ErrorCodes.FRAME_SIZE_ERROR, f"expected 5 bytes of PRIORITY, found {length}")
                elif kind == WINDOW_UPDATE and length == 4 and not int.from_bytes(data[HEAD : HEAD + 4], "big") & 0x7FFFFFFF:
                    broken = Broken(stream, ErrorCodes.PROTOCOL_ERROR, "an update of a window by 0")
                if broken is not None:
                    del data[: HEAD + length]
                    return broken  # type: ignore[return-value]  # the table of frames below knows it
        return super().__next__()


class Http2(H2Connection):
    """A server's side of a connection.

    Args:
        settings: what we tell the client.
        headers_max: bytes of a list of headers, and of a header block, above which the connection ends.
    """

    def __init__(self, settings: dict[SettingCodes, int], headers_max: int) -> None:
        super().__init__(
            H2Configuration(client_side=False, header_encoding=None, normalize_outbound_headers=False, validate_outbound_headers=False)
        )
        self.local_settings = Settings(client=False, initial_values=settings)
        self.decoder.max_header_list_size = headers_max
        self.incoming_buffer = Frames(headers_max)
        self._count_at = min(STREAMS_KEPT, self.local_settings.max_concurrent_streams)
        self._frame_dispatch_table[Broken] = self._receive_broken  # type: ignore[index]
        #: blocks of requests that changed no table and were found in order -> what they say; good until a table changes
        self._blocks: dict[bytes, list[HeaderTuple]] = {}

    def _receive_frame(self, frame: Frame) -> list[Event]:
        """As the library does, without the text of each frame for a log that nobody keeps."""
        events: list[Event]
        try:
            frames, events = self._frame_dispatch_table[frame.__class__](frame)
        except StreamClosedError as e:
            if not self._stream_is_closed_by_reset(e.stream_id):
                raise
            frames, events = [RstStreamFrame(e.stream_id, error_code=e.error_code)], list(e._events)
        except StreamIDTooLowError as e:
            if self._stream_is_closed_by_end(e.stream_id):
                raise StreamClosedError(e.stream_id) from e
            if not self._stream_is_closed_by_reset(e.stream_id):
                raise
            frames, events = [RstStreamFrame(e.stream_id, error_code=ErrorCodes.STREAM_CLOSED)], []
        self._prepare_for_sending(frames)
        return events

    def answer(self, stream_id: int, head: bytes, body: bytes, tail: bytes) -> bool:
        """One answer as a whole: headers and trailers are blocks as of `literals`. False: it can't be said at once, and nothing was done."""
        stream = self.streams.get(stream_id)
        size = len(body)
        if (
            stream is None or stream.state_machine.state is not StreamState.HALF_CLOSED_REMOTE or stream.state_machine.headers_sent
            or self.state_machine.state is not ConnectionState.SERVER_OPEN or self.encoder.table_size_changes
            or size > stream.outbound_flow_control_window or size > self.outbound_flow_control_window or size > self.max_outbound_frame_size
        ):  # fmt: skip
            return False
        stream.outbound_flow_control_window -= size
        self.outbound_flow_control_window -= size
        stream.state_machine.headers_sent = stream.state_machine.trailers_sent = True
        stream.state_machine.state, stream.state_machine.stream_closed_by = StreamState.CLOSED, StreamClosedBy.SEND_END_STREAM
        self._data_to_send += (
            frame(HEADERS, END_HEADERS, stream_id, head)
            + frame(DATA, 0, stream_id, body)
            + frame(HEADERS, END_HEADERS | END_STREAM, stream_id, tail)
        )
        return True

    def _full(self) -> bool:
        """No room for one more stream. They are counted, and ended ones put away, only now and then: it goes through all."""
        if len(self.streams) < self._count_at:
            return False
        most = self.local_settings.max_concurrent_streams
        found = self.open_inbound_streams
        self._count_at = min(found + STREAMS_KEPT, most)
        return found >= most

    def _reset_for(self, id_: int, code: int) -> Outcome:
        """An error of a stream (RFC 9113, 5.4.2)."""
        stream = self.streams.get(id_)
        if stream is not None:
            stream.state_machine.state = StreamState.CLOSED
            stream.state_machine.stream_closed_by = StreamClosedBy.SEND_RST_STREAM
        return [RstStreamFrame(id_, error_code=code)], [StreamReset(stream_id=id_, error_code=code, remote_reset=False)]

    def _idle(self, id_: int) -> bool:
        return self._stream_id_is_outbound(id_) or id_ > self.highest_inbound_stream_id

    def _receive_broken(self, frame: Broken) -> Outcome:
        if self._idle(frame.stream_id):  # it may not be reset
            error = ProtocolError(frame.why)
            error.error_code = frame.code
            raise error
        return self._reset_for(frame.stream_id, frame.code)

    def _receive_headers_frame(self, frame: HeadersFrame) -> Outcome:
        id_ = frame.stream_id
        data, new = bytes(frame.data), id_ not in self.streams
        known = self._blocks.get(data) if new else None
        table = self.decoder.header_table
        before = (table.maxsize, len(table.dynamic_entries), table.dynamic_entries[0] if table.dynamic_entries else None)
        try:
            headers = known or list(self.decoder.decode(data, raw=True))
        except OversizedHeaderListError as e:
            raise DenialOfServiceError(str(e)) from e
        except (HPACKError, IndexError) as e:
            raise CompressionError(f"the headers can't be read: {e}") from e
        self.state_machine.process_input(ConnectionInputs.RECV_HEADERS)
        still = known is not None or before == (
            table.maxsize,
            len(table.dynamic_entries),
            table.dynamic_entries[0] if table.dynamic_entries else None,
        )
        if not still:
            self._blocks.clear()
        full = new and self._full()
        stream = self._get_or_create_stream(id_, AllowedStreamIDs.ODD)
        if full:
            return self._reset_for(id_, ErrorCodes.REFUSED_STREAM)
        if ("PRIORITY" in frame.flags and frame.depends_on == id_) or (b":authority", b"") in headers:
            return self._reset_for(id_, ErrorCodes.PROTOCOL_ERROR)
        if known is not None:
            return [], self._known_request(stream, known, "END_STREAM" in frame.flags)
        try:
            found = stream.receive_headers(headers, "END_STREAM" in frame.flags, None)
            if (
                still
                and new
                and len(data) <= BLOCK_BYTES_KEPT
                and len(self._blocks) < BLOCKS_KEPT
                and not any(n == b"content-length" for n, _ in headers)
            ):
                self._blocks[data] = headers
            return found
        except StreamClosedError:
            raise
        except ProtocolError:  # malformed (8.1.1)
            return self._reset_for(id_, ErrorCodes.PROTOCOL_ERROR)

    @staticmethod
    def _known_request(stream: H2Stream, headers: list[HeaderTuple], ended: bool) -> list[Event]:
        """What the library makes of a new stream's headers once they are found in order. They say nothing of the length of what follows."""
        events: list[Event] = stream.state_machine.process_input(StreamInputs.RECV_HEADERS)
        request = events[0]
        assert isinstance(request, RequestReceived)
        request.headers = list(headers)
        if ended:
            events += stream.state_machine.process_input(StreamInputs.RECV_END_STREAM)
            assert isinstance(events[1], StreamEnded)
            request.stream_ended = events[1]
        return events

    def _receive_data_frame(self, frame: DataFrame) -> Outcome:
        window = self._inbound_flow_control_window_manager
        try:
            return super()._receive_data_frame(frame)
        except (FlowControlError, InvalidBodyLengthError) as e:
            if window.current_window_size < 0:
                raise
            frames, events = self._reset_for(frame.stream_id, e.error_code)
            if back := window.process_bytes(frame.flow_controlled_length):
                frames.append(WindowUpdateFrame(0, window_increment=back))
            return frames, events

    def _receive_priority_frame(self, frame: HeadersFrame | PriorityFrame) -> Outcome:
        if frame.depends_on == frame.stream_id:
            return self._receive_broken(Broken(frame.stream_id, ErrorCodes.PROTOCOL_ERROR, "a stream may not depend on itself"))
        return super()._receive_priority_frame(frame)

    def _receive_rst_stream_frame(self, frame: RstStreamFrame) -> Outcome:
        if self._idle(frame.stream_id):
            raise NoSuchStreamError(frame.stream_id)
        return super()._receive_rst_stream_frame(frame)

    def _receive_naked_continuation(self, frame: ContinuationFrame) -> None:
        raise ProtocolError("CONTINUATION without HEADERS before")

    def _receive_settings_frame(self, frame: SettingsFrame) -> Outcome:
        table = frame.settings.get(SettingCodes.HEADER_TABLE_SIZE)
        if table is not None:
            frame.settings[SettingCodes.HEADER_TABLE_SIZE] = min(table, TABLE_BYTES_MAX)
        return super()._receive_settings_frame(frame)

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> Outcome:
        """The client begins nothing more; what it has begun is answered (6.8)."""
        return [], [ConnectionTerminated()]
