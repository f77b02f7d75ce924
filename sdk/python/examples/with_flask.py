"""The participant in a Flask application, served by waitress."""

import waitress
from flask import Flask, Response, jsonify
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import payment

accounts, port = payment.arguments()

app = Flask(__name__)
app.wsgi_app = DispatcherMiddleware(  # type: ignore[method-assign]
    app.wsgi_app, {"/payment": accounts.endpoint.wsgi}
)


@app.get("/accounts")
def all_accounts() -> Response:
    return jsonify(accounts.all())


if __name__ == "__main__":
    waitress.serve(app, listen=f"127.0.0.1:{port}", threads=32)
