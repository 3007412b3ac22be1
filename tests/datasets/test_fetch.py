"""The fetcher against a server on this machine: what comes is whole and right, or nothing is kept."""

import hashlib
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from embedkit import datasets
from embedkit.datasets import DatasetCard, DatasetNotFound, OpenFile, catalog
from embedkit.datasets.fetch import fetch
from tests.datasets.making import medmnist_arrays, npz

pytest.importorskip("pooch", reason="fetching needs embedkit[download]")
NAME = "pneumoniamnist.npz"


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = npz(tmp_path_factory.mktemp("server") / NAME, medmnist_arrays(catalog()["pneumoniamnist"], 28))
    return path.read_bytes()


@pytest.fixture(scope="module")
def server(body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/absent"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:100] if self.path.startswith("/short") else body)

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def card(url: str, md5: str) -> DatasetCard:
    return replace(catalog()["pneumoniamnist"], files=(OpenFile(NAME, url, md5),))


def md5_of(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_a_set_is_fetched_once_and_then_read(
    server: str, body: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = card(f"{server}/{NAME}?download=1", md5_of(body))
    monkeypatch.setattr("embedkit.datasets.open.catalog", lambda: {there.name: there})
    fetched = datasets.open_dataset("pneumoniamnist", tmp_path / "new")
    assert len(fetched) == 9
    assert [path.name for path in (tmp_path / "new/pneumoniamnist").iterdir()] == [NAME]
    assert (tmp_path / "new/pneumoniamnist" / NAME).read_bytes() == body
    gone = card(f"{server}/absent", md5_of(body))
    monkeypatch.setattr("embedkit.datasets.open.catalog", lambda: {gone.name: gone})
    again = datasets.open_dataset("pneumoniamnist", tmp_path / "new")
    assert again.table.equals(fetched.table)


def refused() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/x"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/wrong", "does not have the publisher's checksum"),
        ("/absent", "404"),
        ("/short", "IncompleteRead"),
        ("refused", "Connection"),
    ],
)
def test_what_goes_wrong_is_said_and_nothing_is_kept(
    server: str, body: bytes, tmp_path: Path, path: str, reason: str
) -> None:
    url = refused() if path == "refused" else server + path
    md5 = md5_of(b"something else") if path == "/wrong" else md5_of(body)
    folder = tmp_path / "pneumoniamnist"
    with pytest.raises(DatasetNotFound) as caught:
        fetch(card(url, md5), folder)
    message = str(caught.value)
    for part in (NAME, url, reason, md5, str(folder / NAME), "put it there"):
        assert part in message
    assert not list(tmp_path.iterdir())


def test_a_failed_fetch_leaves_what_was_there(server: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DatasetNotFound):
        fetch(card(f"{server}/{NAME}", "0" * 32), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_that_cannot_be_made_is_said(server: str, body: bytes, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(DatasetNotFound, match=r"could not fetch pneumoniamnist.npz"):
        fetch(card(f"{server}/{NAME}", md5_of(body)), tmp_path / "data" / "pneumoniamnist")


def test_without_pooch_the_extra_is_named(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DatasetNotFound, match=r"pip install 'embedkit\[download\]'") as caught:
        fetch(card(f"{server}/{NAME}", "0" * 32), tmp_path / "x")
    assert f"{server}/{NAME}" in str(caught.value)
    assert str(tmp_path / "x" / NAME) in str(caught.value)
    assert not list(tmp_path.iterdir())
