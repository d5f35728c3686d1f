"""What a run plays on: pictures and their undisturbed answers, shared by all; an appliance and an origin of its own."""

from __future__ import annotations

import hashlib
import io
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

import msgspec
from PIL import Image

from tests.appliance_process import ENDED, SOURCE, ApplianceProcess, until
from tests.kill_matrix.machine import CARELESS, PLAIN, Disk, WallClock
from tests.origin_nginx import Nginx
from tests.postgres_server import PostgresServer
from tests.s3_server import S3Server
from tests.story.ledger import HOSTILE, PRODUCTS, assert_pictures, sheet
from tests.story.receiver import SECRET, Receiver

FINISH_S: Final = 150.0
FIELDS: Final = {"thumbnails": "64x64:cover", "callback_secret": SECRET}
SETTINGS: Final[dict[str, object]] = {
    "fetch_per_host_rate": 80,  # so that a sheet takes a second or two: time to be hit in
    "fetch_read_timeout_s": 2,
    "fetch_connect_timeout_s": 2,
    "fetch_retries": 8,
    "fetch_retry_base_s": 0.2,
    "disk_reserve_mb": 4,
    "threads": 8,
}
PROBE: Final = "imagemill-probe"
"""The one object by which imagemill tries whether it may write: there from its first readiness on."""
DEAD: Final = [f"/gone-{n}.jpg" for n in range(4)]


class Answer(msgspec.Struct, frozen=True):
    """What an undisturbed appliance says of a path: an error's code, or its files, the image's own first."""

    error: str | None
    files: dict[str, str]
    """SHA-256 by name."""


class Stage:
    """Pictures in a folder, and what becomes of each where nothing happens."""

    def __init__(self, parent: Path, postgres: PostgresServer | None = None) -> None:
        """Make them; with a server, what is known lies there and not in the data folder."""
        self.postgres = postgres
        self.pictures = parent / "pictures"
        self.pictures.mkdir()
        products, hostile = sorted(PRODUCTS.glob("*.jpg"))[::9], sorted(HOSTILE.iterdir())[::9]
        for path in (*products, *hostile):
            (self.pictures / path.name).write_bytes(path.read_bytes())
        self.healthy = [f"/{path.name}{query}" for path in products for query in ("", "?v=2")]
        self.odd = [*DEAD, *(f"/{quote(path.name)}" for path in hostile)]
        with Nginx(self.pictures) as origin, ApplianceProcess(parent / "undisturbed", {}) as appliance:
            job = appliance.submit(sheet(origin.url + path for path in (*self.healthy, *self.odd)), **FIELDS)
            appliance.finished(job, FINISH_S)
            images = appliance.images(job)
            self.answers = {image["source_url"].removeprefix(origin.url): _answer(appliance, image) for image in images}
            looks = {image["source_url"]: image["outputs"][0]["url"] for image in images if image["outputs"]}
            assert_pictures(
                {url: made for url, made in looks.items() if url.endswith(".jpg") and "/0" in url}, self.pictures
            )


def _answer(appliance: ApplianceProcess, image: dict[str, object]) -> Answer:
    """Every file is opened here, whole, once; the runs' files must then equal it."""
    outputs, error = image["outputs"], image["error"]
    assert isinstance(outputs, list)
    files: dict[str, str] = {}
    for output in sorted(outputs, key=lambda each: str(each["name"] != "image")):
        data = appliance.get(output["url"]).content
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            assert picture.size == (output["width"], output["height"])
        files[file_name(output["url"])] = hashlib.sha256(data).hexdigest()
    return Answer(error["code"] if isinstance(error, dict) else None, files)


def file_name(url: str) -> str:
    """Return the last part of an address."""
    return unquote(url.rpartition("/")[2])


class Scene:
    """One run: its dice, its appliance, and how often that was started again."""

    def __init__(self, stage: Stage, dice: random.Random, folder: Path) -> None:
        self.stage, self.dice, self.folder = stage, dice, folder
        self.restarts = 0
        self.moments: list[str] = []
        self.disk: Disk | None = None
        self.clock: WallClock | None = None
        self.s3: S3Server | None = None
        paths = [*dice.sample(stage.odd, 6), *dice.choices(stage.healthy, k=dice.randint(60, 150))]
        dice.shuffle(paths)
        self._paths, self._per_row = paths, dice.choice((1, 1, 2, 3))
        self.keeps_sources = dice.random() < 0.5
        self.jobs: list[str] = []

    @contextmanager
    def played(self, *, on_disk: bool = False, by_clock: bool = False, on_s3: bool = False) -> Iterator[None]:
        """Set everything up; `begin` starts the appliance."""
        program, place, settings = SOURCE, self.folder, SETTINGS
        with ExitStack() as stack:
            self.origin = stack.enter_context(Nginx(self.stage.pictures))
            self.receiver = stack.enter_context(Receiver())
            if on_disk:
                self.disk = stack.enter_context(Disk(self.folder, self.dice.choice((PLAIN, CARELESS))))
                place = self.disk.folder
            if by_clock:
                self.clock = WallClock(self.folder, SOURCE)
                program = self.clock.program
            if on_s3:
                (self.folder / "s3").mkdir()
                self.s3 = stack.enter_context(S3Server(self.folder / "s3"))
                self._bucket = self.s3.make_bucket()
                settings = {**SETTINGS, **self.s3.settings(self._bucket)}
            if self.stage.postgres is not None:
                self._database = self.stage.postgres.make_database()
                stack.callback(self.stage.postgres.drop_database, self._database)
                settings = {**settings, "database_url": self._database}
            self.appliance = ApplianceProcess(place / "data", settings, program=program)
            self.appliance.log = self.folder / "appliance.log"
            stack.push(self.appliance)
            self.sheet = sheet((self.origin.url + path for path in self._paths), self._per_row)
            yield

    def begin(self) -> None:
        """Start the appliance and submit the sheet."""
        self.appliance.launch()
        self.appliance.ready()
        self.jobs.append(self.submit())

    def submit(self) -> str:
        """Upload the sheet; returns the job's id."""
        kept = str(self.keeps_sources).lower()
        return self.appliance.submit(self.sheet, callback_url=self.receiver.url, keep_original=kept, **FIELDS)

    def ask(self, sql: str) -> list[tuple[str, ...]]:
        """Return what a query finds, past our code."""
        if self.stage.postgres is not None:
            return [tuple(line.split("|")) for line in self.stage.postgres.query(self._database, sql).splitlines()]
        with closing(sqlite3.connect(self.appliance.data_dir / "imagemill.db")) as database:
            return [tuple(map(str, row)) for row in database.execute(sql)]

    def known(self) -> Path | None:
        """Return a file with what a database server holds of this run; None where there is none."""
        return self.stage.postgres.dump(self._database) if self.stage.postgres is not None else None

    def stored(self) -> set[str]:
        """Return the names of all stored outputs, looked up past our code."""
        if self.s3 is not None:
            return {key.rpartition("/")[2] for key in self.s3.objects(self._bucket)} - {PROBE}
        return {path.name for path in (self.appliance.data_dir / "outputs").rglob("*") if path.is_file()}

    def moment(self) -> None:
        """Wait for a moment that the dice choose: a mark of progress, a time, or about the end of the job."""
        total, kind = len(self._paths), self.dice.random()
        if kind < 0.6:
            self._reach(self.dice.randrange(total))
        elif kind < 0.8:
            self.rest(self.dice.uniform(0, 2))
        else:
            self._reach(total * 19 // 20)
            self.rest(self.dice.uniform(0, 0.3))

    def _reach(self, mark: int) -> None:
        def is_reached() -> bool:
            job = self.appliance.job(self.jobs[0])
            return job["state"] in ENDED or job["counts"]["done"] + job["counts"]["failed"] >= mark

        until(is_reached, FINISH_S, f"{mark} places have ended")
        self.moments.append(f"{mark} of {len(self._paths)} places")

    def rest(self, seconds: float) -> None:
        """Let time pass: the fault lasts, or strikes later."""
        time.sleep(seconds)
        self.moments.append(f"{seconds:.2f} s later")

    def restart(self) -> None:
        """Start again on the same folder; now and then kill that too, while it is starting."""
        self._launch()
        while self.dice.random() < 0.25:
            self.rest(self.dice.uniform(0, 0.8))
            self.appliance.kill()
            self._launch()
        self.appliance.ready()

    def _launch(self) -> None:
        self.restarts += 1
        self.appliance.launch()
