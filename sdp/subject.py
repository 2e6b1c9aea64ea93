"""The ``Subject`` header of INVITE (GB/T 28181-2022 annex L).

``<sender ID>:<sender stream sequence>,<receiver ID>:<receiver stream sequence>``; the sender's
sequence begins with 0 for live and 1 for history.
"""

from dataclasses import dataclass
from typing import Final

MAX_PART: Final = 64
"""Characters kept of each part; the standard allows 20, devices send up to 32."""


@dataclass(frozen=True, slots=True)
class Subject:
    sender_id: str
    sender_seq: str = "0"
    receiver_id: str = ""
    receiver_seq: str = "0"

    @property
    def history(self) -> bool:
        return self.sender_seq.startswith("1")

    def __str__(self) -> str:
        return f"{self.sender_id}:{self.sender_seq},{self.receiver_id}:{self.receiver_seq}"

    @classmethod
    def parse(cls, text: str) -> "Subject":
        """Never fails: a missing half or sequence is empty, ``;`` counts as ``,``."""
        sender, _, receiver = text.replace(";", ",").partition(",")
        sender_id, _, sender_seq = sender.partition(":")
        receiver_id, _, receiver_seq = receiver.partition(":")
        parts = (sender_id, sender_seq, receiver_id, receiver_seq)
        return cls(*(part.strip()[:MAX_PART] for part in parts))
