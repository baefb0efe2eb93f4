"""Queries, pages and settings of Django, each in the transaction of its test."""

import pytest
from shop.models import Product


@pytest.fixture
def lamp(db):
    """Return a product in the database of the test."""
    return Product.objects.create(name="lamp")


def test_query(energy, lamp, spend):
    """A query is measured on the rows of its own test."""

    def names():
        spend(2.0)
        return [product.name for product in Product.objects.all()]

    assert energy(names) == ["lamp"]


def test_page(energy, lamp, client, spend):
    """A page is measured through Django's client."""

    def get():
        spend(3.0)
        return client.get("/products")

    assert energy(get).json() == {"products": ["lamp"]}


@pytest.mark.django_db
@pytest.mark.energy_budget("9 J")
def test_whole(settings, django_assert_num_queries, spend):
    """A marked test counts its queries in each repetition."""
    settings.LANGUAGE_CODE = "fr"
    spend(4.0)
    with django_assert_num_queries(1):
        assert not Product.objects.exists()


@pytest.mark.django_db
def test_rolled_back(settings):
    """No other test leaves a row or a setting."""
    assert Product.objects.count() == 0
    assert settings.LANGUAGE_CODE != "fr"
