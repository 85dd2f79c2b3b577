"""The stack's generated secrets."""

import base64
import stat

from headrace.stack.secrets import AIRFLOW_FERNET, NAMES, ensure_secrets, known_secrets, write_private


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_generated_once_and_for_their_owner_alone(tmp_path):
    folder = tmp_path / "secrets"
    first = ensure_secrets(folder)
    assert set(first) == set(NAMES)
    assert len(set(first.values())) == len(NAMES)
    assert mode(folder) == 0o700
    assert {mode(file) for file in folder.iterdir()} == {0o600}
    assert ensure_secrets(folder) == first


def test_a_folder_that_was_opened_is_closed_again(tmp_path):
    tmp_path.chmod(0o755)
    ensure_secrets(tmp_path)
    assert mode(tmp_path) == 0o700


def test_the_fernet_key_is_32_bytes(tmp_path):
    assert len(base64.urlsafe_b64decode(ensure_secrets(tmp_path)[AIRFLOW_FERNET])) == 32


def test_looking_generates_nothing(tmp_path):
    assert set(known_secrets(tmp_path / "none").values()) == {""}
    assert not (tmp_path / "none").exists()


def test_a_private_file_replaces_a_public_one(tmp_path):
    path = tmp_path / "login"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]
