"""Secrets are planted everywhere, all is exercised, and then nothing that is printed or answered has one of them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.appliance_process import SOURCE, ApplianceProcess, environment, needs_proc, until
from tests.origin import Origin

pytestmark = [needs_proc, pytest.mark.slow]

SECRETS = {
    name: f"planted-{name}"
    for name in ("callback-secret", "job-secret", "trial-secret", "proxy-password", "callback-query", "guess")
}
SIGNATURE = "planted-signature"
FORGED = "2026-01-01 00:00:00,000 ERROR imagemill: forged"
HOSTILE = [f"a\r\n{FORGED}", f"\x1b[2J\x1b]0;owned\x07{FORGED}", f"\u2028{FORGED}", "\x00\x85\x0b"]


def settings(origin: Origin, proxy: Origin) -> dict[str, object]:
    return {
        "log_level": "debug",
        "callback_secret": SECRETS["callback-secret"],
        "callback_url": f"{origin.url}/status/500?key={SECRETS['callback-query']}",
        "fetch_proxy": f"http://me:{SECRETS['proxy-password']}@127.0.0.1:{proxy.port}",
        "fetch_retries": 0,
        "rate_limit_per_token": 0,
    }


def sheet(origin: Origin, proxy: Origin) -> bytes:
    """Links that fail in many ways, each with a signature in its query."""
    proxy.answers[f"{origin.url}/moved?{SIGNATURE}"] = (
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://169.254.169.254/?"
        + SIGNATURE.encode()
        + b"\r\n\r\n"
    )
    paths = ["status/404", "status/503", "moved", "garbage", "reset", "closed", "endless", "brotli"]
    urls = [f"{origin.url}/{path}?{SIGNATURE}" for path in paths]
    urls += [f"http://169.254.169.254/?{SIGNATURE}", f"https://nowhere.invalid/?{SIGNATURE}"]
    return ("images\n" + "\n".join(urls) + "\n").encode()


def exercise(appliance: ApplianceProcess, given: bytes, origin: Origin) -> tuple[str, list[httpx.Response]]:
    """Ask for everything, rightly and wrongly; returns the job and the answers."""
    job = appliance.submit(given, callback_secret=SECRETS["job-secret"], callback_url=f"{origin.url}/status/500")
    appliance.finished(job, 60)
    until(lambda: appliance.ask(f"/jobs/{job}/deliveries")["deliveries"], 20, "the callback was tried")
    answers = [appliance.post("/callbacks/test", url=f"{origin.url}/status/500", secret=SECRETS["trial-secret"])]
    answers += [appliance.post("/callbacks/test", url=f"ftp://x:{SECRETS['guess']}@h/")]
    answers += [
        appliance.post("/jobs", sheet_url=f"http://10.0.0.1/?{SIGNATURE}", callback_secret=SECRETS["job-secret"])
    ]
    paths = ["/api/v1/tokens", "/api/v1/system", "/readyz", "/healthz", "/metrics", "/docs", "/openapi.json"]
    answers += [appliance.get(path) for path in [*paths, f"/api/v1/jobs/{job}/deliveries", f"/api/v1/jobs/{job}"]]
    appliance.get("/api/v1/jobs?cursor=" + SECRETS["guess"])
    for value in HOSTILE:
        with httpx.Client(base_url=appliance.url, trust_env=False) as stranger:
            answers.append(stranger.get("/api/v1/jobs", headers={"Authorization": f"Bearer {SECRETS['guess']}"}))
            name = re.sub(r"[\x00-\x1f\x7f-\x9f]", "", value)
            answers.append(stranger.post("/api/v1/jobs", files={"file": (name, b"x")}))
        answers.append(appliance.post_sheet(b"images\nhttp://h/" + value.encode() + b"\n", name=value))
        answers.append(appliance.post("/jobs", images=[value], name=value))
    return job, answers


def assert_clean(text: str, where: str, *more: str) -> None:
    for secret in [*SECRETS.values(), *more]:
        assert secret not in text, f"{secret} is in {where}"


def test_no_secret_is_printed_or_answered_and_no_log_line_is_forged(tmp_path: Path) -> None:
    with Origin() as origin, Origin() as proxy:
        given = settings(origin, proxy)
        with ApplianceProcess(tmp_path / "data", given) as appliance:
            token = (tmp_path / "data" / "token").read_text().strip()
            job, answers = exercise(appliance, sheet(origin, proxy), origin)
            for path in ("images", "report.csv"):
                text = appliance.get(f"/api/v1/jobs/{job}/{path}").text
                # The links are the customer's own; what we say of them is not to repeat them.
                assert_clean(re.sub(r"https?://[^\s\",]*", "", text), path, token, SIGNATURE)
            appliance.stop()
            # Its first lines tell the token to who starts it on a terminal; never to a journal (`serve`).
            log = appliance.log.read_text(errors="replace").replace(f"token: {token}", "")
        for answer in answers:
            assert_clean(answer.text, str(answer.request.url), token, SIGNATURE)
        assert_clean(log, "the log", token, SIGNATURE)
        kept = (tmp_path / "data" / "logs" / "imagemill.log").read_text(encoding="utf-8")
        assert "job finished" in kept
        assert_clean(kept, "the log's file", token, SIGNATURE)
        assert "\x1b" not in log
        for line in log.splitlines():
            assert not line.startswith("2026-01-01 00:00:00,000"), line
        for verb in (["settings"], ["settings", "--json"], ["doctor"]):
            done = subprocess.run(
                [str(SOURCE), *verb],
                env=environment(tmp_path / "data", given),
                capture_output=True,
                text=True,
                check=False,
                timeout=180,
            )
            assert "callback" in done.stdout + done.stderr or verb == ["doctor"]
            assert_clean(done.stdout + done.stderr, " ".join(verb), token)
