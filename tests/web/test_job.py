"""The page Job over HTTP: a face for every state, parts that are asked for again, and buttons that do what they say."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import READER, SUBMITTER, Site
from tests.web.conftest import link

HOOK = "http://127.0.0.1:9/hook?key=secret"
SHEET = b"serial_number;product;images\r\n" + b"".join(
    b"%d;Cup;http://origin.example/%d.jpg\r\n" % (n, n) for n in range(1, 61)
)


def path(job: dict[str, Any], part: str = "") -> str:
    return f"/jobs/{job['id']}{part}"


def seen(client: httpx.Client, job: dict[str, Any], part: str = "") -> str:
    answer = client.get(path(job, part))
    assert answer.status_code == 200, answer.text
    assert "style=" not in answer.text
    return answer.text.replace("\N{NO-BREAK SPACE}", " ")


def said(client: httpx.Client, job: dict[str, Any], move: str, **fields: str) -> str:
    """Send a form as the page does; return where it leads."""
    headers = {"Origin": str(client.base_url).rstrip("/")}
    answer = client.post(path(job, f"/{move}"), data=fields, headers=headers)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def state(site: Site, job: dict[str, Any]) -> str:
    return str(site.store.job(job["id"]).state)


def test_a_waiting_job_can_be_paused_resumed_and_cancelled(site: Site, member: httpx.Client) -> None:
    job = site.submit(name="Spring & <b>more</b>")
    page = seen(member, job)
    assert '<h1 tabindex="-1" id="job-title">Spring &amp; &lt;b&gt;more&lt;/b&gt;</h1>' in page
    assert all(word in page for word in ("Waiting", "Pause", "Cancel", "Delete", "of 3 pictures done", "Sheet so far"))
    assert "Resume" not in page
    assert said(member, job, "pause") == path(job)
    page = seen(member, job)
    assert all(word in page for word in ("This job is paused", "Resume"))
    assert said(member, job, "pause") == path(job), "said twice, the page shows how it is"
    said(member, job, "resume")
    assert state(site, job) == "pending"
    said(member, job, "cancel")
    assert "Go on with the rest" in seen(member, job, "/live")
    said(member, job, "retry")
    assert state(site, job) == "pending"


def test_while_everything_is_paused_the_job_s_own_button_is_not_there(site: Site, member: httpx.Client) -> None:
    job = site.submit()
    site.store.pause_all()
    page = seen(member, job, "/live")
    site.store.resume_all()
    assert "All work is paused" in page
    assert "Resume" not in page


def test_a_job_at_work_shows_numbers_and_what_there_is(site: Site, member: httpx.Client) -> None:
    job = site.submit(sheet=SHEET)
    site.finish(most=20, failed=(2,))
    page = seen(member, job)
    assert all(word in page for word in ("Working", 'aria-valuenow="20"', "50 %", "19.0 kB", "9.5 kB", "Just made"))
    assert page.count('<a class="tile"') == 16
    assert "/images/" in page
    assert "http://127.0.0.1" not in page.partition('id="job-newest"')[2].partition("</section>")[0], "from here"


def test_a_finished_job_is_taken_home(site: Site, member: httpx.Client) -> None:
    job = site.submit()
    site.finish()
    page = seen(member, job)
    assert "products.csv" in page
    for part in ("output.csv", "report.csv", "images.zip", "input"):
        (address,) = {piece.split('"')[0] for piece in page.split('href="') if piece.split('"')[0].endswith(part)}
        assert address == f"/api/v1/jobs/{job['id']}/{part}"
        assert member.get(address).status_code == 200
    assert "failed" not in seen(member, job, "/failures")
    assert said(member, job, "pause") == path(job)
    assert state(site, job) == "completed"


def test_failures_are_told_in_groups_and_tried_again(site: Site, member: httpx.Client) -> None:
    job = site.submit(sheet=SHEET)
    site.finish(failed=(1, 2, 3, 4, 60))
    page = seen(member, job)
    assert all(
        word in page for word in ("Done, some failed", "5 pictures failed", "Refused by the host", "Row 2, 1.jpg<")
    )
    assert "open the URL in a browser and correct it in the sheet." in page
    answer = member.post(
        path(job, "/retry"), data={"code": "unheard"}, headers={"Origin": str(member.base_url).rstrip("/")}
    )
    assert answer.status_code == 422
    said(member, job, "retry", code="http_status", host="another.example")
    assert state(site, job) == "partial"
    said(member, job, "retry", code="http_status", host="origin.example")
    assert state(site, job) == "processing"
    site.finish(failed=(1, 2, 3, 4, 60))
    said(member, job, "retry")
    assert site.store.job(job["id"]).counts.pending == 5


def test_a_job_of_which_nothing_came_says_so(site: Site, member: httpx.Client) -> None:
    job = site.submit()
    site.finish(failed=(1, 2))
    assert "Not one picture could be made" in seen(member, job)


@pytest.mark.parametrize(
    ("order", "first", "rows"),
    [("sheet", "1.jpg", 25), ("worst", "60.jpg", 25), ("least-saved", "60.jpg", 25), ("failed", "2.jpg", 1)],
)
def test_images_come_in_each_order_page_by_page(
    site: Site, member: httpx.Client, order: str, first: str, rows: int
) -> None:
    job = site.submit(sheet=SHEET)
    site.finish(failed=(2,))
    page = seen(member, job, f"/images?order={order}")
    assert page.count("<tr>") == rows + 1
    assert f'<span class="image-name">{first}</span>' in page.partition("</tr>")[2].partition("</tr>")[0]
    names = page.count("image-name")
    while 'rel="next"' in page:
        address = page.partition('rel="next" href="')[2].partition("#")[0].replace("&amp;", "&")
        page = seen(member, job, address.replace(path(job), "/images"))
        assert "First page" in page
        names += page.count("image-name")
    assert names == (1 if order == "failed" else 60 if order == "sheet" else 59)


def test_an_order_without_images_says_why(site: Site, member: httpx.Client) -> None:
    job = site.submit()
    assert "No picture has failed." in seen(member, job, "?order=failed")
    for wrong in ("?order=colour", "?cursor=x", "/images?order=worst&cursor=7"):
        assert member.get(path(job, wrong)).status_code == 422


def test_the_callback_is_followed_and_made_again(site: Site, member: httpx.Client) -> None:
    job = site.submit(callback_url=HOOK)
    assert "It is called when the job has ended." in seen(member, job)
    site.finish()
    page = seen(member, job, "/callback")
    assert "http://127.0.0.1:9/hook?***" in page
    assert "secret" not in page
    assert 'data-pending="yes"' in page
    site.steps.clear()
    said(member, job, "redeliver")
    assert len(site.steps) == 1
    assert seen(member, site.submit(), "/callback").strip() == ""


def test_a_deleted_job_is_gone_and_so_is_its_page(site: Site, member: httpx.Client) -> None:
    job = site.submit()
    assert said(member, job, "delete") == "/jobs"
    answer = member.get(path(job))
    assert (answer.status_code, "There is nothing here" in answer.text) == (404, True)


def test_who_may_only_read_sees_no_buttons_and_strangers_nothing(site: Site, nobody: httpx.Client) -> None:
    shops, admins = site.submit(SUBMITTER), site.submit()
    nobody.get(link(site, READER))
    page = seen(nobody, shops)
    assert "Pause" not in page
    assert "dialog" not in page
    for part in ("", "/live", "/failures", "/newest", "/images", "/callback", "/compare"):
        assert nobody.get(path(admins, part)).status_code == 404, part
    headers = {"Origin": str(nobody.base_url).rstrip("/")}
    for move in ("pause", "delete", "retry"):
        assert nobody.post(path(shops, f"/{move}"), headers=headers).status_code == 403
    assert state(site, shops) == "pending"


def test_a_move_that_does_not_exist_is_none(site: Site, member: httpx.Client) -> None:
    job = site.submit()
    answer = member.post(path(job, "/explode"), headers={"Origin": str(member.base_url).rstrip("/")})
    assert answer.status_code in {400, 404, 422}
