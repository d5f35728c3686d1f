"""What files do where the server does not take paths, and where a file changes under them."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from litestar.types import Message, ReceiveMessage, Scope

from imagemill.api.files import CHUNK_BYTES, ServedFile


def serve(
    file: ServedFile,
    *headers: tuple[bytes, bytes],
    after_start: Callable[[], object] | None = None,
    paths: bool = False,
) -> list[Any]:
    """Ask for a file without a server, return the messages."""
    messages: list[Any] = []

    async def send(message: Message) -> None:
        messages.append(message)
        if message["type"] == "http.response.start" and after_start:
            after_start()

    async def receive() -> ReceiveMessage:
        raise AssertionError

    extensions: dict[str, Any] | None = {"http.response.pathsend": {}} if paths else None
    scope = cast("Scope", {"type": "http", "method": "GET", "headers": list(headers), "extensions": extensions})
    asyncio.run(file(scope, receive, send))
    return messages


def body(messages: list[Any]) -> bytes:
    return b"".join(message["body"] for message in messages[1:])


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(bytes(range(250)) * (CHUNK_BYTES // 100))
    return path


def test_a_server_that_takes_paths_is_given_one(large: Path) -> None:
    start, sent = serve(ServedFile(large, '"a"', "image/png"), paths=True)
    assert start["status"] == 200
    assert sent == {"type": "http.response.pathsend", "path": str(large)}


def test_another_is_given_chunks(large: Path) -> None:
    messages = serve(ServedFile(large, '"a"', "image/png"))
    assert len(messages) > 3
    assert body(messages) == large.read_bytes()
    assert [message["more_body"] for message in messages[1:]][-2:] == [True, False]


def test_a_long_range_comes_in_chunks(large: Path) -> None:
    messages = serve(ServedFile(large, '"a"', "image/png"), (b"range", b"bytes=5-"), paths=True)
    assert messages[0]["status"] == 206
    assert body(messages) == large.read_bytes()[5:]


def test_a_file_that_gets_shorter_breaks_the_answer_off(large: Path) -> None:
    file = ServedFile(large, '"a"', "image/png")
    with pytest.raises(EOFError):
        serve(file, (b"range", b"bytes=5-"), after_start=lambda: large.write_bytes(b"short"))


def test_a_file_that_is_not_there_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        serve(ServedFile(tmp_path / "none", '"a"', "image/png"))
