"""A machine that is full, shared or set otherwise: a sentence, then the same tables.

What needs a file system of its own runs in a mount namespace, which needs no root.
"""

import shutil
import subprocess
import sys

import pytest
from disturbed_shop import PROJECT, differing, open_shop, opened

NAMESPACE = ["unshare", "--map-root-user", "--mount"]


def _can(*command):
    program = shutil.which(command[0])
    if program is None:
        return False
    tried = subprocess.run(command, capture_output=True, check=False)
    return tried.returncode == 0


needs_namespace = pytest.mark.skipif(
    not _can(*NAMESPACE, "sh", "-c", "mount -t tmpfs tmpfs /mnt"),
    reason="this system lets nobody mount a file system of their own (unshare)",
)


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    """A shop with new lines, and the same after an undisturbed build."""
    folder = tmp_path_factory.mktemp("disturbed")
    shop = open_shop(folder / "first")
    code, said = shop.run("load")
    assert code == 0, said
    after = shop.copy_to(folder / "after")
    code, said = after.run("build")
    assert code == 0, said
    return shop, after


def _in_sentences(said):
    """Ask that what went wrong is said without a traceback."""
    assert "Traceback" not in said, said
    assert said.strip()
    return said


def _equals(shop, expected):
    assert differing(shop.tables(), expected.tables()) == []


@needs_namespace
@pytest.mark.parametrize("room", [0, 1, 4, 16, 40])
def test_a_full_disk_is_told_and_harms_nothing(shops, tmp_path, room, record_property):
    """Build on a disk with so many megabytes left, then with room."""
    shop, expected = shops
    disk = tmp_path / "disk"
    disk.mkdir()
    used = sum(p.stat().st_size for p in shop.folder.rglob("*") if p.is_file())
    size = used // 1_000_000 + 3 + room
    places = disk, shop.folder, tmp_path
    script = tmp_path / "script.py"
    script.write_text(
        "import shutil, subprocess, sys\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(PROJECT / 'tests/kills')!r})\n"
        "from disturbed_shop import Shop\n"
        f"disk, given, out = map(Path, {list(map(str, places))})\n"
        f"mount = ['mount', '-t', 'tmpfs', '-o', 'size={size}m', 'tmpfs', str(disk)]\n"
        "subprocess.run(mount, check=True)\n"
        "shop = Shop(given).copy_to(disk / 'shop')\n"
        "before = shop.published.read_bytes()\n"
        "code, said = shop.run('build')\n"
        "(out / 'said').write_text(said)\n"
        "(out / 'code').write_text(str(code))\n"
        "(out / 'kept').write_text(str(shop.published.read_bytes() == before))\n"
        "mount[4] = 'remount,size=2g'\n"
        "subprocess.run(mount, check=True)\n"
        "code, said = shop.run('build')\n"
        "(out / 'again').write_text(f'{code} {said}')\n"
        "shop.copy_to(out / 'shop')\n"
    )
    ran = subprocess.run(
        [*NAMESPACE, sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said = _in_sentences((tmp_path / "said").read_text())
    code = int((tmp_path / "code").read_text())
    if code:
        assert "No space left" in said or "could not" in said.lower(), said
        assert (tmp_path / "kept").read_text() == "True"
        record_property("disks full", 1)
    assert (tmp_path / "again").read_text().startswith("0 ")
    _equals(type(shop)(tmp_path / "shop"), expected)


@needs_namespace
@pytest.mark.parametrize("name", ["warehouse", "logs", "target"])
def test_a_folder_that_may_not_be_written_to_is_told(shops, tmp_path, name):
    shop, expected = shops
    shop = shop.copy_to(tmp_path / "shop")
    folder = shop.folder / name
    read_only = (
        f"mount --bind '{folder}' '{folder}' && "
        f"mount -o remount,ro,bind '{folder}' && exec \"$@\""
    )
    before = [*NAMESPACE, "sh", "-c", read_only, "sh"]
    code, said = shop.run("build", before=before)
    assert code == 2
    _in_sentences(said)
    assert f"{folder}" in said.replace("\n", "")
    assert "Read-only file system" in said or "may not be written to" in said
    code, said = shop.run("build")
    assert code == 0, said
    _equals(shop, expected)


@pytest.mark.parametrize("limit", ["20MB", "60MB", "200MB"])
def test_little_memory_is_enough_or_told(shops, tmp_path, limit):
    shop, expected = shops
    shop = shop.copy_to(tmp_path / "shop")
    published = shop.published.read_bytes()
    code, said = shop.run("build", DUCKDB_MEMORY_LIMIT=limit)
    if code:
        assert "Out of Memory" in _in_sentences(said)
        assert shop.published.read_bytes() == published
        code, said = shop.run("build")
    assert code == 0, said
    _equals(shop, expected)


def test_of_two_builds_at_once_one_ends_with_a_sentence(shops, tmp_path):
    shop, expected = shops
    shop = shop.copy_to(tmp_path / "shop")
    both = [shop.start("build"), shop.start("build")]
    said = [process.communicate()[0] for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes == [0, 3], said
    assert "is in use by another process" in _in_sentences("".join(said))
    _equals(shop, expected)


def test_a_reader_of_the_warehouse_is_named_and_one_of_the_copy_harms_nothing(
    shops, tmp_path
):
    shop, expected = shops
    shop = shop.copy_to(tmp_path / "shop")
    query = "select count(*) from marts.dim_customers"
    with opened(shop.warehouse):
        code, said = shop.run("build")
        assert code == 3
        assert "is in use by another process" in _in_sentences(said)
    with opened(shop.published) as reader:
        was = reader.execute(query).fetchall()
        code, said = shop.run("build")
        assert code == 0, said
        assert reader.execute(query).fetchall() == was
    _equals(shop, expected)


@pytest.mark.parametrize(
    "settings",
    [
        {"TZ": "Pacific/Kiritimati"},
        {"TZ": "America/St_Johns", "PYTHONHASHSEED": "1"},
        {"LC_ALL": "C", "LANG": "C", "PYTHONHASHSEED": "2"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONHASHSEED": "4294967295"},
        {"PYTHONOPTIMIZE": "1", "OMP_NUM_THREADS": "1"},
    ],
    ids=lambda settings: " ".join(f"{k}={v}" for k, v in settings.items()),
)
def test_settings_of_the_machine_change_nothing(shops, tmp_path, settings):
    shop, expected = shops
    shop = shop.copy_to(tmp_path / "shop")
    code, said = shop.run("build", **settings)
    assert code == 0, said
    _equals(shop, expected)


needs_faketime = pytest.mark.skipif(
    not _can("faketime", "now", "true"), reason="there is no faketime"
)


@needs_faketime
def test_a_clock_that_is_ahead_changes_nothing(shops, tmp_path):
    shop, expected = shops
    shop = shop.copy_to(tmp_path / "shop")
    code, said = shop.run("build", before=["faketime", "2038-01-19 03:14:06"])
    assert code == 0, said
    _equals(shop, expected)


@needs_faketime
def test_a_clock_that_is_behind_finds_lines_of_the_future(shops, tmp_path):
    shop, expected = shops
    shop = shop.copy_to(tmp_path / "shop")
    published = shop.published.read_bytes()
    code, said = shop.run("build", before=["faketime", "1999-12-31 23:59:58"])
    assert code == 1
    assert "assert_no_line_is_of_the_future" in _in_sentences(said)
    assert shop.published.read_bytes() == published
    code, said = shop.run("build")
    assert code == 0, said
    _equals(shop, expected)
