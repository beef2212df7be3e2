"""Whom the history names, by what the kernel knows and what somebody says."""

import os
import pwd
import socket

import pytest

from ifood_actors.cli.work import caller

USER = pwd.getpwuid(os.getuid()).pw_name
HOST = socket.gethostname()
NOBODY = pwd.getpwnam("nobody")
NO_LOGIN = "4294967295"


@pytest.fixture
def called(monkeypatch, tmp_path):
    """Name who acts, for what the kernel gives as the login, and for SUDO_USER."""

    def called(login, said=None, *, host=HOST):
        monkeypatch.setattr(caller, "_LOGIN", tmp_path / "loginuid")
        monkeypatch.setattr(socket, "gethostname", lambda: host)
        monkeypatch.delenv("SUDO_USER", raising=False)
        if login is not None:
            (tmp_path / "loginuid").write_text(login)
        if said is not None:
            monkeypatch.setenv("SUDO_USER", said)
        return caller.operator()

    return called


def test_whom_the_kernel_saw_log_in_is_named_whatever_anybody_says(called):
    login = str(NOBODY.pw_uid)

    assert called(login) == f"cli nobody@{HOST}"
    assert called(login, "maria") == f"cli nobody@{HOST}"
    assert called("4000000000", "maria") == f"cli 4000000000@{HOST}"


@pytest.mark.parametrize("login", [NO_LOGIN, None, ""])
def test_without_a_login_a_name_is_a_claim_with_the_user_of_the_process_beside_it(called, login):
    assert called(login, "maria") == f"cli maria@{HOST} as {USER}"
    assert called(login, "maria@root as x") == f"cli maria@root?as?x@{HOST} as {USER}"


def test_without_either_it_is_the_user_of_the_process(called):
    assert (
        called(NO_LOGIN) == called(NO_LOGIN, "") == called(NO_LOGIN, USER) == f"cli {USER}@{HOST}"
    )


@pytest.mark.parametrize("odd", ["\n", "\x1b[31m", "\u202e", "\udcff", " ", "\u2028", "'", ";"])
def test_nothing_that_ends_a_line_or_acts_on_a_terminal_is_in_a_name(called, odd):
    named = called(NO_LOGIN, f"maria{odd}", host=f"host{odd}")

    assert named.isprintable()
    assert odd.strip() == "" or odd not in named
    assert named.startswith("cli maria?")


def test_a_name_of_a_domain_stays_and_a_long_one_is_cut(called):
    assert called(NO_LOGIN, "CORP\\maria.silva") == f"cli CORP\\maria.silva@{HOST} as {USER}"
    assert called(NO_LOGIN, "m" * 5000) == f"cli {'m' * 64}@{HOST} as {USER}"
