"""A branch as a source: what was committed counts, and nothing else; signed, where that is asked for."""

import os
import subprocess
from pathlib import Path

import pytest

from reload.places import QUICK, Recorder, desk, git, policy, running
from ringfence.errors import InputError
from ringfence.reload.git_source import GitSource, Signers
from ringfence.reload.settings import ReloadSettings
from ringfence.reload.snapshot import SourceError
from ringfence.reload.start import first_policy_set
from ringfence.runtime.policy_set import PolicySet

pytestmark = [pytest.mark.integration, pytest.mark.needs("git", "git")]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository with a desk's policies, committed as `main`."""
    folder = tmp_path / "repository"
    desk(folder / "policies")
    git("init", "-q", "-b", "main", at=folder)
    commit(folder, "policies")
    return folder


def commit(top: Path, message: str, *options: str) -> str:
    git("add", ".", at=top)
    git(*options, "commit", "-q", "--allow-empty", "-m", message, at=top)
    return git("rev-parse", "HEAD", at=top)


def change(top: Path, position: str) -> str:
    (top / "policies" / "desk.yaml").write_text(policy(position))
    return commit(top, f"a limit of {position}")


def test_a_snapshot_is_the_commit_with_who_made_it_and_when(top: Path) -> None:
    git("config", "user.name", "unused", at=top)
    head = commit(top, "more", "-c", "user.name=Ben Ö", "-c", "user.email=ben@example.com")

    snapshot = GitSource(top, "main").read()

    assert list(snapshot.files) == ["policies/desk.yaml", "policies/instruments.yaml"]
    assert snapshot.revision is not None
    assert snapshot.revision.commit == head
    assert snapshot.revision.author == "Ben Ö <ben@example.com>"
    seconds = int(git("log", "-1", "--format=%ct", at=top))
    assert snapshot.revision.committed_ns == seconds * 1_000_000_000
    assert (snapshot.revision.signer, snapshot.revision.rewritten) == ("", False)


def test_what_lies_in_the_working_tree_does_not_count(top: Path) -> None:
    before = GitSource(top, "main").read().files
    (top / "policies" / "desk.yaml").write_text("not committed")
    git("checkout", "-q", "-b", "other", at=top)
    commit(top, "on another branch")

    assert GitSource(top, "main").read().files == before


@pytest.mark.parametrize("name", ["more.yaml", "more", "more.yml"])
def test_a_link_among_the_policies_is_refused_and_not_passed_over(name: str, top: Path) -> None:
    (top / "policies" / name).symlink_to("../shared")
    commit(top, "a link")

    with pytest.raises(SourceError, match=f"policies/{name}` .* is a link or a submodule"):
        GitSource(top, "main", ("policies",)).read()


def test_a_submodule_among_the_policies_is_refused_and_not_passed_over(top: Path) -> None:
    head = commit(top, "more")
    entry = f"160000,{head},policies/shared"
    git("update-index", "--add", "--cacheinfo", entry, at=top)
    git("commit", "-q", "-m", "a submodule", at=top)

    with pytest.raises(SourceError, match="is a link or a submodule"):
        GitSource(top, "main", ("policies",)).read()


def test_a_link_to_something_else_beside_the_policies_is_none(top: Path) -> None:
    wanted = GitSource(top, "main", ("policies",)).read().files
    (top / "policies" / "README.md").symlink_to("../README.md")
    (top / "policies" / ".shared").symlink_to("../shared")
    commit(top, "links")

    assert GitSource(top, "main", ("policies",)).read().files == wanted


def test_a_bare_repository_and_a_full_name_will_do(top: Path, tmp_path: Path) -> None:
    git("clone", "-q", "--bare", str(top), str(tmp_path / "bare.git"), at=tmp_path)
    git("clone", "-q", str(top), str(tmp_path / "clone"), at=tmp_path)
    wanted = GitSource(top, "main").read().files

    assert GitSource(tmp_path / "bare.git", "main").read().files == wanted
    remote = GitSource(tmp_path / "clone", "refs/remotes/origin/main", ("policies/desk.yaml",))
    assert list(remote.read().files) == ["policies/desk.yaml"]


@pytest.mark.parametrize(
    ("branch", "paths"),
    [
        ("-x", ("policies",)),
        ("a..b", ("policies",)),
        ("", ("policies",)),
        ("main", ("../x",)),
        ("main", ("/x",)),
    ],
)
def test_what_cannot_be_a_branch_or_a_path_is_refused(
    branch: str, paths: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(InputError):
        GitSource(tmp_path, branch, paths)


@pytest.mark.parametrize(
    ("branch", "path", "said"),
    [("gone", "policies", "is no branch"), ("main", "elsewhere", "holds no YAML files")],
)
def test_what_is_not_there_cannot_be_read(branch: str, path: str, said: str, top: Path) -> None:
    with pytest.raises(SourceError, match=said):
        GitSource(top, branch, (path,)).read()


def test_a_directory_without_a_repository_cannot_be_read_and_has_nothing_to_watch(
    tmp_path: Path,
) -> None:
    source = GitSource(tmp_path, "main")

    with pytest.raises(SourceError):
        source.read()
    assert source.targets() == ()


def test_a_file_that_is_too_large_is_no_policy(top: Path) -> None:
    (top / "policies" / "large.yaml").write_bytes(b"#" * (1 << 20) + b"\n")
    commit(top, "large")

    with pytest.raises(SourceError, match="larger than 1 MiB"):
        GitSource(top, "main").read()


# Followed


def test_a_commit_is_taken_over_with_its_author(top: Path, tmp_path: Path) -> None:
    with running(GitSource(top, "main"), tmp_path / "store") as found:
        found.next("accepted")

        head = change(top, "9_000 USD")
        outcome = found.next("accepted")

        assert outcome.by == "Ann <ann@example.com>"
        assert outcome.about["commit"] == found.reloader.health().commit == head
        policy_set, by, source = found.guard.used[-1]
        assert (by, source["commit"]) == ("Ann <ann@example.com>", head)
        assert policy_set.sha256 == PolicySet.load(top / "policies").sha256


def test_a_commit_beside_the_policies_changes_nothing(top: Path, tmp_path: Path) -> None:
    with running(GitSource(top, "main"), tmp_path / "store") as found:
        found.next("accepted")

        (top / "notes.txt").write_text("x")
        head = commit(top, "notes")

        assert found.next("current").about["commit"] == head
        assert found.reloader.health().commit == head
        assert len(found.guard.used) == 1


def test_refs_that_are_packed_are_followed(top: Path, tmp_path: Path) -> None:
    with running(GitSource(top, "main"), tmp_path / "store") as found:
        found.next("accepted")

        head = change(top, "9_000 USD")
        git("pack-refs", "--all", at=top)
        found.until(lambda each: each.about.get("commit") == head)
        head = change(top, "8_000 USD")
        found.until(lambda each: each.about.get("commit") == head)


def test_a_push_into_a_bare_repository_is_followed(top: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    git("clone", "-q", "--bare", str(top), str(bare), at=tmp_path)
    with running(GitSource(bare, "main"), tmp_path / "store") as found:
        found.next("accepted")

        head = change(top, "9_000 USD")
        git("push", "-q", str(bare), "main", at=top)

        found.until(lambda each: each.about.get("commit") == head)


def test_a_branch_is_asked_for_where_nothing_tells_of_changes(top: Path, tmp_path: Path) -> None:
    settings = ReloadSettings(debounce_ns=QUICK.debounce_ns, poll_ns=20_000_000)
    source = GitSource(top, "main", polling=True)
    with running(source, tmp_path / "store", settings=settings) as found:
        found.next("accepted")

        head = change(top, "9_000 USD")
        found.until(lambda each: each.result == "accepted" and each.about["commit"] == head)


def forced(top: Path) -> str:
    """Rewrite the branch: its last commit is replaced by another one."""
    (top / "policies" / "desk.yaml").write_text(policy("8_000 USD"))
    git("commit", "-q", "--all", "--amend", "-m", "another", at=top)
    return git("rev-parse", "HEAD", at=top)


def test_a_forced_push_is_followed_and_recorded_as_such(top: Path, tmp_path: Path) -> None:
    change(top, "9_000 USD")
    with running(GitSource(top, "main"), tmp_path / "store") as found:
        assert found.next("accepted").about["rewritten"] is False

        head = forced(top)
        outcome = found.until(
            lambda each: each.result == "accepted" and each.about["commit"] == head
        )

        assert outcome.about["rewritten"] is True
        assert found.guard.used[-1][2]["rewritten"] is True


def test_a_forced_push_can_be_refused(top: Path, tmp_path: Path) -> None:
    last = change(top, "9_000 USD")
    source = GitSource(top, "main", follow_rewrites=False)
    with running(source, tmp_path / "store") as found:
        first = found.next("accepted").policy_set
        git("config", "core.logAllRefUpdates", "false", at=top)

        forced(top)
        assert "does not descend" in found.until(lambda each: "descend" in each.message).message
        assert found.guard.policy_set == first

        # On top of what is in force, it counts again.
        git("reset", "-q", "--hard", last, at=top)
        head = change(top, "7_000 USD")
        found.until(lambda each: each.result == "accepted" and each.about["commit"] == head)


# Signed


def key(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)]
    subprocess.run(made, check=True)
    return path


def signing(path: Path) -> tuple[str, ...]:
    """Options with which git signs by an SSH key."""
    return ("-c", "gpg.format=ssh", "-c", f"user.signingKey={path}", "-c", "commit.gpgSign=true")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path, Signers]:
    """A key that is allowed, one that is not, and who may sign."""
    good, bad = key(tmp_path / "keys", "good"), key(tmp_path / "keys", "bad")
    allowed = tmp_path / "allowed"
    allowed.write_text(f"risk@example.com {good.with_suffix('.pub').read_text()}")
    return good, bad, Signers(allowed=allowed)


@pytest.mark.security
@pytest.mark.needs("ssh-keygen", "openssh-client")
def test_a_commit_that_is_signed_by_someone_allowed_counts(
    top: Path, keys: tuple[Path, Path, Signers]
) -> None:
    commit(top, "signed", *signing(keys[0]))

    revision = GitSource(top, "main", signers=keys[2]).read().revision

    assert revision is not None
    assert revision.signer == "risk@example.com"


@pytest.mark.security
@pytest.mark.needs("ssh-keygen", "openssh-client")
def test_a_commit_without_a_signature_does_not_count(
    top: Path, keys: tuple[Path, Path, Signers]
) -> None:
    with pytest.raises(SourceError, match="is not signed"):
        GitSource(top, "main", signers=keys[2]).read()


@pytest.mark.security
@pytest.mark.needs("ssh-keygen", "openssh-client")
def test_a_commit_signed_by_somebody_else_does_not_count(
    top: Path, keys: tuple[Path, Path, Signers]
) -> None:
    commit(top, "signed", *signing(keys[1]))

    with pytest.raises(SourceError, match="by anyone who is allowed"):
        GitSource(top, "main", signers=keys[2]).read()


@pytest.mark.security
@pytest.mark.needs("ssh-keygen", "openssh-client")
def test_a_key_that_was_revoked_does_not_count(
    top: Path, keys: tuple[Path, Path, Signers], tmp_path: Path
) -> None:
    commit(top, "signed", *signing(keys[0]))
    (tmp_path / "revoked").write_text(keys[0].with_suffix(".pub").read_text())
    signers = Signers(allowed=keys[2].allowed, revoked=tmp_path / "revoked")

    with pytest.raises(SourceError, match="by anyone who is allowed"):
        GitSource(top, "main", signers=signers).read()


@pytest.mark.security
@pytest.mark.needs("ssh-keygen", "openssh-client")
def test_a_signature_that_was_moved_to_another_commit_does_not_count(
    top: Path, keys: tuple[Path, Path, Signers]
) -> None:
    signed = commit(top, "signed", *signing(keys[0]))
    text = git("cat-file", "commit", signed, at=top).replace("Ann", "Eve")
    (top / "forged").write_text(text + "\n")
    forged = git("hash-object", "-t", "commit", "-w", "forged", at=top)
    git("update-ref", "refs/heads/main", forged, at=top)

    with pytest.raises(SourceError, match="by anyone who is allowed"):
        GitSource(top, "main", signers=keys[2]).read()


@pytest.mark.security
@pytest.mark.needs("ssh-keygen", "openssh-client")
def test_the_repository_cannot_name_the_program_that_verifies(
    top: Path, keys: tuple[Path, Path, Signers], tmp_path: Path
) -> None:
    commit(top, "signed", *signing(keys[1]))
    liar = tmp_path / "liar"
    liar.write_text(
        f"#!/bin/sh\ntouch {tmp_path}/ran\necho 'Good \"git\" signature for risk@example.com with ED25519 key SHA256:x'\n"
    )
    liar.chmod(0o755)
    other = tmp_path / "others"
    other.write_text(f"risk@example.com {keys[1].with_suffix('.pub').read_text()}")
    for name, value in (
        ("gpg.ssh.program", str(liar)),
        ("gpg.program", str(liar)),
        ("gpg.ssh.allowedSignersFile", str(other)),
    ):
        git("config", name, value, at=top)

    with pytest.raises(SourceError, match="by anyone who is allowed"):
        GitSource(top, "main", signers=keys[2]).read()
    assert not (tmp_path / "ran").exists()


@pytest.mark.security
@pytest.mark.needs("ssh-keygen", "openssh-client")
def test_an_unsigned_commit_keeps_the_last_good_set_until_a_signed_one_comes(
    top: Path, keys: tuple[Path, Path, Signers], tmp_path: Path
) -> None:
    commit(top, "signed", *signing(keys[0]))
    source = GitSource(top, "main", signers=keys[2])
    with running(source, tmp_path / "store") as found:
        first = found.next("accepted").policy_set

        change(top, "9_000 USD")
        failed = found.next("failed")
        assert "is not signed" in failed.message
        assert found.guard.policy_set == first
        assert [kind for kind, _ in found.audit.bodies] == ["reload-failed"]

        head = commit(top, "signed", *signing(keys[0]))
        outcome = found.next("accepted")
        assert (outcome.about["commit"], outcome.about["signer"]) == (head, "risk@example.com")


@pytest.mark.security
@pytest.mark.needs("gpg", "gnupg")
def test_a_gpg_signature_counts_where_its_key_is_in_the_keyring(top: Path) -> None:
    # Not below the tests' own directory: the agent's socket needs a short path.
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        home.chmod(0o700)
        environment = {"GNUPGHOME": str(home)}
        made = [
            "gpg",
            "--batch",
            "--quiet",
            "--passphrase",
            "",
            "--quick-gen-key",
            "Ann <ann@example.com>",
            "ed25519",
            "sign",
        ]
        subprocess.run(made, check=True, capture_output=True, env={**os.environ, **environment})
        try:
            unsigned = GitSource(top, "main", signers=Signers(gnupg_home=home))
            with pytest.raises(SourceError, match="is not signed"):
                unsigned.read()
            git("commit", "-q", "--allow-empty", "-S", "-m", "signed", at=top, **environment)

            revision = GitSource(top, "main", signers=Signers(gnupg_home=home)).read().revision

            assert revision is not None
            assert len(revision.signer) == 40
            empty = home / "empty"
            empty.mkdir(mode=0o700)
            with pytest.raises(SourceError, match="by anyone who is allowed"):
                GitSource(top, "main", signers=Signers(gnupg_home=empty)).read()
        finally:
            for each in (home, home / "empty"):
                stop = ["gpgconf", "--homedir", str(each), "--kill", "all"]
                subprocess.run(stop, check=False, capture_output=True)


def test_a_rewritten_branch_is_noticed_across_a_restart(top: Path, tmp_path: Path) -> None:
    change(top, "9_000 USD")
    source = GitSource(top, "main", follow_rewrites=False)
    with running(source, tmp_path / "store") as found:
        first = found.next("accepted").policy_set
    forced(top)

    with running(source, tmp_path / "store", guard=Recorder(first)) as found:
        assert "does not descend" in found.next("failed").message
        assert found.guard.policy_set == first


def test_a_process_does_not_start_with_a_rewritten_branch_that_does_not_count(
    top: Path, tmp_path: Path
) -> None:
    change(top, "9_000 USD")
    source = GitSource(top, "main", follow_rewrites=False)
    with running(source, tmp_path / "store") as found:
        last = found.next("accepted").policy_set
    forced(top)

    assert first_policy_set(source, store=tmp_path / "store").sha256 == last
