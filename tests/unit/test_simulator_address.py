"""What the simulator says of where it is."""

import pytest

from ifood_simulator import Settings, command


@pytest.mark.parametrize(
    ("listens", "said"),
    [
        ("https://0.0.0.0:8443", "https://simulator:8443"),
        ("https://[::]:8443", "https://simulator:8443"),
        ("https://10.1.2.3:8443", "https://10.1.2.3:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_the_address_that_it_prints_leads_to_it_from_elsewhere(listens, said, monkeypatch, capsys):
    monkeypatch.setattr(command, "gethostname", lambda: "simulator")

    command._introduce(listens, Settings(), None)

    printed = capsys.readouterr()
    assert printed.out == f"{said}\n"
    assert f"IFOOD_API_BASE_URL={said} " in printed.err


def test_the_certificate_that_it_names_is_found_from_any_folder(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "certificate.pem").touch()

    command._introduce("https://127.0.0.1:8443", Settings(), tmp_path / "certificate.pem")
    command._introduce(
        "https://127.0.0.1:8443", Settings(), (tmp_path / "certificate.pem").relative_to(tmp_path)
    )

    assert capsys.readouterr().err.count(f"IFOOD_API_CA_FILE={tmp_path}/certificate.pem\n") == 2
