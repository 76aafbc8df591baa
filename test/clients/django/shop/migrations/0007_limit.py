from django.db import migrations, models


def limit(table, column):
    return migrations.RunSQL(
        f"SELECT purchase_keep_sales('{table}', limit_column => '{column}')",
        f"SELECT purchase_keep_sales('{table}', limit_column => '')")


class Migration(migrations.Migration):
    dependencies = [("shop", "0006_refund")]

    operations = [
        migrations.AddField("product", "per_buyer",
                            models.PositiveIntegerField(null=True, blank=True)),
        limit("shop_product", "per_buyer"),
    ]
