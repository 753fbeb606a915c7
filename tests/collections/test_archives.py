"""Collections in zip and tar files: read where they are sound, refused as a whole where they are not."""

import gzip
import io
import random
import shutil
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.collections.files.archive import unpack
from builders.collections.load import load_collection
from builders.errors import KitError
from tests.support.collection_folders import beir, jsonl, ms_marco
from tests.support.commands import command, command_here, refused


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
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    for name in ("one.zip", "one.tar.gz"):
        whole = pack(beir(tmp_path / "one"), tmp_path / name)
        assert "its files take 0 MiB or more, too many for the 0 that are free" in refusal(whole)


# ------------------------------------------------------------------------------------------------ made to do harm

MIB = 2**20


def add(path: Path, name: str, data: bytes = b"{}", **more: int) -> None:
    """One more member; `more` are attributes of its tar header."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "a") as archive, archive.open(name, "w", force_zip64=True) as file:
            file.write(data)
        return
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    with tarfile.open(path, "a") as archive:
        archive.addfile(info, io.BytesIO(data))


def graded(path: Path) -> str:
    """The line with which a command refuses a collection."""
    return refused(command_here("-m", "builders", "grade", "--collection", path, "--split", "all"))


def bomb(path: Path, size: int) -> Path:
    """Zeros, packed as small as they can be: a zip or tar file with one member, or a folder with one file."""
    if path.suffix == ".zip":
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open("corpus.jsonl", "w", force_zip64=True) as file,
        ):
            for _ in range(size // MIB):
                file.write(bytes(MIB))
        return path
    # Files of gzip, one behind the other, are one.
    mib = gzip.compress(bytes(MIB))
    if path.suffix == ".gz":
        info = tarfile.TarInfo("corpus.jsonl")
        info.size = size
        path.write_bytes(gzip.compress(info.tobuf()) + mib * (size // MIB) + gzip.compress(bytes(1024)))
        return path
    beir(path)
    (path / "corpus.jsonl").unlink()
    text = gzip.compress((b" " * 1023 + b"\n") * 1024) if path.suffix == ".lines" else mib
    (path / "corpus.jsonl.gz").write_bytes(text * (size // MIB))
    return path


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.tar.gz", "bomb.lines", "bomb.zeros"])
def test_what_was_packed_to_fill_disk_and_memory_is_refused(tmp_path, cache, name):
    line = graded(bomb(tmp_path / name, 80 * MIB))
    assert "unpack to more than 100 times as many" in line and "do not trust it" in line
    assert not [file for file in cache.rglob("*") if file.is_file()]


def test_zstandard_too(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    folder = beir(tmp_path / "one")
    (folder / "corpus.jsonl").unlink()
    packed = pyarrow.compress(bytes(80 * MIB), codec="zstd", asbytes=True)
    (folder / "corpus.jsonl.zst").write_bytes(packed)
    assert "unpack to more than 100 times as many" in refusal(folder)


MEASURED = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, *sys.argv[1:]], stderr=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
sys.exit(done.returncode)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bomb.zip", "bomb.tar.gz", "bomb.lines", "bomb.zeros"])
def test_three_gigabytes_of_three_megabytes_take_no_memory(tmp_path, cache, name):
    path, little = bomb(tmp_path / name, 3200 * MIB), tmp_path / "missing"
    took = []
    for collection in (little, path):
        grade = ("-m", "builders", "grade", "--collection", collection, "--split", "all")
        done = command("-c", MEASURED, *grade)
        refused(done)
        took.append(int(done.stdout))
    assert took[1] - took[0] < 400, took
    assert sum(file.stat().st_size for file in cache.rglob("*")) < MIB


@pytest.mark.parametrize("name", ["large.zip", "large.tar", "large.tar.gz"])
def test_a_large_archive_is_unpacked_without_much_memory(tmp_path, name):
    """Of more than what is never looked at, packed as text is."""
    folder = beir(tmp_path / "large")
    noise = random.Random(0)
    with (folder / "corpus.jsonl").open("a") as file:
        for number in range(2900):
            text = noise.randbytes(500).hex() + " beans" * 4000
            file.write(jsonl([{"_id": f"n{number}", "title": "", "text": text}]))
    path = pack(folder, tmp_path / name)
    shutil.rmtree(folder)
    tracemalloc.start()
    unpacked = unpack(path)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (unpacked / "corpus.jsonl").stat().st_size > 65 * MIB and taken < 8 * MIB


LONG = "n" * 300


@pytest.mark.parametrize("form", ["zip", "tar"])
@pytest.mark.parametrize("name", [f"{LONG}.jsonl", f"{LONG}/x.jsonl", "ü" * 130 + ".jsonl", "x/" * 3000 + "x.jsonl"])
def test_names_that_no_disk_takes(tmp_path, cache, form, name):
    path = pack(beir(tmp_path / "one"), tmp_path / f"one.{form}")
    add(path, name)
    line = graded(path)
    assert "has a name that is too long for a disk" in line and len(line) < 400
    assert not list((cache / "archives").iterdir())


@pytest.mark.parametrize("form", ["zip", "tar"])
@pytest.mark.parametrize("name", ["corpus.jsonl", "./corpus.jsonl", "corpus.jsonl/x.jsonl", "qrels//test.tsv"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_stand_there_twice(tmp_path, cache, form, name):
    path = pack(beir(tmp_path / "one"), tmp_path / f"one.{form}")
    add(path, name)
    assert f"member {name!r} stands there twice" in graded(path)
    assert not list((cache / "archives").iterdir())


def test_encrypted_zip_files(tmp_path, cache):
    path = pack(beir(tmp_path / "one"), tmp_path / "one.zip")
    data = bytearray(path.read_bytes())
    # The first bit of the flags, in the file's directory.
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "is encrypted; unpack it yourself" in graded(path)
    assert not list((cache / "archives").iterdir())


@pytest.mark.parametrize("kind", ["fifo", "zip device", "zip fifo", "sparse"])
def test_other_things_than_files(tmp_path, cache, kind):
    path = pack(beir(tmp_path / "one"), tmp_path / ("one.zip" if kind.startswith("zip") else "one.tar"))
    if path.suffix == ".zip":
        info = zipfile.ZipInfo("queries.tsv")
        info.external_attr = {"zip device": 0o020666, "zip fifo": 0o010666}[kind] << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(info, "")
    elif kind == "fifo":
        add(path, "queries.tsv", b"", type=tarfile.FIFOTYPE)
    else:  # A terabyte of nothing.
        add(path, "queries.tsv", b"", pax_headers={"GNU.sparse.map": "0,0", "GNU.sparse.size": str(10**12)})
        with tarfile.open(path) as archive:
            assert archive.getmembers()[-1].issparse()
    assert "member 'queries.tsv' is a link or a device" in graded(path)
    assert not list((cache / "archives").iterdir())


def test_headers_that_would_fill_memory(tmp_path, cache):
    """A long name's header, 3 GB of it; and sizes below nothing, which lead back."""
    path = tmp_path / "one.tar.gz"
    for kind, size in ((tarfile.GNUTYPE_LONGNAME, 3 << 30), (tarfile.XHDTYPE, 3 << 30), (tarfile.REGTYPE, -512)):
        info = tarfile.TarInfo("queries.tsv")
        info.type, info.size = kind, size
        path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))
        tracemalloc.start()
        assert "cut off, damaged or encrypted" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
        tracemalloc.stop()
        assert not list((cache / "archives").iterdir())


def test_zip_files_that_lie_about_sizes(tmp_path, cache):
    """Its directory says less than there is: no more is written than it says."""
    path = bomb(tmp_path / "one.zip", 80 * MIB)
    path.write_bytes(path.read_bytes().replace((80 * MIB).to_bytes(4, "little"), (MIB).to_bytes(4, "little")))
    assert "cut off, damaged or encrypted" in graded(path)
    assert not list((cache / "archives").iterdir())


def test_damage_in_the_middle_and_many_members(tmp_path, cache, monkeypatch):
    path = pack(beir(tmp_path / "one"), tmp_path / "one.tar")
    with tarfile.open(path) as archive:
        second = archive.getmembers()[1].offset
    data = bytearray(path.read_bytes())
    data[second : second + 512] = b"x" * 512
    path.write_bytes(data)
    assert "no end mark" in refusal(path)
    monkeypatch.setattr("builders.collections.files.archive._MEMBERS", 3)
    for name in ("two.zip", "two.tar.gz"):
        assert "more than 3 members" in refusal(pack(beir(tmp_path / "two"), tmp_path / name))
    assert not list((cache / "archives").iterdir())
