from django.contrib.postgres.operations import CreateExtension
from django.db import migrations


def attach(table):
    return migrations.RunSQL(f"SELECT purchase_attach('{table}')",
                             f"SELECT purchase_detach('{table}')")


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]

    operations = [
        CreateExtension("purchase"),
        attach("shop_product"),
        attach("shop_seat"),
    ]
