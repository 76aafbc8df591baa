from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('shop', '0004_sales'),
    ]

    operations = [
        migrations.CreateModel(
            name='Hold',
            fields=[
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('sale_id', models.TextField()),
                ('line', models.IntegerField()),
                ('qty', models.BigIntegerField()),
                ('buyer', models.TextField(null=True)),
                ('expires_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'shop_product_hold',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='Sale',
            fields=[
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('sale_id', models.TextField()),
                ('line', models.IntegerField()),
                ('qty', models.BigIntegerField()),
                ('buyer', models.TextField(null=True)),
                ('state', models.TextField()),
                ('remaining', models.BigIntegerField(null=True)),
                ('released', models.BigIntegerField()),
                ('returned', models.BigIntegerField()),
                ('discarded', models.BigIntegerField()),
                ('hold_for', models.DurationField(null=True)),
                ('created_by', models.TextField()),
                ('created_at', models.DateTimeField()),
                ('settled_at', models.DateTimeField(null=True)),
            ],
            options={
                'db_table': 'shop_product_sale',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='Payment',
            fields=[
                ('id', models.CharField(max_length=255, primary_key=True, serialize=False)),
                ('order_id', models.UUIDField()),
                ('refund', models.BooleanField(default=False)),
            ],
        ),
    ]
