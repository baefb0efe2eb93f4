"""A server that says how friendly a text is: POST a text, get a JSON number."""

import json
import random
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@cache
def model() -> dict[str, float]:
    """Return the weight of each word; stands for a file of weights that takes time to load."""
    weights = random.Random(1)
    return {f"word{n}": weights.gauss(0, 1) for n in range(100_000)}


def score(text: str) -> float:
    """Return the mean weight of the words of a text."""
    weights, words = model(), text.split()
    return sum(weights.get(word, 0.0) for word in words) / max(1, len(words))


class Handler(BaseHTTPRequestHandler):
    """Answers a text with its score."""

    def do_POST(self) -> None:
        """Read a text, and write its score."""
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        answer = json.dumps(score(text)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        """Say nothing of each request."""


if __name__ == "__main__":
    model()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
