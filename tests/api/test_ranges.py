import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.api.ranges import UnsatisfiableRangeError, byte_range, is_unchanged


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=2-5", range(2, 6)),
        ("bytes=2-", range(2, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=-99", range(10)),
        ("bytes=5-99", range(5, 10)),
        ("Bytes = 1-2", range(1, 3)),
        ("bytes=4-5, 7-8", range(4, 6)),
        ("bytes=50-60,7-8", range(7, 9)),
    ],
)
def test_the_first_satisfiable_range_is_taken(header: str, expected: range) -> None:
    assert byte_range(header, 10) == expected


@pytest.mark.parametrize(
    "header", ["", "bytes", "bytes=", "bytes=-", "bytes=5-2", "lines=1-2", "bytes=a-b", "bytes=0-1,x", "bytes=٣-٤"]
)
def test_what_is_no_range_is_ignored(header: str) -> None:
    assert byte_range(header, 10) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0", "bytes=10-11,12-13"])
def test_a_range_outside_is_refused(header: str) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        byte_range(header, 10)


@given(st.text(), st.integers(0, 100))
def test_no_text_leads_outside_the_file(text: str, size: int) -> None:
    try:
        span = byte_range(f"bytes={text}", size)
    except UnsatisfiableRangeError:
        return
    assert span is None or (0 <= span.start < span.stop <= size)


@pytest.mark.parametrize("header", ['"abc"', 'W/"abc"', '"x", "abc"', "*", '"x",W/"abc" '])
def test_a_matching_tag_means_unchanged(header: str) -> None:
    assert is_unchanged(header, '"abc"')


@pytest.mark.parametrize("header", ["", "abc", '"ABC"', '"abcd"', '"x", "y"'])
def test_any_other_tag_does_not(header: str) -> None:
    assert not is_unchanged(header, '"abc"')
