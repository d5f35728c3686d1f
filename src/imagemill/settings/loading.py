"""Reading the settings: defaults < imagemill.toml < credentials < environment < flags, each checked where it came from.

A bad value is an error even where a later layer would have covered it: the file is wrong either way.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import platformdirs

from imagemill.core.errors import SettingError
from imagemill.settings.catalogue import Entry, catalogue, sections
from imagemill.settings.sections import Settings, StorageSettings

PREFIX: Final = "IMAGEMILL_"
CONFIG_NAME: Final = "IMAGEMILL_CONFIG"
DEBUG_NAME: Final = "IMAGEMILL_DEBUG"
CREDENTIALS_NAME: Final = "CREDENTIALS_DIRECTORY"
RESERVED: Final = frozenset({CONFIG_NAME, DEBUG_NAME})
"""Names of the environment that begin like a setting's and are none."""

_APP: Final = "imagemill"
_BOOLEANS: Final = dict.fromkeys(("yes", "on", "true", "1"), True) | dict.fromkeys(("no", "off", "false", "0"), False)
_QUERY: Final = re.compile(r"((?:https?|postgres(?:ql)?|rediss?)://[^\s?#'\"]*)\?[^\s#'\"]+")
_USERINFO: Final = re.compile(r"(?<=//)([^/@\s:]*):[^/@\s]*(?=@)")


class Loaded(msgspec.Struct, frozen=True):
    """The settings in force, and per dotted name where each came from: `default`, a path, IMAGEMILL_… or --…."""

    settings: Settings
    origins: dict[str, str]


class _Given(msgspec.Struct, frozen=True):
    entry: Entry
    value: Any
    origin: str


def load(flags: Mapping[str, object], environ: Mapping[str, str], config: Path | None) -> Loaded:
    """Read all layers. `flags` are by dotted name, None for not given; SettingError names what is wrong and where."""
    values: dict[str, Any] = {name: entry.default for name, entry in catalogue().items()}
    origins = dict.fromkeys(values, "default")
    file, credentials = _from_file(*config_path(environ, config)), _from_credentials(environ)
    for layer in (file, credentials, _from_environment(environ), _from_flags(flags)):
        for given in layer:
            values[given.entry.name] = _converted(given)
            origins[given.entry.name] = given.origin
    values["data_dir"] = _folder(values["data_dir"] or default_data_dir(), origins["data_dir"])
    for name in ("tls_cert", "tls_key"):
        values[name] = values[name] and _folder(values[name], origins[name])
    settings = _assembled(values)
    _check_together(settings, origins)
    return Loaded(settings, origins)


def default_data_dir() -> str:
    """Return the folder of everything for the user who runs us."""
    return platformdirs.user_data_dir(_APP, appauthor=False)


def config_path(environ: Mapping[str, str], config: Path | None) -> tuple[Path, bool]:
    """Return the path of imagemill.toml, and whether somebody named it (then it must exist)."""
    if config is not None:
        return Path(_folder(str(config), "--config")), True
    if environ.get(CONFIG_NAME):
        return Path(_folder(environ[CONFIG_NAME], CONFIG_NAME)), True
    return Path(platformdirs.user_config_dir(_APP, appauthor=False), "imagemill.toml"), False


def masked_url(text: str) -> str:
    """Return the text with what is secret in an address hidden: its password, and its query, which may be a key."""
    return _QUERY.sub(r"\1?***", _USERINFO.sub(r"\1:***", text))


def _from_file(path: Path, is_named: bool) -> Iterator[_Given]:  # noqa: FBT001 - the pair of `config_path`
    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        if is_named:
            raise SettingError(
                f"{path} does not exist: name a file that does, or leave --config and {CONFIG_NAME} away"
            ) from None
        return
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # tomllib's TOMLDecodeError and UnicodeDecodeError both are one
        raise SettingError(f"{path} is not TOML in UTF-8: {error}") from error
    for name, value in _flat(content, str(path)):
        yield _Given(_known(name, str(path), catalogue()), value, str(path))


def _flat(content: Mapping[str, Any], origin: str) -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if key not in sections():
            yield key, value
        elif isinstance(value, dict):
            yield from ((f"{key}.{inner}", inner_value) for inner, inner_value in value.items())
        else:
            raise SettingError(f"{key} in {origin} is a section: write [{key}] and its settings below")


def _from_credentials(environ: Mapping[str, str]) -> Iterator[_Given]:
    """Read what systemd hands to a service in files (systemd.exec, "Credentials"), so that secrets need no setting.

    A file has a setting's dotted name, with `imagemill_` before it where systemd was given a whole folder of that name.
    Others may lie there too (a TLS key, say), but none that only looks like one.
    """
    folder = environ.get(CREDENTIALS_NAME)
    for path in sorted(Path(folder).iterdir()) if folder else ():
        name = path.name.removeprefix(f"{_APP}_")
        if name in catalogue() or name != path.name or name.partition(".")[0] in sections():
            yield _Given(_known(name, str(folder), catalogue()), _only_line(path), str(path))


def _only_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingError(f"{path} is not text in UTF-8") from error


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Given]:
    names = {entry.environment_name: entry for entry in catalogue().values()}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in RESERVED:
            yield _Given(_known(name, "the environment", names), environ[name], name)


def _from_flags(flags: Mapping[str, object]) -> Iterator[_Given]:
    for name, value in flags.items():
        if value is not None:
            entry = _known(name, "the flags", catalogue())
            yield _Given(entry, value, entry.flag)


def _known(name: str, origin: str, names: Mapping[str, Entry]) -> Entry:
    if name in names:
        return names[name]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise SettingError(f"{name} in {origin} is not a setting: {hint}`imagemill settings` lists them all")


def _converted(given: _Given) -> Any:  # noqa: ANN401 - the type is the setting's
    entry, value = given.entry, given.value
    if entry.is_optional and value == "":
        return None
    try:
        return _checked(entry, _word(entry, value) if isinstance(value, str) else value)
    except ValueError as error:  # msgspec.ValidationError is one
        shown = "its value" if entry.is_secret else masked_url(repr(value))
        raise SettingError(
            f"setting {entry.name}: {shown} (from {given.origin}) is not accepted; it takes {entry.accepts}"
        ) from error


def _word(entry: Entry, text: str) -> Any:  # noqa: ANN401
    """Read what is text where it came from: a list by its commas, a number or a truth by its spelling."""
    if entry.is_list:
        return [part for part in map(str.strip, text.split(",")) if part]
    if entry.is_text:
        return text
    return _BOOLEANS.get(text.strip().lower(), text.strip()) if isinstance(entry.default, bool) else text.strip()


def _checked(entry: Entry, value: Any) -> Any:  # noqa: ANN401
    lax = isinstance(value, str) and not entry.is_text
    result = msgspec.convert(value, entry.annotation, strict=not lax)
    if entry.name.endswith(".allow"):
        _check_networks(result)
    return result


def _check_networks(places: Iterable[str]) -> None:
    for place in places:
        if "/" in place:
            ipaddress.ip_network(place, strict=False)


def _folder(text: str, origin: str) -> str:
    path = os.path.expanduser(text)  # noqa: PTH111 - Path.expanduser raises RuntimeError where this leaves the ~
    if path.startswith("~"):
        raise SettingError(f"the folder {text} (from {origin}) has no home to stand for ~: write the whole path")
    return os.path.abspath(path)  # noqa: PTH100 - Path.absolute keeps `..`


def _assembled(values: Mapping[str, Any]) -> Settings:
    parts: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        if field.name not in sections():
            parts[field.name] = values[field.name]
            continue
        names = [inner.name for inner in msgspec.structs.fields(type(field.default))]
        parts[field.name] = type(field.default)(**{name: values[f"{field.name}.{name}"] for name in names})
    return Settings(**parts)


def _check_together(settings: Settings, origins: Mapping[str, str]) -> None:
    if settings.auth == "none" and not is_loopback(settings.host):
        raise SettingError(
            f"setting auth: 'none' (from {origins['auth']}) is only for a host that nobody else reaches, "
            f"and host is {settings.host!r} (from {origins['host']}); set auth to token, or host to 127.0.0.1"
        )
    if (settings.tls_cert is None) != (settings.tls_key is None):
        known, other = ("tls_cert", "tls_key") if settings.tls_cert else ("tls_key", "tls_cert")
        raise SettingError(f"setting {other} is missing: {known} (from {origins[known]}) is of no use without it")
    _check_storage(settings.storage, origins)


def _check_storage(section: StorageSettings, origins: Mapping[str, str]) -> None:
    plain = StorageSettings(url=section.url)
    for name in StorageSettings.__struct_fields__:
        if not section.is_s3 and getattr(section, name) != getattr(plain, name):
            origin = origins[f"storage.{name}"]
            raise SettingError(f"setting storage.{name} (from {origin}) is only for S3: set storage.url to s3://…")
    if (section.access_key is None) != (section.secret_key is None):
        known, other = ("access_key", "secret_key") if section.access_key else ("secret_key", "access_key")
        raise SettingError(
            f"setting storage.{other} is missing: storage.{known} (from {origins[f'storage.{known}']}) is half a key"
        )
    if section.public_url and section.publish != "public":
        raise SettingError(
            f"setting storage.public_url (from {origins['storage.public_url']}) is for public links: "
            "set storage.publish to public"
        )


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches what listens on `host`; other names than localhost may be anything."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
