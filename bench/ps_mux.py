"""Builds the clip of the media benches: PS frames with a send-time stamp inside, in a "GBPS" file.

A second muxer on purpose: the media core must not be measured with its own bytes.

Record: ``<I dts90k, H flags (1 key, 2 audio), H prefix, H scr_offset, H pts_offset,
H sei_offset, H 0, I size>`` and the bytes of one PS pack. Every video frame carries a
user_data_unregistered SEI (uuid ``GB28181BENCHSEI0``, 16 hex digits of send time, 8 of SSRC,
8 of frame number) that ``rtp_ps_push`` overwrites at send time.
"""

import itertools
import re
import struct
from collections.abc import Iterator
from pathlib import Path

UUID = b"GB28181BENCHSEI0"
VIDEO_FPS = 25
AUDIO_MS = 40
PES_PAYLOAD = 65_000  # below the 65,535 of PES_packet_length
STREAM_TYPE = {"h264": 0x1B, "h265": 0x24}
G711A = 0x90


def _crc32_mpeg(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = ((crc << 1) ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


def _pack_header(scr: int) -> bytes:
    bits = 1 << 46 | (scr >> 30 & 7) << 43 | 1 << 42 | (scr >> 15 & 0x7FFF) << 27
    bits |= 1 << 26 | (scr & 0x7FFF) << 11 | 1 << 10 | 1
    mux_rate = 12_000
    return (
        b"\0\0\1\xba" + bits.to_bytes(6, "big") + (mux_rate << 2 | 3).to_bytes(3, "big") + b"\xf8"
    )


def _system_header() -> bytes:
    rate = (0x800000 | 12_000 << 1 | 1).to_bytes(3, "big")
    body = rate + b"\x04\xe1\x7f" + b"\xe0\xe0\x80" + b"\xc0\xc0\x20"
    return b"\0\0\1\xbb" + struct.pack(">H", len(body)) + body


def _stream_map(video_type: int) -> bytes:
    streams = struct.pack(">BBHBBH", video_type, 0xE0, 0, G711A, 0xC0, 0)
    body = b"\xe0\xff\0\0" + struct.pack(">H", len(streams)) + streams
    head = b"\0\0\1\xbc" + struct.pack(">H", len(body) + 4) + body
    return head + struct.pack(">I", _crc32_mpeg(head))


def _pes(stream_id: int, payload: bytes, pts: int | None) -> bytes:
    start = b"\0\0\1" + bytes([stream_id])
    if pts is None:
        return start + struct.pack(">H", 3 + len(payload)) + b"\x88\0\0" + payload
    stamp = [
        0x20 | pts >> 29 & 0xE | 1,
        pts >> 22 & 0xFF,
        pts >> 14 & 0xFE | 1,
        pts >> 7 & 0xFF,
        pts << 1 & 0xFE | 1,
    ]
    return start + struct.pack(">H", 8 + len(payload)) + b"\x8c\x80\x05" + bytes(stamp) + payload


def _nal_units(stream: bytes) -> Iterator[bytes]:
    starts = [match.start() for match in re.finditer(b"\0\0\1", stream)] + [len(stream)]
    for begin, end in itertools.pairwise(starts):
        yield stream[begin + 3 : end].rstrip(b"\0") if end != len(stream) else stream[begin + 3 :]


def _stamp_sei(codec: str, number: int) -> bytes:
    body = UUID + b"f" * 16 + b"%08x" % 0 + b"%08x" % number
    return (
        (b"\x4e\x01" if codec == "h265" else b"\x06")
        + b"\x05"
        + bytes([len(body)])
        + body
        + b"\x80"
    )


def _access_units(stream: bytes, codec: str) -> Iterator[tuple[bool, bytes, int, int]]:
    """(key frame, Annex-B bytes with the stamp, offset of the time digits, end of the stamp)."""
    pending: list[bytes] = []
    number = 0
    for nal in _nal_units(stream):
        kind = nal[0] >> 1 & 0x3F if codec == "h265" else nal[0] & 0x1F
        picture = kind < 32 if codec == "h265" else kind in (1, 5)
        if not picture:
            if kind not in ((39, 40) if codec == "h265" else (6,)):
                pending.append(nal)
            continue
        key = 16 <= kind <= 23 if codec == "h265" else kind == 5
        head = b"".join(b"\0\0\0\1" + unit for unit in pending)
        stamp = b"\0\0\0\1" + _stamp_sei(codec, number)
        digits = len(head) + stamp.index(UUID) + len(UUID)
        yield key, head + stamp + b"\0\0\0\1" + nal, digits, len(head) + len(stamp)
        pending, number = [], number + 1


def _video_records(video: Path, codec: str) -> list[tuple[int, int, int, int, int, int, bytes]]:
    records = []
    step = 90_000 // VIDEO_FPS
    for index, (key, data, digits, stamp_end) in enumerate(
        _access_units(video.read_bytes(), codec)
    ):
        pts = index * step
        head = _pack_header(pts) + (
            _system_header() + _stream_map(STREAM_TYPE[codec]) if key else b""
        )
        pack = head
        for offset in range(0, len(data), PES_PAYLOAD):
            pack += _pes(0xE0, data[offset : offset + PES_PAYLOAD], None if offset else pts)
        payload = len(head) + 14
        records.append(
            (pts, int(key), payload + stamp_end, 4, len(head) + 9, payload + digits, pack)
        )
    return records


def _audio_records(audio: Path, end: int) -> list[tuple[int, int, int, int, int, int, bytes]]:
    samples = audio.read_bytes()
    records = []
    size = AUDIO_MS * 8
    for offset in range(0, len(samples) - size + 1, size):
        pts = offset // 8 * 90
        if pts >= end:
            break
        head = _pack_header(pts)
        pack = head + _pes(0xC0, samples[offset : offset + size], pts)
        records.append((pts, 2, len(head) + 14, 4, len(head) + 9, 0, pack))
    return records


def build_clip(video: Path, audio: Path, out: Path, codec: str) -> None:
    """Write ``out`` from an elementary video stream and raw A-law samples at 8 kHz."""
    records = _video_records(video, codec)
    end = len(records) * (90_000 // VIDEO_FPS)
    records += _audio_records(audio, end)
    records.sort(key=lambda record: (record[0], record[1] & 2))
    with out.open("wb") as file:
        file.write(b"GBPS0001" + struct.pack("<II", len(records), end))
        for dts, flags, prefix, scr, pts, sei, pack in records:
            file.write(
                struct.pack("<IHHHHHHI", dts, flags, prefix, scr, pts, sei, 0, len(pack)) + pack
            )
