"""The participant in a Django project, served by waitress."""

import waitress
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

import payment
from tercet.django import view

accounts, port = payment.arguments()


def all_accounts(_: HttpRequest) -> JsonResponse:
    return JsonResponse(accounts.all(), safe=False)


urlpatterns = [
    path("accounts", all_accounts),
    path("payment/<str:leg>", view(accounts.endpoint)),
]

if __name__ == "__main__":
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="only here", DEBUG=False)
    waitress.serve(get_wsgi_application(), listen=f"127.0.0.1:{port}", threads=32)
