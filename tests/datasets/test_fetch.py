"""The fetcher against a server on this machine: what comes is whole and right, or nothing is kept."""

import hashlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from embedkit import datasets
from embedkit.datasets import DatasetCard, DatasetNotFound, OpenFile, catalog
from embedkit.datasets.fetch import fetch
from tests.datasets.making import medmnist_arrays, npz

NAME = "pneumoniamnist.npz"
asked: list[str] = []


@pytest.fixture(autouse=True)
def nothing_asked() -> None:
    asked.clear()


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = npz(tmp_path_factory.mktemp("server") / NAME, medmnist_arrays(catalog()["pneumoniamnist"], 28))
    return path.read_bytes()


@pytest.fixture(scope="module")
def server(body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers.get('Range', '')}".strip())
            if self.path.startswith(("/absent", "/forbidden")):
                self.send_error(404 if self.path.startswith("/absent") else 403)
                return
            if self.path.startswith("/moved"):
                self.send_response(302)
                self.send_header("Location", "/there")
                self.end_headers()
                return
            begin = int((self.headers.get("Range") or "bytes=0-")[6:-1])
            if self.path.startswith("/stubborn"):
                begin = 0
            if begin >= len(body):
                self.send_error(416)
                return
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(body) - begin))
            self.end_headers()
            if self.path.startswith("/breaking"):
                self.wfile.write(body[begin : begin + len(body) // 3 + 1])
            elif self.path.startswith("/slow"):
                for place in range(begin, len(body), 400):
                    self.wfile.write(body[place : place + 400])
                    time.sleep(0.01)
            elif self.path.startswith("/silent"):
                time.sleep(1.5)
            else:
                self.wfile.write(body[begin:])

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
        ("/forbidden", "403.*it asks for a login or an agreement"),
        ("/silent", "timed out"),
        ("refused", "Connection"),
    ],
)
def test_what_goes_wrong_is_said_and_nothing_is_kept(
    server: str, body: bytes, tmp_path: Path, path: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedkit.datasets.fetch.TIMEOUT", 0.3)
    url = refused() if path == "refused" else server + path
    md5 = md5_of(b"something else") if path == "/wrong" else md5_of(body)
    folder = tmp_path / "pneumoniamnist"
    with pytest.raises(DatasetNotFound) as caught:
        fetch(card(url, md5), folder)
    message = str(caught.value)
    assert re.search(reason, message)
    for part in (NAME, url, md5, str(folder / NAME), "put it there"):
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


def test_a_connection_that_breaks_off_is_taken_up_where_it_ended(server: str, body: bytes, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fetch(card(f"{server}/breaking", md5_of(body)), tmp_path, lambda here, total: seen.append((here, total)))
    assert (tmp_path / NAME).read_bytes() == body
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    step = len(body) // 3 + 1
    assert asked == ["/breaking", f"/breaking bytes={step}-", f"/breaking bytes={2 * step}-"]
    assert seen[-1] == (len(body), len(body))
    assert [here for here, _ in seen] == sorted(here for here, _ in seen)


def test_what_was_begun_another_day_is_gone_on_with(server: str, body: bytes, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(body[:500])
    fetch(card(f"{server}/{NAME}", md5_of(body)), tmp_path)
    assert (tmp_path / NAME).read_bytes() == body
    assert asked == [f"/{NAME} bytes=500-"]


def test_a_part_that_is_whole_is_only_checked(server: str, body: bytes, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(body)
    fetch(card(f"{server}/{NAME}", md5_of(body)), tmp_path)
    assert (tmp_path / NAME).read_bytes() == body


def test_a_server_that_knows_no_ranges_sends_all_of_it(server: str, body: bytes, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(b"x" * 500)
    fetch(card(f"{server}/stubborn", md5_of(body)), tmp_path)
    assert (tmp_path / NAME).read_bytes() == body


def test_a_part_of_another_file_is_thrown_away(server: str, body: bytes, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(b"x" * 500)
    with pytest.raises(DatasetNotFound, match="checksum, so it was thrown away"):
        fetch(card(f"{server}/{NAME}", md5_of(body)), tmp_path)
    fetch(card(f"{server}/{NAME}", md5_of(body)), tmp_path)
    assert (tmp_path / NAME).read_bytes() == body


@pytest.mark.parametrize("path", ["/moved", "/slow"])
def test_redirects_are_followed_and_slow_servers_waited_for(
    server: str, body: bytes, tmp_path: Path, path: str
) -> None:
    fetch(card(server + path, md5_of(body)), tmp_path)
    assert (tmp_path / NAME).read_bytes() == body
    fetch(card(f"{server}/absent", md5_of(body)), tmp_path)
    assert "/absent" not in asked
