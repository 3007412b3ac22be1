"""Images in S3, read with s3fs from a server of this machine that speaks as much of its protocol as reading takes."""

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from embedkit.cache import read
from tests.cli.conftest import Run

s3fs = pytest.importorskip("s3fs")

NOTHING_LISTED = b"<ListBucketResult><Name>clinic</Name><KeyCount>0</KeyCount></ListBucketResult>"
NO_SUCH_KEY = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
FORBIDDEN = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class _Bucket(BaseHTTPRequestHandler):
    """The bucket ``clinic``, with path-style addresses: an object's head, its bytes, and lists without an entry."""

    held: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.asked.append(f"{self.command} {path}")
        if "Credential=reader/" not in self.headers.get("Authorization", ""):
            self._answer(403, FORBIDDEN)
        elif "list-type=2" in query:
            self._answer(200, NOTHING_LISTED)
        elif path in self.held:
            self._answer(200, self.held[path])
        else:
            self._answer(404, NO_SUCH_KEY)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.md5(body).hexdigest()}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def clinic(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A bucket with an image; what AWS's libraries know of this machine and its user is hidden from them."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_MAX_ATTEMPTS", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(place / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    _Bucket.held, _Bucket.asked = {}, []
    # fsspec keeps file systems, and with them the server and the keys that they were made for.
    s3fs.S3FileSystem.clear_instance_cache()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Bucket) as http:
        http.daemon_threads = True
        threading.Thread(target=http.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{http.server_port}")
        yield place
        http.shutdown()
    s3fs.S3FileSystem.clear_instance_cache()


def _table(place: Path, *addresses: str) -> str:
    file = place / "s3.csv"
    file.write_text("path\n" + "".join(f"{address}\n" for address in addresses))
    return f"csv:{file}"


def test_vectors_are_those_of_the_files_and_an_absent_object_is_told(
    embedkit: Run, tiny_model: str, images: Path, clinic: Path
) -> None:
    files = sorted(images.rglob("*.png"))[:6]
    keys = [f"scans/{file.relative_to(images).as_posix()}" for file in files]
    _Bucket.held = {f"/clinic/{key}": file.read_bytes() for key, file in zip(keys, files, strict=True)}
    data = _table(clinic, *(f"s3://clinic/{key}" for key in keys), "s3://clinic/scans/absent.png")
    words = ("extract", "--model", tiny_model, "--data", data, "--workers", 0)

    done = embedkit(*words, "--json")
    [result] = done.results
    assert (done.status, result["embedded"]) == (1, 6)
    assert [(row["path"], row["reason"]) for row in result["failed"]] == [("s3://clinic/scans/absent.png", "missing")]
    assert "s3://clinic/scans/absent.png: there is nothing at this address" in result["failed"][0]["message"]
    remote = read(Path(result["path"]))
    assert list(remote.table["path"]) == [f"s3://clinic/{key}" for key in keys]

    # Under another cache, or the vectors would be found there by the bytes of the images.
    local = ("--data", f"folder:{images}", "--cache", clinic / "of-files")
    [here] = embedkit("extract", "--model", tiny_model, *local, "--workers", 0, "--json").results
    rows = read(Path(here["path"])).table.set_index("path").index.get_indexer([key[len("scans/") :] for key in keys])
    np.testing.assert_array_equal(remote.X, read(Path(here["path"])).X[rows])

    _Bucket.asked.clear()
    again = embedkit(*words, "--json")
    [result] = again.results
    assert (again.status, result["embedded"], result["reused"]) == (1, 0, 6)
    # Their entity tags say that they are the same.
    assert not [line for line in _Bucket.asked if line.startswith("GET /clinic/scans/red")]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": ""}, "no permission to read it. Give this machine the keys of the store"),
        ({"AWS_ACCESS_KEY_ID": "stranger"}, "no permission to read it. Give this machine the keys of the store"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "127.0.0.1:9"),
    ],
)
def test_a_store_that_gives_nothing_is_told_once_and_soon(
    variables: dict[str, str],
    words: str,
    embedkit: Run,
    tiny_model: str,
    clinic: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    begun = time.monotonic()
    done = embedkit("extract", "--model", tiny_model, "--data", _table(clinic, "s3://clinic/x.png"), "--workers", 0)
    assert done.status == 2
    [line] = [line for line in done.err.splitlines() if "none of the 1 images" in line]
    assert "s3://clinic/x.png" in line
    assert words in line
    # Three attempts and not fifteen, which took half a minute.
    assert time.monotonic() - begun < 20
