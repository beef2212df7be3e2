"""When the counts of dead worker processes are kept, and when they are dropped."""

import fcntl

import pytest

from ifood_actors.config import Settings, loading
from ifood_actors.errors import UsageError
from ifood_actors.worker import exposition


@pytest.fixture
def folder(tmp_path):
    for pid in range(1, 4):
        (tmp_path / f"histogram_{pid}.db").touch()
    return tmp_path


def settings(folder, **changes):
    return Settings.model_validate({"metrics_port": 9464, "metrics_dir": str(folder), **changes})


def counts(folder):
    return len(list(folder.glob("*.db")))


def test_a_new_start_drops_the_counts_of_the_dead(folder):
    exposition.start_afresh(settings(folder))

    assert counts(folder) == 0


def test_counts_to_which_others_add_are_left_alone(folder):
    with (folder / "counting.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        exposition.start_afresh(settings(folder))

    assert counts(folder) == 3


@pytest.mark.parametrize(("most", "left"), [(3, 3), (2, 0)])
def test_too_many_are_dropped_all_at_once(folder, monkeypatch, most, left):
    told: list[str] = []
    monkeypatch.setattr(exposition, "MOST_FILES", most)
    monkeypatch.setattr(loading, "count_together", told.append)

    exposition.join(settings(folder))

    assert counts(folder) == left
    assert told == [str(folder)]


def test_without_a_port_nothing_is_made(tmp_path):
    folder = tmp_path / "none"

    exposition.start_afresh(settings(folder, metrics_port=None))
    exposition.join(settings(folder, metrics_port=None))

    assert not folder.exists()


def test_a_folder_that_cannot_be_made_is_wrong_usage(folder):
    with pytest.raises(UsageError, match="IFOOD_METRICS_DIR: cannot write to"):
        exposition.join(settings(folder / "histogram_1.db" / "counts"))
