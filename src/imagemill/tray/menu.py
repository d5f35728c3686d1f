"""The menu as data: one description, shown by every surface. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

from imagemill.tray.view import Mood, View, counted, name_of, progress_of

JOBS_SHOWN: Final = 5


class Act(StrEnum):
    """What can be asked of the desk. `desk.py` has a function for each."""

    OPEN = "open"
    ADD = "add"
    SHOW_JOB = "job"
    PAUSE = "pause"
    RESUME = "resume"
    OPEN_FOLDER = "folder"
    LOGIN = "login"
    START = "start"
    FINISH = "finish"
    STAY = "stay"
    QUIT = "quit"
    CLOSE = "close"


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the menu; without a label it is a line drawn between others.

    `key` is its own and stays, so that a menu that is open can be changed line by line. Without `act` and `items` it
    only says something. `is_checked` is None where there is nothing to check.
    """

    key: str
    label: str = ""
    act: Act | None = None
    argument: str = ""
    is_enabled: bool = True
    is_checked: bool | None = None
    is_default: bool = False
    items: tuple[Item, ...] = ()

    @property
    def is_separator(self) -> bool:
        """Whether it is a line between others."""
        return not self.label


class Face(msgspec.Struct, frozen=True, kw_only=True):
    """What a surface shows: the icon's mood and ring (0 to 100, None for none), the tooltip, the menu."""

    mood: Mood
    percent: int | None
    title: str
    menu: tuple[Item, ...]


STARTING: Final = Face(mood=Mood.STARTING, percent=None, title="imagemill", menu=())
"""What is shown before anything is known."""


def face_of(view: View) -> Face:
    """Return what is shown of what is known."""
    percent = view.percent if view.mood is Mood.WORKING else None
    return Face(mood=view.mood, percent=percent, title=view.headline, menu=menu_of(view))


def menu_of(view: View) -> tuple[Item, ...]:
    """Return the menu."""
    answers = view.system is not None
    return (
        _says("head", view.headline),
        Item(key="open", label="Open imagemill", act=Act.OPEN, is_enabled=answers, is_default=True),
        Item(key="add", label="Add a sheet…", act=Act.ADD, is_enabled=answers),
        *_jobs(view),
        Item(key="line-1"),
        _pause(view),
        Item(key="folder", label="Open the folder of pictures", act=Act.OPEN_FOLDER, is_enabled=view.has_folder),
        Item(key="login", label="Start at login", act=Act.LOGIN, is_checked=view.starts_at_login),
        Item(key="line-2"),
        Item(key="about", label="About", items=tuple(_about(view))),
        *_quit(view),
    )


def find(menu: tuple[Item, ...], key: str) -> Item | None:
    """Return the line of this key, wherever it is."""
    for item in menu:
        found = item if item.key == key else find(item.items, key)
        if found:
            return found
    return None


def _says(key: str, label: str) -> Item:
    return Item(key=key, label=label, is_enabled=False)


def _jobs(view: View) -> Iterator[Item]:
    if not view.jobs or view.system is None:
        return
    yield Item(key="line-jobs")
    for job in view.jobs[:JOBS_SHOWN]:
        label = f"{name_of(job)}: {progress_of(job)}"
        yield Item(key=f"job-{job.id}", label=label, act=Act.SHOW_JOB, argument=str(job.id))
    further = view.system.unfinished_jobs - min(len(view.jobs), JOBS_SHOWN)
    if further > 0:
        yield _says("jobs-further", f"and {counted(further, 'job')} more")


def _pause(view: View) -> Item:
    """Return the line that pauses or resumes; where nobody answers, the one that starts."""
    if view.system is None:
        return Item(key="start", label="Start it again", act=Act.START, is_enabled=bool(view.trouble))
    if view.system.paused_at is not None:
        return Item(key="resume", label="Resume", act=Act.RESUME)
    return Item(key="pause", label="Pause", act=Act.PAUSE)


def _about(view: View) -> Iterator[Item]:
    system = view.system
    if system is not None:
        engine = f"{system.engine.get('engine', '')} {system.engine.get('version', '')}".strip()
        yield _says("version", f"imagemill {system.version}")
        yield _says("engine", engine or "engine: not known yet")
    yield _says("address", view.address or "no address yet")
    yield _says("data", view.data_dir)


def _quit(view: View) -> Iterator[Item]:
    """Yield the way out; where work is going on it offers to finish first. What is not ours goes on without us."""
    if not view.is_ours and view.system is not None:
        yield Item(key="close", label="Close this icon; imagemill goes on", act=Act.CLOSE)
        return
    if view.is_leaving:
        yield Item(key="stay", label="Do not quit when the work is done", act=Act.STAY)
    if view.mood is not Mood.WORKING:
        yield Item(key="quit", label="Quit", act=Act.QUIT)
        return
    first = Item(key="finish", label="When the work is done", act=Act.FINISH, is_enabled=not view.is_leaving)
    now = Item(key="quit", label="Now: the rest is done next time", act=Act.QUIT)
    yield Item(key="quitting", label="Quit", items=(first, now))
