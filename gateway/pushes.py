"""Events of one turn, encoded once per subprotocol and shared by every socket that receives them.

Owns nothing but bytes; who receives them is the business of ``gateway.fanout`` and ``gateway.topics``.
"""

from __future__ import annotations

from gateway.codec import Codec
from gateway.schema import EventFrame
from runtime.stream import Pushed


class EncodedPush:
    """The outgoing events ``first_seq … last_seq`` as finished WebSocket frames, made on demand.

    Without a user (a topic's events, the same for everybody) the frames carry no seq either: it
    would mean nothing in the numbered stream of whoever reads them.
    """

    __slots__ = ("_frames", "_message", "_user_id", "_whole", "first_seq", "last_seq")

    def __init__(self, message: Pushed, user_id: str | None) -> None:
        self._message = message
        self._user_id = user_id
        self.first_seq = message.first_seq
        self.last_seq = message.first_seq + len(message.items) - 1
        self._whole: dict[str, bytes] = {}
        self._frames: dict[str, list[bytes]] = {}

    def after(self, position: int, codec: Codec) -> bytes:
        """Frames of the events with a seq beyond ``position``, joined."""
        if position < self.first_seq:
            whole = self._whole.get(codec.subprotocol)
            if whole is None:
                whole = self._whole[codec.subprotocol] = b"".join(self._encoded(codec))
            return whole
        return b"".join(self._encoded(codec)[position - self.first_seq + 1 :])

    def _encoded(self, codec: Codec) -> list[bytes]:
        frames = self._frames.get(codec.subprotocol)
        if frames is None:
            user_id = self._user_id
            timestamp = self._message.recorded_ms
            event = codec.event
            frames = [
                event(EventFrame(item.type, user_id, item.data, timestamp, None if user_id is None else seq))
                for seq, item in enumerate(self._message.items, self.first_seq)
            ]
            self._frames[codec.subprotocol] = frames
        return frames
