"""What embedkit never writes: links, and datasets that lie in other files, are compressed or are no bytes."""

import h5py


def strange(file: h5py.File, size: int) -> str:
    """Return what there is of this in an open file of a size in bytes, empty if nothing.

    A sealed file of a stranger could read another file by it, never end, or grow a thousandfold in memory.
    """
    waiting, seen = [file["/"]], set()
    while waiting:
        group = waiting.pop()
        for name in group:
            where = f"'{group.name.rstrip('/')}/{name}'"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                return f"{where} is a link to elsewhere, which embedkit doesn't write"
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                return f"{where} has two names, which embedkit doesn't write"
            seen.add(address)
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif not isinstance(item, h5py.Dataset) or not _plain(item, size):
                return f"{where} is not stored as embedkit stores it"
    return ""


def _plain(item: h5py.Dataset, size: int) -> bool:
    elsewhere = item.external or item.is_virtual or item.chunks
    return not elsewhere and item.size * item.dtype.itemsize <= item.id.get_storage_size() <= size
