from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import PIL
import pytest

from imagemill.core.errors import StartError
from imagemill.imaging import engine


def _install(folder: Path, name: str, version: str) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_this_environment_is_not_mixed() -> None:
    engine.check()


def test_both_distributions_are_refused_with_a_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "pillow" if engine.name() == "pillow-simd" else "pillow-simd"
    _install(tmp_path, other, "13.0.0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(StartError, match=r"PIL is mixed: pillow-simd \S+ and pillow \S+ are both installed.*Cure: "):
        engine.check()


def test_a_folder_overwritten_by_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, engine.name(), "9.9")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(StartError, match=r"9\.9 is installed, but PIL says it is " + PIL.__version__):
        engine.check()


def test_a_pil_of_nobody_is_refused_unless_frozen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(StartError, match="belongs to no installed package"):
        engine.check()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    engine.check()


def test_no_pil_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(StartError, match="PIL cannot be imported"):
        engine.check()


def test_description() -> None:
    described = engine.describe()
    assert described["engine"] == engine.name()
    assert described["version"] == PIL.__version__
    assert {"jpeg", "png", "webp", "tiff", "colour profiles"} <= described.keys()


def test_checking_loads_no_codec() -> None:
    script = "import sys; from imagemill.imaging import engine; engine.check(); print('PIL._imaging' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_describing_which_every_child_does_loads_no_metadata_of_packages() -> None:
    script = (
        "import sys; before = set(sys.modules); from imagemill.imaging import engine; engine.describe();"
        " print('importlib.metadata' in set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
