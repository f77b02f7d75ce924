"""A participant that is always well; writes where it listens into the file it is given.

Further arguments are ports of loopback where it is found too: those of the document's examples, so that what tools
begin from these comes to an end.
"""
import http.server, os, sys, threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


for port in sys.argv[2:]:
    example = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    threading.Thread(target=example.serve_forever, daemon=True).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(sys.argv[1] + ".new", "w") as f:
    f.write(f"http://127.0.0.1:{server.server_address[1]}")
os.replace(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
