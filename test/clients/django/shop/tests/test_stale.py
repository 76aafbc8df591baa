"""Somebody edits the pen, and meanwhile one is sold: what becomes of it when the
edit is saved with the stock that it began with. Without the guard and with it,
and in the shop's own admin.
"""

from concurrent.futures import ThreadPoolExecutor

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import DatabaseError, connection
from django.db.models import F
from django.db.models.signals import pre_save
from django.forms import modelform_factory
from django.test import TransactionTestCase, override_settings
from django.urls import path, reverse

from .. import services
from ..admin import TEXTS, ProductAdmin
from ..models import Product
from ..services.errors import ProductNotFoundError, StockGuardedError
from ..services.sqlstates import purchase_errors
from .shop import PEN, at_the_same_time, fill, meanwhile, stock, take_guard_away


class Forgetful(ProductAdmin):
    """The shop's, if it had forgotten what to do about the stock."""
    fields = ["name", "stock"]
    get_fields = admin.ModelAdmin.get_fields
    get_readonly_fields = admin.ModelAdmin.get_readonly_fields
    save_model = admin.ModelAdmin.save_model


careless = admin.AdminSite("careless")
careless.register(Product)
forgetful = admin.AdminSite("forgetful")
forgetful.register(Product, Forgetful)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("careless/", careless.urls),
    path("forgetful/", forgetful.urls),
]

EditForm = modelform_factory(Product, fields=["name", "stock"])


def sell_a_pen():
    at_the_same_time(1, lambda: services.purchase(PEN, 1))


def somebody_waits():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type"
                       " IN ('Lock', 'Extension') AND datname = current_database()")
        return cursor.fetchone()[0] > 0


def pen():
    return Product.objects.values_list("name", "stock").get(pk=PEN)


class Stale(TransactionTestCase):
    def setUp(self):
        fill()

    def unguarded(self):
        take_guard_away(self.addCleanup)

    def refused(self, function, *args):
        with self.assertRaises(StockGuardedError) as caught:
            with purchase_errors(PEN):
                function(*args)
        self.assertFalse(caught.exception.retryable)
        self.assertNotIn("shop_product", str(caught.exception))
        self.is_refusal(caught.exception.__cause__)

    def is_refusal(self, error):
        self.assertIs(type(error), DatabaseError)
        diag = error.__cause__.diag
        self.assertEqual(
            (diag.sqlstate, diag.message_primary, diag.table_name, diag.column_name),
            ("SK005", 'column "stock" of table "shop_product" is guarded',
             "shop_product", "stock"))
        self.assertEqual(pen(), ("pen", 99))


class StaleObjects(Stale):
    def save_a_stale_object(self, **kwargs):
        product = Product.objects.get(pk=PEN)
        sell_a_pen()
        product.name = "Pen"
        product.save(**kwargs)

    def save_an_old_form(self):
        page = EditForm(instance=Product.objects.get(pk=PEN))
        data = {**page.initial, "name": "Pen"}
        sell_a_pen()
        form = EditForm(data, instance=Product.objects.get(pk=PEN))
        form.save()

    def subtract(self, quantity):
        product = Product.objects.get(pk=PEN)
        sell_a_pen()
        product.stock -= quantity
        product.save(update_fields=["stock"])

    def test_a_stale_object_brings_back_what_was_sold_without_the_guard(self):
        self.unguarded()
        self.save_a_stale_object()
        self.assertEqual(pen(), ("Pen", 100))

    def test_a_stale_object_is_refused(self):
        self.refused(self.save_a_stale_object)

    def test_an_old_form_brings_back_what_was_sold_without_the_guard(self):
        self.unguarded()
        self.save_an_old_form()
        self.assertEqual(pen(), ("Pen", 100))

    def test_an_old_form_is_refused(self):
        self.refused(self.save_an_old_form)

    def test_a_subtraction_in_Python_loses_a_sale_without_the_guard(self):
        self.unguarded()
        self.subtract(2)
        self.assertEqual(stock(PEN), 98)    # of 100, and three are sold

    def test_a_subtraction_in_Python_is_refused(self):
        self.refused(self.subtract, 2)

    # The limit of the guard: it sees a value that is there already. The same
    # code fails at once when nobody else has sold just as many.
    def test_a_subtraction_that_comes_to_the_stock_that_is_there_passes(self):
        self.subtract(1)
        self.assertEqual(stock(PEN), 99)    # of 100, and two are sold

    def test_a_subtraction_in_SQL_is_refused(self):
        sell_a_pen()
        self.refused(lambda: Product.objects.update(stock=F("stock") - 1))

    def test_changed_fields_are_saved(self):
        self.save_a_stale_object(update_fields=["name"])
        self.assertEqual(pen(), ("Pen", 99))

    def test_a_fresh_object_is_saved(self):
        sell_a_pen()
        product = Product.objects.get(pk=PEN)
        product.name = "Pen"
        product.save()
        self.assertEqual(pen(), ("Pen", 99))

    def test_a_refreshed_object_is_saved(self):
        product = Product.objects.get(pk=PEN)
        sell_a_pen()
        product.refresh_from_db(fields=["stock"])
        product.name = "Pen"
        product.save()
        self.assertEqual(pen(), ("Pen", 99))

    def test_the_shop_restocks_and_counts(self):
        self.assertEqual(services.restock(PEN, 20), 120)
        self.assertEqual(services.set_stock(PEN, 90), 120)
        self.assertEqual(stock(PEN), 90)
        with self.assertRaises(ProductNotFoundError):
            services.set_stock(99, 1)


@override_settings(ROOT_URLCONF=__name__)
class Admin(Stale):
    def setUp(self):
        super().setUp()
        self.client.force_login(User.objects.create(
            username="clerk", is_staff=True, is_superuser=True))

    def open(self, site):
        """What the browser would send back."""
        self.url = reverse(f"{site}:shop_product_change", args=[PEN])
        response = self.client.get(self.url)
        self.assertEqual(response.status_code, 200)
        form = response.context["adminform"].form
        return {field.html_name: "" if field.value() is None else field.value()
                for field in form}

    def send(self, data, **changes):
        return self.client.post(self.url, {**data, **changes})

    def edit(self, site):
        data = self.open(site)
        sell_a_pen()
        return self.send(data, name="Pen")

    def says(self, response, text):
        self.assertEqual([str(message) for message in
                          get_messages(response.wsgi_request)][:1], [text])

    def test_an_old_page_of_the_admin_brings_back_what_was_sold_without_the_guard(self):
        self.unguarded()
        response = self.edit("careless")
        self.assertEqual(response.status_code, 302)
        self.assertEqual(pen(), ("Pen", 100))

    def test_an_old_page_of_the_admin_is_refused(self):
        with self.assertRaises(DatabaseError) as caught:
            self.edit("careless")
        self.is_refusal(caught.exception)
        self.assertFalse(LogEntry.objects.exists())

    def test_a_fresh_page_of_the_admin_is_saved(self):
        sell_a_pen()
        data = self.open("careless")
        self.assertEqual(self.send(data, name="Pen").status_code, 302)
        self.assertEqual(pen(), ("Pen", 99))

    def test_a_refusal_has_a_text_of_the_shop(self):
        response = self.edit("forgetful")
        self.assertRedirects(response, self.url, fetch_redirect_response=False)
        self.says(response, TEXTS[StockGuardedError])
        self.assertEqual(pen(), ("pen", 99))
        self.assertEqual(self.open("forgetful")["stock"], 99)

    # From here on the shop's own admin.
    def test_the_shop_asks_for_no_stock(self):
        self.assertEqual(set(self.open("admin")),
                         {"name", "per_buyer", "delivered", "counted"})

    def test_the_shop_saves_an_old_page(self):
        self.assertEqual(self.edit("admin").status_code, 302)
        self.assertEqual(pen(), ("Pen", 99))

    def test_the_shop_ignores_a_stock_that_is_sent(self):
        data = self.open("admin")
        sell_a_pen()
        self.send(data, name="Pen", stock=100)
        self.assertEqual(pen(), ("Pen", 99))

    def sell_before_saving(self):
        def sell(**kwargs):
            sell_a_pen()

        pre_save.connect(sell, sender=Product, weak=False, dispatch_uid="sell")
        self.addCleanup(pre_save.disconnect, sender=Product, dispatch_uid="sell")

    # A field that is read-only on the page is still a column of the object.
    def test_the_shop_saves_beside_a_sale_between_reading_and_writing(self):
        data = self.open("admin")
        self.sell_before_saving()
        self.assertEqual(self.send(data, name="Pen").status_code, 302)
        self.assertEqual(pen(), ("Pen", 99))

    def test_the_shop_adds_what_was_delivered(self):
        data = self.open("admin")
        sell_a_pen()
        self.says(self.send(data, delivered=20), "The stock is 119 now.")
        self.assertEqual(pen(), ("pen", 119))

    def test_the_shop_sets_what_was_counted(self):
        data = self.open("admin")
        sell_a_pen()
        self.says(self.send(data, name="Pen", counted=0),
                  "The stock was 99 and is 0 now.")
        self.assertEqual(pen(), ("Pen", 0))

    def test_the_shop_takes_a_count_or_a_delivery(self):
        response = self.send(self.open("admin"), delivered=20, counted=90)
        self.assertContains(response, "what was delivered or what was counted")
        self.assertEqual(pen(), ("pen", 100))

    # Not busy: a count waits for the sales that are under way.
    def test_the_shop_counts_after_a_sale_that_is_under_way(self):
        data = self.open("admin")

        def count():
            try:
                return self.send(data, counted=90)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            with meanwhile(lambda: services.purchase(PEN, 1)):
                response = pool.submit(count)
                while not response.done() and not somebody_waits():
                    pass
            self.says(response.result(), "The stock was 99 and is 90 now.")
        self.assertEqual(pen(), ("pen", 90))

    def test_the_shop_adds_a_product(self):
        Product.objects.all().delete()      # their keys are not the sequence's
        response = self.client.post(reverse("admin:shop_product_add"),
                                    {"name": "cup", "stock": 5})
        self.assertEqual(response.status_code, 302)
        self.assertEqual(Product.objects.get(name="cup").stock, 5)
