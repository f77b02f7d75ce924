"""Mounting into Django: `path("payment/<str:leg>", view(endpoint))`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Set

from ._mount import Mounted, too_large

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


def view(mounted: Mounted) -> Callable[..., HttpResponse]:
    """A view that answers as the endpoint does. It takes no part in Django's own transactions, and its callers
    know nothing of CSRF tokens."""
    from django.core.exceptions import RequestDataTooBig
    from django.http import HttpResponse
    from django.http.request import UnreadablePostError
    from django.views.decorators.csrf import csrf_exempt

    def answer(request: HttpRequest, leg: str = "") -> Any:
        method, headers = request.method or "", {name.lower(): text for name, text in request.headers.items()}
        given = mounted.before_body(method, leg, headers)
        if given is None:
            try:
                body = request.body
            except RequestDataTooBig:
                given = too_large()
            except UnreadablePostError:
                return HttpResponse(status=400)  # The caller has hung up.
            else:
                query = request.META.get("QUERY_STRING", "")
                given = (
                    too_large() if len(body) > mounted.body_bytes else mounted.answer(method, leg, query, headers, body)
                )
        response = HttpResponse(given.body, status=given.status, content_type=given.media_type)
        for name, value in given.more_headers:
            response[name] = value
        return response

    # A transaction of Django's own (ATOMIC_REQUESTS) would be open while the guard's is, on whichever database.
    answer._non_atomic_requests = _Every()  # type: ignore[attr-defined]
    return csrf_exempt(answer)  # type: ignore[no-any-return]


class _Every(Set[str]):
    """Has every name in it."""

    def __contains__(self, _: object) -> bool:
        return True
