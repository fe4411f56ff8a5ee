"""Where SQLite may be used, as the system's mount table says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stoat_jobs._sqlite import file_systems
from stoat_jobs._sqlite.file_systems import (
    LOCAL_FUSE,
    SHARED,
    Mount,
    check_file_system,
    mount_in_list,
    mount_in_mountinfo,
)

from ..support.listening import Heard, listening

SERVER = """
22 28 0:21 / /proc rw,nosuid shared:5 - proc proc rw
28 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
29 28 0:25 / /run rw,nosuid shared:12 - tmpfs tmpfs rw,size=812k,mode=755
40 28 0:41 / /home rw,relatime shared:30 - nfs4 files.example:/home rw,vers=4.2,hard
41 40 0:45 / /home/ada/local rw shared:31 - btrfs /dev/sdb rw,subvol=/ada
42 28 0:46 / /mnt/my\\040share\\134x rw - cifs //server/my\\040share rw
45 28 0:48 / /mnt/no\xa0break\x85 rw master:1 propagate_from:2 - 9p host rw
43 28 0:47 / /mnt/ssh rw,nosuid - fuse.sshfs ada@server:/ rw,user_id=1000
44 28 8:17 / /media/stick rw - fuseblk /dev/sdc1 rw,user_id=0
"""

CONTAINER = """
600 500 0:90 / / rw,relatime master:80 - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
601 600 0:93 / /proc rw,nosuid - proc proc rw
610 600 259:2 /volumes/jobs /data rw,relatime - ext4 /dev/nvme0n1p2 rw
611 600 259:2 /srv/jobs.db /single/jobs.db rw,relatime - ext4 /dev/nvme0n1p2 rw
612 600 0:99 / /host rw,relatime - fakeowner /run/host_mark/Users rw,fakeowner
613 600 0:98 / /hosts rw,relatime - virtiofs virtiofs1 rw
"""

COVERED = """
1 1 0:1 / / rw - rootfs rootfs rw
20 1 8:1 / / rw - ext4 /dev/sda1 rw
30 20 0:50 / /data/jobs rw - nfs server:/jobs rw
31 20 8:2 / /data rw - xfs /dev/sdb1 rw
32 20 0:51 / /twice rw - xfs /dev/sdb2 rw
33 32 0:52 / /twice rw - nfs server:/twice rw
34 20 0:53 / /reverse rw - ceph server:/ rw
35 34 0:54 / /reverse/jobs rw - zfs pool/jobs rw
"""

CHROOT = "70 20 0:60 / /net rw - nfs server:/ rw\n71 20 8:3 / /disk rw - ext4 /dev/sda3 rw\n"

MACOS = """
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect, root data)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
//ada@server/share on /Volumes/my share (new) (smbfs, nodev, nosuid, mounted by ada)
server:/export on /Volumes/export (nfs, asynchronous)
/dev/disk4s1 on /Volumes/STICK (exfat, local, nodev, nosuid, noowners)
server:/twice on /Volumes/twice (nfs)
/dev/disk5s1 on /Volumes/twice (apfs, local)
"""


def type_of(mount: Mount | None) -> str | None:
    return mount and mount.type


LINUX = [
    (SERVER, "/var/lib/app/jobs.db", "ext4"),
    (SERVER, "/run/jobs.db", "tmpfs"),
    (SERVER, "/running/jobs.db", "ext4"),
    (SERVER, "/home/ada/jobs.db", "nfs4"),
    (SERVER, "/home/ada/local/jobs.db", "btrfs"),
    (SERVER, "/mnt/my share\\x/jobs.db", "cifs"),
    (SERVER, "/mnt/no\xa0break\x85/jobs.db", "9p"),
    (SERVER, "/mnt/ssh/a/b/jobs.db", "fuse.sshfs"),
    (SERVER, "/media/stick/jobs.db", "fuseblk"),
    (SERVER, "/jobs.db", "ext4"),
    (CONTAINER, "/app/jobs.db", "overlay"),
    (CONTAINER, "/data/jobs.db", "ext4"),
    (CONTAINER, "/host/jobs.db", "fakeowner"),
    (CONTAINER, "/hosts/jobs.db", "virtiofs"),
    (COVERED, "/jobs.db", "ext4"),
    (COVERED, "/data/jobs/jobs.db", "xfs"),
    (COVERED, "/twice/jobs.db", "nfs"),
    (COVERED, "/reverse/jobs/jobs.db", "zfs"),
    (CHROOT, "/net/jobs.db", "nfs"),
    (CHROOT, "/disk/jobs.db", "ext4"),
    (CHROOT, "/var/jobs.db", None),
    ("", "/var/jobs.db", None),
    ("nonsense\n1 2 - x\n\n1 1 8:1 / / rw - xfs", "/var/jobs.db", None),
]


@pytest.mark.parametrize(("table", "path", "expected"), LINUX)
def test_linux_says_what_a_path_is_on(table: str, path: str, expected: str | None) -> None:
    """The deepest mount counts that no other one covers, whatever is in its name."""
    assert type_of(mount_in_mountinfo(table, path)) == expected


LISTED = [
    ("/private/var/jobs.db", "apfs", True),
    ("/System/Volumes/Data/Users/ada/jobs.db", "apfs", True),
    ("/Volumes/my share (new)/jobs.db", "smbfs", False),
    ("/Volumes/export/jobs.db", "nfs", False),
    ("/Volumes/exported/jobs.db", "apfs", True),
    ("/Volumes/STICK/jobs.db", "exfat", True),
    ("/Volumes/twice/jobs.db", "apfs", True),
    ("/System/Volumes/Data/home/jobs.db", "autofs", False),
]


@pytest.mark.parametrize(("path", "expected", "is_safe"), LISTED)
def test_macos_says_what_a_path_is_on(path: str, expected: str, is_safe: bool) -> None:
    """A file system that the system does not call local is refused."""
    mount = mount_in_list(MACOS, path)
    assert mount is not None
    assert (mount.type, mount.is_safe) == (expected, is_safe)


def test_macos_without_a_table_says_nothing() -> None:
    """Nothing is made up."""
    assert mount_in_list("", "/jobs.db") is None


LOCAL = """apfs bcachefs btrfs erofs exfat ext2 ext3 ext4 f2fs hfs jfs nilfs2 ntfs3 overlay ramfs
    reiserfs squashfs tmpfs ubifs ufs vfat wslfs xfs zfs one-of-next-year""".split()
NETWORK = """nfs nfs4 cifs smb3 9p virtiofs ceph glusterfs lustre gpfs ocfs2 gfs2 afs drvfs vboxsf
    prl_fs vmhgfs fakeowner grpcfuse""".split()
FUSE = """fuse fuse.sshfs fuse.s3fs fuse.gcsfuse fuse.rclone fuse.glusterfs fuse.grpcfuse
    fuse.osxfs fuse.vmhgfs-fuse fuse.mergerfs fuse.one-of-next-year""".split()


@pytest.mark.parametrize("name", [*LOCAL, *sorted(LOCAL_FUSE)])
def test_local_file_systems_pass(name: str) -> None:
    """Those of one machine, and those that nobody has heard of."""
    assert Mount("/data", name).is_safe


@pytest.mark.parametrize("name", sorted({*NETWORK, *SHARED, *FUSE, "NFS"}))
def test_shared_file_systems_do_not(name: str) -> None:
    """Those of several machines, and of fuse all that are not known to be local."""
    assert not Mount("/data", name).is_safe


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a folder in which Linux's table says that a file system is mounted."""
    if sys.platform == "win32":
        pytest.skip("paths of POSIX")

    def mount(name: str, point: str = "mounted folder") -> Path:
        folder = tmp_path / point
        folder.mkdir()
        table = tmp_path / "mountinfo"
        escaped = str(folder).replace(" ", r"\040")
        table.write_text(f"1 0 8:1 / / rw - ext4 /d rw\n2 1 8:2 / {escaped} rw - {name} /e rw\n")
        monkeypatch.setattr(file_systems, "_MOUNTINFO", table)
        monkeypatch.setattr(sys, "platform", "linux")
        return folder

    return mount


def test_the_refusal_names_the_file_system_and_the_option(
    mounted: Callable[[str], Path],
) -> None:
    """What it is, where it is mounted, what to use instead, and how to use it all the same."""
    path = mounted("nfs4") / "jobs.db"
    with pytest.raises(OSError, match="nfs4") as refused:
        check_file_system(path)
    assert str(refused.value) == (
        f"{path}: its file system, nfs4 at {path.parent}, may be shared between machines, where"
        " SQLite corrupts files without an error: use a local disk; or, if you know that only"
        ' one machine ever opens it, set options={"unsafe_filesystem": True}'
    )


def test_a_local_file_system_is_passed_in_silence(mounted: Callable[[str], Path]) -> None:
    """Nothing is raised and nothing is logged."""
    with listening(Heard()) as heard:
        check_file_system(mounted("xfs") / "jobs.db")
    assert heard.records == []


def test_a_link_to_a_shared_folder_is_followed(
    tmp_path: Path, mounted: Callable[[str], Path]
) -> None:
    """The file is where the link leads."""
    (tmp_path / "link").symlink_to(mounted("cifs"), target_is_directory=True)
    with pytest.raises(OSError, match="cifs"):
        check_file_system(tmp_path / "link" / "jobs.db")


def test_a_file_that_is_mounted_by_itself_is_refused(mounted: Callable[..., Path]) -> None:
    """As a volume of a container: two of them would each have a WAL and a lock of their own."""
    with pytest.raises(OSError, match=r"is mounted as a single file.+: mount its folder; or, if"):
        check_file_system(mounted("ext4", "jobs.db"))


def no_table(*args: Any, **options: Any) -> Any:
    raise FileNotFoundError("no such table")


def no_end(*args: Any, **options: Any) -> Any:
    raise subprocess.TimeoutExpired("mount", 10)


@pytest.mark.parametrize("failure", [no_table, no_end])
@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_without_a_table_everything_passes_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, failure: Callable[..., Any]
) -> None:
    """A system that hides it may be as good as any other, but whoever runs it should know."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "read_bytes", failure)
    monkeypatch.setattr(subprocess, "run", failure)
    with listening(Heard()) as heard:
        check_file_system(tmp_path / "jobs.db")
    (record,) = heard.records
    assert (record.msg, record.levelname) == ("file_system_unknown", "WARNING")
    assert record.__dict__["path"] == str(tmp_path / "jobs.db")


def test_this_system_can_be_asked(tmp_path: Path) -> None:
    """Its table is found and understood, wherever the tests run."""
    with listening(Heard()) as heard:
        try:
            check_file_system(tmp_path / "jobs.db")
        except OSError as refused:  # the tests may well run in a guest's shared folder
            assert re.search("unsafe_filesystem", str(refused))
    assert heard.records == []


@pytest.mark.skipif(sys.platform != "linux", reason="the mount table of Linux")
@pytest.mark.parametrize(
    ("part", "kind"), [("/proc", "proc"), ("/sys", "sysfs"), ("/dev/pts", "devpts")]
)
def test_the_table_of_this_linux_knows_its_parts(part: str, kind: str) -> None:
    """Each is found by its own path."""
    if not Path(part).is_mount():
        pytest.skip(f"{part} is not mounted here, as in some chroots")
    table = Path("/proc/self/mountinfo").read_text()
    assert type_of(mount_in_mountinfo(table, f"{part}/x/y")) == kind
