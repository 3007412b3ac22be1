"""Images behind addresses of fsspec: the bytes, or the named reason why there are none, and never a hang."""

import hashlib
import os
import re
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from embedkit import EmbedkitError, images
from embedkit.cache import read
from embedkit.datasets import dataset_footprint, open_dataset
from embedkit.extraction import extract
from embedkit.images import policy, remote
from embedkit.images.remote import read_remote, stamp, stamps
from tests.extraction.fake import FakeEncoder, job

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")


def _png(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream := BytesIO(), "png")
    return stream.getvalue()


class _Server(BaseHTTPRequestHandler):
    """Serves what ``held`` has, and some addresses badly."""

    held: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []
    flaky: ClassVar[set[str]] = set()
    changed: ClassVar[str] = ""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        if self.path == "/locked.png":
            return self.send_error(403)
        if self.path in self.flaky:
            self.flaky.discard(self.path)
            return self.send_error(503)
        if self.path == "/slow.png" and self.command == "GET":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            try:
                for _ in range(100):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(0.1)
            except OSError:
                pass
            return None
        if self.path in ("/endless.png", "/endless.gz.png"):
            return self._go_on()
        if self.path not in self.held:
            return self.send_error(404)
        data = self.held[self.path]
        if asked := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            data = data[int(asked[1]) : int(asked[2]) + 1]
        dropped = self.path == "/dropped.png"
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        if self.changed:
            self.send_header("Last-Modified", self.changed)
        self.send_header("ETag", hashlib.sha256(data).hexdigest()[:12])
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[: len(data) // 2] if dropped else data)
        return None

    def _go_on(self) -> None:
        squeeze = zlib.compressobj(wbits=31)
        self.send_response(200)
        if ".gz" in self.path:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        piece, end = bytes(1 << 20), time.monotonic() + 3
        with suppress(OSError):
            while self.command == "GET" and time.monotonic() < end:
                squeezed = squeeze.compress(piece) + squeeze.flush(zlib.Z_SYNC_FLUSH)
                self.wfile.write(squeezed if ".gz" in self.path else piece)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("EMBEDKIT_REMOTE_SECONDS", "1")
    _Server.held = {f"/{number}.png": _png(number) for number in range(5)} | {"/dropped.png": _png(9)}
    _Server.asked, _Server.flaky, _Server.changed = [], set(), ""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as http:
        http.daemon_threads = True
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def test_bytes_and_identity_are_those_of_the_file(server: str, tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(_png(0))
    pixels, digest = images.load(f"{server}/0.png")
    local, same = images.load(str(tmp_path / "0.png"))
    np.testing.assert_array_equal(pixels, local)
    assert digest == same == images.digest(f"{server}/0.png")


def test_memory_and_a_stretch_of_an_archive() -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/box/x.tar", b"?" * 512 + _png(1) + b"?")
    address = f"memory://box/x.tar#bytes=512+{len(_png(1))}"
    assert images.load(address)[1] == hashlib.sha256(_png(1)).hexdigest()[:32]
    with pytest.raises(images.TruncatedImage, match="Copy it again"):
        images.load(f"memory://box/x.tar#bytes=512+{len(_png(1)) + 2}")


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("none.png", images.MissingFile, "nothing at this address"),
        ("locked.png", images.UnreadableFile, "403"),
        ("dropped.png", images.UnreadableFile, "Try again"),
        ("slow.png", images.UnreadableFile, "not here within 1 s.*EMBEDKIT_REMOTE_SECONDS"),
        ("0.npz#images[3]", images.UnsupportedImage, "Copy .* here first"),
    ],
)
def test_each_way_to_fail_has_a_name_and_an_end(server: str, name: str, error: type[Exception], words: str) -> None:
    begun = time.monotonic()
    with pytest.raises(error, match=words) as told:
        images.load(f"{server}/{name}")
    assert f"{server}/{name.partition('#')[0]}" in str(told.value)
    assert time.monotonic() - begun < 15


def test_a_request_that_fails_once_is_made_again(server: str) -> None:
    _Server.flaky = {"/0.png"}
    assert read_remote(f"{server}/0.png") == _png(0)


@pytest.mark.parametrize("name", ["endless.png", "endless.gz.png", "endless.png#bytes=5+10"])
def test_an_answer_without_an_end_is_left_where_it_is_too_large(
    server: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "MAX_BYTES", 3 << 20)
    with pytest.raises(images.TooManyPixels, match=r"/endless.*more than the 3,145,728 that are read") as told:
        images.load(f"{server}/{name}")
    [received] = re.findall(r"it has ([\d,]+) bytes", str(told.value))
    assert int(received.replace(",", "")) < 40 << 20


def test_a_stretch_behind_a_web_server_is_all_that_is_sent(server: str) -> None:
    whole = _png(0)
    assert read_remote(f"{server}/0.png", (7, 20)) == whole[7:27]
    assert read_remote(f"{server}/0.png", (7, 0)) == b""
    with pytest.raises(images.TruncatedImage, match=f"it has 3 of the 20 bytes from byte {len(whole) - 3:,}"):
        read_remote(f"{server}/0.png", (len(whole) - 3, 20))


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDKIT_REMOTE_SECONDS", "1")
    with pytest.raises(images.UnreadableFile, match="Try again"):
        images.load("http://127.0.0.1:9/x.png")


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adlfs", None)
    with pytest.raises(images.UnsupportedImage, match="adlfs"):
        images.load("abfs://bucket/x.png")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(images.UnsupportedImage, match=r"pip install 'embedkit\[remote\]'"):
        images.load("memory://x.png")
    with pytest.raises(images.UnsupportedImage):
        images.load("nonsense://x.png")


def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDKIT_REMOTE_SECONDS", "soon")
    with pytest.raises(EmbedkitError, match="EMBEDKIT_REMOTE_SECONDS=soon"):
        images.load("memory://x.png")


def test_the_stamp_follows_the_contents(server: str) -> None:
    one = stamp(f"{server}/0.png")
    assert one == stamp(f"{server}/0.png")
    _Server.held["/0.png"] = _png(77)
    assert stamp(f"{server}/0.png") != one


def test_an_image_that_changed_just_now_has_no_mark(server: str, tmp_path: Path) -> None:
    """Changed again within the second that servers count in, it would keep it."""
    for ago, trusted in ((0, False), (1, False), (60, True)):
        _Server.changed = formatdate(time.time() - ago, usegmt=True)
        [(size, *mark)] = stamps([f"{server}/0.png"], 2_000_000_000)
        assert size == len(_png(0))
        assert all(mark) == any(mark) == trusted
    (tmp_path / "x.png").write_bytes(_png(0))
    assert stamps([f"file://{tmp_path}/x.png"], 2_000_000_000) == [(len(_png(0)), 0, 0)]


@pytest.mark.parametrize(
    "told",
    [
        "Thu, 27 Nov 2025 01:02:03 GMT",
        "2025-11-27T01:02:03Z",
        datetime(2025, 11, 27, 1, 2, 3, tzinfo=UTC),
        1764205323,
        1764205323.0,
    ],
)
def test_a_time_is_read_as_any_server_tells_it(told: object) -> None:
    assert remote._seconds(told) == 1764205323
    assert remote._seconds("yesterday") == 0


def test_a_file_behind_an_address_that_kept_its_time_has_another_stamp(tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(_png(0))
    one, status = stamp(f"file://{file}"), file.stat()
    assert stamp(f"file://{file}") == one
    # Longer than the grain of the clock that files are stamped with.
    time.sleep(0.05)
    file.write_bytes(bytes(len(_png(0))))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert stamp(f"file://{file}") != one


def test_a_table_of_remote_and_local_images_is_extracted_and_only_what_changed_is_read_again(
    server: str, tmp_path: Path
) -> None:
    (tmp_path / "here.png").write_bytes(_png(50))
    remote = [f"{server}/{name}.png" for name in (0, 1, 2, "none", "dropped", "slow")]
    (tmp_path / "t.csv").write_text("path\nhere.png\n" + "".join(f"{address}\n" for address in remote))
    data = f"csv:{tmp_path / 't.csv'}"
    report = extract(open_dataset(data), job(), tmp_path / "cache", workers=0, batch=4)
    assert (report.embedded, list(report.failed["reason"])) == (4, ["missing", "unreadable", "unreadable"])
    assert list(read(report.path).table["path"]) == ["here.png", *remote[:3]]
    assert dataset_footprint(data) is None

    _Server.held["/1.png"] = _png(78)
    _Server.asked.clear()
    encoder = FakeEncoder()
    (tmp_path / "t.csv").write_text("path\nhere.png\n" + "".join(f"{address}\n" for address in remote[:3]))
    again = extract(open_dataset(data), job(encoder), tmp_path / "cache", workers=0, batch=4)
    assert (again.embedded, again.reused) == (1, 3)
    assert {line for line in _Server.asked if line.startswith("GET")} == {"GET /1.png"}
