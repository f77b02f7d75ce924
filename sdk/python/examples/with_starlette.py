"""The participant in a Starlette application, served by uvicorn."""

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

import payment

accounts, port = payment.arguments()


def all_accounts(_: Request) -> JSONResponse:
    return JSONResponse(accounts.all())


app = Starlette(routes=[Route("/accounts", all_accounts), Mount("/payment", accounts.endpoint.asgi)])

if __name__ == "__main__":
    uvicorn.run(app, port=port, log_level="warning")
