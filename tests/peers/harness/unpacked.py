"""The programs that tests/peers/install unpacked, made reachable for the peers' own users."""

import os
import shutil

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
