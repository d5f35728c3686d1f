"""Palettes: none is seen, none is larger than plain pixels, and what is asked for exactly stays exact."""

from __future__ import annotations

import threading
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from imagemill.imaging import engine, palette
from tests.imaging.pictures import apart, compressed, noise, opened, photo, quarters, written
from tests.imaging.viewer import differ, seen
from tests.places import SHARED, needs_shared

SHOP: Final = sorted((SHARED / "corpus" / "shop" / "images").rglob("*.jpg"))[::90] if SHARED.is_dir() else []
needs_module = pytest.mark.skipif(not palette.IS_BUILT, reason="the native module is not built")


def drawing() -> Image.Image:
    """Flat shapes with soft edges and a shadow on nothing: thousands of colours, few that matter."""
    large = Image.new("RGBA", (1200, 900))
    draw = ImageDraw.Draw(large)
    for number, colour in enumerate(("#d03040", "#30a060", "#3050c0", "#e0c030")):
        draw.ellipse((80 + 230 * number, 120 + 90 * number, 480 + 230 * number, 500 + 90 * number), fill=colour)
    shadow = Image.new("RGBA", large.size, "#101040")
    shadow.putalpha(large.getchannel("A").filter(ImageFilter.GaussianBlur(40)).point(lambda value: value // 2))
    return Image.alpha_composite(shadow, large).resize((400, 300), Image.Resampling.LANCZOS)


def gradient() -> Image.Image:
    slope = Image.linear_gradient("L").resize((300, 256), Image.Resampling.BICUBIC)
    return Image.composite(Image.new("RGB", slope.size, "#ff7800"), Image.new("RGB", slope.size, "#fa145a"), slope)


@needs_module
def test_a_drawing_with_soft_edges_gets_a_palette() -> None:
    source = written(drawing(), "png")
    made = compressed(source).data
    assert opened(made).mode == "P"
    assert len(made) < 0.7 * len(source)
    mean, most = differ(seen(made), seen(source))
    assert mean < 1
    assert most <= 3


@needs_module
@needs_shared
@pytest.mark.parametrize("file", SHOP, ids=lambda file: str(file.stem))
@pytest.mark.parametrize("is_cut_out", [False, True])
def test_a_shops_picture_looks_the_same(file: Image.Image, is_cut_out: bool) -> None:
    image = Image.open(file).convert("RGB")  # type: ignore[arg-type]
    image.thumbnail((500, 500))
    if is_cut_out:
        shape = image.convert("L").point(lambda value: 255 if value < 245 else 0)
        image.putalpha(shape.filter(ImageFilter.GaussianBlur(1.5)))
    source = written(image, "png")
    made = compressed(source, format="png").data
    mean, most = differ(seen(made), seen(source))
    assert mean < 1.6
    assert most <= 2
    assert len(made) < (0.8 if opened(made).mode == "P" else 1) * len(source)


@pytest.mark.parametrize("image", [photo(300, 300), noise(60, 60), gradient()], ids=["smooth", "noise", "gradient"])
def test_what_would_show_bands_or_grain_or_grow_stays_as_it_is(image: Image.Image) -> None:
    source = written(image, "png")
    made = compressed(source, format="png").data
    assert len(made) <= len(source)
    assert apart(opened(made), image) <= 0.6


@pytest.mark.parametrize("image", [drawing(), drawing().convert("LA"), quarters()], ids=["drawing", "grey", "flat"])
def test_high_quality_is_exact(image: Image.Image) -> None:
    made = compressed(written(image, "png"), quality=95, format="png").data
    assert differ(seen(made), image.convert("RGBA")) == (0, 0)


@needs_module
def test_few_colours_with_alpha_get_a_palette_even_where_it_must_be_exact() -> None:
    image = drawing().resize((12, 10))
    image = image.resize((240, 200), Image.Resampling.NEAREST)
    made = opened(compressed(written(image, "png"), quality=100).data)
    assert made.mode == "P"
    assert differ(made.convert("RGBA"), image) == (0, 0)


@pytest.mark.parametrize("quality", [50, 100])
def test_nothing_lies_behind_what_is_clear(quality: int) -> None:
    image = photo(90, 80)
    image.putalpha(Image.linear_gradient("L").resize(image.size).point(lambda value: max(0, value - 100)))
    made = opened(compressed(written(image, "png"), quality=quality).data).convert("RGBA")
    assert made.crop((0, 0, 90, 25)).getcolors() == [(90 * 25, (0, 0, 0, 0))]


@needs_module
def test_large_areas_keep_their_colours_exactly() -> None:
    """Sums of millions of equal pixels must not drift: these were white, and shown as 3 of 255 too bright."""
    image = Image.new("RGBA", (2600, 2600), (254, 253, 251, 255))
    image.paste((200, 10, 10, 255), (10, 10, 60, 60))
    assert palette.invisible(image, is_exact=True) is not None


@needs_module
def test_a_background_keeps_its_colour_exactly() -> None:
    """On a page of the same white the least difference would show as a frame."""
    image = Image.new("RGB", (300, 300), "white")
    image.paste(noise(100, 100).filter(ImageFilter.GaussianBlur(2)), (100, 100))
    few = palette.nearest(image)
    assert few.convert("RGB").crop((0, 0, 300, 80)).getcolors() == [(300 * 80, (255, 255, 255))]


def test_few_greys_take_few_bits() -> None:
    steps = Image.linear_gradient("L").point(lambda value: value // 20 * 20)
    made = compressed(written(steps, "png")).data
    assert made[24] == 4  # the header's bits a sample
    assert apart(opened(made).convert("L"), steps) == 0


@needs_module
@given(st.integers(1, 40), st.integers(1, 40), st.randoms(use_true_random=False), st.sampled_from([1, 15, 85]))
@settings(max_examples=60)
def test_any_pixels_get_colours_that_exist(width: int, height: int, random: object, step: int) -> None:
    pixels = bytes(value // step * step for value in random.randbytes(width * height * 4))  # type: ignore[attr-defined]
    few = palette.nearest(Image.frombytes("RGBA", (width, height), pixels))
    colours = len(few.getpalette() or ()) // 3
    assert max(few.tobytes()) < colours <= 256
    assert len(few.info.get("transparency", b"")) <= colours


@needs_module
def test_the_module_refuses_what_does_not_fit_and_is_the_same_in_every_thread() -> None:
    from imagemill.imaging import _palette

    for pixels, width, height in ((b"", 0, 0), (bytes(16), 3, 1), (bytes(15), 2, 2), (bytes(16), -2, -2)):
        with pytest.raises(ValueError, match="width times height"):
            _palette.palettised(pixels, width, height)
    data, made = noise(200, 200).convert("RGBA").tobytes(), []
    threads = [
        threading.Thread(target=lambda: made.append(_palette.palettised(data, 200, 200)), daemon=True) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 4
    assert len(set(made)) == 1


def test_without_the_module_a_palette_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(palette, "IS_BUILT", False)
    assert "absent" in engine.describe()["palettes"]
    for image in (quarters(), drawing(), photo(200, 200)):
        made = compressed(written(image, "png"), format="png").data
        assert apart(opened(made), image) == 0
    assert opened(compressed(written(quarters(), "png")).data).mode == "P"
    assert opened(compressed(written(photo(400, 400).quantize(64), "png"), max_width=200).data).mode == "P"
    assert opened(compressed(written(drawing().quantize(64), "png"), max_width=200).data).mode == "RGBA"
