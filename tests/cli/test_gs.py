"""Images in Google Cloud, read with gcsfs from a server of this machine that speaks enough of its protocol."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

import numpy as np
import pytest

from embedkit.cache import read
from embedkit.images import TooManyPixels, policy, remote
from tests.cli.conftest import Run

gcsfs = pytest.importorskip("gcsfs")

PLACE = "/storage/v1/b/clinic/o/"


class _Bucket(BaseHTTPRequestHandler):
    """The bucket ``clinic``: what is known of an object, its bytes or a range of them, and lists without an entry."""

    held: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []
    ranges: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        name = unquote(path.partition(PLACE)[2])
        bytes_asked = path.startswith("/download/") or "alt=media" in query
        self.asked.append(f"{'bytes' if bytes_asked else 'info'} {name}")
        if path.rstrip("/") == PLACE.rstrip("/"):
            self._answer(200, json.dumps({"kind": "storage#objects"}).encode())
        elif name not in self.held:
            self._answer(404, json.dumps({"error": {"code": 404, "message": "No such object"}}).encode())
        elif bytes_asked:
            self._bytes(self.held[name])
        else:
            whole = self.held[name]
            told = {"name": name, "bucket": "clinic", "size": str(len(whole)), "etag": hashlib.md5(whole).hexdigest()}
            self._answer(200, json.dumps(told).encode())

    def _bytes(self, whole: bytes) -> None:
        if "Range" not in self.headers:
            self._answer(200, whole)
            return
        self.ranges.append(self.headers["Range"])
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        if int(first) >= len(whole):
            self._answer(416, b"")
        else:
            self._answer(206, whole[int(first) : int(last) + 1 if last else None])

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that goes before it has its answer."""


@pytest.fixture
def clinic(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A bucket with what a test puts there."""
    for name in ("HTTP_PROXY", "http_proxy", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    # Google's libraries look for the machines of its cloud otherwise, which takes seconds.
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(place / "none"))
    _Bucket.held, _Bucket.asked, _Bucket.ranges = {}, [], []
    gcsfs.GCSFileSystem.clear_instance_cache()
    with _Server(("127.0.0.1", 0), _Bucket) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{http.server_port}")
        yield place
        http.shutdown()
    gcsfs.GCSFileSystem.clear_instance_cache()


def test_vectors_are_those_of_the_files_and_what_cannot_be_read_is_told(
    embedkit: Run, tiny_model: str, images: Path, clinic: Path
) -> None:
    files = sorted(images.rglob("*.png"))[:6]
    keys = [f"scans/{file.relative_to(images).as_posix()}" for file in files]
    _Bucket.held = {key: file.read_bytes() for key, file in zip(keys, files, strict=True)} | {"scans/empty.png": b""}
    addresses = [f"gs://clinic/{key}" for key in [*keys, "scans/absent.png", "scans/empty.png"]]
    file = clinic / "gs.csv"
    file.write_text("path\n" + "".join(f"{address}\n" for address in addresses))
    words = ("extract", "--model", tiny_model, "--data", f"csv:{file}", "--workers", 0)

    done = embedkit(*words, "--json")
    [result] = done.results
    assert (done.status, result["embedded"]) == (1, 6)
    told = [(row["path"], row["reason"]) for row in result["failed"]]
    assert told == [("gs://clinic/scans/absent.png", "missing"), ("gs://clinic/scans/empty.png", "empty")]
    found = read(Path(result["path"]))
    assert list(found.table["path"]) == addresses[:6]

    # Under another cache, or the vectors would be found there by the bytes of the images.
    local = ("--data", f"folder:{images}", "--cache", clinic / "of-files")
    [here] = embedkit("extract", "--model", tiny_model, *local, "--workers", 0, "--json").results
    rows = read(Path(here["path"])).table.set_index("path").index.get_indexer([key[len("scans/") :] for key in keys])
    np.testing.assert_array_equal(found.X, read(Path(here["path"])).X[rows])

    _Bucket.asked.clear()
    [result] = embedkit(*words, "--json").results
    assert (result["embedded"], result["reused"]) == (0, 6)
    # Their entity tags say that they are the same.
    assert not [line for line in _Bucket.asked if line.startswith("bytes scans/red")]


def test_a_part_of_an_object_is_an_image(embedkit: Run, tiny_model: str, images: Path, clinic: Path) -> None:
    whole = sorted(images.rglob("*.png"))[0].read_bytes()
    _Bucket.held = {"shard.tar": b"\0" * 512 + whole + b"\0" * 100}
    file = clinic / "gs.csv"
    file.write_text(f"path\ngs://clinic/shard.tar#bytes=512+{len(whole)}\ngs://clinic/shard.tar#bytes=512+99999\n")
    done = embedkit("extract", "--model", tiny_model, "--data", f"csv:{file}", "--workers", 0, "--json")
    [result] = done.results
    assert (done.status, result["embedded"]) == (1, 1)
    assert [row["reason"] for row in result["failed"]] == ["truncated"]


def test_no_more_is_read_of_an_object_than_may_be_decoded(clinic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "MAX_BYTES", 5000)
    _Bucket.held = {"large.png": bytes(100_000), "at most.png": bytes(5000)}
    with pytest.raises(TooManyPixels, match=r"gs://clinic/large\.png: it has 5,001 bytes, more than the 5,000"):
        remote.read_remote("gs://clinic/large.png")
    assert len(remote.read_remote("gs://clinic/at most.png")) == 5000
    assert set(_Bucket.ranges) == {"bytes=0-5000"}
