"""`ifood-actors simulator` and its switches; it needs no service."""

import json
import signal
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from support.program import Program
from support.servers import make_certificates

from ifood_simulator.merchants import merchant_id


@pytest.fixture
def command(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_the_switches_reach_the_simulated_world(command):
    merchant = merchant_id(7, 0)
    switches = (
        "--port 0 --accounts 4 --seed 7 --today 2026-09-22 --distributed 2 --rough"
        " --limit financial=180 --limit oauth=none --retry-after seconds --latency 0.01"
        " --token-life 6h --refresh-life 7d --spread 10m --revoked 0.1"
        f" --quirk status,status=503,merchant={merchant},times=2 --quirk slow,resource=sales"
    )
    process = command.piped("simulator", *switches.split())
    try:
        assert process.stdout
        assert process.stderr
        url = process.stdout.readline().strip()
        hints = "".join(process.stderr.readline() for _ in range(6))
        state = fetch(f"{url}/_simulator/state")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=35)
    finally:
        process.kill()

    assert process.returncode == 0
    assert (state["seed"], state["merchants"], state["today"]) == (7, 4, "2026-09-22")
    assert state["limits"] == {"financial": 180, "merchant": 1000, "oauth": None}
    assert [app["kind"] for app in state["apps"]] == ["distributed"]
    assert [(fault["quirk"], fault["merchant"], fault["times"]) for fault in state["quirks"]] == [
        ("status", merchant, 2),
        ("slow", None, None),
    ]
    assert "apps authorize simulated" in hints
    assert "2 owners" in hints


def test_with_a_certificate_it_speaks_https_and_says_whom_to_trust(command, tmp_path):
    certificates = make_certificates(tmp_path)
    certificates.right.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    process = command.piped("simulator", "--port", "0", "--certificate", "both.pem")
    try:
        assert process.stdout
        assert process.stderr
        url = process.stdout.readline().strip()
        hints = "".join(process.stderr.readline() for _ in range(4))
        state = fetch(f"{url}/_simulator/state", cafile=str(certificates.ca_file))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=35)
    finally:
        process.kill()

    assert process.returncode == 0
    assert url.startswith("https://127.0.0.1:")
    assert state["merchants"] == 100
    assert f"IFOOD_API_BASE_URL={url} IFOOD_API_ALLOW_HOST=127.0.0.1" in hints
    assert f"IFOOD_API_CA_FILE={tmp_path}/both.pem" in hints


WRONG = [
    ("--host 0.0.0.0", "--host 0.0.0.0: without --certificate it listens on loopback only"),
    ("--certificate nowhere.pem", "--certificate nowhere.pem: No such file"),
    ("--key key.pem", "--key key.pem: without --certificate there is nothing that it opens"),
    ("--quirk nonsense", "--quirk nonsense: quirk: Input should be"),
    ("--quirk status,status=99", "status 99 is not in 100..599"),
    ("--quirk cut,tymes=1", "--quirk cut,tymes=1: tymes: "),
    ("--quirk cut,merchant=nobody", "unknown merchant 'nobody'"),
    ("--quirk cut,resource=orders", "resource: "),
    ("--limit orders=1", "--limit orders=1: orders is none of financial, merchant, oauth"),
    ("--limit financial", "expected name=value, not 'financial'"),
    ("--limit financial=0", "financial: "),
    ("--faults cut=2", "--faults cut=2: rates lie between 0 and 1"),
    ("--faults tut=0.1", "tut is none of server_error"),
    ("--rough --faults cut=0.1", "--rough and --faults exclude each other"),
    ("--today yesterday", "expected a day such as 2026-03-31"),
    ("--token-life 3", "expected a duration such as 45s"),
    ("--latency soon", "'--latency'"),
    ("--distributed 9 --accounts 3", "--distributed 9: there are only 3 restaurants"),
    ("--retry-after never", "'never' is not one of"),
]


def test_a_switch_that_cannot_be_is_refused_in_one_line(command):
    outcomes = command.each([["simulator", "--port", "0", *words.split()] for words, _ in WRONG])

    for (words, complaint), outcome in zip(WRONG, outcomes, strict=True):
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1), words
        assert complaint in outcome.err, words


def test_it_has_a_command_of_its_own():
    program = Path(sys.executable).with_name("ifood-simulator")
    with subprocess.Popen(
        [program, "--port", "0", "--accounts", "2"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        state = fetch(f"{process.stdout.readline().strip()}/_simulator/state")
        process.terminate()
    refused = subprocess.run(
        [program, "--quirk", "nonsense"], capture_output=True, text=True, check=False
    )

    assert (process.returncode, state["merchants"]) == (0, 2)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert refused.stderr.startswith("ifood-simulator: --quirk nonsense: quirk: Input should be")


def fetch(url: str, *, cafile: str | None = None) -> Any:
    trusting = ssl.create_default_context(cafile=cafile)
    with urllib.request.urlopen(url, context=trusting) as answer:  # noqa: S310 - to loopback
        return json.load(answer)
