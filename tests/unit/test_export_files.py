"""An export's file: what others of the machine can see of it."""

import os
import stat

import pytest

from ifood_actors.errors import UsageError
from ifood_actors.exports import whole_file


@pytest.fixture
def everybodys(tmp_path):
    """Give a folder such as /tmp, and let every new file be readable by all."""
    tmp_path.chmod(0o1777)
    former = os.umask(0)
    yield tmp_path
    os.umask(former)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_only_its_owner_may_read_an_export_before_and_after_it_is_whole(everybodys):
    path = everybodys / "march.csv"

    with whole_file(path) as out:
        [unfinished] = everybodys.iterdir()
        meanwhile = mode(unfinished)
        out.write(b"id;value\n")

    assert (meanwhile, mode(path)) == (0o600, 0o600)
    assert path.read_bytes() == b"id;value\n"


def test_a_former_file_that_all_could_read_is_replaced_by_one_that_they_cannot(everybodys):
    path = everybodys / "march.csv"
    path.touch(mode=0o666)

    with whole_file(path):
        pass

    assert mode(path) == 0o600


def test_the_name_of_an_unfinished_export_cannot_be_foreseen(everybodys):
    seen = set()
    for _ in range(3):
        with whole_file(everybodys / "march.csv"):
            seen |= {path.name for path in everybodys.iterdir() if path.suffix == ".part"}

    assert len(seen) == 3


def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path):
    with (
        pytest.raises(UsageError, match=r"^cannot write .+/none/march.csv: No such file"),
        whole_file(tmp_path / "none/march.csv"),
    ):
        pass
