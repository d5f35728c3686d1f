"""How the tests of `outbound` ask, and the resolver that tells them where names lead."""

from __future__ import annotations

import pytest

from imagemill.core.addresses import Policy
from imagemill.core.errors import ImageError
from imagemill.outbound import Client, Limits

LOCAL = Policy(allow=("127.0.0.1",))
LIMITS = Limits(connect_timeout_s=20, read_timeout_s=20, total_timeout_s=60, max_bytes=1 << 20, max_redirects=5)
PICTURE = bytes(range(256)) * 80


class Names:
    """A resolver for tests: each name has a list of answers, the last of which stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        given = self.answers.get(host)
        if given is None:
            raise OSError(-2, "Name or service not known")
        return given.pop(0) if len(given) > 1 else given[0]


def client_for(clients: list[Client], policy: Policy = LOCAL, limits: Limits = LIMITS, **parts: object) -> Client:
    client = Client(policy, limits, user_agent="imagemill-test", **parts)  # type: ignore[arg-type]
    clients.append(client)
    return client


def body(client: Client, url: str) -> bytes:
    with client.get(url) as answer:
        return b"".join(answer.chunks())


def failure(client: Client, url: str) -> ImageError:
    with pytest.raises(ImageError) as failed:
        body(client, url)
    return failed.value
