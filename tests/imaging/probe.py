"""A spawn target that is a pool child, and afterwards writes down what it had loaded."""

from __future__ import annotations

import json
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from imagemill.imaging import child, protocol


def main(pipe: Connection, config: protocol.Config, parent: int, report: str) -> None:
    child.main(pipe, config, parent)
    Path(report).write_text(json.dumps(sorted(sys.modules)))
