#!/usr/bin/python3
"""(b) The Django recipe through Django itself, one process for each client.

Usage: shop.py CLIENTS SECONDS LO HI STEP ORDER_LINE UNTIL_SOLD_OUT
Writes the log lines of pgbench, and what the buyers were told into tally.
"""
import multiprocessing
import os
import random
import sys
import time

import django
from django.conf import settings
from django.db import OperationalError, connection, models, transaction

settings.configure(DATABASES={'default': {
    'ENGINE': 'django.db.backends.postgresql',
    'HOST': os.environ['PGHOST'],
    'USER': os.environ['PGUSER'],
    'NAME': os.environ['PGDATABASE'],
}})
django.setup()


class OutOfStockError(Exception):
    pass


class InsufficientQuantityError(Exception):
    pass


class Product(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    stock = models.IntegerField()

    class Meta:
        app_label = 'shop'
        db_table = 'product'


class OrderLine(models.Model):
    id = models.BigAutoField(primary_key=True)
    product = models.ForeignKey(Product, models.CASCADE)
    quantity = models.IntegerField()

    class Meta:
        app_label = 'shop'
        db_table = 'order_line'


@transaction.atomic
def purchase(product_id, quantity, order_line):
    product = Product.objects.select_for_update(nowait=True).get(pk=product_id)
    if product.stock == 0:
        raise OutOfStockError
    if product.stock < quantity:
        raise InsufficientQuantityError
    product.stock -= quantity
    product.save(update_fields=['stock'])
    if order_line:
        OrderLine.objects.create(product=product, quantity=quantity)


def client(number, ready, seconds, lo, hi, step, order_line, until_sold_out):
    told = {'sold': 0, 'refused': 0, 'busy': 0}
    log = []
    connection.ensure_connection()
    ready.wait()
    now = time.time_ns()
    deadline = now + seconds * 1e9
    while now < deadline:
        begin = now
        try:
            purchase(step * random.randint(lo, hi), 1, order_line)
            outcome = 'sold'
        except (OutOfStockError, InsufficientQuantityError):
            outcome = 'refused'
        except OperationalError as error:
            if error.__cause__.pgcode != '55P03':
                raise
            outcome = 'busy'
        now = time.time_ns()
        told[outcome] += 1
        us = 'failed' if outcome == 'busy' else (now - begin) // 1000
        log.append(f'{number} 0 {us} 0 {now // 10**9} {now // 1000 % 10**6}\n')
        if until_sold_out and outcome == 'refused':
            break
    with connection.cursor() as cursor:
        cursor.execute('INSERT INTO tally VALUES (%s, %s, %s)',
                       list(told.values()))
    with open(f'log.{number}', 'w') as file:
        file.writelines(log)


clients, seconds = int(sys.argv[1]), float(sys.argv[2])
ready = multiprocessing.Barrier(clients)
processes = [
    multiprocessing.Process(
        target=client, args=(i, ready, seconds, *map(int, sys.argv[3:])))
    for i in range(clients)]
for process in processes:
    process.start()
for process in processes:
    process.join()
sys.exit(any(process.exitcode for process in processes))
