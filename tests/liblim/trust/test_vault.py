"""The vault: every way a keyring, a file or a computer can be other than it was."""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import InitError

from liblim.errors import IdentityLocked, IdentityLost, LimError, StoreError
from liblim.trust import keyrings, machine, vault
from liblim.trust.identity import Identity, verify
from liblim.trust.vault import Keeping, Vault, machine_mark
from tests.liblim.trust.rings import (
    FailingRing,
    ForgetfulRing,
    GoodRing,
    LockedRing,
    NullRing,
    SilentRing,
)

HERE, THERE = "11" * 32, "22" * 32

Use = Callable[[KeyringBackend], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Puts a keyring in place of the system's."""

    def use(ring: KeyringBackend) -> None:
        monkeypatch.setattr("keyring.core._keyring_backend", ring)

    use(FailingRing())
    return use


@pytest.fixture
def here(tmp_path: Path, use: Use) -> Path:
    """A folder without a key, on a computer without a keyring."""
    return tmp_path


def at(folder: Path, mark: str = HERE) -> Vault:
    return Vault(folder, service="tests", machine=mark)


def usable(folder: Path) -> Identity:
    """The identity in a folder, read and unlocked as at a start."""
    found = at(folder)
    identity = found.read()
    found.unlock(identity)
    assert verify(identity.certificate, identity.sign(b"x"), b"x")
    return identity


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def locked(folder: Path) -> str:
    """What is said when the key in a folder cannot be unlocked."""
    found = at(folder)
    identity = found.read()
    before = names(folder)
    with pytest.raises(IdentityLocked) as caught:
        found.unlock(identity)
    assert identity.locked
    assert names(folder) == before
    said = str(caught.value)
    assert said.endswith(".")
    assert "canary" not in said
    return said


# Where the passphrase goes


def test_a_good_keyring_keeps_the_passphrase(tmp_path: Path, use: Use) -> None:
    ring = GoodRing()
    use(ring)
    made = at(tmp_path)
    identity = made.create()
    assert not identity.locked
    assert made.keeping is at(tmp_path).keeping is Keeping.KEYRING
    assert names(tmp_path) == ["identity.json", "identity.pem"]
    assert list(ring.entries) == [("tests", identity.device)]
    assert usable(tmp_path).device == identity.device


@pytest.mark.parametrize(
    "ring",
    [
        NullRing(),
        ForgetfulRing(),
        LockedRing(),
        FailingRing(),
        FailingRing(InitError),
        FailingRing(OSError),
        FailingRing(ZeroDivisionError),
    ],
)
def test_any_other_keyring_means_a_file(tmp_path: Path, use: Use, ring: KeyringBackend) -> None:
    use(ring)
    made = at(tmp_path)
    identity = made.create()
    assert made.keeping is at(tmp_path).keeping is Keeping.FILE
    assert names(tmp_path) == ["identity.json", "identity.key", "identity.pem"]
    assert usable(tmp_path).device == identity.device


def test_a_backend_that_cannot_even_be_loaded_means_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyring.core._keyring_backend", None)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "there.is.none")
    made = at(tmp_path)
    made.create()
    assert made.keeping is Keeping.FILE


def test_a_keyring_that_does_not_answer_means_a_file(
    tmp_path: Path, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyrings, "PATIENCE", 0.05)
    ring = SilentRing()
    use(ring)
    made = at(tmp_path)
    identity = made.create()
    ring.answered.set()
    assert made.keeping is Keeping.FILE
    assert usable(tmp_path).device == identity.device
    assert (tmp_path / "identity.key").read_text().strip() not in ring.entries.values()


@pytest.mark.skipif(os.name == "nt", reason="file rights are other things there")
def test_only_this_user_can_read_the_files(here: Path) -> None:
    at(here).create()
    assert {stat.S_IMODE(path.stat().st_mode) for path in here.iterdir()} == {0o600}


def test_the_key_is_encrypted_and_no_file_but_one_holds_its_passphrase(here: Path) -> None:
    at(here).create()
    passphrase = (here / "identity.key").read_text().strip()
    assert len(passphrase) == 43
    pem = (here / "identity.pem").read_text()
    assert "ENCRYPTED PRIVATE KEY" in pem
    assert passphrase not in pem + (here / "identity.json").read_text()


def test_openssl_takes_the_file_as_it_is(here: Path) -> None:
    import ssl

    at(here).create()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    passphrase = (here / "identity.key").read_text().strip()
    context.load_cert_chain(here / "identity.pem", password=passphrase)
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(here / "identity.pem", password="another")


# A key that cannot be used now


def test_a_locked_keyring_is_said_and_tried_again(tmp_path: Path, use: Use) -> None:
    ring = LockedRing()
    ring.locked = False
    use(ring)
    device = at(tmp_path).create().device
    ring.locked = True
    assert "Unlock the keyring" in locked(tmp_path)
    ring.locked = False
    assert usable(tmp_path).device == device


@pytest.mark.parametrize("error", [InitError, OSError, ZeroDivisionError])
def test_a_failing_keyring_is_said(tmp_path: Path, use: Use, error: type[Exception]) -> None:
    use(GoodRing())
    at(tmp_path).create()
    use(FailingRing(error))
    assert "cannot be reached" in locked(tmp_path)


def test_a_keyring_that_starts_later_is_found(
    tmp_path: Path, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keyring.backends.fail import Keyring as NoKeyring

    good = GoodRing()
    use(good)
    at(tmp_path).create()
    monkeypatch.setattr("keyring.core.init_backend", lambda: None)
    use(NoKeyring())  # type: ignore[no-untyped-call]
    assert "cannot be reached" in locked(tmp_path)
    monkeypatch.setattr("keyring.core.init_backend", lambda: use(good))
    usable(tmp_path)


def test_a_lost_entry_is_said(tmp_path: Path, use: Use) -> None:
    use(GoodRing())
    at(tmp_path).create()
    for ring in (GoodRing(), NullRing()):
        use(ring)
        assert "not in the system's keyring" in locked(tmp_path)


def test_a_wrong_entry_is_said(tmp_path: Path, use: Use) -> None:
    ring = GoodRing()
    use(ring)
    at(tmp_path).create()
    for wrong in ("another", "\udcff", "x" * 5000):
        ring.entries = dict.fromkeys(ring.entries, wrong)
        assert "does not open" in locked(tmp_path)


def test_a_keyring_that_does_not_answer_is_said_and_waited_on(
    tmp_path: Path, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = SilentRing()
    ring.answered.set()
    use(ring)
    at(tmp_path).create()
    ring.answered.clear()
    ring.asked = 0
    monkeypatch.setattr(keyrings, "PATIENCE", 0.05)
    found = at(tmp_path)
    identity = found.read()
    for _ in range(3):
        with pytest.raises(IdentityLocked, match="does not answer"):
            found.unlock(identity)
    assert ring.asked == 1
    monkeypatch.setattr(keyrings, "PATIENCE", 60)
    ring.answered.set()
    found.unlock(identity)
    assert not identity.locked


@pytest.mark.parametrize("wrong", [None, b"", b"another", b"\xff\xfe"])
def test_a_passphrase_file_that_is_gone_or_wrong_is_said(here: Path, wrong: bytes | None) -> None:
    at(here).create()
    (here / "identity.key").unlink()
    if wrong is not None:
        (here / "identity.key").write_bytes(wrong)
    assert str(here / "identity.key") in locked(here)


def test_a_file_that_was_swapped_since_it_was_read_is_said(here: Path, tmp_path: Path) -> None:
    found = at(here)
    found.create()
    identity = found.read()
    found.replace()
    with pytest.raises(IdentityLocked):
        found.unlock(identity)
    (here / "identity.pem").unlink()
    with pytest.raises(IdentityLocked, match="gone"):
        found.unlock(identity)


# A key that is gone


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:200],
        lambda text: text[500:],
        lambda text: text.replace("BEGIN CERT", "BEGIN CART"),
        lambda text: text.replace("ENCRYPTED PRIVATE", "PRIVATE"),
        lambda text: text[:80] + "!!" + text[82:],
        lambda text: text[:80] + "\xe9" + text[81:],
        lambda text: text[:80] + ("A" if text[80] != "A" else "B") + text[81:],
    ],
)
def test_a_damaged_file_is_said_and_never_replaced(
    here: Path, damage: Callable[[str], str]
) -> None:
    at(here).create()
    file = here / "identity.pem"
    damaged = damage(file.read_text()).encode()
    file.write_bytes(damaged)
    with pytest.raises(IdentityLost, match="damaged"):
        at(here).read()
    with pytest.raises(LimError, match="never overwritten"):
        at(here).create()
    assert file.read_bytes() == damaged


def test_files_of_noise_raise_nothing_else(here: Path, seed: int) -> None:
    rng = Random(seed)
    at(here).create()
    good = (here / "identity.pem").read_bytes()
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(rng.randrange(1, 5)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        (here / "identity.pem").write_bytes(bad)
        (here / "identity.json").write_bytes(rng.choice([b"", b"{}", rng.randbytes(30)]))
        found = at(here)
        try:
            identity = found.read()
            found.unlock(identity)
        except (IdentityLost, IdentityLocked):
            continue
        assert identity.certificate == Identity(identity.certificate).certificate


def test_no_file_is_said(here: Path) -> None:
    found = at(here)
    assert not found.exists
    assert found.keeping is None
    assert not found.elsewhere
    with pytest.raises(IdentityLost, match="gone"):
        found.read()


@pytest.mark.parametrize(
    "facts", [b"", b"{", b"[]", b"[" * 9000, b'{"device": 5}', b'{"x": 1}', b'{"device": "\xff"}']
)
def test_the_key_is_found_without_its_facts(here: Path, facts: bytes) -> None:
    device = at(here).create().device
    (here / "identity.json").write_bytes(facts)
    assert usable(here).device == device
    assert not at(here, THERE).elsewhere


def test_a_file_with_the_line_ends_of_windows_is_read(here: Path) -> None:
    device = at(here).create().device
    file = here / "identity.pem"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert usable(here).device == device


# Never a new one in silence


def test_one_that_exists_is_never_overwritten(here: Path) -> None:
    device = at(here).create().device
    with pytest.raises(LimError, match="never overwritten"):
        at(here).create()
    assert usable(here).device == device


def test_a_new_key_keeps_the_old_one(here: Path) -> None:
    devices = [at(here).create().device, at(here).replace().device, at(here).replace().device]
    assert len(set(devices)) == 3
    assert usable(here).device == devices[2]
    for number in (1, 2):
        back = here / str(number)
        back.mkdir()
        for kind in ("pem", "key", "json"):
            (here / f"identity-old-{number}.{kind}").rename(back / f"identity.{kind}")
        assert usable(back).device == devices[number - 1]


def test_a_passphrase_whose_key_is_gone_is_kept_too(here: Path) -> None:
    at(here).create()
    (here / "identity.pem").unlink()
    passphrase = (here / "identity.key").read_text()
    at(here).create()
    assert (here / "identity-old-1.key").read_text() == passphrase
    usable(here)


@pytest.mark.parametrize("failing", [0, 1, 2])
@pytest.mark.parametrize("method", ["create", "replace"])
def test_a_full_disk_leaves_no_key_that_cannot_be_opened(
    here: Path, failing: int, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if method == "replace":
        at(here).create()
    left = [failing]

    def write(path: Path, data: bytes) -> None:
        if not left[0]:
            raise OSError(28, "No space left on device")
        left[0] -= 1
        machine.write_private(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(vault, "write_private", write)
        with pytest.raises(StoreError, match="No space left"):
            getattr(at(here), method)()
    assert not at(here).exists
    device = at(here).create().device
    assert usable(here).device == device


def test_files_are_on_the_disk_before_they_stand_there(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def note_replace(self: Path, target: Path) -> Path:
        done.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    at(here).create()
    assert done == [
        *("file", "identity.key", "folder"),
        *("file", "identity.json", "folder"),
        *("file", "identity.pem", "folder"),
    ]


def test_a_draft_that_cannot_be_put_in_place_is_removed(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StoreError, match="Permission denied"):
        at(here).create()
    assert names(here) == []


# Another computer


def test_a_folder_from_another_computer_is_noticed_until_it_is_said_to_stay(here: Path) -> None:
    device = at(here).create().device
    assert not at(here).elsewhere
    moved = at(here, THERE)
    before = moved.elsewhere
    moved.stay()
    assert (before, moved.elsewhere) == (True, False)
    assert not at(here, THERE).elsewhere
    assert at(here).elsewhere
    assert usable(here).device == device


def test_a_copy_becomes_a_device_of_its_own(here: Path) -> None:
    device = at(here).create().device
    copy = at(here, THERE)
    assert copy.replace().device != device
    assert not copy.elsewhere


@pytest.mark.parametrize("marks", [("", HERE), (HERE, ""), ("", "")])
def test_computers_without_a_mark_are_not_told_apart(here: Path, marks: tuple[str, str]) -> None:
    at(here, marks[0]).create()
    assert not at(here, marks[1]).elsewhere


def test_the_mark_is_the_same_each_time_and_says_nothing() -> None:
    mark = machine_mark()
    assert mark == machine_mark()
    assert mark == "" or len(bytes.fromhex(mark)) == 32


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the id lies elsewhere there")
@pytest.mark.parametrize(
    ("content", "known"),
    [
        (b"0123456789abcdef0123456789abcdef\n", True),
        (b"uninitialized\n", False),
        (b"0" * 32, False),
        (b"", False),
        (b"\xff" * 32, False),
        (None, False),
    ],
)
def test_odd_machine_ids_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, known: bool
) -> None:
    file = tmp_path / "machine-id"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(machine, "_MACHINE_ID_FILES", (file,))
    assert bool(machine_mark()) == known
    assert "0123456789abcdef" not in machine_mark()


# For a library that is kept apart


def test_a_copy_for_a_kept_library_opens(tmp_path: Path, use: Use) -> None:
    for name, ring in (("file", FailingRing()), ("keyring", GoodRing())):
        use(ring)
        source, target = tmp_path / name, tmp_path / f"{name}-kept"
        source.mkdir()
        target.mkdir()
        device = at(source).create().device
        at(source).copy_to(target)
        assert names(source) == names(target)
        shutil.rmtree(source)
        assert usable(target).device == device


def test_a_copy_that_fails_is_said(here: Path) -> None:
    at(here).create()
    with pytest.raises(StoreError, match="could not be copied"):
        at(here).copy_to(here / "missing")


# Speed and secrets


def test_reading_needs_neither_cryptography_nor_a_keyring(here: Path) -> None:
    at(here).create()
    program = (
        "import sys; from pathlib import Path; from liblim.trust import Vault\n"
        f"v = Vault(Path({str(here)!r}), service='tests'); i = v.read(); v.keeping; v.elsewhere\n"
        "print(i.locked, 'cryptography' in sys.modules, 'keyring' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [b"True", b"False", b"False"]


def test_secrets_stand_in_no_log_and_no_repr(
    tmp_path: Path, use: Use, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    use(FailingRing(OSError))
    made = at(tmp_path)
    identity = made.create()
    passphrase = (tmp_path / "identity.key").read_text().strip()
    said = caplog.text + repr(made) + repr(identity) + repr(vars(made))
    assert "failed with OSError" in said
    assert "canary" not in said
    assert passphrase not in said
    assert passphrase not in json.dumps(os.environ.copy())


def test_these_tests_use_no_real_keyring(use: Use) -> None:
    assert isinstance(keyring.get_keyring(), FailingRing)
