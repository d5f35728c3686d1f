import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.api.form import MAX_FIELD_BYTES, UploadForm, clean_filename
from imagemill.core.errors import RequestError, TooLargeError

BOUNDARY = "b0undary"


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + value + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def read(body: bytes, size: int = 1 << 20, limit: int = 1000) -> tuple[UploadForm, bytes]:
    form = UploadForm(BOUNDARY, limit)
    sheet = b"".join(form.feed(body[start : start + size]) for start in range(0, len(body), size))
    form.close()
    return form, sheet


@given(st.integers(1, 50), st.binary(max_size=300))
def test_the_sheet_comes_through_whatever_the_chunks(size: int, data: bytes) -> None:
    form, sheet = read(part("quality", b"40") + part("file", data, "a.csv") + part("name", "Käse".encode()) + END, size)
    assert sheet == data
    assert form.fields == [("quality", "40"), ("name", "Käse")]
    assert (form.filename, form.errors) == ("a.csv", [])


@pytest.mark.parametrize("name", ["file", "csv", "csvFile", "csv_file", "sheet"])
def test_names_of_the_sheet(name: str) -> None:
    assert read(part(name, b"data", "a.csv") + END)[1] == b"data"


def test_a_sheet_without_a_filename_is_a_sheet() -> None:
    form, sheet = read(part("file", b"data") + END)
    assert (form.filename, sheet) == ("", b"data")


def test_no_sheet_is_told() -> None:
    assert [field for field, _ in read(part("quality", b"40") + END)[0].errors] == ["file"]


def test_another_file_is_told_and_thrown_away() -> None:
    form, sheet = read(part("logo", b"\x89PNG" * 100, "logo.png") + part("file", b"data", "a.csv") + END)
    assert sheet == b"data"
    assert [field for field, _ in form.errors] == ["logo"]
    assert form.fields == []


def test_two_sheets_are_refused() -> None:
    with pytest.raises(RequestError, match="one sheet"):
        read(part("file", b"a", "a.csv") + part("csv", b"b", "b.csv") + END)


def test_the_limit_holds_while_it_streams() -> None:
    form = UploadForm(BOUNDARY, 10)
    with pytest.raises(TooLargeError):
        form.feed(part("file", b"x" * 11, "a.csv"))


def test_a_long_field_is_told_and_not_kept() -> None:
    form, _ = read(part("name", b"x" * (MAX_FIELD_BYTES + 1)) + part("file", b"d", "a.csv") + END)
    assert [field for field, _ in form.errors] == ["name"]


def test_a_field_that_is_not_text_is_told() -> None:
    assert read(part("name", b"\xff") + part("file", b"d", "a.csv") + END)[0].errors == [("name", "Is not UTF-8 text.")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing of the kind",
        part("file", b"cut off", "a.csv"),
        b"".join(part(f"f{n}", b"") for n in range(100)) + END,
        f"--{BOUNDARY}\r\nX: {'y' * 10000}\r\n\r\n".encode() + END,
        f"--{BOUNDARY}\r\nContent-Disposition: attachment\r\n\r\nx\r\n".encode() + END,
    ],
)
def test_a_broken_body_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        read(body)


def test_a_bad_boundary_is_refused() -> None:
    with pytest.raises(RequestError):
        UploadForm("a\nb", 10)


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\shop\\list.csv", "list.csv"),
        ("a\x00b\r\n.csv", "ab.csv"),
        ("x" * 500, "x" * 200),
        ("Käse & Ω.csv", "Käse & Ω.csv"),
    ],
)
def test_filenames_are_for_showing(given_name: str, shown: str) -> None:
    assert clean_filename(given_name) == shown
