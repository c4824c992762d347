"""Find out how the bytes of a text file are to be read."""

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_BLOCK_BYTES = 1 << 20
# Bytes to which Windows-1252 gives no meaning.
_NOT_WINDOWS_1252 = bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D])


@dataclass(frozen=True)
class Encoding:
    """How a file's bytes are to be read as text.

    Attributes
    ----------
    name : str
        As Python's codecs know it.
    has_invalid_bytes : bool
        Whether some bytes mean nothing in it.
    """

    name: str
    has_invalid_bytes: bool = False


def detect_encoding(path: Path) -> Encoding:
    """Find out how a file's bytes are to be read as text.

    A byte order mark decides. Without one the file is utf-8, unless more of its lines
    are broken as utf-8 than make use of it.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Encoding
        ``utf-8-sig``, ``utf-16``, ``cp1252`` or ``latin-1``.
    """
    with path.open("rb") as file:
        start = file.read(3)
        file.seek(0)
        if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return Encoding("utf-16", not _decodes(file, "utf-16"))
        broken, used, is_windows = _count_lines(file)
    if start == codecs.BOM_UTF8 or broken <= used:
        return Encoding("utf-8-sig", broken > 0)
    return Encoding("cp1252" if is_windows else "latin-1")


def _decodes(file: IO[bytes], encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while block := file.read(_BLOCK_BYTES):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _count_lines(file: IO[bytes]) -> tuple[int, int, bool]:
    """Count lines that are broken utf-8, and lines that use it beyond ASCII.

    Tells as well whether every byte has a meaning in Windows-1252.
    """
    broken = used = 0
    is_windows = True
    while block := file.read(_BLOCK_BYTES):
        # A longer line is refused by the reader; here it need not fit into memory.
        block += file.readline(_BLOCK_BYTES)
        if block.isascii():
            continue
        is_windows = is_windows and not any(byte in block for byte in _NOT_WINDOWS_1252)
        for line in block.split(b"\n"):
            if not line.isascii():
                if _is_utf8(line):
                    used += 1
                else:
                    broken += 1
    return broken, used, is_windows


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
