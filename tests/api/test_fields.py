import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.api.fields import ALIASES, FIELDS, submission
from imagemill.core.errors import RequestError
from imagemill.core.job import Submission
from imagemill.core.recipe import Recipe, Thumbnail
from imagemill.settings import ImageSettings, Settings


def test_no_field_gives_the_defaults_of_the_settings() -> None:
    settings = Settings(image=ImageSettings(quality=70, format="webp", accept_truncated=True))
    assert submission(settings, []).recipe == Recipe(quality=70, format="webp", accept_truncated=True)


PAIRS = [
    ("quality", "35"),
    ("format", "keep"),
    ("max_width", "800"),
    ("max_height", "600"),
    ("thumbnails", "100x100, 50x60:contain"),
    ("metadata", "copyright"),
    ("background", "#a0B0c0"),
    ("progressive", "yes"),
    ("accept_truncated", "true"),
    ("on_failure", "empty"),
    ("errors_column", "on"),
    ("keep_original", "1"),
    ("callback_url", "https://shop.example/done"),
    ("callback_secret", "whsec_abc"),
    ("priority", "-10"),
    ("name", "Spring, Übersicht"),
    ("expires_in_s", "3600"),
    ("image_column", "Bild"),
]


def test_every_field_becomes_its_value() -> None:
    assert {name for name, _ in PAIRS} == set(FIELDS)
    assert submission(Settings(), PAIRS) == Submission(
        recipe=Recipe(
            quality=35,
            format="keep",
            max_width=800,
            max_height=600,
            thumbnails=(Thumbnail(100, 100), Thumbnail(50, 60, "contain")),
            metadata="copyright",
            background="#a0B0c0",
            progressive="yes",
            accept_truncated=True,
        ),
        on_failure="empty",
        errors_column=True,
        keep_original=True,
        callback_url="https://shop.example/done",
        callback_secret="whsec_abc",
        priority=-10,
        name="Spring, Übersicht",
        expires_in_s=3600,
        image_column="Bild",
    )


def test_every_field_of_a_submission_can_be_given() -> None:
    struct_fields = (set(Submission.__struct_fields__) - {"recipe", "profile"}) | set(Recipe.__struct_fields__)
    assert set(FIELDS) == struct_fields


@pytest.mark.parametrize("alias", ["webhook", "webhook_url", "webhookUrl", "callbackUrl"])
def test_callback_aliases(alias: str) -> None:
    assert submission(Settings(), [(alias, "http://a.example/")]).callback_url == "http://a.example/"
    assert alias in ALIASES


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("YES", True), ("1", True), ("no", False), ("Off", False), ("0", False)]
)
def test_booleans(text: str, value: bool) -> None:
    assert submission(Settings(), [("errors_column", text)]).errors_column is value


def test_thumbnails_may_be_repeated_and_are_listed_once() -> None:
    pairs = [("thumbnails", "10x10,20x20"), ("thumbnails", "10x10:cover")]
    assert submission(Settings(), pairs).recipe.thumbnails == (Thumbnail(10, 10), Thumbnail(20, 20))


def test_an_empty_field_counts_as_absent() -> None:
    assert submission(Settings(), [("quality", " "), ("max_width", ""), ("callback_url", "")]) == Submission()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quality", "0"),
        ("quality", "101"),
        ("quality", "50.5"),
        ("quality", "fifty"),
        ("format", "avif"),
        ("max_width", "0"),
        ("max_height", "99999"),
        ("thumbnails", "100"),
        ("thumbnails", "0x5"),
        ("thumbnails", ",".join(f"{n}x{n}" for n in range(1, 18))),
        ("background", "white"),
        ("errors_column", "perhaps"),
        ("priority", "11"),
        ("name", "a\nb"),
        ("name", "x" * 201),
        ("expires_in_s", "0"),
        ("keep_original", "perhaps"),
        ("callback_url", "http://a.example/" + "x" * 2048),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    with pytest.raises(RequestError) as caught:
        submission(Settings(), [(name, value)])
    assert [field for field, _ in caught.value.errors] == [name]
    assert caught.value.errors[0][1].startswith("Must be ")


def test_all_faults_are_told_at_once() -> None:
    pairs = [
        ("quallity", "50"),
        ("quality", "x"),
        ("priority", "99"),
        ("webhook", "http://a/"),
        ("callback_url", "http://b/"),
    ]
    with pytest.raises(RequestError) as caught:
        submission(Settings(), pairs, [("file", "No sheet was sent.")])
    assert [field for field, _ in caught.value.errors] == ["file", "quallity", "callback_url", "quality", "priority"]


def test_a_secret_is_never_repeated() -> None:
    with pytest.raises(RequestError) as caught:
        submission(Settings(), [("callback_secret", "hush" * 200)])
    assert "hush" not in str(caught.value.errors)


@given(st.lists(st.tuples(st.sampled_from([*FIELDS, "other"]), st.text(max_size=20))))
def test_any_text_is_accepted_or_named(pairs: list[tuple[str, str]]) -> None:
    try:
        found = [submission(Settings(), pairs).name]
    except RequestError as error:
        found = [name for name, _ in error.errors]
    assert found
