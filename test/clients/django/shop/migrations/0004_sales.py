from django.db import migrations


def keep_sales(table):
    """Django wants a key of one column, so each of the two tables is given one. To
    go back forgets the sales and detaches, which takes the guard off.
    """
    key = "ADD id bigint GENERATED ALWAYS AS IDENTITY UNIQUE"
    return migrations.RunSQL(
        f"SELECT purchase_keep_sales('{table}');"
        f"ALTER TABLE {table}_sale {key};"
        f"ALTER TABLE {table}_hold {key}",
        f"SELECT purchase_detach('{table}');"
        f"SELECT purchase_attach('{table}');"
        f"SELECT purchase_guard('{table}');"
        f"DROP TABLE {table}_hold, {table}_sale")


class Migration(migrations.Migration):
    dependencies = [("shop", "0003_guard")]

    operations = [keep_sales("shop_product")]
