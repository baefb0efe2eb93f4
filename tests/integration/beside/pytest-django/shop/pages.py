"""The only page."""

from django.http import HttpRequest, JsonResponse
from django.urls import path

from shop.models import Product


def products(request: HttpRequest) -> JsonResponse:
    """List the names of all products."""
    return JsonResponse({"products": list(Product.objects.values_list("name", flat=True))})


urlpatterns = [path("products", products)]
