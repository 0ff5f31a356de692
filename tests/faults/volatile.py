"""A file system in memory that loses, when its power is cut, what nobody has synced.

``python -m tests.faults.volatile FOLDER`` mounts one through FUSE until it is unmounted. What POSIX
lets a disk keep and lose is kept and lost at random (Pillai et al., "All File Systems Are Not Created
Equal", OSDI 2014; Mohan et al., "Finding Crash-Consistency Bugs with Bounded Black-Box Crash Testing",
OSDI 2018):

- bytes that were not followed by fsync of their file: none, all, some of the writes, the last one
  torn, or only the new size, filled with zeros;
- names (created, moved, removed) that were not followed by fsync of their folder: any of them, in
  the order in which they were given. A move is whole or not at all, and may be kept before the
  bytes of the file that it moves.

It is told what to do by extended attributes of its root: ``user.cut`` with ``{"after": n, "seed": s}``
cuts the power at the n-th change from now on, after which every call fails with EIO; ``user.on``
switches it on again, with what is left; ``user.clear`` removes everything; ``user.state`` reads ``{"changes": n, "is_off": ...}``.
``user.refuse`` with ``{"errno": e, "after": n}`` refuses what needs room after so many such changes (all changes with
EROFS) until ``user.on``; ``user.slow`` with ``{"seconds": t}`` makes every call take so long.
"""

import errno
import json
import os
import random
import stat
import sys
import time


class Node:
    """A file or a folder: as programs see it, as the disk has it, and the writes in between."""

    def __init__(self, mode):
        self.mode = mode
        self.now = bytearray()
        self.disk = b""
        self.writes = []  # (offset, bytes), or (size, None)
        self.names = {}
        self.disk_names = {}
        self.mtime = self.ctime = time.time_ns()

    @property
    def is_folder(self):
        return stat.S_ISDIR(self.mode)

    def write(self, offset, data):
        apply(self.now, offset, data)
        self.writes.append((offset, data))
        self.mtime = self.ctime = time.time_ns()

    def sync(self):
        self.disk, self.writes = bytes(self.now), []

    def lose(self, rng):
        """What is left of the bytes after a cut."""
        kept = bytearray(self.disk)
        if self.writes:
            how = rng.choice(["none", "all", "torn", "some", "size"])
            chosen = {"none": [], "all": self.writes, "torn": self._torn(rng)}.get(how)
            if chosen is None:
                chosen = [one for one in self.writes if rng.random() < 0.5]
            if how == "size":
                chosen = [(len(self.now), None)]
            for offset, data in chosen:
                apply(kept, offset, data)
        self.now = kept
        self.sync()

    def _torn(self, rng):
        whole = self.writes[: rng.randrange(len(self.writes))]
        offset, data = self.writes[len(whole)]
        return [*whole, (offset, data and data[: rng.randrange(len(data))])]


def apply(content, offset, data):
    """One write to a file, or a change of its size."""
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
    else:
        content.extend(bytes(max(0, offset - len(content))))
        content[offset : offset + len(data)] = data


class Volatile:
    """The operations that libfuse asks for."""

    use_ns = True

    def __init__(self):
        self.root = Node(stat.S_IFDIR | 0o755)
        self.changes = []  # of names, not on the disk yet: lists of (folder, name, node or None)
        self.open_files = {}
        self.n_handles = self.n_changes = 0
        self.fuel = None
        self.is_off = False
        self.refused = self.room = None
        self.seconds = 0
        self.rng = random.Random(0)

    def __call__(self, operation, *arguments):
        time.sleep(self.seconds)
        return getattr(self, operation)(*arguments)

    # power

    def change(self, act, *arguments, needs_room=False):
        """Do something that changes what a cut would leave, unless it is refused or the power goes first."""
        if self.refused and (needs_room or self.refused == errno.EROFS):
            self.room -= 1
            if self.room < 0:
                raise failure(self.refused)
        self.n_changes += 1
        if self.fuel is not None:
            self.fuel -= 1
            if self.fuel < 0:
                if self.rng.random() < 0.5:  # it was done, but nobody has heard of it
                    act(*arguments)
                self.cut()
                raise failure(errno.EIO)
        act(*arguments)

    def cut(self):
        kept = self.rng.choice([0.0, 0.5, 0.9, 1.0])
        for one in self.changes:
            if self.rng.random() < kept:
                keep(one)
        self.changes, self.fuel, self.is_off = [], None, True
        found, left = {id(self.root): self.root}, [self.root]
        while left:
            node = left.pop()
            node.names = dict(node.disk_names)
            for one in node.names.values():
                if id(one) not in found:
                    found[id(one)] = one
                    left.append(one)
        for node in found.values():
            if not node.is_folder:
                node.lose(self.rng)
        self.open_files = {}

    def getxattr(self, path, name, position=0):
        if path == "/" and name == "user.state":
            return json.dumps({"changes": self.n_changes, "is_off": self.is_off}).encode()
        raise failure(errno.ENODATA)

    def setxattr(self, path, name, value, options, position=0):
        if path == "/" and name == "user.cut":
            how = json.loads(value)
            self.fuel, self.rng = how["after"], random.Random(how["seed"])
        elif path == "/" and name == "user.on":
            self.is_off, self.fuel, self.refused = False, None, None
        elif path == "/" and name == "user.refuse":
            how = json.loads(value)
            self.refused, self.room = how["errno"], how["after"]
        elif path == "/" and name == "user.slow":
            self.seconds = json.loads(value)["seconds"]
        elif path == "/" and name == "user.clear":
            self.root, self.changes = Node(self.root.mode), []
        else:
            raise failure(errno.ENOTSUP)

    # names

    def node(self, path):
        if self.is_off and path != "/":
            raise failure(errno.EIO)
        node = self.root
        for name in path.split("/")[1:]:
            if name:
                if name not in node.names:
                    raise failure(errno.ENOENT)
                node = node.names[name]
        return node

    def parent(self, path):
        folder, _, name = path.rpartition("/")
        if self.is_off:
            raise failure(errno.EIO)
        return self.node(folder or "/"), name

    def name(self, *change):
        for folder, name, node in change:
            put(folder.names, name, node)
            folder.mtime = folder.ctime = time.time_ns()
        self.changes.append(change)

    def mkdir(self, path, mode):
        folder, name = self.parent(path)
        self.change(self.name, (folder, name, Node(stat.S_IFDIR | mode)), needs_room=True)

    def rmdir(self, path):
        folder, name = self.parent(path)
        if folder.names[name].names:
            raise failure(errno.ENOTEMPTY)
        self.change(self.name, (folder, name, None))

    def unlink(self, path):
        folder, name = self.parent(path)
        self.change(self.name, (folder, name, None))

    def rename(self, old, new):
        (folder, name), (to, to_name) = self.parent(old), self.parent(new)
        node, there = folder.names[name], to.names.get(to_name)
        if there is not None and there.names:
            raise failure(errno.ENOTEMPTY)
        if there is not None and there.is_folder != node.is_folder:
            raise failure(errno.EISDIR if there.is_folder else errno.ENOTDIR)
        self.change(self.name, (to, to_name, node), (folder, name, None))

    def readdir(self, path, fh):
        return [".", "..", *self.node(path).names]

    def fsyncdir(self, path, datasync, fh):
        self.change(self._sync_folder, self.node(path))

    def _sync_folder(self, folder):
        """Keep its names, and whatever was done before to names that moved with them."""
        kept, names = [], set()
        for one in reversed(self.changes):
            if any(where is folder or (id(where), name) in names for where, name, _ in one):
                kept.append(one)
                names |= {(id(where), name) for where, name, _ in one}
        for one in reversed(kept):
            keep(one)
        are_kept = set(map(id, kept))
        self.changes = [one for one in self.changes if id(one) not in are_kept]

    # files

    def getattr(self, path, fh=None):
        node = self.node(path)
        links = 2 if node.is_folder else 1
        times = {"st_mtime": node.mtime, "st_ctime": node.ctime, "st_atime": node.mtime}
        owner = {"st_uid": os.getuid(), "st_gid": os.getgid()}
        return {"st_mode": node.mode, "st_nlink": links, "st_size": len(node.now), **times, **owner}

    def handle(self, node):
        self.n_handles += 1
        self.open_files[self.n_handles] = node
        return self.n_handles

    def file(self, fh):
        if self.is_off or fh not in self.open_files:
            raise failure(errno.EIO)
        return self.open_files[fh]

    def create(self, path, mode, fi=None):
        folder, name = self.parent(path)
        node = Node(stat.S_IFREG | mode)
        self.change(self.name, (folder, name, node), needs_room=True)
        return self.handle(node)

    def open(self, path, flags):
        return self.handle(self.node(path))

    def read(self, path, size, offset, fh):
        return bytes(self.file(fh).now[offset : offset + size])

    def write(self, path, data, offset, fh):
        self.change(self.file(fh).write, offset, data, needs_room=True)
        return len(data)

    def truncate(self, path, length, fh=None):
        self.change((self.node(path) if fh is None else self.file(fh)).write, length, None)

    def fsync(self, path, datasync, fh):
        self.change(self.file(fh).sync)

    def flush(self, path, fh):
        return 0

    def release(self, path, fh):
        self.open_files.pop(fh, None)

    def chmod(self, path, mode):
        self.node(path).mode = mode

    def chown(self, path, uid, gid):
        self.node(path)

    def utimens(self, path, times=None):
        self.node(path).mtime = times[1] if times else time.time_ns()

    def statfs(self, path):
        room = {"f_blocks": 2**20, "f_bfree": 2**20, "f_bavail": 2**20}
        return {"f_bsize": 4096, "f_frsize": 4096, "f_namemax": 255, **room}


def failure(number):
    return OSError(number, os.strerror(number))


def put(names, name, node):
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def keep(change):
    """A change of names reaches the disk."""
    for folder, name, node in change:
        put(folder.disk_names, name, node)


def mount(folder):
    """Serve a file system at a folder until it is unmounted."""
    from fuse import FUSE  # which looks for libfuse where it is imported

    nothing_cached = {
        "attr_timeout": 0,
        "entry_timeout": 0,
        "negative_timeout": 0,
        "ac_attr_timeout": 0,
    }
    FUSE(
        Volatile(),
        folder,
        foreground=True,
        nothreads=True,
        hard_remove=True,
        big_writes=True,
        **nothing_cached,
    )


if __name__ == "__main__":
    mount(sys.argv[1])
