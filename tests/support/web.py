"""A web server for documents, on loopback."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


@dataclass
class Answer:
    """What is answered. `drip` sends the body byte by byte, until whoever asked goes away.

    A header whose value is `{drip}` is sent like that instead.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drip: bool = False


@dataclass
class Web:
    """A server that runs."""

    url: str
    pages: dict[str, Answer]
    asked: list[tuple[str, dict[str, str]]]
    """The paths that were asked for, with the headers."""

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


def moved(to: str, status: int = 302) -> Answer:
    return Answer(status=status, headers={"Location": to})


@contextmanager
def web(pages: dict[str, Answer] | None = None) -> Iterator[Web]:
    """Serve pages by their paths; `pages` may be added to later."""
    over = Event()
    served = Web("", pages or {}, [])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            answer = served.pages.get(self.path, Answer(status=404))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value.removesuffix("{drip}"))
            if "{drip}" in answer.headers.values():
                self.flush_headers()
            else:
                self.end_headers()
            with suppress(OSError):  # whoever asked has had enough
                _send(self.wfile.write, answer, over)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _send(write: Callable[[bytes], Any], answer: Answer, over: Event) -> None:
    if not answer.drip:
        write(answer.body)
        return
    while not over.wait(0.02):
        write(b" ")
