"""Sheets: what people upload, and what they get back (sans-IO: bytes in, rows out, and the other way).

Reading order: rules, faults, encoding → lines → dialect → records → header → opening → urls →
rows → reader; then glance, writer and report.
"""

from imagemill.core.sheet.dialect import Dialect
from imagemill.core.sheet.faults import FAULT_CODES, MAX_LISTED, Fault, Faults, FaultWord, SheetError
from imagemill.core.sheet.glance import Column, Glance, Glimpse, ShownRow, unrecognised
from imagemill.core.sheet.header import TITLES, Header, duplicate_serial_fault
from imagemill.core.sheet.reader import SheetReader
from imagemill.core.sheet.report import REPORT_COLUMNS, report_line
from imagemill.core.sheet.rows import Row
from imagemill.core.sheet.rules import Rules
from imagemill.core.sheet.writer import SheetWriter

__all__ = [
    "FAULT_CODES",
    "MAX_LISTED",
    "REPORT_COLUMNS",
    "TITLES",
    "Column",
    "Dialect",
    "Fault",
    "FaultWord",
    "Faults",
    "Glance",
    "Glimpse",
    "Header",
    "Row",
    "Rules",
    "SheetError",
    "SheetReader",
    "SheetWriter",
    "ShownRow",
    "duplicate_serial_fault",
    "report_line",
    "unrecognised",
]
