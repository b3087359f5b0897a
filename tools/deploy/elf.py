"""Extension modules without what only a debugger reads."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

_MAGIC: Final = b"\x7fELF\x02\x01"  # 64 bits, little-endian: x86_64 and arm64
_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")


def strip(file: Path) -> None:
    """Replace the file, which may have a second name in a cache of uv's that has to stay as it is."""
    image = stripped(file.read_bytes())
    file.unlink()
    file.write_bytes(image)


def stripped(image: bytes) -> bytes:
    """The same shared object as the loader sees it: its segments, without section headers, symbols and debug data.

    The loader reads segments alone. What is no 64-bit little-endian ELF comes back as it is.
    """
    if not image.startswith(_MAGIC):
        return image
    fields = list(_HEADER.unpack_from(image))
    segments_at, segment_size, segments = fields[5], fields[9], fields[10]
    end = segments_at + segments * segment_size
    for number in range(segments):
        _, _, offset, _, _, size, _, _ = _SEGMENT.unpack_from(image, segments_at + number * segment_size)
        end = max(end, offset + size)
    fields[6] = fields[12] = fields[13] = 0  # where the section headers are, how many, which one names them
    return _HEADER.pack(*fields) + image[_HEADER.size : end]
