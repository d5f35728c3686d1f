"""One contract for what shows the menu: the StatusNotifierItem, read over a real bus, and pystray's icon."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from jeepney import DBusErrorResponse

from imagemill.tray.bus import Bus, BusError, Whom
from imagemill.tray.endings import Notice
from imagemill.tray.item import StatusNotifierItem, is_shown
from imagemill.tray.menu import Act, Item, face_of
from imagemill.tray.menu_tree import properties
from imagemill.tray.plain import PlainIcon
from imagemill.tray.surfaces import Surface, find_surface
from tests.appliance_process import until
from tests.tray.desktop import ITEM, Desktop, Line, needs_desktop
from tests.tray.views import IDLE, LOST, PAUSED, STARTING, job, view

pytestmark = needs_desktop

FACES = [face_of(known) for known in (IDLE, STARTING, LOST, PAUSED, view(is_leaving=True), view(starts_at_login=True))]
Asked = list[tuple[Act, str]]


class Shown:
    """A surface that runs, and what it was asked for."""

    def __init__(
        self, surface: Surface, asked: Asked, lines: Callable[[], list[Line]], choose: Callable[[str], None]
    ) -> None:
        self.surface, self.asked, self.lines, self.choose = surface, asked, lines, choose


def wanted(menu: tuple[Item, ...]) -> list[Line]:
    """Return what is to be seen of a menu, without numbers."""
    return [
        Line(0, item.label, item.is_enabled or item.is_separator, item.is_checked, wanted(item.items)) for item in menu
    ]


def unnumbered(lines: list[Line]) -> list[Line]:
    return [
        Line(0, line.label.replace("__", "_"), line.is_enabled, line.is_checked, unnumbered(line.lines))
        for line in lines
    ]


@contextmanager
def item_shown(bare: Desktop) -> Iterator[Shown]:
    asked: Asked = []
    bus = Bus()
    item = StatusNotifierItem(bus, lambda act, argument: asked.append((act, argument)))
    thread = threading.Thread(target=item.run)
    thread.start()
    until(lambda: bare.is_owned(item.name), 10, "the item has its name")
    with ExitStack() as stack:
        stack.callback(thread.join, 60)
        stack.callback(item.leave)
        yield Shown(item, asked, lambda: bare.menu(item.name), lambda label: bare.choose(label, item.name))
    assert not thread.is_alive()


@contextmanager
def icon_shown(_: Desktop) -> Iterator[Shown]:
    """Pystray's own double: the same icon, on no system."""
    asked: Asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSTRAY_BACKEND", "dummy")
        icon = PlainIcon(lambda act, argument: asked.append((act, argument)))
    entries = icon._icon.menu
    yield Shown(icon, asked, lambda: list(map(_entry, entries)), lambda label: _named(entries, label)(icon._icon))


def _entry(entry: Any) -> Line:  # noqa: ANN401 - pystray has no types
    if entry.text == "- - - -":
        return Line(0, "", is_enabled=True, is_checked=None, lines=[])
    return Line(0, entry.text, entry.enabled, entry.checked, list(map(_entry, entry.submenu or ())))


def _named(entries: Any, label: str) -> Any:  # noqa: ANN401
    for entry in entries:
        if entry.text.startswith(label):
            return entry
        if entry.submenu and (found := _named(entry.submenu, label)):
            return found
    return None


@pytest.fixture(params=[item_shown, icon_shown], ids=["item", "icon"])
def shown(request: pytest.FixtureRequest, bare: Desktop) -> Iterator[Shown]:
    with request.param(bare) as shown:
        yield shown


def test_every_menu_is_shown_as_it_is_described(shown: Shown) -> None:
    for face in [*FACES, *reversed(FACES)]:
        shown.surface.show(face)
        assert unnumbered(shown.lines()) == wanted(face.menu)


def test_what_is_chosen_is_asked_for(shown: Shown) -> None:
    known = view(jobs=(job(7),))
    shown.surface.show(face_of(known))
    for label in ("Open imagemill", "sheet 7", "Pause", "When the work is done"):
        shown.choose(label)
    assert shown.asked == [(Act.OPEN, ""), (Act.SHOW_JOB, job(7).id), (Act.PAUSE, ""), (Act.FINISH, "")]


# What only the item can: it is asked over the bus by strangers.


@pytest.fixture
def item(bare: Desktop) -> Iterator[Shown]:
    with item_shown(bare) as shown:
        yield shown


def name(item: Shown) -> str:
    assert isinstance(item.surface, StatusNotifierItem)
    return item.surface.name


def test_a_change_of_words_is_no_new_menu(item: Shown, bare: Desktop) -> None:
    """So a menu that is open stays open, and changes line by line."""
    revision, _ = bare.menu_call(name(item), "GetLayout", "iias", 0, 0, [])
    item.surface.show(face_of(view()))
    first, _ = bare.menu_call(name(item), "GetLayout", "iias", 0, 0, [])
    numbers = [line.number for line in item.lines()]
    item.surface.show(face_of(view(jobs=(job(eta_s=10.0),))))
    again, root = bare.menu_call(name(item), "GetLayout", "iias", 0, 0, [])
    assert (first > revision, again == first, root[2]) == (True, True, [])
    assert [line.number for line in item.lines()] == numbers
    assert bare.line("sheet 1: 70 %, less than a minute left", name(item))


def test_properties_are_given_one_by_one_and_in_groups(item: Shown, bare: Desktop) -> None:
    item.surface.show(face_of(view(starts_at_login=True)))
    line = bare.line("Start at login", name(item))
    assert line is not None
    assert bare.menu_call(name(item), "GetProperty", "is", line.number, "toggle-state") == (("i", 1),)
    (group,) = bare.menu_call(name(item), "GetGroupProperties", "aias", [line.number], ["label"])
    assert group == [(line.number, {"label": ("s", "Start at login")})]
    assert bare.menu_call(name(item), "AboutToShow", "i", 0) == (False,)
    assert bare.menu_call(name(item), "AboutToShowGroup", "ai", [0]) == ([], [])


def test_events_of_lines_that_are_gone_are_named(item: Shown, bare: Desktop) -> None:
    item.surface.show(face_of(view()))
    pause, head = bare.line("Pause", name(item)), bare.line("imagemill", name(item))
    assert pause is not None
    assert head is not None
    events = [(line, "clicked", ("s", ""), 0) for line in (pause.number, head.number, 9999)]
    opened = (pause.number, "opened", ("s", ""), 0)
    assert bare.menu_call(name(item), "EventGroup", "a(isvu)", [*events, opened]) == ([9999],)
    assert item.asked == [(Act.PAUSE, "")], "the head says something, and does nothing"


def test_the_item_describes_itself(item: Shown, bare: Desktop) -> None:
    item.surface.show(face_of(view()))
    told = bare.call(name(item), "/StatusNotifierItem", "org.freedesktop.DBus.Properties", "GetAll", "s", ITEM)[0]
    assert told["Title"] == ("s", "imagemill: 1 job, 70 %")
    assert told["Menu"] == ("o", "/MenuBar")
    assert [(w, h, len(pixels)) for w, h, pixels in told["IconPixmap"][1]] == [(n, n, 4 * n * n) for n in (22, 32, 48)]
    for member in ("Activate", "SecondaryActivate", "ContextMenu"):
        bare.call(name(item), "/StatusNotifierItem", ITEM, member, "ii", 0, 0)
    assert item.asked == [(Act.OPEN, ""), (Act.OPEN, "")]
    xml = bare.call(name(item), "/MenuBar", "org.freedesktop.DBus.Introspectable", "Introspect")[0]
    assert '<method name="AboutToShow"><arg type="i" direction="in"/><arg type="b" direction="out"/></method>' in xml
    assert bare.call(name(item), "/MenuBar", "org.freedesktop.DBus.Peer", "Ping") == ()


@pytest.mark.parametrize(
    ("path", "interface", "member", "signature", "body"),
    [
        ("/StatusNotifierItem", ITEM, "Explode", "", ()),
        ("/Nowhere", ITEM, "Activate", "ii", (0, 0)),
        ("/StatusNotifierItem", ITEM, "Scroll", "", ()),
        ("/MenuBar", "com.canonical.dbusmenu", "GetLayout", "s", ("all",)),
        ("/MenuBar", "com.canonical.dbusmenu", "Event", "isvu", (9999, "clicked", ("s", ""), 0)),
        ("/MenuBar", "org.freedesktop.DBus.Properties", "Get", "ss", ("com.canonical.dbusmenu", "Colour")),
    ],
)
def test_what_makes_no_sense_is_refused(
    item: Shown, bare: Desktop, path: str, interface: str, member: str, signature: str, body: tuple[Any, ...]
) -> None:
    if member == "Scroll":
        assert bare.call(name(item), path, interface, member) == ()
        return
    with pytest.raises(DBusErrorResponse, match=r"UnknownMethod|InvalidArgs"):
        bare.call(name(item), path, interface, member, signature, *body)
    assert bare.line("imagemill", name(item)) is None


def test_a_notice_is_shown_and_leads_to_its_page(item: Shown, bare: Desktop) -> None:
    item.surface.tell(Notice("a & b", "1 < 2 & 3", "/jobs/x"))
    until(lambda: "1" in bare.run("dunstctl", "count", "displayed"), 10, "it is shown")
    bare.run("dunstctl", "action", "0")
    until(lambda: item.asked, 10, "it was clicked")
    assert item.asked == [(Act.OPEN, "/jobs/x")]
    assert bare.notifications()[0] == ("a & b", "1 &lt; 2 &amp; 3")


def test_an_underscore_is_no_key() -> None:
    assert properties(Item(key="a", label="a_b", act=Act.OPEN))["label"] == ("s", "a__b")


def test_without_a_panel_nothing_is_shown(bare: Desktop) -> None:
    bus = Bus()
    assert not is_shown(bus)
    assert find_surface(lambda *_: None, bus, 0.1) is None
    with pytest.raises(BusError, match="refused Nothing"):
        bus.call(Whom("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus"), "Nothing")
    bus.close()


def test_without_a_bus_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(BusError, match="no session D-Bus"):
        Bus()
    (tmp_path / "bus").touch()
    with pytest.raises(BusError, match="no session D-Bus"):
        Bus()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # python-xlib leaves its sockets open
def test_where_the_display_is_gone_there_is_no_tray(monkeypatch: pytest.MonkeyPatch) -> None:
    for display in ("", ":9999"):
        monkeypatch.setenv("DISPLAY", display)
        assert find_surface(lambda *_: None, None, 0.0) is None
