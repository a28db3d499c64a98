"""Writing files: all or none, and never over somebody's work."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from data_platform.cli.files import refuse_existing, write_files
from data_platform.errors import EnvironmentProblem, UsageProblem


def test_all_is_checked_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    with pytest.raises(UsageProblem, match="1 file"):
        write_files({tmp_path / "a": "1", tmp_path / "b": "2"}, force=False)
    assert not (tmp_path / "a").exists()
    assert write_files({tmp_path / "a": "1", tmp_path / "b": "2"}, force=True) == (
        str(tmp_path / "a"),
        str(tmp_path / "b"),
    )
    assert (tmp_path / "b").read_text() == "2"


def test_modes_and_links_stay(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("1")
    (tmp_path / "real").chmod(0o751)
    (tmp_path / "link").symlink_to("real")
    write_files({tmp_path / "link": "2"}, force=True)
    assert (tmp_path / "link").is_symlink()
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o751
    assert (tmp_path / "real").read_text() == "2"


def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_files({tmp_path / "d" / "new": "é\r\n"}, force=False)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "d" / "new").stat().st_mode) == 0o640
    assert (tmp_path / "d" / "new").read_bytes() == "é\r\n".encode()
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["new"], "no temporary file is left"


def test_what_the_disk_refuses_is_an_environment_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentProblem):
        write_files({tmp_path / "file" / "below": "1"}, force=False)
    with pytest.raises(UsageProblem):
        write_files({tmp_path: "1"}, force=False)


def test_a_link_to_nowhere_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nothing")
    with pytest.raises(UsageProblem, match="link"):
        write_files({tmp_path / "link": "1"}, force=False)
    assert not (tmp_path / "nothing").exists()
    write_files({tmp_path / "link": "1"}, force=True)
    assert (tmp_path / "nothing").read_text() == "1"


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path, force: bool) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("fifo")
    for path in (tmp_path / "fifo", tmp_path / "directory", tmp_path / "link", Path("/dev/null")):
        with pytest.raises(UsageProblem, match="not a regular file"):
            write_files({tmp_path / "new": "1", path: "1"}, force=force)
        with pytest.raises(UsageProblem, match="not a regular file"):
            refuse_existing([str(path)], force)
    assert not (tmp_path / "new").exists()
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


def test_what_would_be_overwritten_is_refused_early(tmp_path: Path) -> None:
    there, new = str(tmp_path / "there"), str(tmp_path / "new")
    Path(there).write_text("mine")
    refuse_existing([None, new], force=False)
    refuse_existing([there, None, new], force=True)
    with pytest.raises(UsageProblem, match=r"1 file.*there"):
        refuse_existing([there, new], force=False)
    (tmp_path / "link").symlink_to("nothing")
    with pytest.raises(UsageProblem, match="link"):
        refuse_existing([str(tmp_path / "link")], force=False)
    assert Path(there).read_text() == "mine"


def test_one_file_for_two_results_is_refused(tmp_path: Path) -> None:
    for other in (tmp_path / "r", tmp_path / "d" / ".." / "r"):
        with pytest.raises(UsageProblem, match="same file"):
            refuse_existing([str(tmp_path / "r"), str(other)], force=True)
