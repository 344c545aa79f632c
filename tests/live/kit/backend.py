"""A small HTTP backend that the gateways' hooks ask, in threads of the test's own process."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kit import schemas
from kit.waiting import PATIENCE


class Question:
    """What was asked: the hook (the path), its JSON and the request's headers."""

    def __init__(self, hook, body, headers):
        self.hook = hook
        self.body = body
        self.headers = headers


class Backend:
    """A context manager. `answers` has a function for each hook ("connect" ...), which gets the
    question and returns what is answered: an object for JSON, bytes for a body as it is, or a pair
    of a status and headers. Hooks without one are answered with {"result": {}}.

    While `hangs` is set nobody is answered."""

    def __init__(self, certificate=None, key=None):
        self.answers = {}
        self.asked = []  # questions, in the order in which they came
        self._goes_on = threading.Event()
        self._goes_on.set()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # pylint: disable=invalid-name
                backend._serve(self)  # pylint: disable=protected-access

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def url(self, hook, scheme="http", host="127.0.0.1"):
        return f"{scheme}://{host}:{self.port}/{hook}"

    def about(self, hook):
        """The questions of a hook so far."""
        return [question for question in self.asked if question.hook == hook]

    def hang(self):
        self._goes_on.clear()

    def go_on(self):
        self._goes_on.set()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._goes_on.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, request):
        size = int(request.headers["Content-Length"])
        question = Question(request.path.strip("/"), json.loads(request.rfile.read(size)),
                            dict(request.headers))
        if question.hook in schemas.SCHEMAS["hook"]["$defs"]:
            schemas.hold("hook", question.body, question.hook)
        self.asked.append(question)
        self._goes_on.wait(PATIENCE)
        answer = self.answers.get(question.hook, lambda _: {"result": {}})(question)
        status, headers = 200, {}
        if isinstance(answer, tuple):
            (status, headers), answer = answer, b""
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        try:
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name, value)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
        except OSError:
            request.close_connection = True  # nobody waits for it any more


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # connections that were given up
