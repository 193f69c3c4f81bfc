"""The programs that tests/peers/install unpacked, made reachable for the peers' own users."""

import glob
import os
import shutil
import subprocess

KINDS = ("usr/bin", "usr/sbin", "usr/lib/postfix", "usr/libexec/opensmtpd")


def peers_folder():
    return os.environ.get("ODMR_PEERS_DIR") or os.path.expanduser("~/.cache/odmr-peers")


def copy_programs(folder):
    """Copies the unpacked programs under `folder`: they normally lie in root's home, where users
    like postfix may not go. No copy keeps a set-user-ID bit."""
    source = os.path.join(peers_folder(), "root")
    if not os.path.isdir(source):
        raise FileNotFoundError(f"{source} is missing: run tests/peers/install")
    for kind in KINDS:
        shutil.copytree(os.path.join(source, kind), os.path.join(folder, kind), symlinks=True)
    for directory, _, names in os.walk(folder):
        os.chmod(directory, 0o755)
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode & 0o777)
    return folder


def program_of(package, path, folder):
    """A program whose place another package's took, from the package itself: into `folder`."""
    found = glob.glob(os.path.join(peers_folder(), "debs", package + "_*.deb"))
    if not found:
        raise FileNotFoundError(f"the package {package} is missing in {peers_folder()}/debs: run tests/peers/install")
    program = os.path.join(folder, os.path.basename(path))
    files = subprocess.run(["dpkg-deb", "--fsys-tarfile", found[0]], stdout=subprocess.PIPE, check=True).stdout
    with open(program, "wb") as file:
        subprocess.run(["tar", "-xO", "./" + path], input=files, stdout=file, check=True)
    os.chmod(program, 0o755)
    return program
