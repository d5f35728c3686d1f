"""The menu over D-Bus: com.canonical.dbusmenu, which panels draw with their own widgets.

The specification is the XML of libdbusmenu (libdbusmenu-glib/dbus-menu.xml). A line keeps its number as long as its
key is in the menu: so a line that changes its text changes in a menu that is open, and only a new set of lines makes
the panel ask for all of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

from imagemill.tray.bus import Body, Bus, Interface, Method, Variant
from imagemill.tray.menu import Item

PATH: Final = "/MenuBar"
INTERFACE: Final = "com.canonical.dbusmenu"

_VERSION: Final = 3
_ROOT: Final = 0
_NODE: Final = "(ia{sv}av)"

Properties = dict[str, Variant]


class MenuTree:
    """Serves one menu on a bus; `clicked` is called by the bus's thread."""

    def __init__(self, bus: Bus, clicked: Callable[[Item], None]) -> None:
        self._bus = bus
        self._clicked = clicked
        self._numbers: dict[str, int] = {}
        self._unused = itertools.count(1)
        self._revision = 1
        self._root = Item(key="root")
        methods = {
            "GetLayout": Method(("i", "i", "as"), ("u", _NODE), self._layout),
            "GetGroupProperties": Method(("ai", "as"), ("a(ia{sv})",), self._group),
            "GetProperty": Method(("i", "s"), ("v",), lambda number, name: (properties(self._item(number))[name],)),
            "Event": Method(("i", "s", "v", "u"), (), self._event),
            "EventGroup": Method(("a(isvu)",), ("ai",), self._events),
            "AboutToShow": Method(("i",), ("b",), lambda _: (False,)),
            "AboutToShowGroup": Method(("ai",), ("ai", "ai"), lambda _: ([], [])),
        }
        bus.serve(PATH, Interface(INTERFACE, methods, _about))

    def show(self, menu: tuple[Item, ...]) -> None:
        """Show another menu; whoever has the old one open is told what is different."""
        before, self._root = self._root, Item(key="root", items=menu)
        if _shape(before) != _shape(self._root):
            self._revision += 1
            self._bus.emit(PATH, INTERFACE, "LayoutUpdated", "ui", self._revision, _ROOT)
            return
        changed = [
            (self._number(new), properties(new))
            for old, new in zip(_walk(before), _walk(self._root), strict=True)
            if properties(old) != properties(new)
        ]
        if changed:
            self._bus.emit(PATH, INTERFACE, "ItemsPropertiesUpdated", "a(ia{sv})a(ias)", changed, [])

    def _number(self, item: Item) -> int:
        if item is self._root:
            return _ROOT
        return self._numbers.setdefault(item.key, next(self._unused))

    def _item(self, number: int) -> Item:
        for item in _walk(self._root):
            if self._number(item) == number:
                return item
        raise KeyError(number)

    def _layout(self, parent: int, depth: int, names: list[str]) -> Body:
        return self._revision, self._node(self._item(parent), depth, set(names))

    def _node(self, item: Item, depth: int, names: set[str]) -> tuple[int, Properties, list[Variant]]:
        """Return a line with those below it, `depth` steps down (-1: all)."""
        children = [] if depth == 0 else [(_NODE, self._node(child, depth - 1, names)) for child in item.items]
        return self._number(item), _chosen(item, names), children

    def _group(self, numbers: list[int], names: list[str]) -> Body:
        wanted = set(numbers)
        every = ((self._number(item), item) for item in _walk(self._root))
        return ([(number, _chosen(item, set(names))) for number, item in every if number in wanted or not wanted],)

    def _event(self, number: int, kind: str, _: Any, __: int) -> Body:  # noqa: ANN401  a variant
        if kind == "clicked":
            item = self._item(number)
            if item.act is not None and item.is_enabled:
                self._clicked(item)
        return ()

    def _events(self, events: list[tuple[int, str, Any, int]]) -> Body:
        known = {self._number(item) for item in _walk(self._root)}
        for event in events:
            if event[0] in known:
                self._event(*event)
        return ([event[0] for event in events if event[0] not in known],)


def properties(item: Item) -> Properties:
    """Return what a panel must know of a line to draw it."""
    if item.is_separator and not item.items:
        return {"type": ("s", "separator")}
    shown: Properties = {
        "label": ("s", item.label.replace("_", "__")),  # one alone marks the key that chooses the line
        "enabled": ("b", item.is_enabled),
    }
    if item.items:
        shown["children-display"] = ("s", "submenu")
    if item.is_checked is not None:
        shown |= {"toggle-type": ("s", "checkmark"), "toggle-state": ("i", int(item.is_checked))}
    return shown


def _chosen(item: Item, names: set[str]) -> Properties:
    return {name: value for name, value in properties(item).items() if not names or name in names}


def _walk(item: Item) -> Iterator[Item]:
    yield item
    for child in item.items:
        yield from _walk(child)


def _shape(item: Item) -> tuple[Any, ...]:
    return item.key, tuple(properties(item)), tuple(map(_shape, item.items))


def _about() -> dict[str, Variant]:
    return {
        "Version": ("u", _VERSION),
        "TextDirection": ("s", "ltr"),
        "Status": ("s", "normal"),
        "IconThemePath": ("as", []),
    }
