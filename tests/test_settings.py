"""The four layers of settings, what each refuses and what it says then, and the two listings."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from imagemill.core.errors import SettingError
from imagemill.settings import FetchSettings, Loaded, Settings, as_toml, describe, load
from imagemill.settings.catalogue import catalogue
from imagemill.settings.loading import is_loopback, masked_url


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give platformdirs a home of its own: no test reads this machine's settings."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def from_toml(folder: Path, text: str) -> Loaded:
    path = folder / "some.toml"
    path.write_text(text, encoding="utf-8")
    return load({}, {}, path)


def value_of(settings: Settings, name: str) -> object:
    value: object = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def test_without_anything_said_all_are_defaults(home: Path) -> None:
    loaded = load({}, {}, None)
    assert loaded.settings == msgspec.structs.replace(Settings(), data_dir=str(home / ".local/share/imagemill"))
    assert set(loaded.origins.values()) == {"default"}


def test_a_later_layer_wins_and_is_named_as_the_origin(home: Path) -> None:
    path = home / "some.toml"
    path.write_text("port = 1\nworkers = 1\nthreads = 1\n[fetch]\nretries = 1\n")
    loaded = load({"port": 3, "host": None}, {"IMAGEMILL_PORT": "2", "IMAGEMILL_WORKERS": "2"}, path)
    assert (loaded.settings.port, loaded.settings.workers, loaded.settings.threads) == (3, 2, 1)
    assert loaded.settings.fetch == FetchSettings(retries=1)
    origins = [loaded.origins[name] for name in ("port", "workers", "fetch.retries", "host")]
    assert origins == ["--port", "IMAGEMILL_WORKERS", str(path), "default"]


def test_the_file_in_the_config_folder_is_found_by_itself(home: Path) -> None:
    path = home / ".config/imagemill/imagemill.toml"
    path.parent.mkdir(parents=True)
    path.write_text("port = 1\n")
    assert load({}, {}, None).origins["port"] == str(path)


def test_the_environment_can_name_the_file_and_a_flag_can_name_another(home: Path) -> None:
    (home / "one.toml").write_text("port = 1\n")
    (home / "two.toml").write_bytes("\ufeffport = 2\n".encode())
    environ = {"IMAGEMILL_CONFIG": "~/one.toml"}
    assert load({}, environ, None).settings.port == 1
    assert load({}, environ, Path("two.toml")).settings.port == 2
    assert load({}, {"IMAGEMILL_CONFIG": ""}, None).settings.port == 8750


@pytest.mark.parametrize(
    ("name", "word", "value"),
    [
        ("port", " 0 ", 0),
        ("host", "0.0.0.0", "0.0.0.0"),
        ("public_url", "https://pictures.example/base", "https://pictures.example/base"),
        ("public_url", "", None),
        ("allowed_hosts", "", ()),
        ("allowed_hosts", " a.example , b.example,", ("a.example", "b.example")),
        ("log_level", "debug", "debug"),
        ("fetch.allow", "127.0.0.0/8,fe80::/10,origin.example", ("127.0.0.0/8", "fe80::/10", "origin.example")),
        ("fetch.allow_lan", "Yes", True),
        ("fetch.allow_lan", "off", False),
        ("fetch.per_host_rate", "2", 2.0),
        ("fetch.read_timeout_s", "0.5", 0.5),
        ("fetch.proxy", "http://user:pass@proxy.example:3128", "http://user:pass@proxy.example:3128"),
        ("image.formats", "png", ("png",)),
        ("callback.url", "http://10.0.0.1:9/hook?key=1", "http://10.0.0.1:9/hook?key=1"),
        ("callback.secret", "null", "null"),
        ("sheet.required", "serial,product,input", ("serial", "product", "input")),
        ("storage.url", "file:///pictures", "file:///pictures"),
        ("compat.profiles", "bip,thumbnails", ("bip", "thumbnails")),
        ("compat.profiles", "", ()),
        ("compat.callback_get", "true", True),
        ("storage.url", "s3://my.bucket", "s3://my.bucket"),
        (
            "database.url",
            "postgres://mill:secret@db.example:5432/mill?sslmode=require",
            "postgres://mill:secret@db.example:5432/mill?sslmode=require",
        ),
        ("storage.url", "s3://bucket/shop/pictures-1", "s3://bucket/shop/pictures-1"),
    ],
)
def test_a_word_of_the_environment_is_read_by_the_settings_type(name: str, word: str, value: object) -> None:
    variable = "IMAGEMILL_" + name.upper().replace(".", "_")
    loaded = load({}, {variable: word}, None)
    assert value_of(loaded.settings, name) == value
    assert loaded.origins[name] == variable


@pytest.mark.parametrize(
    ("name", "word", "accepts"),
    [
        ("port", "http", "a whole number from 0 to 65535"),
        ("port", "65536", "a whole number from 0 to 65535"),
        ("port", "", "a whole number from 0 to 65535"),
        ("host", "", "text that is not empty"),
        ("auth", "off", "one of none, token"),
        ("public_url", "pictures.example", "an address http://… or https://…, or nothing"),
        ("public_url", "https://pictures.example/?a=1", "an address http://… or https://…, or nothing"),
        ("fetch.allow", "http://origin.example", "a list of: a host name, an address or a network like 10.1.0.0/16"),
        ("fetch.allow", "127.0.0.0/33", "a list of: a host name, an address or a network like 10.1.0.0/16"),
        ("fetch.allow_lan", "perhaps", "true or false"),
        ("fetch.per_host_rate", "nan", "a number from 0"),
        ("fetch.connect_timeout_s", "0", "a number above 0, at most 600"),
        ("image.formats", "svg", "a list of: jpeg, png, webp, gif, bmp, tiff"),
        ("image.formats", "", "a list of: jpeg, png, webp, gif, bmp, tiff"),
        ("sheet.unique", "colour", "a list of: serial, product, input"),
        ("storage.url", "s3://Bucket", "file:///folder or s3://bucket/prefix, or nothing"),
        ("storage.url", "s3://bucket/../secret", "file:///folder or s3://bucket/prefix, or nothing"),
        ("storage.url", "s3://bucket//pictures", "file:///folder or s3://bucket/prefix, or nothing"),
        ("storage.url", "https://bucket.example", "file:///folder or s3://bucket/prefix, or nothing"),
        ("database.url", "mysql://db.example/mill", "postgresql://user:password@host/name, or nothing"),
        ("database.url", "postgresql://db.example", "postgresql://user:password@host/name, or nothing"),
        ("queue.url", "amqp://queue.example", "redis://:password@host:6379/0, or nothing"),
        ("storage.endpoint", "minio:9000", "an address http://… or https://…, or nothing"),
        ("storage.region", "eu central", "letters, digits, -"),
        ("storage.publish", "private", "one of presigned, proxy, public"),
        ("storage.presign_s", "604801", "a whole number from 60 to 604800"),
        ("storage.timeout_s", "0", "a number above 0, at most 600"),
        ("compat.profiles", "bip,soap", "a list of: bip, csv-api, thumbnails, image-api"),
    ],
)
def test_a_bad_value_is_told_with_setting_origin_and_what_is_accepted(name: str, word: str, accepts: str) -> None:
    variable = "IMAGEMILL_" + name.upper().replace(".", "_")
    with pytest.raises(SettingError) as caught:
        load({}, {variable: word}, None)
    assert caught.value.detail.startswith(f"setting {name}: ")
    assert f"(from {variable})" in caught.value.detail
    assert caught.value.detail.endswith(f"it takes {accepts}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("port = '1'", None),
        ("port = true", "setting port: True (from"),
        ("port = 1.5", "setting port: 1.5 (from"),
        ("fetch.allow_lan = 1", "setting fetch.allow_lan: 1 (from"),
        ("fetch.allow = 5", "setting fetch.allow: 5 (from"),
        ("fetch.per_host_rate = inf", None),
        ("[port]\nnumber = 1", "setting port: {'number': 1} (from"),
        ("fetch = 3", "is a section: write [fetch]"),
        ("prot = 1", "did you mean port?"),
        ("[fetch]\nretrys = 1", "did you mean fetch.retries?"),
        ("[zzz]\nx = 1", "zzz in"),
        ("port = ", "is not TOML in UTF-8"),
        ("data_dir = '~nobody-of-this-name/x'", "write the whole path"),
    ],
)
def test_the_file_is_checked_too(home: Path, text: str, told: str | None) -> None:
    if told is None:
        assert from_toml(home, text).origins
        return
    with pytest.raises(SettingError) as caught:
        from_toml(home, text)
    assert told in caught.value.detail
    assert "some.toml" in caught.value.detail


def test_a_bad_value_is_an_error_even_where_a_later_layer_covers_it() -> None:
    with pytest.raises(SettingError, match="IMAGEMILL_PORT"):
        load({"port": 1}, {"IMAGEMILL_PORT": "x"}, None)


def test_a_file_that_was_named_must_exist_and_be_readable(home: Path) -> None:
    with pytest.raises(SettingError, match="does not exist"):
        load({}, {}, home / "none.toml")
    with pytest.raises(SettingError, match="does not exist"):
        load({}, {"IMAGEMILL_CONFIG": "none.toml"}, None)
    with pytest.raises(SettingError, match="cannot be read"):
        load({}, {}, home)
    (home / "latin.toml").write_bytes(b"host = '\xe9'")
    with pytest.raises(SettingError, match="UTF-8"):
        load({}, {}, home / "latin.toml")


def test_unknown_names_of_the_environment_are_errors_and_reserved_ones_are_not() -> None:
    with pytest.raises(
        SettingError, match=r"IMAGEMILL_FETCH_ALOW in the environment.*did you mean IMAGEMILL_FETCH_ALLOW"
    ):
        load({}, {"IMAGEMILL_FETCH_ALOW": "x"}, None)
    loaded = load({}, {"IMAGEMILL_DEBUG": "1", "HOME": "/", "imagemill_port": "7"}, None)
    assert set(loaded.origins.values()) == {"default"}


def test_an_unknown_flag_is_our_own_mistake_and_is_told() -> None:
    with pytest.raises(SettingError, match="the flags"):
        load({"colour": 1}, {}, None)


def test_a_secret_is_not_repeated_in_an_error(home: Path) -> None:
    with pytest.raises(SettingError) as caught:
        from_toml(home, "[callback]\nsecret = 123456")
    assert "123456" not in caught.value.detail
    with pytest.raises(SettingError) as caught:
        load({}, {"IMAGEMILL_FETCH_PROXY": "socks://user:hunter2@proxy.example"}, None)
    assert "hunter2" not in caught.value.detail


def test_folders_are_made_absolute_and_the_tilde_is_home(home: Path) -> None:
    assert load({"data_dir": "~/x/../mill"}, {}, None).settings.data_dir == str(home / "mill")
    assert load({"data_dir": "mill"}, {}, None).settings.data_dir == str(home / "mill")
    assert load({"data_dir": ""}, {}, None).settings.data_dir == str(home / ".local/share/imagemill")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_no_tokens_is_allowed_on_loopback(host: str) -> None:
    assert is_loopback(host)
    assert load({"auth": "none", "host": host}, {}, None).settings.auth == "none"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "imagemill.example", "localhost.example"])
def test_no_tokens_is_refused_elsewhere(host: str) -> None:
    with pytest.raises(SettingError, match=r"auth.*IMAGEMILL_AUTH.*host.*--host"):
        load({"host": host}, {"IMAGEMILL_AUTH": "none"}, None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"storage.region": "eu"}, r"storage\.region \(from --storage-region\) is only for S3: set storage\.url"),
        ({"storage.url": "file:///pictures", "storage.publish": "public"}, r"storage\.publish .* is only for S3"),
        (
            {"storage.url": "s3://shop", "storage.access_key": "a"},
            r"storage\.secret_key is missing: storage\.access_key",
        ),
        (
            {"storage.url": "s3://shop", "storage.secret_key": "a"},
            r"storage\.access_key is missing: storage\.secret_key",
        ),
        ({"storage.url": "s3://shop", "storage.public_url": "https://a.example"}, r"set storage\.publish to public"),
    ],
)
def test_settings_of_s3_go_together(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        load(given, {}, None)


def test_every_setting_has_help_and_says_what_it_accepts() -> None:
    rows = describe(load({}, {}, None))
    assert [row.name for row in rows] == list(catalogue())
    assert [row.name for row in rows if not row.help or not row.accepts] == []
    assert len({row.environment for row in rows}) == len(rows)


def test_every_setting_of_the_contract_is_there() -> None:
    named = """host port public_url data_dir auth allowed_hosts workers max_upload_bytes max_rows max_urls_per_cell
        fetch.allow fetch.allow_lan fetch.per_host fetch.per_host_rate fetch.connect_timeout_s fetch.read_timeout_s
        fetch.total_timeout_s fetch.max_bytes fetch.retries fetch.user_agent fetch.proxy image.quality image.format
        image.max_pixels image.timeout_s image.memory_mb image.formats callback.url callback.secret callback.allow
        callback.allow_lan storage.url storage.endpoint storage.region storage.access_key storage.secret_key
        retention_days disk_reserve_mb log_level log_format"""
    assert set(named.split()) <= set(catalogue())


def test_secrets_are_masked_in_both_listings() -> None:
    environ = {"IMAGEMILL_CALLBACK_SECRET": "hunter2", "IMAGEMILL_FETCH_PROXY": "http://user:hunter2@proxy.example:1"}
    environ["IMAGEMILL_CALLBACK_URL"] = "https://hooks.example/end?key=hunter2"
    key = {"IMAGEMILL_STORAGE_ACCESS_KEY": "shop", "IMAGEMILL_STORAGE_SECRET_KEY": "hunter2"}
    loaded = load({"storage.url": "s3://bucket"}, environ | key, None)
    shown = {row.name: row.value for row in describe(loaded)}
    assert (shown["callback.secret"], shown["storage.secret_key"]) == ("***", "***")
    assert shown["callback.url"] == "https://hooks.example/end?***"
    assert shown["fetch.proxy"] == "http://user:***@proxy.example:1"
    assert "hunter2" not in str(describe(loaded)) + as_toml(loaded)
    server = load({"database.url": "postgresql://mill:hunter2@db.example/mill?password=hunter2"}, {}, None)
    assert "hunter2" not in str(describe(server))
    assert "# secret is set by IMAGEMILL_CALLBACK_SECRET" in as_toml(loaded)


def test_masking_leaves_addresses_without_a_password_alone() -> None:
    for text in ("http://a.example:80/b@c", "https://user@a.example", "user:pass", "what? it/is"):
        assert masked_url(text) == text


def test_the_written_file_is_read_again_as_the_same_settings(home: Path) -> None:
    first = load(
        {"port": 1, "data_dir": "/mill"},
        {"IMAGEMILL_FETCH_ALLOW": "a.example,10.0.0.0/8", "IMAGEMILL_FETCH_USER_AGENT": 'a "b" \\ ü\x7f\t',
         "IMAGEMILL_FETCH_PER_HOST_RATE": "0.5"},
        None,
    )  # fmt: skip
    again = from_toml(home, as_toml(first))
    assert again.settings == first.settings
    assert {name for name, origin in again.origins.items() if origin != "default"} == {
        "port", "data_dir", "fetch.allow", "fetch.user_agent", "fetch.per_host_rate",
    }  # fmt: skip


def test_a_file_without_its_secrets_is_read_again_all_the_same(home: Path) -> None:
    key = {"IMAGEMILL_STORAGE_ACCESS_KEY": "shop", "IMAGEMILL_STORAGE_SECRET_KEY": "hunter2"}
    first = load(
        {"storage.url": "s3://bucket/pictures", "fetch.per_host_rate": float("inf"), "data_dir": "/mill"},
        key | {"IMAGEMILL_CALLBACK_SECRET": "hunter2", "IMAGEMILL_FETCH_PROXY": "http://me:hunter2@proxy.example"},
        None,
    )
    written = as_toml(first)
    assert '\n# access_key = "shop"\n' in written
    again = from_toml(home, written).settings
    plain = msgspec.structs.replace(first.settings.storage, access_key=None, secret_key=None)
    assert again == msgspec.structs.replace(
        first.settings,
        storage=plain,
        callback=msgspec.structs.replace(first.settings.callback, secret=None),
        fetch=msgspec.structs.replace(first.settings.fetch, proxy=None),
    )


def test_every_line_of_the_written_file_can_be_put_in_force(home: Path) -> None:
    defaults = load({}, {}, None)
    lines = [line.removeprefix("# ") if " = " in line else line for line in as_toml(defaults).splitlines()]
    again = from_toml(home, "\n".join(lines))
    assert again.settings == defaults.settings
    assert "default" not in again.origins.values()
    sections = {"fetch", "image", "callback", "sheet", "storage", "database", "queue", "compat", "estimate", "draft"}
    assert set(tomllib.loads(as_toml(defaults))) == sections


def test_loading_settings_imports_nothing_heavy() -> None:
    code = "import sys, imagemill.settings; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert not {"click", "rich", "litestar", "httpx", "huey", "peewee", "PIL", "granian"} & set(done.stdout.split())


def handed_over(folder: Path, **files: bytes) -> dict[str, str]:
    """Lay out credentials as systemd does; `__` in a name stands for its dot."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def test_secrets_come_as_credentials_of_the_service(home: Path) -> None:
    environ = handed_over(
        home / "given", callback__secret=b"whsec_1\n", imagemill_storage__secret_key=b" kept \r\n", tls__key=b"\xff"
    )
    (home / "some.toml").write_text('[callback]\nsecret = "of the file"\n')
    environ |= {"IMAGEMILL_STORAGE_URL": "s3://bucket", "IMAGEMILL_STORAGE_ACCESS_KEY": "id"}
    loaded = load({}, environ, home / "some.toml")
    assert (loaded.settings.callback.secret, loaded.settings.storage.secret_key) == ("whsec_1", " kept ")
    assert loaded.origins["callback.secret"] == str(home / "given" / "callback.secret")
    assert load({}, environ | {"IMAGEMILL_CALLBACK_SECRET": "last"}, None).settings.callback.secret == "last"
    masked = {row.name: row.value for row in describe(loaded) if row.is_masked}
    assert masked == {"callback.secret": "***", "storage.secret_key": "***"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("callback__secrt", b"whsec_1", "did you mean callback.secret?"),
        ("callback__secret", b"\xffwhsec", "is not text in UTF-8"),
        ("callback__timeout_s", b"soon", "callback.timeout_s"),
    ],
)
def test_a_credential_that_is_wrong_is_named_and_not_shown(home: Path, name: str, content: bytes, words: str) -> None:
    with pytest.raises(SettingError) as refused:
        load({}, handed_over(home / "given", **{name: content}), None)
    assert words in refused.value.detail
    assert str(home / "given") in refused.value.detail
    assert "whsec" not in refused.value.detail


def test_a_credential_that_is_no_file_is_named(home: Path) -> None:
    environ = handed_over(home / "given")
    (home / "given" / "callback.secret").mkdir()
    with pytest.raises(SettingError, match="cannot be read"):
        load({}, environ, None)
