from django.db import migrations


def guard(table):
    return migrations.RunSQL(f"SELECT purchase_guard('{table}')",
                             f"SELECT purchase_guard('{table}', false)")


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_purchase")]

    operations = [
        guard("shop_product"),
        guard("shop_seat"),
    ]
