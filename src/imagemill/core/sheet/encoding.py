"""Bytes to text: what is no text is refused, its encoding is found, what cannot be decoded is marked.

A byte that cannot be decoded becomes a lone surrogate (PEP 383), which no valid text contains: so the row and the cell
it stands in are known later (`DAMAGE`).
"""

from __future__ import annotations

import codecs
import re
from typing import Final

DAMAGE: Final = re.compile("[\ud800-\udfff]")
_MARK: Final = "\udcff"

HEAD_BYTES: Final = 512
"""As many bytes are looked at before anything is decided, so that the answer does not depend on the chunks."""

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LENIENT: Final = {
    "utf-8": "surrogateescape",
    "cp1252": "surrogateescape",
    "utf-16-le": "surrogatepass",
    "utf-16-be": "surrogatepass",
}
_SAVE: Final = "open it in a spreadsheet program and save it as CSV"
_WORKBOOK: Final = f"this is a workbook (XLSX, ODS or another ZIP file), not a table of text: {_SAVE}"
_OLD_WORKBOOK: Final = f"this is an old Excel workbook (XLS), not a table of text: {_SAVE}"
_PICTURE: Final = "this is a picture: send a CSV file that names the pictures' addresses"
_MAGIC: Final = (
    (b"PK\x03\x04", _WORKBOOK),
    (b"PK\x05\x06", _WORKBOOK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OLD_WORKBOOK),
    (b"%PDF-", "this is a PDF document: save its table as CSV"),
    (b"\xff\xd8\xff", _PICTURE),
    (b"\x89PNG", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"RIFF", _PICTURE),
    (b"\x1f\x8b", "this is a compressed file: unpack it and send the CSV file in it"),
)
_MARKUP: Final = re.compile(r"<(?:!doctype|!--|\?xml|(?:html|head|meta|body|table|svg)\b)", re.IGNORECASE)
_MARKUP_REFUSED: Final = f"this is a web page or XML, not a table of text: {_SAVE}"
_UTF16_REFUSED: Final = "this looks like UTF-16 without a byte order mark: save it as CSV UTF-8"
BINARY_REFUSED: Final = f"the sheet contains NUL bytes, so it is no table of text: {_SAVE}"


class Decoder:
    """Incremental: `feed` chunks, then `close`. `refusal` says why the bytes are no text, once that is known."""

    def __init__(self) -> None:
        self.encoding = "utf-8"
        self.bom = b""
        self.refusal = ""
        self.is_damaged = False
        self._is_ascii = True
        self._head: bytearray | None = bytearray()
        self._codec = _codec("utf-8", "strict")

    def feed(self, data: bytes) -> str:
        if self._head is None:
            return self._text(data)
        self._head += data
        return self._open(self._head) if len(self._head) >= HEAD_BYTES else ""

    def close(self) -> str:
        text = "" if self._head is None else self._open(self._head)
        held = self._codec.getstate()[0]
        # The last character is cut off: the lenient codec would hold it back as the strict one did.
        return text + (self._mended(held, 0) or _MARK) if held else text

    def _open(self, head: bytearray) -> str:
        self._head = None
        data = bytes(head)
        for bom, encoding in _BOMS:
            if data.startswith(bom):
                self.bom, self.encoding = bom, encoding
                self._codec = _codec(encoding, "strict")
        text = self._text(data[len(self.bom) :])
        self.refusal = _refusal(data[:HEAD_BYTES], text[:HEAD_BYTES], self.bom)
        return "" if self.refusal else text

    def _text(self, data: bytes) -> str:
        try:
            text = self._codec.decode(data)
        except UnicodeDecodeError as error:
            # `object` begins with what the codec had held back.
            return self._mended(error.object, error.start)
        self._is_ascii = self._is_ascii and text.isascii()
        return text

    def _mended(self, data: bytes, bad_at: int) -> str:
        """Decode what the codec refused at `bad_at`: as Windows-1252 if all before was ASCII, else with marks."""
        if self.encoding == "utf-8" and not self.bom and self._is_ascii and data[:bad_at].isascii():
            self.encoding = "cp1252"
            self._codec = _codec("cp1252", "strict")
        else:
            self.is_damaged = True
            self._codec = _codec(self.encoding, _LENIENT[self.encoding])
        return self._text(data)


def _codec(encoding: str, errors: str) -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder(encoding)(errors)


def _refusal(head: bytes, text: str, bom: bytes) -> str:
    for magic, sentence in _MAGIC:
        if head.startswith(magic):
            return sentence
    if _MARKUP.match(text.lstrip()):
        return _MARKUP_REFUSED
    if bom or b"\0" not in head:
        return ""
    # ASCII in UTF-16 has a NUL in every pair of bytes, always on the same side.
    most = max(head[::2].count(0), head[1::2].count(0))
    return _UTF16_REFUSED if most > len(head) // 4 else BINARY_REFUSED
