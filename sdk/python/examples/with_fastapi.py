"""The participant in a FastAPI application, served by uvicorn."""

from typing import Any, Dict, List

import uvicorn
from fastapi import FastAPI

import payment

accounts, port = payment.arguments()

app = FastAPI()
app.mount("/payment", accounts.endpoint.asgi)


@app.get("/accounts")
def all_accounts() -> List[Dict[str, Any]]:
    return accounts.all()


if __name__ == "__main__":
    uvicorn.run(app, port=port, log_level="warning")
