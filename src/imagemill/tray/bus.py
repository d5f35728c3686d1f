"""The session's D-Bus, over jeepney: objects that are served, signals that are heard, calls that are made.

One thread reads; whatever it calls must be quick and must not `call` itself. Sending is safe from any thread. Bodies
are jeepney's: a tuple of plain values beside a signature, a variant is a pair of its signature and its value.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeAlias
from xml.sax.saxutils import quoteattr

import msgspec
from jeepney import (
    DBusAddress,
    DBusErrorResponse,
    HeaderFields,
    MatchRule,
    Message,
    MessageFlag,
    MessageType,
    new_error,
    new_method_call,
    new_method_return,
    new_signal,
)
from jeepney.io.threading import DBusConnection, ReceiveStopped, open_dbus_connection

from imagemill.core.errors import ImagemillError

log = logging.getLogger(__name__)

Body = tuple[Any, ...]
Variant = tuple[str, Any]
Whom: TypeAlias = DBusAddress
"""An object of somebody's: its path, the name of its owner, the interface that is meant."""

ANSWER_S: Final = 5.0

_BUS: Final = Whom("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
_PROPERTIES: Final = "org.freedesktop.DBus.Properties"
_INTROSPECTABLE: Final = "org.freedesktop.DBus.Introspectable"
_PEER: Final = "org.freedesktop.DBus.Peer"
_UNKNOWN: Final = "org.freedesktop.DBus.Error.UnknownMethod"
_INVALID: Final = "org.freedesktop.DBus.Error.InvalidArgs"


class BusError(ImagemillError):
    """There is no session bus, or it does not answer as it should."""

    code = "bus"


class Method(msgspec.Struct, frozen=True):
    """One method: the types of what is given and of what is answered, and who makes this of that."""

    takes: tuple[str, ...]
    gives: tuple[str, ...]
    answer: Callable[..., Body]


class Interface(msgspec.Struct, frozen=True):
    """One interface of an object. `properties` are asked for anew each time."""

    name: str
    methods: Mapping[str, Method]
    properties: Callable[[], Mapping[str, Variant]]


class Bus:
    """A connection with its reading thread. BusError where there is none."""

    def __init__(self) -> None:
        self._connection = _connected()
        self._served: dict[str, list[Interface]] = {}
        self._heard: list[tuple[str, str, Callable[[Body], None]]] = []
        self._awaited: dict[int, Future[Message]] = {}
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._read, name="bus", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the connection; its names go with it."""
        self._connection.interrupt()
        self._thread.join(ANSWER_S)
        self._connection.close()

    def wait(self) -> None:
        """Return when the connection has ended, from either side."""
        self._lost.wait()

    def serve(self, path: str, interface: Interface) -> None:
        """Answer calls to an object from now on."""
        self._served.setdefault(path, []).append(interface)

    def hear(self, interface: str, member: str, heard: Callable[[Body], None]) -> None:
        """Call `heard` with the body of each such signal."""
        self._heard.append((interface, member, heard))
        rule = MatchRule(type="signal", interface=interface, member=member)
        self.call(_BUS, "AddMatch", "s", rule.serialise())

    def take_name(self, name: str) -> None:
        """Be known by a further name."""
        self.call(_BUS, "RequestName", "su", name, 4)  # 4: not queued for it

    def has_owner(self, name: str) -> bool:
        """Say whether somebody is known by this name."""
        return bool(self.call(_BUS, "NameHasOwner", "s", name)[0])

    def value(self, whose: Whom, name: str) -> object:
        """Return the value of somebody's property."""
        asked = Whom(whose.object_path, whose.bus_name, _PROPERTIES)
        (variant,) = self.call(asked, "Get", "ss", whose.interface, name)
        return variant[1]

    def call(self, whom: Whom, member: str, signature: str = "", *body: object) -> Body:
        """Call a method and return the body of its answer (BusError)."""
        message = new_method_call(whom, member, signature or None, body)
        serial = next(self._connection.outgoing_serial)
        answer: Future[Message] = Future()
        self._awaited[serial] = answer
        try:
            self._connection.send(message, serial=serial)
            reply = answer.result(ANSWER_S)
        except (OSError, TimeoutError) as error:
            raise BusError(f"D-Bus does not answer {member}", cause=repr(error)) from error
        finally:
            del self._awaited[serial]
        if reply.header.message_type is MessageType.error:
            raise BusError(f"D-Bus refused {member}", cause=str(DBusErrorResponse(reply)))
        return tuple(reply.body)

    def send(self, whom: Whom, member: str, signature: str = "", *body: object) -> None:
        """Call a method and await no answer: also for the reading thread."""
        message = new_method_call(whom, member, signature or None, body)
        message.header.flags |= MessageFlag.no_reply_expected
        self._send(message)

    def emit(self, path: str, interface: str, member: str, signature: str = "", *body: object) -> None:
        """Send a signal; if the bus is gone, nobody is there to miss it."""
        self._send(new_signal(Whom(path, interface=interface), member, signature or None, body))

    def _send(self, message: Message) -> None:
        try:
            self._connection.send(message)
        except OSError as error:
            log.debug("D-Bus is gone: %s", error)

    def _read(self) -> None:
        try:
            while True:
                self._take(self._connection.receive())
        except ReceiveStopped:
            pass
        except (OSError, EOFError) as error:
            log.info("the session's D-Bus has ended: %s", error)
        finally:
            self._lost.set()

    def _take(self, message: Message) -> None:
        kind, fields = message.header.message_type, message.header.fields
        if kind is MessageType.method_call:
            self._send(self._answer(message))
        elif kind is MessageType.signal:
            said = fields.get(HeaderFields.interface), fields.get(HeaderFields.member)
            for interface, member, heard in self._heard:
                if said == (interface, member):
                    heard(message.body)
        else:
            awaited = self._awaited.get(fields.get(HeaderFields.reply_serial, -1))
            if awaited is not None:
                awaited.set_result(message)

    def _answer(self, call: Message) -> Message:
        fields = call.header.fields
        path, name, member = (
            fields.get(field, "") for field in (HeaderFields.path, HeaderFields.interface, HeaderFields.member)
        )
        interfaces = self._served.get(path, [])
        methods = {_PROPERTIES: _property_methods, _INTROSPECTABLE: _description, _PEER: _peer_methods}
        known = methods[name](interfaces) if name in methods else _named(interfaces, name).methods
        method = known.get(member)
        if method is None:
            return new_error(call, _UNKNOWN, "s", (f"there is no {name}.{member} at {path}",))
        try:
            return new_method_return(call, "".join(method.gives) or None, method.answer(*call.body))
        except (KeyError, TypeError, ValueError) as error:
            return new_error(call, _INVALID, "s", (f"{member}: {error!r}",))


def _connected() -> DBusConnection:
    try:
        return open_dbus_connection(_address())
    except (KeyError, OSError, RuntimeError, ValueError) as error:
        raise BusError("there is no session D-Bus here", cause=repr(error)) from error


def _address() -> str:
    """Return the bus's address: where no variable says it, it is where systemd puts it."""
    usual = Path(os.environ.get("XDG_RUNTIME_DIR", "/nowhere"), "bus")
    if "DBUS_SESSION_BUS_ADDRESS" not in os.environ and usual.exists():
        return f"unix:path={usual}"
    return "SESSION"


def _named(interfaces: list[Interface], name: str) -> Interface:
    """Return the interface of a name; a caller may leave the name away, where there is only one."""
    for interface in interfaces:
        if name in {interface.name, ""}:
            return interface
    return Interface(name, {}, dict)


def _property_methods(interfaces: list[Interface]) -> Mapping[str, Method]:
    def of(name: str) -> Mapping[str, Variant]:
        return _named(interfaces, name).properties()

    return {
        "Get": Method(("s", "s"), ("v",), lambda interface, name: (of(interface)[name],)),
        "GetAll": Method(("s",), ("a{sv}",), lambda interface: (dict(of(interface)),)),
    }


def _peer_methods(_: list[Interface]) -> Mapping[str, Method]:
    return {"Ping": Method((), (), lambda: ())}


def _description(interfaces: list[Interface]) -> Mapping[str, Method]:
    """Return what is told of an object to those that ask what it can."""
    told = "".join(map(_described, interfaces))
    return {"Introspect": Method((), ("s",), lambda: (f"<node>{told}</node>",))}


def _described(interface: Interface) -> str:
    methods = (
        f"<method name={quoteattr(name)}>{_arguments('in', method.takes)}{_arguments('out', method.gives)}</method>"
        for name, method in interface.methods.items()
    )
    properties = (
        f'<property name={quoteattr(name)} type={quoteattr(kind)} access="read"/>'
        for name, (kind, _) in interface.properties().items()
    )
    return f"<interface name={quoteattr(interface.name)}>{''.join((*methods, *properties))}</interface>"


def _arguments(direction: str, kinds: tuple[str, ...]) -> str:
    return "".join(f"<arg type={quoteattr(kind)} direction={quoteattr(direction)}/>" for kind in kinds)
