"""The only table."""

from django.db import models


class Product(models.Model):
    """Something to buy."""

    name = models.CharField(max_length=20)
