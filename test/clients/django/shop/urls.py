from django.contrib import admin
from django.urls import path

from . import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("products/<int:pk>/purchase", views.ProductView.as_view()),
    path("seats/<uuid:pk>/purchase", views.SeatView.as_view()),
    path("cart", views.CartView.as_view()),
    path("checkouts/<uuid:order_id>", views.CheckoutView.as_view()),
    path("checkouts/<uuid:order_id>/refund", views.RefundView.as_view()),
    path("checkouts/<uuid:order_id>/refunds/<uuid:refund_id>",
         views.PartRefundView.as_view()),
    path("payments", views.PaymentView.as_view()),
    path("orders", views.OrderView.as_view()),
]
