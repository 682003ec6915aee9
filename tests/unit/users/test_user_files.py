"""Root never follows a user: what lies below a home is read and written as that user, with real user ids."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import threading
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils.changes import pair_files
from ansible_collections.labops.dgx_spark.plugins.module_utils.desk import DAMAGED, DENIED, MISSING
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather import setup
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.ask import Ask
from ansible_collections.labops.dgx_spark.plugins.module_utils.gather.options import Options
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs import user_files
from ansible_collections.labops.dgx_spark.plugins.module_utils.programs.homes import LiveHomes
from person import Person

LINE = 'restrict,from="192.168.100.11" ssh-ed25519 AAAApeer dgx_spark_pair'
OTHER = "192.168.100.11 ssh-ed25519 AAAAhost dgx_spark_pair"
AUTHORIZED, KNOWN = ".ssh/authorized_keys", ".ssh/known_hosts"
KEY = f".ssh/{setup.KEY}"


def want(person: Person, line: str = LINE, name: str = AUTHORIZED) -> pair_files.Wanted:
    lines = (line,) if line else ()
    return pair_files.Wanted(lines=(pair_files.WantedLines(str(person.home / name), lines, person.name),))


def apply(person: Person, wanted: pair_files.Wanted) -> list[pair_files.Step]:
    """What the module does; the steps."""
    desk = LiveHomes()
    steps = pair_files.plan(pair_files.read(desk, wanted), wanted)
    pair_files.apply(desk, steps)
    assert pair_files.plan(pair_files.read(desk, wanted), wanted) == [], "a second run has something to do"
    return steps


def key_wanted(person: Person, present: bool = True) -> pair_files.Wanted:
    return pair_files.Wanted(key=pair_files.WantedKey(str(person.home / KEY), person.name, present))


# ---- reading ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [AUTHORIZED, KNOWN, f"{KEY}.pub", KEY])
def test_a_link_to_a_file_of_root_tells_nothing(person: Person, secret: Path, name: str) -> None:
    person.link(name, secret)
    texts = LiveHomes().read_as(person.name, [str(person.home / AUTHORIZED), str(person.home / KNOWN)], [str(person.home / KEY)])
    assert "root" not in repr(texts) and "hash" not in repr(texts)
    wanted = want(person, OTHER, KNOWN) if name == KNOWN else want(person)
    if name in (AUTHORIZED, KNOWN):
        with pytest.raises(pair_files.PairFilesError, match="belongs to user id 0"):
            apply(person, wanted)
    assert secret.read_text(encoding="ascii").startswith("root:") and (person.home / name).is_symlink()


def test_facts_of_a_link_to_a_file_of_root_hold_nothing_of_it(person: Person, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (AUTHORIZED, KNOWN, KEY):
        person.link(name, secret)
    monkeypatch.setattr(setup, "login", lambda _ask, _options: {"name": person.name, "home": str(person.home)})
    found = setup.gather(Ask(LiveHomes()), Options(login_user=person.name))
    assert (found.trust_authorized, found.trust_known_hosts, found.trust_public_key) == ((), (), None)


def test_lines_of_others_do_not_leave_the_home(person: Person) -> None:
    person.put(AUTHORIZED, f"ssh-rsa ADMIN admin@lab\n{LINE}\n".encode())
    [read] = LiveHomes().read_as(person.name, [str(person.home / AUTHORIZED)])
    assert read.text == f"{LINE}\n"


def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(person: Person) -> None:
    path = person.home / "authorized_keys"
    os.mkfifo(path)
    os.chown(path, person.uid, person.gid)
    [read] = LiveHomes().read_as(person.name, [str(path)])
    assert read.error == "unreadable"


def test_only_root_and_the_user_may_ask(person: Person) -> None:
    assert LiveHomes().read_as("no-such-user", ["/x"])[0].error == DENIED
    assert LiveHomes().read_as(person.name, [str(person.home / "none")])[0].error == MISSING


def test_the_helper_has_the_users_ids_and_nothing_of_the_home_in_its_way(person: Person) -> None:
    for name in ("json", "base64", "fcntl", "struct", "sitecustomize"):
        person.put(f"{name}.py", f"open({str(person.home / 'taken')!r}, 'w')\n".encode(), 0o644)
    here = os.getcwd()
    os.chdir(person.home)
    try:
        LiveHomes().read_as(person.name, [str(person.home / AUTHORIZED)])
        told = LiveHomes().run(["id", "-Gn"], user=person.name)
        place = LiveHomes().run(["pwd"])
    finally:
        os.chdir(here)
    assert not (person.home / "taken").exists()
    assert "root" not in told.stdout.split() and place.stdout == "/\n"


# ---- writing ------------------------------------------------------------------------------------------------------------


def test_bytes_of_others_stay_whatever_they_are(person: Person) -> None:
    before = b"ssh-rsa AAAA m\xfcller\r\n\x00\xff\xfe no text\n\x0cssh-rsa BBBB form\x1cfeed\x85next\nlast without an end"
    path = person.put(AUTHORIZED, before)
    apply(person, want(person))
    assert path.read_bytes() == before + b"\n" + LINE.encode() + b"\n"
    about = path.stat()
    assert (about.st_uid, about.st_mode & 0o777) == (person.uid, 0o600)
    apply(person, want(person, ""))
    assert path.read_bytes() == before + b"\n"


def test_a_file_in_which_nothing_is_left_goes(person: Person) -> None:
    path = person.home / AUTHORIZED
    apply(person, want(person))
    assert path.read_text(encoding="ascii") == f"{LINE}\n"
    apply(person, want(person, ""))
    assert list(path.parent.iterdir()) == []
    kept = person.put("dotfiles/keys", b"")
    link = person.link(AUTHORIZED, Path("../dotfiles/keys"))
    apply(person, want(person))
    apply(person, want(person, ""))
    assert link.is_symlink() and kept.read_bytes() == b""


def test_what_is_added_while_an_empty_file_goes_makes_it_a_file_again(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(person, want(person))
    path = person.home / AUTHORIZED
    unlink = os.unlink

    def late(where: str) -> None:
        if where == str(path):
            with open(where, "ab") as file:
                file.write(b"ssh-rsa BBBB two\n")
        unlink(where)

    monkeypatch.setattr(user_files.os, "unlink", late)
    child = os.fork()
    if child == 0:
        os.setgid(person.gid)
        os.setuid(person.uid)
        told = user_files.handle(pair_files.merge_request(want(person, "").lines[0], apply=True))
        os._exit(0 if told.get("changed") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert path.read_text(encoding="ascii") == "ssh-rsa BBBB two\n"
    assert sorted(item.name for item in path.parent.iterdir()) == ["authorized_keys"]


def test_a_link_stays_a_link(person: Person) -> None:
    kept = person.put("dotfiles/keys", b"ssh-rsa AAAA admin\n")
    link = person.link(AUTHORIZED, Path("../dotfiles/keys"))
    apply(person, want(person))
    assert os.readlink(link) == "../dotfiles/keys" and kept.read_text(encoding="ascii") == f"ssh-rsa AAAA admin\n{LINE}\n"


@pytest.mark.parametrize(("mode", "kept"), [(0o644, 0o644), (0o640, 0o640), (0o600, 0o600), (0o664, 0o644), (0o755, 0o644), (0o400, 0o600)])
def test_who_may_read_a_file_stays_the_users_choice(person: Person, mode: int, kept: int) -> None:
    path = person.put(AUTHORIZED, b"ssh-rsa AAAA admin\n", mode)
    apply(person, want(person))
    assert path.stat().st_mode & 0o777 == kept


def test_a_file_that_is_roots_counts_where_it_says_what_is_wanted(person: Person) -> None:
    """As a configuration management keeps it: an admin adds our line there, and no run has to write."""
    path = person.put(AUTHORIZED, f"ssh-rsa AAAA admin\n{LINE}\n".encode(), 0o644)
    os.chown(path, 0, 0)
    assert apply(person, want(person)) == []
    for line in ("", f"{LINE}x"):
        with pytest.raises(pair_files.PairFilesError, match="belongs to user id 0 and not to the login user; give the file"):
            apply(person, want(person, line.replace("dgx_spark_pairx", "x dgx_spark_pair")))
    assert path.stat().st_uid == 0 and path.read_text(encoding="ascii") == f"ssh-rsa AAAA admin\n{LINE}\n"
    path.chmod(0o600)
    with pytest.raises(pair_files.PairFilesError, match="belongs to user id 0"):
        apply(person, want(person))


def test_a_home_that_is_a_link_works(person: Person) -> None:
    place = person.home.parent / "by-name"
    place.symlink_to(person.home)
    apply(Person(person.name, person.uid, person.gid, place), want(Person(person.name, person.uid, person.gid, place)))
    assert (person.home / AUTHORIZED).read_text(encoding="ascii") == f"{LINE}\n"


def test_a_folder_that_leads_to_one_of_root_is_not_written_to(person: Person) -> None:
    place = person.home.parent / "root-folder"
    place.mkdir(mode=0o755)
    person.link(".ssh", place)
    with pytest.raises(pair_files.PairFilesError, match="root-folder"):
        apply(person, want(person))
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("moment", ["before the look", "after the look", "in a file of its own"])
def test_a_line_that_somebody_adds_meanwhile_is_not_lost(person: Person, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    path = person.put(AUTHORIZED, b"ssh-rsa AAAA one\n")
    replace, added = os.replace, []

    def meanwhile(where: str) -> None:
        if not added:
            added.append(where)
            # Many programs write a new file and rename it, as this one does.
            new = f"{where}.other" if moment == "in a file of its own" else where
            with open(new, "ab") as file:
                file.write(b"ssh-rsa BBBB two\n" if new == where else b"ssh-rsa BBBB two\nssh-rsa AAAA one\n")
            if new != where:
                replace(new, where)

    def late(fresh: str, where: str) -> None:
        meanwhile(where)
        replace(fresh, where)

    if moment != "after the look":
        monkeypatch.setattr(user_files, "before_rename", meanwhile)
    else:
        monkeypatch.setattr(user_files.os, "replace", late)
    child = os.fork()
    if child == 0:
        os.setgid(person.gid)
        os.setuid(person.uid)
        told = user_files.handle(pair_files.merge_request(want(person).lines[0], apply=True))
        os._exit(0 if told.get("changed") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sorted(path.read_text(encoding="ascii").splitlines()) == sorted(["ssh-rsa AAAA one", "ssh-rsa BBBB two", LINE])
    assert sorted(item.name for item in path.parent.iterdir()) == ["authorized_keys"]


def test_many_at_once_lose_nothing(person: Person) -> None:
    person.put(AUTHORIZED, b"")
    keys = [f"ssh-ed25519 KEY{number} lab" for number in range(8)]
    request = {"op": "merge", "path": str(person.home / AUTHORIZED), "apply": True}
    threads = [threading.Thread(target=LiveHomes().ask_as, args=(person.name, {**request, "key": key})) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((person.home / AUTHORIZED).read_text(encoding="ascii").splitlines()) == keys


def test_a_name_that_can_be_guessed_is_not_used(person: Person, secret: Path) -> None:
    for name in (f"authorized_keys.{pair_files.MARK}", ".authorized_keys.new"):
        person.link(f".ssh/{name}", secret)
    apply(person, want(person))
    assert "peer" not in secret.read_text(encoding="ascii")


def test_a_file_that_may_not_be_replaced_is_named_and_not_the_one_beside_it(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the immutable flag of a hardened desk."""
    path = person.put(AUTHORIZED, b"ssh-ed25519 AAAAmine me\n")
    os.chown(path, 0, 0)

    def refused(source: str, target: str) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", source, None, target)

    monkeypatch.setattr(os, "replace", refused)
    said = user_files.handle(pair_files.merge_request(want(person).lines[0], apply=True))["error"]
    assert said.startswith(f"{path}: Operation not permitted") and f"lsattr -d {path.parent} {path}" in said
    assert [item.name for item in path.parent.iterdir()] == [path.name] and path.read_bytes() == b"ssh-ed25519 AAAAmine me\n"


@pytest.mark.parametrize("linked", [False, True])
def test_a_file_with_a_second_name_is_not_parted_from_it_in_silence(person: Person, linked: bool) -> None:
    path = person.put("keys" if linked else AUTHORIZED, b"ssh-ed25519 AAAAmine me\n")
    if linked:
        person.link(AUTHORIZED, path)
    other = person.home / "other"
    os.link(path, other)
    with pytest.raises(pair_files.PairFilesError, match="has 2 names") as caught:
        apply(person, want(person))
    assert f"find / -xdev -samefile {path}" in str(caught.value)
    assert path.samefile(other) and path.read_bytes() == b"ssh-ed25519 AAAAmine me\n"


def test_an_access_list_is_kept(person: Person) -> None:
    path = person.put(AUTHORIZED, b"ssh-ed25519 AAAAmine me\n")
    none = 0xFFFFFFFF
    entries = ((0x01, 6, none), (0x02, 4, 34), (0x04, 0, none), (0x10, 4, none), (0x20, 0, none))
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(path, user_files.ACL, acl)
    except OSError:
        pytest.skip("this file system has no access lists")
    apply(person, want(person))
    assert LINE.encode() in path.read_bytes() and os.getxattr(path, user_files.ACL) == acl


# ---- the pair's key -----------------------------------------------------------------------------------------------------


def test_the_key_is_made_and_proves_itself(person: Person) -> None:
    apply(person, key_wanted(person))
    private = person.home / KEY
    assert (private.stat().st_uid, private.stat().st_mode & 0o777) == (person.uid, 0o600)
    told = subprocess.run(["ssh-keygen", "-y", "-f", str(private)], capture_output=True, text=True, check=True).stdout.split()[:2]
    [read] = LiveHomes().read_as(person.name, [], [str(private)])
    assert (read.text or "").split()[:2] == told == (person.home / f"{KEY}.pub").read_text(encoding="ascii").split()[:2]
    assert sorted(item.name for item in private.parent.iterdir()) == [setup.KEY, f"{setup.KEY}.pub"]
    apply(person, key_wanted(person, present=False))
    assert list(private.parent.iterdir()) == []


def _remove(path: Path) -> None:
    path.unlink()


def _open(path: Path) -> None:
    path.chmod(0o644)


def _tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def _swap(path: Path) -> None:
    Path(f"{path}.pub").write_text("ssh-ed25519 AAAAother dgx_spark_pair\n", encoding="ascii")


def _give_away(path: Path) -> None:
    """As sudo cp does when a home is copied back."""
    os.chown(path, 0, 0)


@pytest.mark.parametrize(("damage", "same_key"), [(_remove, False), (_tear, False), (_open, True), (_swap, True), (_give_away, False)])
def test_a_key_that_ssh_cannot_use_is_seen_and_made_whole(person: Person, damage, same_key: bool) -> None:
    apply(person, key_wanted(person))
    private = person.home / KEY
    [before] = LiveHomes().read_as(person.name, [], [str(private)])
    damage(private)
    assert LiveHomes().read_as(person.name, [], [str(private)])[0].error == DAMAGED
    assert [step.kind for step in apply(person, key_wanted(person))] == ["make_key"]
    [after] = LiveHomes().read_as(person.name, [], [str(private)])
    assert (after.text == before.text) is same_key and private.stat().st_mode & 0o777 == 0o600
    assert private.stat().st_uid == person.uid and apply(person, key_wanted(person)) == []


def test_a_folder_that_is_roots_is_named(person: Person) -> None:
    apply(person, key_wanted(person))
    folder = person.home / ".ssh"
    os.chown(folder, 0, 0)
    looks = f"sudo ls -ld {folder}"
    for wanted in (key_wanted(person), want(person)):
        with pytest.raises(pair_files.PairFilesError, match=looks):
            apply(person, wanted)
    assert looks in LiveHomes().ask_as(person.name, {"op": "make_key", "path": str(person.home / KEY)})["error"]


def test_a_home_that_keeps_no_modes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a share of Windows does; every run would make the key anew."""
    replace = os.replace

    def open_to_all(source: str, target: str) -> None:
        replace(source, target)
        os.chmod(target, 0o777)

    monkeypatch.setattr(os, "replace", open_to_all)
    said = user_files.handle({"op": "make_key", "path": str(tmp_path / setup.KEY)})
    assert "mode 777" in said["error"] and f"findmnt -T {tmp_path}" in said["error"]


def test_what_is_left_of_a_key_is_removed(person: Person) -> None:
    apply(person, key_wanted(person))
    (person.home / KEY).unlink()
    assert [step.kind for step in apply(person, key_wanted(person, present=False))] == ["remove_key"]
    assert list((person.home / ".ssh").iterdir()) == []


# ---- every module that may need it has it -------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["spark_facts", "cx7_link", "pair_files", "spark_record"])
def test_what_gathers_facts_or_keeps_files_asks_users_as_users(module: str) -> None:
    text = (Path(__file__).resolve().parents[3] / f"plugins/modules/{module}.py").read_text(encoding="utf-8")
    assert "LiveHomes()" in text and "LiveDesk" not in text


def test_no_other_module_gathers_what_this_collection_has_set_up() -> None:
    folder = Path(__file__).resolve().parents[3] / "plugins/modules"
    gathering = {path.stem for path in folder.glob("*.py") if "gather.collect import" in path.read_text(encoding="utf-8")}
    # The driver lock and the update ask for their own records, /var/lib/dgx_spark, and for nothing of a user: a LiveDesk cannot.
    own = {"driver_lock", "desk_update"}
    assert gathering - own <= {"spark_facts", "cx7_link", "spark_record", "cx7_cable", "rdma_pair", "nccl_pair"}
    assert not [name for name in own if "LiveHomes" in (folder / f"{name}.py").read_text(encoding="utf-8")]
