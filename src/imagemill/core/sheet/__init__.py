"""Sheets: what people upload, and what they get back (sans-IO: bytes in, rows out, and the other way).

Reading order: rules, faults, encoding → lines → dialect → records → header → opening → urls →
rows → reader; then writer and report.
"""

from imagemill.core.sheet.dialect import Dialect
from imagemill.core.sheet.faults import MAX_LISTED, Fault, Faults, SheetError
from imagemill.core.sheet.header import TITLES, Header, duplicate_serial_fault
from imagemill.core.sheet.reader import SheetReader, read_rows
from imagemill.core.sheet.report import REPORT_COLUMNS, report_line
from imagemill.core.sheet.rows import Row
from imagemill.core.sheet.rules import Rules
from imagemill.core.sheet.writer import SheetWriter

__all__ = [
    "MAX_LISTED",
    "REPORT_COLUMNS",
    "TITLES",
    "Dialect",
    "Fault",
    "Faults",
    "Header",
    "Row",
    "Rules",
    "SheetError",
    "SheetReader",
    "SheetWriter",
    "duplicate_serial_fault",
    "read_rows",
    "report_line",
]
