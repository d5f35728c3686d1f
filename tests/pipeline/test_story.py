"""The story with everything real but the processes: sockets, children, files, tables, threads."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from imagemill.core.job import Submission
from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.db import Store, open_database
from imagemill.fetch import Fetcher
from imagemill.pipeline import Leases, Outage, Parts, Pipeline, Room
from imagemill.pool import Pool
from imagemill.queue import Queue
from imagemill.settings import CallbackSettings, FetchSettings, ImageSettings, Settings
from imagemill.storage import Folders, LocalStorage
from imagemill.webhook import Caller
from tests.appliance_process import until
from tests.origin import Origin

LOOPBACK = ("127.0.0.0/8",)


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, colour in (("a", "red"), ("b", "green"), ("same", "red")):
        picture = Image.new("RGB", (320, 240), colour)
        picture.save(folder / f"{name}.jpg", quality=95)
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:200])
    with Origin(folder) as origin:
        yield origin


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    fetch = FetchSettings(allow=LOOPBACK, retries=1, retry_base_s=0.05)
    settings = Settings(threads=3, disk_reserve_mb=0, fetch=fetch, callback=CallbackSettings(allow=LOOPBACK))
    folders = Folders(tmp_path / "data")
    folders.make()
    store, storage = Store(open_database(folders.database)), LocalStorage(folders.outputs)
    fetcher, caller = Fetcher(settings.fetch, folders.spool), Caller(settings.callback, "imagemill")
    with Pool(ImageSettings(), 1, folders.spool) as pool:
        yield Parts(
            settings=settings,
            folders=folders,
            store=store,
            storage=storage,
            originals=LocalStorage(folders.sources),
            fetcher=fetcher,
            pool=pool,
            caller=caller,
            room=Room((folders.root,), 0),
            outage=Outage(storage),
            leases=Leases(store),
            public_url=lambda: "http://mill",
            link=lambda name: f"http://mill/images/{name}",
        )
    caller.close()
    fetcher.close()
    store.close()


def test_a_sheet_comes_back_with_one_column_more(parts: Parts, origin: Origin) -> None:
    queue = Queue(parts.folders.queue, threads=3)
    pipeline = Pipeline(parts, queue.perform)
    queue.start(pipeline)
    urls = [f"{origin.url}/{name}.jpg" for name in ("a", "b", "same", "a", "broken", "missing")]
    intake = pipeline.intake()
    intake.feed(("ID,Images\n" + "".join(f"{n},{url}\n" for n, url in enumerate(urls, 1))).encode())
    recipe = Recipe(quality=40, thumbnails=(Thumbnail(20, 20),))
    asked = Submission(recipe=recipe, callback_url=f"{origin.url}/end", callback_secret="quiet")
    job = intake.accept(asked, owner="shop", filename="shop.csv").job

    until(lambda: parts.store.job(job.id).callback.attempts, 60, "the end of the job was told")
    ended = parts.store.job(job.id)
    assert (ended.state, ended.counts.done, ended.counts.failed) == ("partial", 4, 2)
    cells = [line.split(",")[2] for line in b"".join(pipeline.output_sheet(ended)).decode().splitlines()[1:]]
    assert cells[4:] == urls[4:]
    assert cells[0] == cells[2] == cells[3] != cells[1]
    for cell in cells[:4]:
        path = parts.storage.path(cell.removeprefix("http://mill/images/"))
        assert path is not None
        assert Image.open(io.BytesIO(path.read_bytes())).size == (320, 240)
    images, _ = parts.store.images(job.id, None, 50, None)
    assert [image.error and image.error.code for image in images[3:]] == [None, "truncated", "http_status"]
    assert images[0].source is not None
    assert images[0].source.sha256 == hashlib.sha256((origin.folder / "a.jpg").read_bytes()).hexdigest()  # type: ignore[operator]
    assert origin.hits["/a.jpg"] == 1
    (told,) = origin.received
    assert msgspec.json.decode(told.body)["type"] == "job.partial"
    assert told.headers["webhook-signature"].startswith("v1,")
    parts.stopping.set()
    assert queue.stop(10)
    assert list(parts.folders.spool.iterdir()) == []
