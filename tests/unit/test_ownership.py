"""Files and folders that another user of the machine has planted, or may write."""

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from ifood_actors import ownership
from ifood_actors.config import Settings, loading
from ifood_actors.config.loading import SECRETS, read_client_secret, variable
from ifood_actors.errors import IfoodActorsError, UsageError
from ifood_actors.exports.files import whole_file
from ifood_actors.ownership import opened
from ifood_actors.scheduler import heartbeat
from ifood_actors.worker import exposition

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can plant for another user")
STRANGER = pwd.getpwnam("nobody").pw_uid
Plant = Callable[[Path], object]


def of_a_stranger(path: Path) -> None:
    os.chown(path, STRANGER, -1)


def for_a_group(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o020)


def for_everybody(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o002)


def a_strangers_link_to_ours(path: Path) -> None:
    path.rename(path.with_name("ours"))
    path.symlink_to("ours")
    os.chown(path, STRANGER, -1, follow_symlinks=False)


def our_link_to_a_strangers(path: Path) -> None:
    a_strangers_link_to_ours(path)
    os.chown(path.with_name("ours"), STRANGER, -1)
    os.chown(path, os.geteuid(), -1, follow_symlinks=False)


def a_strangers_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)
    os.chown(path, STRANGER, -1)


PLANTED = [
    pytest.param(of_a_stranger, "not yours", marks=needs_root),
    pytest.param(a_strangers_link_to_ours, "not yours", marks=needs_root),
    pytest.param(our_link_to_a_strangers, "not yours", marks=needs_root),
    (for_a_group, "other users may write"),
    (for_everybody, "other users may write"),
]
NO_FILE = pytest.param(a_strangers_pipe, "not yours", marks=needs_root)


@pytest.mark.parametrize(("plant", "why"), [*PLANTED, NO_FILE])
def test_a_dot_env_that_another_could_have_written_is_refused(tmp_path, plant, why):
    path = tmp_path / ".env"
    path.write_text("IFOOD_API_ALLOW_HOST=evil.example\n")
    path.chmod(0o600)
    assert loading.load({}, path).api_allow_host == "evil.example"

    plant(path)

    with pytest.raises(UsageError, match=f"^settings: .*{why}") as refused:
        loading.load({}, path)
    assert str(path) in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("name", [name for name in SECRETS if name != "client_secret"])
@pytest.mark.parametrize(("plant", "why"), [*PLANTED, NO_FILE])
def test_a_file_of_a_secret_that_another_could_have_written_is_refused(tmp_path, name, plant, why):
    path = tmp_path / "secret"
    path.write_text("hunter2\n")
    path.chmod(0o600)
    plant(path)
    named = f"{variable(name)}_FILE"

    with pytest.raises(UsageError, match=f"{named}: .*{why}") as refused:
        loading.load({named: str(path)}, None)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(("plant", "why"), [*PLANTED, NO_FILE])
def test_a_client_secret_that_another_could_have_written_is_refused(tmp_path, plant, why):
    path = tmp_path / "secret"
    path.write_text("hunter2\n")
    path.chmod(0o600)
    plant(path)

    with pytest.raises(UsageError, match=f"--client-secret-file: .*{why}"):
        read_client_secret(path)


def test_our_own_file_is_read_by_whatever_name(tmp_path):
    (tmp_path / "secret").write_text("ours")
    (tmp_path / "link").symlink_to("secret")
    reading, writing = os.pipe()
    os.write(writing, b"piped")
    os.close(writing)

    said = []
    for path in (tmp_path / "secret", tmp_path / "link", Path(f"/dev/fd/{reading}"), os.devnull):
        with opened(Path(path), named="it") as file:
            said.append(file.read())

    os.close(reading)
    assert said == ["ours", "ours", "piped", ""]


def test_a_link_that_was_there_for_a_moment_is_noticed(tmp_path, monkeypatch):
    ours, other = tmp_path / "ours", tmp_path / "other"
    for path in (ours, other):
        path.write_text(path.name)
        path.chmod(0o600)
    # What the link led to, while it was there.
    monkeypatch.setattr(ownership, "_without_waiting", lambda _, flags: os.open(other, flags))

    with pytest.raises(UsageError, match="not yours"), opened(ours, named="it"):
        pass


def counting(folder: Path) -> Settings:
    return Settings.model_validate({"metrics_port": 9464, "metrics_dir": str(folder)})


@pytest.mark.parametrize(("plant", "why"), PLANTED)
def test_a_folder_of_counts_in_which_another_may_write_is_refused(tmp_path, plant, why):
    folder = tmp_path / "counts"
    exposition.start_afresh(counting(folder))
    kept = folder / "counter_1.db"
    kept.touch()

    plant(folder)

    with pytest.raises(UsageError, match=f"IFOOD_METRICS_DIR: .*{why}"):
        exposition.start_afresh(counting(folder))
    assert (folder / "counter_1.db").exists()


def test_everybodys_folder_is_none_of_counts(tmp_path):
    tmp_path.chmod(0o1777)

    with pytest.raises(UsageError, match="IFOOD_METRICS_DIR: other users may write"):
        exposition.start_afresh(counting(tmp_path))


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe"])
def test_the_heartbeat_touches_nothing_that_was_planted(tmp_path, kind):
    victim, heart = tmp_path / "victim", tmp_path / "heartbeat"
    if kind == "link":
        victim.touch()
        os.utime(victim, (1, 1))
    if kind == "pipe":
        os.mkfifo(heart)
    else:
        heart.symlink_to(victim)

    with pytest.raises(IfoodActorsError, match="IFOOD_HEARTBEAT_FILE"):
        heartbeat.touch(heart)

    assert not victim.exists() or victim.stat().st_mtime == 1


def test_the_heartbeat_is_our_own_file(tmp_path):
    heartbeat.touch(tmp_path / "heartbeat")
    os.utime(tmp_path / "heartbeat", (1, 1))

    heartbeat.touch(tmp_path / "heartbeat")

    assert (tmp_path / "heartbeat").stat().st_mtime > 1
    assert (tmp_path / "heartbeat").stat().st_mode & 0o777 == 0o600


def test_an_export_replaces_a_planted_link_and_follows_none(tmp_path):
    victim, wanted = tmp_path / "victim", tmp_path / "march.csv"
    victim.write_text("kept")
    wanted.symlink_to(victim)

    with whole_file(wanted) as out:
        [unfinished] = tmp_path.glob(".march.csv.*")
        assert unfinished.stat().st_mode & 0o777 == 0o600
        out.write(b"rows")

    assert victim.read_text() == "kept"
    assert not wanted.is_symlink()
    assert (wanted.read_bytes(), wanted.stat().st_mode & 0o777) == (b"rows", 0o600)


def test_no_two_exports_have_the_same_unfinished_name(tmp_path):
    names = set()
    for _ in range(3):
        with whole_file(tmp_path / "march.csv"):
            names |= {path.name for path in tmp_path.glob(".march.csv.*.part")}

    assert len(names) == 3
