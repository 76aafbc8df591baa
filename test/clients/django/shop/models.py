import uuid

from django.db import models


class Product(models.Model):
    name = models.CharField(max_length=100)
    stock = models.PositiveIntegerField()
    per_buyer = models.PositiveIntegerField(null=True, blank=True)  # null: no limit

    def __str__(self):
        return self.name


class Seat(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=100)
    stock = models.PositiveBigIntegerField()


class OrderLine(models.Model):
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField()


class Payment(models.Model):
    """What the payment provider told us, once for each payment."""
    id = models.CharField(max_length=255, primary_key=True)     # the provider's
    order_id = models.UUIDField()
    refund = models.BooleanField(default=False)     # to be paid back


class Refund(models.Model):
    """Money that goes back for units that came back: in one transaction with them."""
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    order_id = models.UUIDField()
    product = models.ForeignKey(Product, models.PROTECT, null=True)     # null: the rest
    units = models.PositiveBigIntegerField()


class SaleLine(models.Model):
    """A product of a sale with an id, or of a hold. To be read: purchase writes it."""
    id = models.BigIntegerField(primary_key=True)   # see migration 0004
    sale_id = models.TextField()
    line = models.IntegerField()
    product = models.ForeignKey(Product, models.DO_NOTHING, related_name="+")
    qty = models.BigIntegerField()
    buyer = models.TextField(null=True)

    class Meta:
        abstract = True


class Sale(SaleLine):
    state = models.TextField()      # held, sold, released, expired; returned: a refund
    remaining = models.BigIntegerField(null=True)
    released = models.BigIntegerField()
    returned = models.BigIntegerField()
    discarded = models.BigIntegerField()    # of these, the broken ones
    hold_for = models.DurationField(null=True)
    created_by = models.TextField()
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "shop_product_sale"


class Hold(SaleLine):
    expires_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "shop_product_hold"
