from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models.functions import Now
from django.shortcuts import redirect

from . import services
from .models import Hold, Payment, Product, Refund
from .services import errors
from .services.sqlstates import purchase_errors

TEXTS = {
    errors.ProductNotFoundError: "The product is gone.",
    errors.StockGuardedError: "The stock has changed meanwhile. Look at it again.",
    errors.SaleNotFoundError: "There is no such order.",
    errors.ReturnExceedsSaleError: "It is not sold.",
    errors.ProductBusyError: "Somebody is buying it. Try again.",
    errors.ConflictError: "Somebody else has changed it. Try again.",
}


class ProductForm(forms.ModelForm):
    delivered = forms.IntegerField(
        required=False, min_value=1, max_value=1_000_000,
        help_text="Is added to the stock.")
    counted = forms.IntegerField(
        required=False, min_value=0, max_value=1_000_000,
        help_text="Replaces the stock.")

    def clean(self):
        data = super().clean()
        if data.get("delivered") is not None and data.get("counted") is not None:
            raise ValidationError("Say what was delivered or what was counted.")
        return data


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    form = ProductForm
    list_display = ["name", "stock"]

    def get_fields(self, request, obj=None):
        fields = ["name", "stock", "per_buyer"]
        return fields + ["delivered", "counted"] if obj else fields

    def get_readonly_fields(self, request, obj=None):
        return ["stock"] if obj else []

    def save_model(self, request, obj, form, change):
        if not change:
            return super().save_model(request, obj, form, change)

        # Not all of its columns: the stock was read a moment ago.
        delivered, counted = map(form.cleaned_data.get, ("delivered", "counted"))
        obj.save(update_fields=set(form.changed_data) - {"delivered", "counted"})
        if delivered is not None:
            stock = services.restock(obj.pk, delivered)
            self.message_user(request, f"The stock is {stock} now.")
        if counted is not None:
            before = services.set_stock(obj.pk, counted)
            self.message_user(request, f"The stock was {before} and is {counted} now.")

    def changeform_view(self, request, object_id=None, *args, **kwargs):
        try:
            with purchase_errors(object_id):    # around its transaction
                return super().changeform_view(request, object_id, *args, **kwargs)
        except errors.PurchaseError as error:
            self.message_user(request, TEXTS[type(error)], messages.ERROR)
            return redirect(request.get_full_path())


class ReadOnlyAdmin(admin.ModelAdmin):
    """Nothing to change: purchase does, or the services."""

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    """What is held now."""
    list_display = ["sale_id", "product", "qty", "buyer", "expires_at"]
    list_select_related = ["product"]
    search_fields = ["sale_id", "buyer"]
    ordering = ["expires_at"]

    def get_queryset(self, request):
        return super().get_queryset(request).filter(expires_at__gt=Now())


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    list_display = ["id", "order_id", "refund"]
    actions = ["take_back", "take_back_broken"]

    def has_refund_permission(self, request):
        return request.user.has_perm("shop.add_refund")

    @admin.action(description="Refund the order", permissions=["refund"])
    def take_back(self, request, payments, restock=True):
        for payment in payments:
            try:
                units = services.retrying(
                    lambda: services.refund(payment.order_id, restock))
                self.message_user(request, f"{payment.id}: {units} units are back.")
            except errors.PurchaseError as error:
                self.message_user(request, f"{payment.id}: {TEXTS[type(error)]}",
                                  messages.ERROR)

    @admin.action(description="Refund the order, all is broken",
                  permissions=["refund"])
    def take_back_broken(self, request, payments):
        self.take_back(request, payments, restock=False)


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = ["id", "order_id", "product", "units"]
    list_select_related = ["product"]
