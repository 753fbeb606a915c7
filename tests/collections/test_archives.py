"""Collections in zip and tar files: read where they are sound, refused as a whole where they are not."""

import io
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.collections.load import load_collection
from builders.errors import KitError
from tests.support.collection_folders import beir, ms_marco


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("QUERY_EXPANSION_KIT_CACHE", str(folder))
    return folder


def pack(folder: Path, path: Path, prefix: str = "") -> Path:
    files = {f"{prefix}{file.relative_to(folder)}": file for file in sorted(folder.rglob("*")) if file.is_file()}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, file in files.items():
                archive.write(file, name)
    else:
        with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
            for name, file in files.items():
                archive.add(file, name)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(KitError) as caught:
        load_collection(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["scifact.zip", "scifact.tar", "scifact.tar.gz", "scifact.tgz"])
@pytest.mark.parametrize("prefix", ["", "scifact/"])
def test_an_archive_reads_as_its_folder(tmp_path, name, prefix):
    folder = beir(tmp_path / "scifact")
    (folder / "loader.py").write_text("raise SystemExit('executed')")
    (folder / "weights.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    found = load_collection(str(pack(folder, tmp_path / name, prefix)))
    assert found.fingerprint == load_collection(str(folder)).fingerprint and found.name == "scifact"


def test_an_archive_is_unpacked_once_without_code(tmp_path, cache):
    folder = ms_marco(tmp_path / "msmarco")
    (folder / "loader.py").write_text("raise SystemExit('executed')")
    path = pack(folder, tmp_path / "msmarco.tar.gz")
    load_collection(str(path))
    (unpacked,) = (cache / "archives").iterdir()
    names = {file.name for file in unpacked.rglob("*")}
    assert "collection.tsv" in names and "loader.py" not in names
    before = unpacked.stat().st_mtime_ns, unpacked.stat().st_ino
    load_collection(str(path))
    assert (unpacked.stat().st_mtime_ns, unpacked.stat().st_ino) == before


HOSTILE = [
    "../evil.jsonl",
    "a/../../evil.jsonl",
    "/tmp/evil.jsonl",
    "..\\evil.jsonl",
    "C:\\evil.jsonl",
    "C:evil.jsonl",
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("form", ["zip", "tar"])
def test_members_cannot_leave_their_folder(tmp_path, cache, name, form):
    path = pack(beir(tmp_path / "one"), tmp_path / f"one.{form}")
    if form == "zip":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, "{}")
    else:
        with tarfile.open(path, "a") as archive:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    assert f"member {name!r} would be written outside of its folder" in refusal(path)
    assert not list(tmp_path.parent.rglob("evil.jsonl")) and not Path("/tmp/evil.jsonl").exists()
    assert not list((cache / "archives").iterdir())


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "device", "zip symlink"])
def test_links_and_devices_are_refused(tmp_path, cache, kind):
    folder = beir(tmp_path / "one")
    path = pack(folder, tmp_path / ("one.zip" if kind.startswith("zip") else "one.tar"))
    if kind.startswith("zip"):
        link = zipfile.ZipInfo("queries.tsv")
        link.external_attr = 0o120777 << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(link, "/etc/passwd")
    else:
        link = tarfile.TarInfo("queries.tsv")
        link.type = {"symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE, "device": tarfile.CHRTYPE}[kind]
        link.linkname = "/etc/passwd"
        with tarfile.open(path, "a") as archive:
            archive.addfile(link)
    assert "member 'queries.tsv' is a link or a device" in refusal(path)
    assert not list((cache / "archives").iterdir())


def test_metadata_in_an_archive_cannot_name_files_outside(tmp_path):
    folder = ms_marco(tmp_path / "one")
    (tmp_path / "secret.tsv").write_text("p0\tsecret\n")
    for corpus in (str(tmp_path / "secret.tsv"), "../../../../../../../../../../etc/passwd"):
        (folder / "collection.yaml").write_text(f"corpus: {corpus}\n")
        assert "lies outside of the archive" in refusal(pack(folder, tmp_path / "one.zip"))


@pytest.mark.parametrize("name", ["one.zip", "one.tar", "one.tar.gz"])
@pytest.mark.parametrize("kept", [0.0, 0.6])
def test_archives_that_were_cut_off(tmp_path, cache, name, kept):
    path = pack(beir(tmp_path / "one"), tmp_path / name)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)] if kept else b"<html>not found</html>" * 100)
    line = refusal(path)
    assert str(path) in line and "cut off, damaged or encrypted" in line
    assert not list((cache / "archives").iterdir())


def test_an_archive_of_other_things_and_one_that_is_too_large(tmp_path, monkeypatch):
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("setup.py", "")
    assert "no data files in it" in refusal(path)
    whole = pack(beir(tmp_path / "one"), tmp_path / "one.zip")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    assert "its files take 0 MiB, and 0 are free" in refusal(whole)
